"""Orders, closing and unlocking by API; nothing is sent here, the account's host does that."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ConnectedAccount, User
from accounts.tests.api_clients import API, Client, client_of
from accounts.tests.factories import NOW, make_account
from groups.tests.factories import make_group
from risk.api import enforcement
from risk.models import AccountLock, Enforcement, Order
from risk.services import orders as order_services
from risk.services import panic
from risk.tests.factories import make_check, make_lock, make_order, make_run

BUY = {"symbol": "EURUSD", "direction": "buy", "volume": "0.50", "stop_loss": 1.08}
KEY = {"HTTP_IDEMPOTENCY_KEY": "one"}


@pytest.fixture
def api(alice: User) -> Client:
    return client_of(alice)


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice, state="connected")


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host is there to decide, so an order is shown as it was written."""

    def as_it_is(order: Order, **_: object) -> Order:
        return order

    monkeypatch.setattr(order_services, "await_outcome", as_it_is)


def post(api: Client, path: str, body: object, **headers: Any) -> Any:
    return api.post(f"{API}/{path}", body, format="json", **headers)


def test_it_places_an_order_and_shows_its_state(api: Client, account: ConnectedAccount) -> None:
    answer = post(api, f"accounts/{account.pk}/orders", BUY)
    assert answer.status_code == 201, answer.content
    shown = answer.json()
    assert (shown["state"], shown["kind"], shown["origin"]) == ("pending", "open", "api")
    assert (shown["requested_volume"], shown["volume"]) == ("0.50000000", None)
    assert (shown["is_decided"], shown["checks"]) == (False, [])
    order = Order.objects.get()
    assert (str(order.pk), order.requested_by_id) == (shown["id"], account.user_id)
    assert order.send_by_at is not None
    assert (order.send_by_at - order.created_at).total_seconds() == 10


def test_the_same_key_gives_one_order(api: Client, account: ConnectedAccount) -> None:
    path = f"accounts/{account.pk}/orders"
    first, again = (post(api, path, BUY, **KEY) for _ in range(2))
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    other = post(api, path, {**BUY, "volume": "0.6"}, **KEY)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    closing = post(api, f"accounts/{account.pk}/positions/7/close", {}, **KEY)
    assert closing.status_code == 409
    assert Order.objects.count() == 1
    assert post(api, path, BUY, HTTP_IDEMPOTENCY_KEY="two").status_code == 201
    for key in ("", "x" * 65, "a\tb", "\u00e9"):
        refused = post(api, path, BUY, HTTP_IDEMPOTENCY_KEY=key)
        assert set(refused.json()["error"]["fields"]) == {"Idempotency-Key"}, key
    assert Order.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"symbol": ""}, "symbol"),
        ({"symbol": "x" * 30}, "symbol"),
        ({"direction": "up"}, "direction"),
        ({"type": "magic"}, "type"),
        ({"volume": "0"}, "volume"),
        ({"volume": "-1"}, "volume"),
        ({"volume": "NaN"}, "volume"),
        ({"stop_loss": -1}, "stop_loss"),
        ({"stop_loss": "1e999"}, "stop_loss"),
        ({"stop_loss": 10**400}, "stop_loss"),
        ({"price": 1.1}, "price"),
        ({"type": "limit"}, "price"),
        ({"deviation_points": -1}, "deviation_points"),
        ({"type": "limit", "price": 1.07}, "stop_loss"),
        (
            {"type": "limit", "price": 1.1, "valid_until_at": "2020-01-01T00:00:00Z"},
            "valid_until_at",
        ),
    ],
)
def test_it_names_the_field_that_is_wrong(
    api: Client, account: ConnectedAccount, change: dict[str, Any], field: str
) -> None:
    answer = post(api, f"accounts/{account.pk}/orders", {**BUY, **change})
    assert answer.status_code == 400, answer.content
    assert set(answer.json()["error"]["fields"]) == {field}
    assert not Order.objects.exists()


