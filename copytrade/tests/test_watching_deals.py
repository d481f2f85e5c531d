"""What a provider's deals become, on the simulated broker."""

from datetime import timedelta
from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.tests.simulated_desk import SERVER
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent
from copytrade.tests.watch_stage import LOGIN, NETTING, Stage, told
from copytrade.watching.ids import event_id
from risk.models import Order
from risk.orders.drafts import new_tag

pytestmark = pytest.mark.django_db


def test_it_tells_an_open_once_with_all_that_a_copy_needs() -> None:
    stage = Stage().ready()

    ticket = stage.desk.buy(LOGIN, 0.3, sl=1.09, tp=1.12, magic=42)
    [event] = stage.look()

    deal = stage.desk.deals(LOGIN)[-1]
    assert told([event]) == [("open", "buy", 0.3, 0.0)]
    assert event.symbol == "EURUSD"
    assert (event.price, event.stop_loss, event.take_profit) == (1.1001, 1.09, 1.12)
    assert (event.position_ticket, event.order_ticket) == (ticket, deal["order"])
    assert (event.deal_ticket, event.magic) == (deal["ticket"], 42)
    assert event.pk == event_id(
        stage.provider.account_id, SERVER, LOGIN, EventKind.OPEN, str(deal["ticket"])
    )
    assert (event.provider_id, event.provider_name) == (stage.provider.account_id, "Provider")
    assert event.detected_at == stage.now
    assert abs(stage.now - event.happened_at) < timedelta(seconds=1)
    assert stage.looks() == []


def test_it_tells_a_partial_close_with_what_was_held_before_and_then_the_close() -> None:
    stage = Stage().ready()
    ticket = stage.desk.buy(LOGIN, 1.0)
    stage.look()

    stage.close(ticket, 0.29)
    assert told(stage.look()) == [("partial_close", "buy", 0.29, 1.0)]
    stage.close(ticket, 0.14)
    assert told(stage.look()) == [("partial_close", "buy", 0.14, 0.71)]
    stage.close(ticket, 0.57)
    [closed] = stage.look()

    assert told([closed]) == [("close", "buy", 0.57, 0.57)]
    assert (closed.position_ticket, closed.is_stop_out) == (ticket, False)


def test_it_tells_apart_what_happened_between_two_looks() -> None:
    stage = Stage().ready()

    ticket = stage.desk.sell(LOGIN, 0.5)
    stage.close(ticket, 0.2, mt5.ORDER_TYPE_BUY)
    stage.close(ticket, 0.3, mt5.ORDER_TYPE_BUY)

    assert told(stage.look()) == [
        ("open", "sell", 0.5, 0.0),
        ("partial_close", "sell", 0.2, 0.5),
        ("close", "sell", 0.3, 0.3),
    ]


@pytest.mark.parametrize("bid", [1.0890, 1.1210])
def test_it_tells_closes_at_the_stops(bid: float) -> None:
    stage = Stage().ready()
    stage.desk.buy(LOGIN, 0.4, sl=1.09, tp=1.12)
    stage.look()

    stage.prices(bid)

    assert told(stage.look()) == [("close", "buy", 0.4, 0.4)]


def test_it_tells_a_close_by_of_both_positions() -> None:
    stage = Stage().ready()
    bought, sold = stage.desk.buy(LOGIN, 0.5), stage.desk.sell(LOGIN, 0.2)
    stage.look()

    assert stage.desk.close_by(LOGIN, bought, sold)[0] == mt5.TRADE_RETCODE_DONE

    events = {event.position_ticket: event for event in stage.look()}
    assert told([events[bought], events[sold]]) == [
        ("partial_close", "buy", 0.2, 0.5),
        ("close", "sell", 0.2, 0.2),
    ]


def test_it_marks_what_the_broker_stopped_out() -> None:
    stage = Stage(deposit=1_000.0).ready()
    stage.desk.buy(LOGIN, 0.5)
    stage.look()

    stage.prices(1.0840)

    [event] = stage.look()
    assert told([event]) == [("close", "buy", 0.5, 0.5)]
    assert event.is_stop_out


