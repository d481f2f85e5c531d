"""A provider's stops and pending orders, on the simulated broker."""

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.models import CopyEvent
from copytrade.tests.watch_stage import LOGIN, NETTING, Stage, told

pytestmark = pytest.mark.django_db

LIMIT, STOP_LIMIT = mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_BUY_STOP_LIMIT


def levels(events: list[CopyEvent]) -> list[tuple[str, float | None, float | None]]:
    return [(event.kind, event.stop_loss, event.take_profit) for event in events]


def test_it_tells_stops_each_time_they_move_also_back_and_forth() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.3)
    stage.look()

    seen: list[CopyEvent] = []
    for sl, tp in ((1.09, 0.0), (1.08, 0.0), (1.09, 0.0), (1.08, 1.12), (0.0, 1.12)):
        stage.stops(ticket, sl, tp)
        seen += stage.looks(2)

    assert levels(seen) == [
        ("stops", 1.09, None),
        ("stops", 1.08, None),
        ("stops", 1.09, None),
        ("stops", 1.08, 1.12),
        ("stops", None, 1.12),
    ]
    assert len({event.pk for event in seen}) == len(seen)
    assert {event.position_ticket for event in seen} == {ticket}


def test_stops_of_a_position_that_nobody_was_told_of_are_no_events() -> None:
    stage = Stage()
    ticket = stage.desk.buy(LOGIN, 0.3)
    stage.desk.pass_time(5.0)
    stage.sync(started_at=stage.now)
    stage.ready()

    stage.stops(ticket, 1.09)

    assert stage.looks() == []


def test_stops_of_an_adopted_position_are_events() -> None:
    stage = Stage()
    ticket = stage.desk.buy(LOGIN, 0.3, sl=1.08)
    stage.desk.pass_time(5.0)
    stage.sync(started_at=stage.now)
    stage.ready()
    CopyEvent.objects.create(
        id="00000000-0000-4000-8000-000000000001", provider_id=stage.provider.account_id,
        provider_name="Provider", kind="open", symbol="EURUSD", direction="buy", volume="0.3",
        stop_loss=1.08, position_ticket=ticket, happened_at=stage.now, detected_at=stage.now,
    )  # fmt: skip

    stage.stops(ticket, 1.09)

    assert levels(stage.looks()) == [("stops", 1.09, None)]


def test_an_addition_that_brings_other_stops_tells_both() -> None:
    stage = Stage(**NETTING).ready()
    stage.desk.buy(LOGIN, 0.3, sl=1.08)
    stage.look()

    stage.desk.buy(LOGIN, 0.1, sl=1.09)

    assert levels(stage.looks()) == [("open", 1.09, None), ("stops", 1.09, None)]


def test_it_tells_a_pending_order_from_its_placing_to_its_end() -> None:
    stage = Stage().ready()

    ticket = stage.desk.wait_for(LOGIN, LIMIT, 0.5, 1.095, sl=1.09, magic=8)
    [placed] = stage.looks()
    stage.desk.modify(LOGIN, ticket, 1.094, sl=1.089)
    [modified] = stage.looks()
    stage.desk.modify(LOGIN, ticket, 1.095, sl=1.09)
    [again] = stage.looks()
    stage.desk.remove(LOGIN, ticket)
    [cancelled] = stage.looks()

    assert told([placed, modified, again, cancelled]) == [
        ("pending_placed", "buy", 0.5, None),
        ("pending_modified", "buy", 0.5, None),
        ("pending_modified", "buy", 0.5, None),
        ("pending_cancelled", "buy", 0.5, None),
    ]
    assert (placed.order_type, placed.price, placed.stop_loss) == ("limit", 1.095, 1.09)
    assert (placed.order_ticket, placed.magic, placed.position_ticket) == (ticket, 8, None)
    assert (modified.price, modified.stop_loss) == (1.094, 1.089)
    assert len({event.pk for event in (placed, modified, again, cancelled)}) == 4


def test_it_tells_the_fill_of_a_pending_order_and_the_position() -> None:
    stage = Stage().ready()
    ticket = stage.desk.wait_for(LOGIN, LIMIT, 0.5, 1.095)
    stage.look()

    stage.prices(1.0940)

    filled, opened = stage.looks()
    assert told([filled, opened]) == [
        ("pending_filled", "buy", 0.5, None),
        ("open", "buy", 0.5, 0.0),
    ]
    assert filled.order_ticket == opened.order_ticket == ticket
    assert filled.position_ticket == opened.position_ticket is not None