def test_it_refuses_an_account_that_nobody_watches(api: Client, alice: User) -> None:
    account = make_account(alice)
    answer = post(api, f"accounts/{account.pk}/orders", BUY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_connected")
    assert not Order.objects.exists()


def test_it_changes_cancels_and_closes_by_ticket(api: Client, account: ConnectedAccount) -> None:
    path = f"accounts/{account.pk}"
    asked = [
        api.ask("PATCH", f"{path}/orders/8", {"price": 1.2}),
        api.ask("DELETE", f"{path}/orders/8"),
        api.ask("PATCH", f"{path}/positions/7", {"stop_loss": 1.05, "take_profit": 0}),
        api.ask("POST", f"{path}/positions/7/close", {"volume": "0.25"}),
        api.ask("POST", f"{path}/positions/7/close"),
    ]
    assert [answer.status_code for answer in asked] == [200, 200, 200, 201, 201]
    kinds = [answer.json()["kind"] for answer in asked]
    assert kinds == ["modify_order", "cancel", "modify_position", "close", "close"]
    tickets = [
        (order.order_ticket, order.position_ticket)
        for order in Order.objects.order_by("created_at")
    ]
    assert tickets == [(8, None), (8, None), (None, 7), (None, 7), (None, 7)]
    assert asked[3].json()["requested_volume"] == "0.25000000"
    for method, part in (("PATCH", "orders/x"), ("DELETE", "orders/0"), ("PATCH", "positions/-7")):
        assert api.ask(method, f"{path}/{part}", {"price": 1.0}).status_code == 404
    nothing = api.ask("PATCH", f"{path}/positions/7", {})
    assert set(nothing.json()["error"]["fields"]) == {"stop_loss"}


def test_it_previews_an_order_without_writing_it(api: Client, account: ConnectedAccount) -> None:
    answer = post(api, f"accounts/{account.pk}/orders/preview", BUY)
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert shown["verdict"] == "block"  # nothing is known of the account: fail closed
    assert shown["sentence"]
    assert {"check_name", "verdict", "value", "limit", "unit", "sentence"} <= set(
        shown["checks"][0]
    )
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"volume": "0"}, "volume"),
        ({"volume": "-1"}, "volume"),
        ({"type": "limit"}, "price"),
        ({"price": 1.1}, "price"),
        ({"stop_loss": -1}, "stop_loss"),
        ({"stop_loss": 1.2, "take_profit": 1.1}, "stop_loss"),
        ({"deviation_points": 10_001}, "deviation_points"),
        ({"valid_until_at": "2020-01-01T00:00:00Z"}, "valid_until_at"),
    ],
)
def test_a_preview_refuses_what_placing_refuses(
    api: Client, account: ConnectedAccount, changes: dict[str, Any], field: str
) -> None:
    answers = [
        post(api, f"accounts/{account.pk}/{path}", {**BUY, **changes})
        for path in ("orders", "orders/preview")
    ]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json() == answers[1].json()
    assert set(answers[0].json()["error"]["fields"]) == {field}


def test_it_lists_orders_with_what_the_gate_said(
    api: Client, account: ConnectedAccount, alice: User
) -> None:
    order = make_order(account, state="rejected", refused_by="gate", position_ticket=7)
    make_check(order, verdict="block", sentence="5,000.00 of 5,000.00 USD are lost.", value=5000.0)
    make_order(account, kind="close", symbol="GBPUSD")
    make_order(make_account(alice, "Other"))
    path = f"accounts/{account.pk}/orders"
    both = api.ask("GET", path).json()
    assert both["count"] == 2
    for query, count in {
        "state=rejected": 1,
        "kind=close": 1,
        "symbol=GBPUSD": 1,
        "position_ticket=7": 1,
        f"id={order.pk}": 1,
        "since=2026-11-21T00:00:00Z": 0,
        "search=gbp": 1,
    }.items():
        assert api.ask("GET", f"{path}?{query}").json()["count"] == count, query
    shown = api.ask("GET", f"{path}?state=rejected").json()["results"][0]
    assert shown["checks"][0]["sentence"] == "5,000.00 of 5,000.00 USD are lost."


def test_it_closes_everything_and_locks(
    api: Client, alice: User, account: ConnectedAccount
) -> None:
    second = make_account(alice, "Second", state="connected")
    make_account(alice, "Idle", is_active=False)
    group = make_group(alice, "Desk", second)
    one = post(api, f"accounts/{account.pk}/close-all", {"reason": "Enough."})
    assert one.status_code == 202, one.content
    run = one.json()["results"][0]
    assert (run["stage"], run["cause"], run["is_finished"]) == ("started", "panic", False)
    assert AccountLock.objects.standing().get().account_id == account.pk
    of_group = post(api, f"groups/{group.pk}/close-all", {"reason": "Enough.", "lock": False})
    assert [each["account_name"] for each in of_group.json()["results"]] == ["Second"]
    assert AccountLock.objects.count() == 1
    everything = post(api, "accounts/close-all", {"reason": "Enough."}).json()["results"]
    assert len(everything) == 2
    named = {"reason": "Enough.", "account_ids": [str(second.pk)]}
    assert len(post(api, "accounts/close-all", named).json()["results"]) == 1
    assert Enforcement.objects.count() == 2  # those that ran already went on
    assert api.ask("GET", f"risk-rules/enforcements/{run['id']}").json()["id"] == run["id"]
    for path in (f"accounts/{account.pk}/close-all", "accounts/close-all"):
        assert set(post(api, path, {}).json()["error"]["fields"]) == {"reason"}
    empty = post(api, f"groups/{make_group(alice, 'Bare').pk}/close-all", {"reason": "Enough."})
    assert (empty.status_code, empty.json()["error"]["code"]) == (409, "no_accounts")


