"""The words about deals and orders, without a broker."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import Deal
from notifications.models import NotificationType
from risk.models import Order
from risk.notices.deal_words import body_of, filled_sentence, moves_of, title_of
from risk.notices.orders import LOOKED_AT, order_messages
from risk.tests.order_stage import START

State, Kind, Origin = Order.State, Order.Kind, Order.Origin


def deal(ticket: int, **fields: Any) -> Deal:
    """Return a deal that closes 0.1 lots of a long position by its stop loss, with a loss of 10."""
    values: dict[str, Any] = {
        "ticket": ticket,
        "position": 1,
        "entry": 1,
        "reason": 4,
        "type": 1,
        "symbol": "EURUSD",
        "volume_lots": Decimal("0.10000000"),
        "price": 1.1,
        "profit": Decimal("-10.0000"),
        "swap": Decimal(0),
        "commission": Decimal(0),
        "fee": Decimal(0),
    }
    return Deal(**{**values, **fields})


def test_deals_of_one_position_are_one_move() -> None:
    halves = [deal(1, price=1.1), deal(2, price=1.2, commission=Decimal("-0.5"))]
    (move,) = moves_of(halves, held=[])
    assert move.sentence("USD") == (
        "0.2 lots of EURUSD closed by its stop loss at 1.15, −20.50 USD"
    )


def test_a_position_that_is_still_there_was_reduced() -> None:
    (move,) = moves_of([deal(1, reason=5, profit=Decimal(7))], held=[1])
    assert move.sentence("EUR") == (
        "0.1 lots of EURUSD closed by its take profit at 1.1, the rest stays open, +7.00 EUR"
    )


def test_a_reversal_says_so_with_its_result() -> None:
    (move,) = moves_of([deal(1, entry=2, reason=3, volume_lots=Decimal(2))], held=[1])
    assert move.sentence("USD") == (
        "2 lots of EURUSD sold at 1.1 by a program, which turned the position round, −10.00 USD"
    )


def test_a_reason_that_nobody_knows_yet_is_left_out() -> None:
    (move,) = moves_of([deal(1, reason=77)], held=[])
    assert move.sentence("USD") == "0.1 lots of EURUSD closed at 1.1, −10.00 USD"


@pytest.mark.parametrize(
    ("digits", "told"), [(5, "1.10000"), (1, "1.1"), (0, "1.1"), (None, "1.1")]
)
def test_a_price_has_the_digits_of_its_symbol(digits: int | None, told: str) -> None:
    known = {("Kestrel-Live", "EURUSD.x"): 3}
    if digits is not None:
        known["Kestrel-Live", "EURUSD"] = digits
    closed = deal(1, server="Kestrel-Live")
    (move,) = moves_of([closed], [], known)
    assert f" at {told}, " in move.sentence("USD")
    assert filled_sentence([closed], known) == f"0.1 EURUSD sold at {told}"


def test_a_mean_price_keeps_the_digits_that_it_has() -> None:
    halves = [deal(1, price=1.1, server="S"), deal(2, price=1.10001, server="S")]
    (move,) = moves_of(halves, [], {("S", "EURUSD"): 5})
    assert " at 1.100005, " in move.sentence("USD")


def test_a_title_counts_and_a_body_lists() -> None:
    moves = moves_of(
        [deal(1, position=1), deal(2, position=2), deal(3, position=3, entry=0, type=0)], held=[2]
    )
    assert title_of(moves, "USD") == (
        "1 position opened, 1 position reduced, 1 position closed, −20.00 USD"
    )
    assert len(body_of(moves, "USD").splitlines()) == 3


@pytest.mark.parametrize(
    ("count", "lines", "last"), [(10, 10, "0.1 lots"), (11, 11, "And 1 more.")]
)
def test_a_body_fits_a_phone(count: int, lines: int, last: str) -> None:
    moves = moves_of([deal(number, position=number) for number in range(count)], held=[])
    body = body_of(moves, "USD").splitlines()
    assert len(body) == lines
    assert body[-1].startswith(last)


def order(**fields: Any) -> Order:
    values: dict[str, Any] = {
        "user_id": 1,
        "account_id": "00000000-0000-0000-0000-000000000001",
        "account_name": "Bold",
        "kind": Kind.OPEN,
        "origin": Origin.TICKET,
        "symbol": "EURUSD",
        "direction": "buy",
        "state": State.REJECTED,
        "message": "No money.",
        "created_at": START,
        "answered_at": START + timedelta(minutes=1),
    }
    return Order(**{**values, **fields})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ("order_rejected", "medium", "Bold: EURUSD order rejected")),
        ({"answered_at": START + LOOKED_AT}, None),
        (
            {"answered_at": START + LOOKED_AT + timedelta(milliseconds=1)},
            ("order_rejected", "medium", "Bold: EURUSD order rejected"),
        ),
        ({"answered_at": None}, None),
        ({"state": State.PENDING}, None),
        ({"state": State.SENT}, None),
        ({"state": State.UNKNOWN, "reconciled_at": None}, None),
        (
            {"state": State.NOT_EXECUTED, "answered_at": None, "reconciled_at": START},
            ("order_rejected", "medium", "Bold: EURUSD order was not carried out"),
        ),
        (
            {"state": State.LOST, "reconciled_at": START},
            ("order_rejected", "high", "Bold: EURUSD order ended nobody knows how"),
        ),
        (
            {"kind": Kind.CLOSE, "state": State.EXPIRED},
            ("order_rejected", "high", "Bold: EURUSD close came too late"),
        ),
        ({"state": State.FILLED}, ("order_filled", "low", "Bold: EURUSD order done")),
        (
            {"origin": Origin.API, "answered_at": START},
            ("order_rejected", "medium", "Bold: EURUSD order rejected"),
        ),
        ({"origin": Origin.COPY, "answered_at": START}, None),
        (
            {"origin": Origin.API, "answered_at": START, "state": State.FILLED},
            ("order_filled", "low", "Bold: EURUSD order done"),
        ),
        ({"origin": Origin.API, "state": State.SENT}, None),
        ({"origin": Origin.RULE}, None),
        ({"origin": Origin.PANIC}, None),
        ({"origin": Origin.LOCK}, None),
    ],
)
def test_orders_are_told_that_nobody_looks_at(
    fields: dict[str, Any], expected: tuple[str, str, str] | None
) -> None:
    found = [(one.type, one.priority, one.title) for one in order_messages([order(**fields)])]
    assert found == ([] if expected is None else [expected])


def test_a_fill_says_at_which_price() -> None:
    filled = order(
        state=State.FILLED, filled_volume=Decimal("0.10000000"), fill_price=1.10002, message="Done."
    )
    (message,) = order_messages([filled])
    assert message.type == NotificationType.ORDER_FILLED
    assert message.body == "Bought 0.1 lots of EURUSD at 1.10002. Done."
    assert message.link.endswith(f"/orders/{filled.pk}")


@pytest.mark.parametrize(
    ("fields", "is_same"),
    [
        ({}, True),
        ({"symbol": "GBPUSD"}, False),
        ({"message": "Market closed."}, False),
        ({"account_id": "00000000-0000-0000-0000-000000000002"}, False),
        ({"state": State.FILLED}, False),
        ({"state": State.LOST}, False),
    ],
)
def test_a_program_that_is_refused_again_is_counted(
    fields: dict[str, Any], *, is_same: bool
) -> None:
    first, again = order_messages([order(origin=Origin.API), order(origin=Origin.API, **fields)])
    assert (again.repeat_key == first.repeat_key) == is_same
    assert again.dedupe_key != first.dedupe_key


@pytest.mark.parametrize("state", [State.FILLED, State.LOST])
def test_each_order_that_was_done_or_lost_is_told(state: str) -> None:
    first, again = order_messages([order(state=state, reconciled_at=START) for _ in range(2)])
    assert first.repeat_key != again.repeat_key
