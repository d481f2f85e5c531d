"""Relationships in the API: alice provides, bob follows, charlie is a stranger."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ConnectedAccount, User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import make_account
from copytrade.models import CopyRelationship, CopyRequest
from copytrade.terms import TERMS
from copytrade.tests.factories import make_position, make_relationship

State = CopyRelationship.State
PATH = "copy-relationships"
FIRM: dict[str, Any] = {"server": "FTMO-Server3", "broker": "FTMO"}


@pytest.fixture
def lead(alice: User) -> ConnectedAccount:
    return make_account(alice, "Lead")


@pytest.fixture
def savings(bob: User) -> ConnectedAccount:
    return make_account(bob, "Bob's savings")


@pytest.fixture
def shared(lead: ConnectedAccount, savings: ConnectedAccount) -> CopyRelationship:
    return make_relationship(lead, savings, alias="Client 7", equity_stop="9000.00")


@pytest.fixture
def offer(lead: ConnectedAccount, savings: ConnectedAccount) -> CopyRelationship:
    return make_relationship(lead, savings, alias="Client 7", state=State.OFFERED, started_at=None)


def one(row: CopyRelationship, action: str = "") -> str:
    return f"{PATH}/{row.pk}/{action}".rstrip("/")


def state_of(row: CopyRelationship) -> str:
    return CopyRelationship.objects.values_list("state", flat=True).get(pk=row.pk)


def error_of(answer: Any, status_code: int) -> dict[str, Any]:
    assert answer.status_code == status_code, answer.content
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_an_own_follower_copies_at_once(lead: ConnectedAccount, alice: User) -> None:
    follower = make_account(alice, "Second")
    body = {
        "provider": str(lead.pk), "follower": str(follower.pk), "sizing": "fixed_lot",
        "fixed_lots": "0.2", "symbol_map": {"EURUSD": "EURUSD.pro"}, "magics": [7, 7],
        "trading_from": "08:00", "trading_until": "17:30", "is_reverse": True,
    }  # fmt: skip
    answer = client_of(alice).ask("POST", PATH, body)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["state"], made["follower_name"], made["alias"]) == ("active", "Second", "Second")
    assert (made["provider_id"], made["follower_id"]) == (str(lead.pk), str(follower.pk))
    assert (made["fixed_lots"], made["magics"], made["is_reverse"]) == ("0.2000", [7], True)
    assert made["trading_until"] == "17:30:00"
    assert {"pause", "close_only", "terminate", "edit"} <= set(made["actions"])
    assert client_of(alice).ask("GET", f"{PATH}/{made['id']}").json() == made


def test_anothers_follower_is_asked_and_accepts(
    lead: ConnectedAccount, savings: ConnectedAccount, alice: User, bob: User
) -> None:
    body = {"provider": str(lead.pk), "follower": str(savings.pk), "alias": "Client 7"}
    offered = client_of(alice).ask("POST", PATH, body).json()
    assert (offered["state"], offered["follower_name"]) == ("offered", "Client 7")
    path = f"{PATH}/{offered['id']}"
    mine = client_of(bob).ask("GET", path).json()
    assert (mine["follower_name"], mine["provider_owner"]) == ("Bob's savings", "alice")
    assert {"accept", "decline"} <= set(mine["actions"])
    assert error_of(client_of(alice).ask("POST", f"{path}/accept"), 409)["code"] == "not_yours"
    accepted = (
        client_of(bob).ask("POST", f"{path}/accept", {"seen_at": mine["terms_changed_at"]}).json()
    )
    assert (accepted["state"], accepted["id"]) == ("active", offered["id"])
    assert client_of(bob).ask("POST", f"{path}/accept").json()["state"] == "active"


def test_an_offer_that_changed_is_to_be_read_again(
    offer: CopyRelationship, alice: User, bob: User
) -> None:
    seen_at = client_of(bob).ask("GET", one(offer)).json()["terms_changed_at"]
    changed = client_of(alice).ask("PATCH", one(offer), {"multiplier": "50"})
    assert (changed.status_code, changed.json()["multiplier"]) == (200, "50.0000")
    answer = client_of(bob).ask("POST", one(offer, "accept"), {"seen_at": seen_at})
    assert error_of(answer, 409)["code"] == "offer_changed"
    assert state_of(offer) == State.OFFERED


def test_an_offer_is_declined_with_a_reason(
    offer: CopyRelationship, alice: User, bob: User
) -> None:
    assert client_of(bob).ask("POST", one(offer, "decline"), {"reason": "No."}).status_code == 200
    seen = client_of(alice).ask("GET", one(offer)).json()
    assert (seen["state"], seen["state_reason"], seen["actions"]) == ("declined", "No.", [])


def test_a_provider_reads_no_secret_of_anothers_follower(
    shared: CopyRelationship, alice: User
) -> None:
    make_position(shared)
    client = client_of(alice)
    shown = client.ask("GET", one(shared))
    told = shown.json()
    assert (told["follower_id"], told["follower_name"], told["shows_terms"]) == (
        None, "Client 7", False,
    )  # fmt: skip
    assert {told[name] for name in TERMS} == {None}
    assert (told["held_count"], told["held_lots"]) == (1, "0.23000000")
    follower = shared.follower
    secrets = (str(follower.pk), follower.name, str(follower.login), "9000.00", "bob")
    for answer in (shown, client.ask("GET", PATH), client.ask("GET", f"{PATH}?search=savings")):
        assert not any(secret in answer.content.decode() for secret in secrets)
    assert client.ask("GET", f"{PATH}?search=savings").json()["count"] == 0


def test_the_follower_reads_its_own_terms(shared: CopyRelationship, bob: User) -> None:
    told = client_of(bob).ask("GET", one(shared)).json()
    assert (told["equity_stop"], told["shows_terms"]) == ("9000.00", True)
    assert told["follower_id"] == str(shared.follower_id)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_stranger_finds_nothing(method: str, shared: CopyRelationship, charlie: User) -> None:
    assert client_of(charlie).ask(method, one(shared), {}).status_code == 404
    assert client_of(charlie).ask("GET", PATH).json()["count"] == 0


def test_terms_are_the_followers_and_the_alias_the_providers(
    shared: CopyRelationship, alice: User, bob: User
) -> None:
    assert error_of(client_of(alice).ask("PATCH", one(shared), {"multiplier": "2"}), 409)
    assert error_of(client_of(bob).ask("PATCH", one(shared), {"alias": "Me"}), 409)
    assert client_of(alice).ask("PATCH", one(shared), {"alias": "Client 8"}).json()["alias"] == (
        "Client 8"
    )
    told = client_of(bob).ask("PUT", one(shared), {"multiplier": "2", "equity_stop": None}).json()
    assert (told["multiplier"], told["equity_stop"], told["alias"]) == ("2.0000", None, "Client 8")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"sizing": "huge"}, "sizing"),
        ({"sizing": "fixed_lot"}, "fixed_lots"),
        ({"sizing": "risk_percent"}, "risk_fraction"),
        ({"risk_fraction": "1.01"}, "risk_fraction"),
        ({"multiplier": "0"}, "multiplier"),
        ({"symbol_map": ["EURUSD"]}, "symbol_map"),
        ({"symbol_map": {"EURUSD": 5}}, "symbol_map.EURUSD"),
        ({"include_symbols": ["A"], "exclude_symbols": ["A"]}, "exclude_symbols"),
        ({"magics": [-1]}, "magics"),
        ({"is_reverse": "yes"}, "is_reverse"),
        ({"trading_from": "08:00"}, "trading_until"),
        ({"trading_zone": "Mars/Phobos"}, "trading_zone"),
        ({"open_deadline_seconds": 0}, "open_deadline_seconds"),
        ({"open_deadline_seconds": 3601}, "open_deadline_seconds"),
        ({"stop_loss_points": 0}, "stop_loss_points"),
        ({"equity_stop": "0"}, "equity_stop"),
        ({"start_policy": "adopt"}, "start_policy"),
    ],
)
def test_it_names_the_term_that_is_wrong(
    body: dict[str, Any], field: str, shared: CopyRelationship, bob: User
) -> None:
    before = CopyRelationship.objects.values().get(pk=shared.pk)
    fields = error_of(client_of(bob).ask("PATCH", one(shared), body), 400)["fields"]
    assert list(fields) == [field]
    assert CopyRelationship.objects.values().get(pk=shared.pk) == before


def test_each_side_holds_back_and_resumes_its_own(
    shared: CopyRelationship, alice: User, bob: User
) -> None:
    paused = client_of(alice).ask("POST", one(shared, "pause"), {"reason": "Holiday."}).json()
    assert (paused["state"], paused["provider_hold"]) == ("paused", "paused")
    assert "resume" not in client_of(bob).ask("GET", one(shared)).json()["actions"]
    held = error_of(client_of(bob).ask("POST", one(shared, "resume")), 409)
    assert held["code"] == "held_by_other"
    assert client_of(bob).ask("POST", one(shared, "close-only")).json()["state"] == "close_only"
    assert client_of(alice).ask("POST", one(shared, "resume")).json()["state"] == "close_only"
    assert client_of(bob).ask("POST", one(shared, "resume")).json()["state"] == "active"


@pytest.mark.parametrize(
    ("ending", "state"), [("keep", "terminated"), ("as_provider", "close_only")]
)
def test_it_ends_as_it_is_asked(
    ending: str, state: str, shared: CopyRelationship, bob: User
) -> None:
    make_position(shared)
    told = client_of(bob).ask("POST", one(shared, "terminate"), {"ending": ending}).json()
    assert (told["state"], told["ending"]) == (state, ending)


def test_closing_now_is_the_followers_owners(
    shared: CopyRelationship, alice: User, bob: User
) -> None:
    make_position(shared)
    body = {"ending": "close_now"}
    assert error_of(client_of(alice).ask("POST", one(shared, "terminate"), body), 409)
    assert state_of(shared) == State.ACTIVE
    told = client_of(bob).ask("POST", one(shared, "terminate"), body).json()
    assert (told["state"], told["closing_since_at"] is None) == ("close_only", False)


def test_deleting_ends_it_and_keeps_what_was_copied(shared: CopyRelationship, bob: User) -> None:
    for _ in range(2):
        assert client_of(bob).ask("DELETE", one(shared)).status_code == 204
    told = client_of(bob).ask("GET", one(shared)).json()
    assert (told["state"], told["ending"]) == ("terminated", "keep")


def test_what_the_firm_says_is_confirmed_first(alice: User) -> None:
    provider, follower = make_account(alice, "Lead"), make_account(alice, "Challenge", **FIRM)
    body = {"provider": str(provider.pk), "follower": str(follower.pk)}
    fields = error_of(client_of(alice).ask("POST", PATH, body), 400)["fields"]
    assert "FTMO" in fields["confirms_firm_terms"][0]
    assert not CopyRelationship.objects.exists()
    answer = client_of(alice).ask("POST", PATH, {**body, "confirms_firm_terms": True})
    assert answer.status_code == 201, answer.content


def test_a_loop_is_refused(alice: User) -> None:
    one_, two = make_account(alice, "One"), make_account(alice, "Two")
    make_relationship(one_, two)
    body = {"provider": str(two.pk), "follower": str(one_.pk)}
    assert error_of(client_of(alice).ask("POST", PATH, body), 409)["code"] == "loop"
    assert CopyRelationship.objects.count() == 1


@pytest.mark.parametrize("follower", [str(uuid4()), "x", None])
def test_an_unknown_follower_is_not_found(
    follower: object, lead: ConnectedAccount, alice: User
) -> None:
    body = {"provider": str(lead.pk), "follower": follower}
    assert set(error_of(client_of(alice).ask("POST", PATH, body), 400)["fields"]) == {"follower"}


def test_a_deleted_account_is_not_found(lead: ConnectedAccount, alice: User, bob: User) -> None:
    gone = make_account(bob, "Gone")
    ConnectedAccount.objects.filter(pk=gone.pk).update(archived_at=timezone.now(), is_active=False)
    answer = client_of(alice).ask(
        "POST", PATH, {"provider": str(lead.pk), "follower": str(gone.pk)}
    )
    assert error_of(answer, 400)["fields"] == {"follower": ["not found"]}


def keyed(client: Client, path: str, key: str, body: Any = None) -> Any:
    return client.post(f"/api/v1/{path}", body, format="json", HTTP_IDEMPOTENCY_KEY=key)


def test_a_key_makes_one_relationship(lead: ConnectedAccount, alice: User) -> None:
    followers = [make_account(alice, f"F{number}") for number in range(2)]
    client = client_of(alice)
    bodies = [{"provider": str(lead.pk), "follower": str(each.pk)} for each in followers]
    first, again = (keyed(client, PATH, "one", bodies[0]) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    other = error_of(keyed(client, PATH, "one", bodies[1]), 409)
    assert other["code"] == "idempotency_conflict"
    assert CopyRelationship.objects.count() == 1
    assert keyed(client, PATH, "two", bodies[0]).status_code == 409
    assert keyed(client, PATH, "two", bodies[1]).status_code == 201  # what failed left it free


def test_a_key_resumes_once(shared: CopyRelationship, alice: User) -> None:
    client = client_of(alice)
    client.ask("POST", one(shared, "pause"))
    assert keyed(client, one(shared, "resume"), "go").json()["state"] == "active"
    client.ask("POST", one(shared, "pause"))
    late = keyed(client, one(shared, "resume"), "go")
    assert (late.status_code, late.json()["state"]) == (200, "paused")
    assert state_of(shared) == State.PAUSED


def test_a_key_is_its_users_own(shared: CopyRelationship, alice: User, bob: User) -> None:
    assert keyed(client_of(alice), one(shared, "pause"), "k").json()["provider_hold"] == "paused"
    assert keyed(client_of(bob), one(shared, "pause"), "k").json()["follower_hold"] == "paused"


def test_a_key_is_forgotten_after_a_day(shared: CopyRelationship, alice: User) -> None:
    keyed(client_of(alice), one(shared, "pause"), "k")
    CopyRequest.objects.update(created_at=datetime(2020, 1, 1, tzinfo=UTC))
    keyed(client_of(alice), one(shared, "resume"), "k")
    assert state_of(shared) == State.ACTIVE
    assert CopyRequest.objects.count() == 1


def test_the_list_is_filtered_and_costs_the_same(
    alice: User, bob: User, lead: ConnectedAccount
) -> None:
    client = client_of(alice)

    def fill(number: int) -> int:
        for each in range(number):
            follower = make_account(bob, f"F {number} {each}")
            make_position(make_relationship(lead, follower, alias=f"A {number} {each}"))
        with CaptureQueriesContext(connection) as queries:
            assert client.ask("GET", f"{PATH}?page_size=200").status_code == 200
        return len(queries)

    assert fill(2) == fill(20)
    row = CopyRelationship.objects.order_by("created_at", "pk").first()
    assert row is not None
    CopyRelationship.objects.filter(pk=row.pk).update(state=State.TERMINATED)
    counts = {
        query: client.ask("GET", f"{PATH}?{query}").json()["count"]
        for query in (
            "living=true", "living=false", "state=active", f"provider_id={lead.pk}",
            f"follower_id={row.follower_id}", f"provider_id={uuid4()}",
        )
    }  # fmt: skip
    assert list(counts.values()) == [21, 1, 21, 22, 1, 0]


def test_an_example_is_shown_to_the_followers_owner(
    offer: CopyRelationship, alice: User, bob: User, charlie: User
) -> None:
    path = f"{PATH}/example-size"
    body = {"provider": str(offer.provider_id), "follower": str(offer.follower_id), "lots": "1"}
    answer = client_of(bob).ask("POST", path, body)
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["lots"], told["reason"]) == (None, "no_reading")
    assert told["sentence"]
    assert error_of(client_of(alice).ask("POST", path, body), 400)["fields"] == {
        "follower": ["not found"]
    }
    mine = {**body, "follower": str(make_account(charlie, "Mine").pk)}
    assert error_of(client_of(charlie).ask("POST", path, mine), 400)["fields"] == {
        "provider": ["not found"]
    }
    wrong = error_of(client_of(bob).ask("POST", path, {**body, "sizing": "fixed_lot"}), 400)
    assert set(wrong["fields"]) == {"fixed_lots"}


def test_offers_to_another_are_not_made_without_end(
    lead: ConnectedAccount, savings: ConnectedAccount, alice: User
) -> None:
    client = client_of(alice)
    body = {"provider": str(lead.pk), "follower": str(savings.pk)}
    for _ in range(3):
        made = client.ask("POST", PATH, body).json()
        assert client.ask("DELETE", f"{PATH}/{made['id']}").status_code == 204
    answer = client.ask("POST", PATH, body)
    assert error_of(answer, 429)["code"] == "too_many_offers"
    assert 86_000 < int(answer["Retry-After"]) <= 86_400