def test_the_same_key_closes_once_even_after_the_end(
    api: Client, account: ConnectedAccount
) -> None:
    path, body = f"accounts/{account.pk}/close-all", {"reason": "Enough."}
    first = post(api, path, body, **KEY).json()["results"][0]
    Enforcement.objects.update(stage="done", finished_at=NOW)
    again = post(api, path, body, **KEY).json()["results"][0]
    assert (again["id"], again["is_finished"]) == (first["id"], True)
    assert Enforcement.objects.count() == 1
    for other in ({"reason": "Other."}, {**body, "lock": False}):
        conflict = post(api, path, other, **KEY)
        assert conflict.json()["error"]["code"] == "idempotency_conflict"
    assert post(api, path, body, HTTP_IDEMPOTENCY_KEY="two").status_code == 202
    assert Enforcement.objects.count() == 2


def test_another_key_does_not_take_the_runs_of_the_first(
    api: Client, account: ConnectedAccount
) -> None:
    """Both closed the same positions; neither may close what is opened after them."""
    path, body = f"accounts/{account.pk}/close-all", {"reason": "Enough."}
    first = post(api, path, body, **KEY).json()["results"]
    second = post(api, path, body, HTTP_IDEMPOTENCY_KEY="two").json()["results"]
    assert second == first
    Enforcement.objects.update(stage="done", finished_at=NOW)
    for key in ("one", "two"):
        again = post(api, path, body, HTTP_IDEMPOTENCY_KEY=key).json()["results"]
        assert [run["id"] for run in again] == [first[0]["id"]]
    assert Enforcement.objects.count() == 1


def test_a_retry_is_the_same_request_when_an_account_was_added(
    api: Client, alice: User, account: ConnectedAccount
) -> None:
    body = {"reason": "Enough."}
    first = post(api, "accounts/close-all", body, **KEY)
    make_account(alice, "New", state="connected")
    again = post(api, "accounts/close-all", body, **KEY)
    assert again.status_code == 202, again.content
    assert again.json() == first.json()
    other = post(api, "accounts/close-all", {**body, "account_ids": [str(account.pk)]}, **KEY)
    assert other.json()["error"]["code"] == "idempotency_conflict"


def test_a_key_keeps_what_the_host_writes_meanwhile(
    api: Client, account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = {"lock": True, "targets": {"7": "0"}}

    def as_the_host_begins(**asked: Any) -> list[Enforcement]:
        runs = panic.close_all(**asked)
        Enforcement.objects.update(options=written)
        return runs

    monkeypatch.setattr(enforcement, "close_all", as_the_host_begins)
    post(api, f"accounts/{account.pk}/close-all", {"reason": "Enough."}, **KEY)
    assert Enforcement.objects.get().options.items() > written.items()


def test_it_unlocks_with_a_reason(api: Client, account: ConnectedAccount) -> None:
    path = f"accounts/{account.pk}/unlock"
    not_locked = post(api, path, {"reason": "Seen."})
    assert (not_locked.status_code, not_locked.json()["error"]["code"]) == (409, "not_locked")
    make_lock(account)
    assert set(post(api, path, {"reason": " "}).json()["error"]["fields"]) == {"reason"}
    answer = post(api, path, {"reason": "Seen."})
    assert answer.status_code == 200, answer.content
    told = answer.json()
    lock = told["results"][0]
    assert (lock["unlocked_reason"], lock["unlocked_by"]) == ("Seen.", account.user.username)
    assert told["changes"][0].startswith("The lock of ")
    assert told["stays"] == [
        "No limit moves and no loss is forgotten.",
        "What was closed is not opened again.",
    ]
    assert not AccountLock.objects.standing().exists()


@pytest.mark.parametrize("kind", ["orders", "enforcements"])
def test_it_asks_the_database_as_often_for_20_rows_as_for_2(
    api: Client, account: ConnectedAccount, kind: str
) -> None:
    counts, made = [], 0
    path = f"accounts/{account.pk}/orders" if kind == "orders" else "risk-rules/enforcements"
    for target in (2, 20):
        for _ in range(made, target):
            make_check(make_order(account, requested_volume=Decimal("0.2")))
            make_run(account)
        made = target
        with CaptureQueriesContext(connection) as queries:
            assert len(api.ask("GET", path).json()["results"]) == target
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 5
