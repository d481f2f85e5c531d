"""The order ticket and what is done about open positions and pending orders."""

import re
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgpack
import pytest
from django.test import Client
from django.utils import timezone

from accounts.market_terms import symbols_key
from accounts.models import ConnectedAccount, User
from accounts.redis import redis_client
from accounts.tests.factories import make_account
from risk.core.gate.verdicts import Check, GateDecision, Verdict
from risk.models import Order
from risk.order_forms import TicketForm
from risk.presentation.ticket import decision_view
from risk.tests.factories import make_check, make_order
from risk.tests.live_state import leave_readings
from risk.tests.symbol_terms import eurusd
from risk.views import ticket as ticket_views

MODAL = {"HX-Request": "true", "HX-Target": "modal-body"}


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host answers in these tests."""
    for name in ("ANSWER_WAIT_SECONDS", "SEND_WAIT_SECONDS", "OUTCOME_WAIT_SECONDS"):
        monkeypatch.setattr(ticket_views, name, 0.0)


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice, "Alpha 1", state="connected")


def fields(**changes: Any) -> dict[str, Any]:
    """Return what a browser sends for half a lot at the market."""
    return {
        "key": uuid4().hex,
        "symbol": "EURUSD",
        "direction": "buy",
        "type": "market",
        "volume": "0.5",
        "stops_in": "price",
        "stop_loss": "1.08",
        "take_profit": "",
        "risk_in": "percent",
        **changes,
    }


def test_it_asks_for_the_order_that_was_typed(page: Client, account: ConnectedAccount) -> None:
    answer = page.post(f"/accounts/{account.pk}/ticket", fields(), headers=MODAL)

    order = Order.objects.get()
    assert (order.symbol, order.direction, order.type) == ("EURUSD", "buy", "market")
    assert (order.requested_volume, order.stop_loss) == (Decimal("0.5"), 1.08)
    assert (order.take_profit, order.origin) == (None, Order.Origin.TICKET)
    html = answer.content.decode()
    assert "Buy 0.50 EURUSD at the market" in html
    assert "Waiting to be sent" in html
    assert f"/orders/{order.pk}/outcome" in html


def test_it_asks_for_its_slippage_and_its_end(page: Client, account: ConnectedAccount) -> None:
    more = {"deviation_points": "7", "valid_until_at": "2099-01-02T03:04"}
    pending = {"type": "limit", "price": "1.09", **more}
    for sent in (fields(**more), fields(**pending)):
        page.post(f"/accounts/{account.pk}/ticket", sent, headers=MODAL)

    limit, market = Order.objects.order_by("type")
    assert (market.deviation_points, market.valid_until_at) == (7, None)
    assert f"{limit.valid_until_at:%Y-%m-%d %H:%M}" == "2099-01-02 03:04"


def test_a_double_click_makes_one_order(page: Client, account: ConnectedAccount) -> None:
    sent = fields()
    first, second = (page.post(f"/accounts/{account.pk}/ticket", sent) for _ in range(2))

    order = Order.objects.get()
    assert first.headers["Location"] == second.headers["Location"]
    assert str(order.pk) in first.headers["Location"]


def test_a_ticket_that_was_sent_shows_its_order_whatever_is_typed_then(
    page: Client, account: ConnectedAccount
) -> None:
    """Distances in points give other prices a moment later; it is the same order all the same."""
    sent = fields()
    page.post(f"/accounts/{account.pk}/ticket", sent)

    answer = page.post(f"/accounts/{account.pk}/ticket", {**sent, "stop_loss": "1.07"})

    assert answer.status_code == 302
    assert Order.objects.get().stop_loss == 1.08


def test_each_ticket_has_a_key_of_its_own(page: Client, account: ConnectedAccount) -> None:
    pages = [page.get(f"/accounts/{account.pk}/ticket").content.decode() for _ in range(2)]
    keys = {re.findall(r'name="key" value="(\w+)"', html)[0] for html in pages}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"volume": ""}, "This field is required."),
        ({"volume": "0"}, "Ensure this value is greater than"),
        ({"volume": "NaN"}, "Enter a number."),
        ({"direction": "up"}, "Select a valid choice."),
        ({"type": "limit"}, "Say at which price."),
        ({"type": "stop_limit", "price": "1.1"}, "Say at which price the limit is placed."),
        ({"stop_loss": "-1"}, "Ensure this value is greater than"),
        ({"key": ""}, "This field is required."),
        ({"stops_in": "points", "stop_loss": "200"}, "points cannot be turned into prices"),
        ({"type": "limit", "price": "1.07"}, "It has to lie below the price"),
    ],
)
def test_it_tells_at_the_field_what_is_wrong_and_sends_nothing(
    page: Client, account: ConnectedAccount, wrong: dict[str, str], sentence: str
) -> None:
    answer = page.post(f"/accounts/{account.pk}/ticket", fields(**wrong))

    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    assert not Order.objects.exists()


def test_it_asks_for_nothing_on_an_account_that_is_not_connected(alice: User, page: Client) -> None:
    idle = make_account(alice, "Idle")
    answer = page.post(f"/accounts/{idle.pk}/ticket", fields())
    assert "The account is not connected; connect it first." in answer.content.decode()
    assert not Order.objects.exists()


@pytest.mark.parametrize("address", ["ticket", "ticket/answer"])
@pytest.mark.parametrize(
    "garbage",
    [
        {"symbol": ""},
        {"symbol": "\x00", "volume": "1e400", "price": "inf", "stop_loss": "nan"},
        {"symbol": "x" * 5000, "direction": ["buy", "sell"], "risk_amount": "1e30"},
        {"volume": "9" * 400, "type": "limit", "price": "0x10", "stops_in": "points"},
        {"risk_amount": "5", "risk_in": "everything", "stop_loss": "0.00000001"},
    ],
)
def test_garbage_breaks_nothing(
    page: Client, account: ConnectedAccount, address: str, garbage: dict[str, Any]
) -> None:
    for sent in (garbage, fields(**garbage)):
        answer = page.post(f"/accounts/{account.pk}/{address}", sent)
        assert answer.status_code == 200
    assert not Order.objects.exists()


def test_the_answer_says_what_the_gate_says(page: Client, account: ConnectedAccount) -> None:
    """Without a reading nothing may be opened, and the ticket says so before it is sent."""
    html = page.post(f"/accounts/{account.pk}/ticket/answer", fields()).content.decode()
    assert "Blocked" in html
    assert not Order.objects.exists()


def test_the_answer_waits_until_there_is_something_to_ask(
    page: Client, account: ConnectedAccount
) -> None:
    html = page.post(f"/accounts/{account.pk}/ticket/answer", fields(volume="")).content.decode()
    assert "appears when symbol, side and lots are chosen" in html


@pytest.mark.parametrize(
    ("direction", "stop", "target"), [("buy", 1.0852, 1.0902), ("sell", 1.087, 1.082)]
)
def test_points_count_from_the_price_that_the_order_would_get(
    direction: str, stop: float, target: float
) -> None:
    terms = eurusd(bid=1.085, ask=1.0872)
    sent = fields(direction=direction, stops_in="points", stop_loss="200", take_profit="300")
    form = TicketForm(sent)
    assert form.is_valid(), form.errors

    prices = form.prices(terms)

    assert prices is not None
    assert prices.stop_loss == pytest.approx(stop)
    assert prices.take_profit == pytest.approx(target)
    assert form.prices(None) is None


def test_an_order_shows_its_end_its_checks_and_how_long_it_took(
    page: Client, account: ConnectedAccount
) -> None:
    order = make_order(
        account, state=Order.State.REJECTED, refused_by=Order.RefusedBy.GATE, message="Too much."
    )
    make_check(order, verdict="block", rule_name="Daily loss", sentence="3,012.00 USD are left.")

    html = page.get(f"/accounts/{account.pk}/orders/{order.pk}").content.decode()

    assert "Blocked by TradeGuard: Too much." in html
    assert "3,012.00 USD are left." in html
    assert 'hx-trigger="every 1s"' not in html


def test_an_unknown_order_is_looked_up_on_the_page(page: Client, account: ConnectedAccount) -> None:
    order = make_order(account, state=Order.State.UNKNOWN)
    html = page.get(f"/accounts/{account.pk}/orders/{order.pk}/outcome").content.decode()
    assert "being looked up" in html
    assert 'hx-trigger="every 1s"' in html


def test_an_order_of_another_account_is_not_there(
    alice: User, page: Client, account: ConnectedAccount
) -> None:
    order = make_order(make_account(alice, "Other"))
    assert page.get(f"/accounts/{account.pk}/orders/{order.pk}").status_code == 404


def test_it_begins_with_an_order_that_is_tried_again(
    page: Client, account: ConnectedAccount
) -> None:
    order = make_order(account, symbol="GBPUSD", requested_volume=Decimal("1.5"))
    html = page.get(f"/accounts/{account.pk}/ticket?again={order.pk}").content.decode()
    assert 'value="GBPUSD"' in html
    assert 'value="1.5"' in html


def test_the_symbols_are_asked_for_until_the_host_tells_them(
    page: Client, account: ConnectedAccount
) -> None:
    address = f"/accounts/{account.pk}/ticket/symbols"
    assert "load delay:1500ms" in page.get(address).content.decode()

    redis_client().set(symbols_key(account.server), msgpack.packb(["EURUSD", "GBPUSD"]))

    html = page.get(address).content.decode()
    assert '<option value="GBPUSD">' in html
    assert "hx-get" not in html


def test_it_closes_a_position_whole_or_in_part(page: Client, account: ConnectedAccount) -> None:
    leave_readings([account], [], read_at=timezone.now().timestamp())
    address = f"/accounts/{account.pk}/positions/7/close"
    assert "Close it" in page.get(address).content.decode()

    page.post(address, {"key": "a", "volume": ""})
    page.post(address, {"key": "b", "volume": "0.04"})

    whole, part = Order.objects.order_by("created_at")
    assert (whole.kind, whole.position_ticket, whole.requested_volume) == ("close", 7, None)
    assert part.requested_volume == Decimal("0.04")


def test_a_position_that_is_not_seen_can_be_closed_all_the_same(
    page: Client, account: ConnectedAccount
) -> None:
    """The page says that it does not see it; what was sent meanwhile goes to the host."""
    address = f"/accounts/{account.pk}/positions/9/close"
    assert "There is no open position 9" in page.get(address).content.decode()
    page.post(address, {"key": "a"})
    assert Order.objects.get().position_ticket == 9


def test_an_empty_stop_is_taken_away(page: Client, account: ConnectedAccount) -> None:
    leave_readings([account], [], read_at=timezone.now().timestamp())
    page.post(
        f"/accounts/{account.pk}/positions/7/change",
        {"key": "a", "stop_loss": "1.08", "take_profit": ""},
    )
    order = Order.objects.get()
    assert (order.kind, order.stop_loss, order.take_profit) == ("modify_position", 1.08, 0.0)


def test_it_deletes_a_pending_order(page: Client, account: ConnectedAccount) -> None:
    page.post(f"/accounts/{account.pk}/pending/7/cancel", {"key": "a"})
    assert (Order.objects.get().kind, Order.objects.get().order_ticket) == ("cancel", 7)


@pytest.mark.parametrize("what", ["close", "change"])
def test_a_ticket_beyond_all_numbers_names_nothing(
    page: Client, account: ConnectedAccount, what: str
) -> None:
    address = f"/accounts/{account.pk}/positions/{2**63}/{what}"
    assert page.get(address).status_code == 404
    assert page.post(address, {"key": "a"}).status_code == 404
    assert not Order.objects.exists()


@pytest.mark.parametrize("count", [2, 20])
def test_the_ledger_takes_the_same_queries_for_any_length(
    page: Client, account: ConnectedAccount, count: int, django_assert_num_queries: Any
) -> None:
    for _ in range(count):
        make_order(account)
    page.get("/rules")  # the first page of a session is noted
    with django_assert_num_queries(5):
        html = page.get(f"/accounts/{account.pk}/orders").content.decode()
    assert html.count("Filled") >= min(count, 8)


def test_it_offers_the_lots_that_every_blocking_check_lets_pass() -> None:
    def blocking(allowed: float | None) -> Check:
        return Check(name="RULE", verdict=Verdict.BLOCK, sentence="No.", allowed_volume=allowed)

    def offered(*allowed: float | None) -> str:
        checks = tuple(map(blocking, allowed))
        decision = GateDecision(uuid4(), Verdict.BLOCK, Decimal(0), explain=lambda: checks)
        return decision_view(decision, Order(requested_volume=Decimal(5)), eurusd()).volume

    assert offered(3.67, 2.5078) == "2.50"
    assert offered(3.67, None) == ""
    assert offered(3.67, 0.004) == ""


def test_the_answer_says_no_sentence_twice() -> None:
    checks = (
        Check(name="RULE", verdict=Verdict.ALLOW, sentence="Fine."),
        Check(name="RULE", verdict=Verdict.BLOCK, sentence="Too much.", rule_name="Daily loss"),
        Check(name="RULE", verdict=Verdict.BLOCK, sentence="Too many.", allowed_volume=1.0),
    )
    decision = GateDecision(uuid4(), Verdict.BLOCK, Decimal(0), explain=lambda: checks)

    view = decision_view(decision, Order(requested_volume=Decimal(5)), eurusd())

    assert view.sentence == "Too much."
    assert [check.sentence for check in view.checks] == ["", "Too many.", "Fine."]
    assert view.checks[0].name == "Daily loss"