def test_it_follows_a_netted_position_through_additions_reductions_and_its_turn() -> None:
    stage = Stage(**NETTING).ready()

    stage.desk.buy(LOGIN, 0.5)
    opened = stage.look()
    identifier = opened[0].position_ticket
    stage.desk.buy(LOGIN, 0.3)
    added = stage.look()
    stage.desk.sell(LOGIN, 0.2)
    reduced = stage.look()
    stage.desk.sell(LOGIN, 1.0)
    turned = stage.look()
    stage.desk.buy(LOGIN, 0.4)
    closed = stage.look()

    assert told([*opened, *added, *reduced, *turned, *closed]) == [
        ("open", "buy", 0.5, 0.0),
        ("open", "buy", 0.3, 0.5),
        ("partial_close", "buy", 0.2, 0.8),
        ("close", "buy", 0.6, 0.6),
        ("open", "sell", 0.4, 0.0),
        ("close", "sell", 0.4, 0.4),
    ]
    assert {event.position_ticket for event in CopyEvent.objects.all()} == {identifier}
    assert len({event.deal_ticket for event in turned}) == 1


def test_money_that_comes_and_goes_is_no_event() -> None:
    stage = Stage().ready()

    stage.desk.server.deposit(LOGIN, 500.0)
    stage.desk.server.credit(LOGIN, 100.0)

    assert stage.looks() == []
    stage.desk.buy(LOGIN, 0.1)
    assert told(stage.look()) == [("open", "buy", 0.1, 0.0)]


def send_as_copy(stage: Stage, lots: float, side: int = mt5.ORDER_TYPE_BUY, **more: Any) -> int:
    """Send an order as a copy of TradeGuard's own; return its ticket."""
    tag = new_tag()
    Order.objects.create(
        tag=tag, user_id=1, account_id=stage.provider.account_id, account_name="Provider",
        host="local", server=SERVER, login=LOGIN, kind="open", origin=Order.Origin.COPY,
        created_at=stage.now,
    )  # fmt: skip
    result = stage.desk.market(LOGIN, side, lots, magic=tag, **more)
    assert result[0] == mt5.TRADE_RETCODE_DONE, result
    return int(result[2])


def test_copies_that_tradeguard_sent_to_a_provider_are_no_events() -> None:
    stage = Stage().ready()

    copied = send_as_copy(stage, 0.5)
    stage.stops(copied, 1.08)
    assert stage.looks() == []
    send_as_copy(stage, 0.2, mt5.ORDER_TYPE_SELL, position=copied)
    assert stage.looks() == []
    # Not even when its owner closes it by hand: nobody has a copy of a copy.
    stage.close(copied, 0.3)
    assert stage.looks() == []

    assert not CopyEvent.objects.exists()


def test_orders_that_tradeguard_sent_for_the_owner_are_events() -> None:
    stage = Stage().ready()

    tag = new_tag()
    stage.desk.buy(LOGIN, 0.1, magic=tag)

    [event] = stage.look()
    assert event.magic == tag


def test_a_copy_within_a_netted_position_leaves_the_owners_part_to_be_told() -> None:
    stage = Stage(**NETTING).ready()
    stage.desk.buy(LOGIN, 0.4)
    assert told(stage.look()) == [("open", "buy", 0.4, 0.0)]

    send_as_copy(stage, 0.2)
    assert stage.look() == []
    stage.desk.sell(LOGIN, 0.3)
    assert told(stage.look()) == [("partial_close", "buy", 0.3, 0.6)]
    send_as_copy(stage, 0.3, mt5.ORDER_TYPE_SELL)

    # All of it is gone, so the followers' copies of the owner's part must go as well.
    assert told(stage.look()) == [("close", "buy", 0.3, 0.3)]


def test_trades_from_before_the_first_follower_are_nobodys() -> None:
    stage = Stage()
    held = stage.desk.buy(LOGIN, 0.4)
    gone = stage.desk.buy(LOGIN, 0.2)
    stage.close(gone, 0.2)
    stage.desk.pass_time(10.0)
    stage.sync(started_at=stage.now)
    stage.ready()

    # But what is closed later is told: it may have been adopted.
    stage.close(held, 0.1)
    assert told(stage.look()) == [("partial_close", "buy", 0.1, 0.4)]
    stage.close(held, 0.3)
    assert told(stage.look()) == [("close", "buy", 0.3, 0.3)]


def test_a_trade_between_the_start_and_the_first_look_is_told() -> None:
    stage = Stage()
    stage.desk.pass_time(1.0)

    stage.desk.buy(LOGIN, 0.4)

    assert told(stage.looks()) == [("open", "buy", 0.4, 0.0)]