def test_stops_that_moved_with_the_fill_are_told_to_those_whose_own_order_was_filled() -> None:
    stage = Stage().ready()
    stage.desk.wait_for(LOGIN, LIMIT, 0.5, 1.095, sl=1.09)
    stage.look()

    stage.prices(1.0940)
    [position] = stage.desk.positions(LOGIN)
    stage.stops(position["ticket"], 1.085)

    assert levels(stage.looks()) == [
        ("pending_filled", 1.09, None),
        ("open", 1.085, None),
        ("stops", 1.085, None),
    ]
    assert stage.looks() == []


def test_stops_that_a_filled_order_brings_along_are_not_told_once_more() -> None:
    stage = Stage().ready()
    stage.desk.wait_for(LOGIN, LIMIT, 0.5, 1.095, sl=1.09, tp=1.12)
    stage.look()

    stage.prices(1.0940)

    assert [event.kind for event in stage.looks()] == ["pending_filled", "open"]


def test_it_tells_an_order_that_expired_as_cancelled() -> None:
    stage = Stage().ready()
    lasts_until = int(stage.desk.server.server_time()) + 60
    stage.desk.wait_for(
        LOGIN, LIMIT, 0.5, 1.095, type_time=mt5.ORDER_TIME_SPECIFIED, expiration=lasts_until
    )
    stage.look()

    stage.desk.pass_time(61.0)

    assert [event.kind for event in stage.looks()] == ["pending_cancelled"]


def test_an_order_that_is_gone_is_told_only_once_the_history_has_it() -> None:
    stage = Stage().ready()
    ticket = stage.desk.wait_for(LOGIN, LIMIT, 0.5, 1.095)
    stage.look()
    stage.desk.server.add_fault(LOGIN, FaultKind.NONE, calls=("history_orders",))

    stage.desk.remove(LOGIN, ticket)
    assert stage.looks(8, seconds=0.3) == []
    stage.desk.server.clear_faults()

    assert [event.kind for event in stage.looks(8, seconds=0.3)] == ["pending_cancelled"]


def test_an_order_that_was_placed_and_filled_between_two_looks_is_an_open() -> None:
    stage = Stage().ready()

    stage.desk.wait_for(LOGIN, LIMIT, 0.5, 1.095)
    stage.prices(1.0940)

    assert told(stage.looks()) == [("open", "buy", 0.5, 0.0)]


def test_orders_from_before_the_first_follower_matter_only_when_they_are_filled() -> None:
    stage = Stage()
    gone = stage.desk.wait_for(LOGIN, LIMIT, 0.5, 1.095)
    stage.desk.wait_for(LOGIN, LIMIT, 0.2, 1.094)
    stage.desk.pass_time(5.0)
    stage.sync(started_at=stage.now)
    stage.ready()

    stage.desk.modify(LOGIN, gone, 1.0955)
    stage.desk.remove(LOGIN, gone)
    assert stage.looks() == []
    stage.prices(1.0930)

    assert told(stage.looks()) == [("open", "buy", 0.2, 0.0)]


def test_it_tells_both_prices_of_a_stop_limit_order_and_not_that_it_was_triggered() -> None:
    stage = Stage().ready()

    ticket = stage.desk.wait_for(LOGIN, STOP_LIMIT, 0.5, 1.105, stoplimit=1.104)
    [placed] = stage.looks()
    assert (placed.order_type, placed.price, placed.stop_limit_price) == (
        "stop_limit",
        1.105,
        1.104,
    )

    stage.desk.modify(LOGIN, ticket, 1.105, stoplimit=1.103)
    [modified] = stage.looks()
    assert (modified.kind, modified.stop_limit_price) == ("pending_modified", 1.103)

    stage.prices(1.1052)
    assert [order["type"] for order in stage.desk.orders(LOGIN)] == [LIMIT]
    assert stage.looks() == []
    stage.prices(1.1020)
    assert [event.kind for event in stage.looks()] == ["pending_filled", "open"]
