"""When a provider did something, whatever its broker's clock says, and in which order."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from copytrade.models import CopyEvent
from copytrade.tests.watch_stage import LOGIN, NETTING, Stage, told

pytestmark = pytest.mark.django_db

LIMIT = mt5.ORDER_TYPE_BUY_LIMIT


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "Pacific/Honolulu", "America/New_York+7h"])
def test_what_is_seen_happen_has_just_happened_whatever_the_zone_says(zone: str) -> None:
    stage = Stage()
    stage.sync(broker_zone=zone)
    stage.ready()

    stage.desk.buy(LOGIN, 0.1)
    stage.desk.wait_for(LOGIN, LIMIT, 0.2, 1.095)

    events = stage.looks()
    assert len(events) == 2
    for event in events:
        assert timedelta(0) <= event.detected_at - event.happened_at <= timedelta(seconds=6)


def test_a_clock_that_is_right_is_believed_to_the_millisecond() -> None:
    stage = Stage().ready()
    stage.desk.buy(LOGIN, 0.1)
    bought_at = stage.now

    (event,) = stage.looks()

    assert event.happened_at == bought_at


@pytest.mark.parametrize("zone", ["UTC", "America/New_York+7h"])
def test_what_happened_in_a_pause_is_as_old_as_the_broker_has_moved_on(zone: str) -> None:
    stage = Stage()
    stage.sync(broker_zone=zone)
    stage.ready()
    stage.desk.buy(LOGIN, 0.1)
    stage.looks()

    stage.desk.buy(LOGIN, 0.2)
    stage.desk.pass_time(300.0)
    stage.prices(1.1005)
    stage.restart()

    (event,) = stage.looks(6)
    assert event.detected_at - event.happened_at >= timedelta(seconds=299)


def test_a_deal_that_comes_long_after_its_position_is_as_old_as_that() -> None:
    stage = Stage()
    stage.sync(broker_zone="Asia/Tokyo")
    stage.ready()
    reading = stage.desk.server._methods["read_batch"]

    def without_history(*arguments: Any) -> dict[str, Any]:
        batch: dict[str, Any] = reading(*arguments)
        return {**batch, "deals": batch["deals"][:0]}

    stage.desk.server._methods["read_batch"] = without_history
    stage.desk.buy(LOGIN, 0.1)
    assert stage.looks(20, seconds=5.0) == []
    stage.desk.server._methods["read_batch"] = reading

    (event,) = stage.looks()
    assert event.detected_at - event.happened_at >= timedelta(seconds=95)


def test_stops_that_move_several_times_between_two_looks_are_told_as_they_are() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.2)
    stage.look()

    for sl in (1.07, 1.08, 1.09):
        stage.stops(ticket, sl, 1.2)
    events = stage.looks()

    assert [(each.kind, each.stop_loss, each.take_profit) for each in events] == [
        ("stops", 1.09, 1.2)
    ]


def test_stops_that_are_back_where_they_were_are_nothing() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.2, sl=1.08)
    stage.look()

    stage.stops(ticket, 1.09)
    stage.stops(ticket, 1.08)

    assert stage.looks() == []


def test_an_open_whose_stops_move_before_anybody_looks_is_told_with_the_last_ones() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.2, sl=1.08)
    stage.stops(ticket, 1.09)

    events = stage.looks()

    assert [(each.kind, each.stop_loss) for each in events] == [("open", 1.09)]


def test_an_order_that_is_placed_moved_and_filled_between_two_looks_is_one_open() -> None:
    stage = Stage().ready()
    order = stage.desk.wait_for(LOGIN, LIMIT, 0.2, 1.095)
    stage.desk.modify(LOGIN, order, 1.0995)
    stage.prices(1.0990)

    assert told(stage.looks()) == [("open", "buy", 0.2, 0.0)]


def test_an_order_that_is_placed_and_removed_between_two_looks_is_nothing() -> None:
    stage = Stage().ready()
    stage.desk.remove(LOGIN, stage.desk.wait_for(LOGIN, LIMIT, 0.2, 1.095))
    assert stage.looks() == []


def test_a_known_order_that_is_moved_and_filled_between_two_looks_was_filled() -> None:
    stage = Stage().ready()
    order = stage.desk.wait_for(LOGIN, LIMIT, 0.2, 1.095)
    stage.look()
    stage.desk.modify(LOGIN, order, 1.0995)
    stage.prices(1.0990)

    events = stage.looks()

    assert [event.kind for event in events] == ["pending_filled", "open"]
    assert events[0].order_ticket == events[1].order_ticket == order


def test_a_netted_position_that_turns_round_twice_between_two_looks_is_told_in_order() -> None:
    stage = Stage(**NETTING).ready()
    stage.desk.buy(LOGIN, 0.3)
    stage.desk.sell(LOGIN, 0.5)
    stage.desk.buy(LOGIN, 0.6)

    assert told(stage.looks()) == [
        ("open", "buy", 0.3, 0.0),
        ("close", "buy", 0.3, 0.3),
        ("open", "sell", 0.2, 0.0),
        ("close", "sell", 0.2, 0.2),
        ("open", "buy", 0.4, 0.0),
    ]


def test_deals_of_one_second_are_told_once_and_in_order_through_restarts() -> None:
    stage = Stage().ready()
    for lots in (0.1, 0.2, 0.3):
        stage.desk.buy(LOGIN, lots)
        stage.watch.poll(stage.now, stage.desk.clock.now)
        stage.restart()
        stage.watch.poll(stage.now, stage.desk.clock.now)
        stage.watch.poll(stage.now, stage.desk.clock.now)
    stage.looks()

    opens = CopyEvent.objects.order_by("deal_ticket")
    assert told(list(opens)) == [("open", "buy", lots, 0.0) for lots in (0.1, 0.2, 0.3)]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_that_is_set_back_turns_no_order_round(restarts: bool) -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 0.1)
    (opened,) = stage.looks()
    stage.set_back(3600.0)
    if restarts:
        stage.restart()
        stage.looks()
    stage.close(ticket, 0.1)
    (closed,) = stage.looks()
    assert (closed.kind, closed.detected_at > opened.detected_at) == ("close", True)

    stage.desk.buy(LOGIN, 0.2)
    (later,) = stage.looks()
    assert later.detected_at > closed.detected_at
    assert list(CopyEvent.objects.order_by("detected_at")) == [opened, closed, later]


def test_what_is_detected_later_has_the_time_of_then() -> None:
    stage = Stage().ready()
    stage.set_back(0.03)
    stage.desk.buy(LOGIN, 0.1)
    (event,) = stage.look()
    assert event.detected_at == stage.now
