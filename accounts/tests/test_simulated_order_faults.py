"""Faults of orders: what the program is told, and what the books hold."""

from typing import Any

import pytest

from accounts.terminals.readings import Outcome
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.link import BrokerCrash
from accounts.tests.faulty_desk import BUY, LOGIN, RECEIVE_FAILED, TIMEOUT, FaultyDesk


@pytest.fixture
def desk() -> FaultyDesk:
    return FaultyDesk()


@pytest.mark.parametrize(("moment", "positions"), [("before", 0), ("after", 1)])
def test_a_terminal_crashes_before_or_after_an_order(
    desk: FaultyDesk, moment: str, positions: int
) -> None:
    desk.server.add_fault(
        LOGIN, FaultKind.CRASH_TERMINAL, moment=moment, calls=("order_send",), times=1
    )
    assert desk.program.order_send(**BUY) is None
    assert len(desk.positions(LOGIN)) == positions


@pytest.mark.parametrize(("moment", "positions"), [("before", 0), ("after", 1)])
def test_a_crash_of_the_broker_breaks_the_line(
    desk: FaultyDesk, moment: str, positions: int
) -> None:
    desk.server.add_fault(LOGIN, FaultKind.CRASH_BROKER, moment=moment, times=1)
    assert desk.program.order_send(**BUY) is None
    assert desk.program.last_error() == RECEIVE_FAILED
    assert len(desk.positions(LOGIN)) == positions
    assert desk.outcome() == (Outcome.ANSWERED, 1)
    desk.server.add_fault(LOGIN, FaultKind.CRASH_BROKER, calls=("positions",))
    with pytest.raises(BrokerCrash):
        desk.batch()


@pytest.mark.parametrize(
    ("kind", "executed"), [(FaultKind.TIMEOUT_BEFORE, 0), (FaultKind.TIMEOUT_AFTER, 1)]
)
def test_an_order_times_out_before_or_after_its_execution(
    desk: FaultyDesk, kind: FaultKind, executed: int
) -> None:
    desk.server.add_fault(LOGIN, kind, times=1)
    assert desk.program.order_check(**BUY).retcode == 0
    assert desk.outcome() == (Outcome.ANSWERED, 1)
    assert desk.program.order_send(**BUY) is None
    assert desk.program.last_error() == TIMEOUT
    assert len(desk.program.positions_get()) == executed
    assert len(desk.batch().positions) == executed
    assert desk.program.order_send(**BUY).retcode == mt5.TRADE_RETCODE_DONE


def test_a_late_order_is_executed_though_nobody_asks(desk: FaultyDesk) -> None:
    desk.server.add_fault(LOGIN, FaultKind.LATE, delay_seconds=3.0, times=1)
    assert desk.program.order_send(**BUY) is None
    assert desk.program.last_error() == TIMEOUT
    for seconds, positions in ((2.9, 0), (0.1, 1)):
        desk.clock.now += seconds
        desk.server.step()
        assert len(desk.program.positions_get()) == positions
    assert len(desk.batch().positions) == 1


@pytest.mark.parametrize(
    ("kind", "retcode"),
    [(FaultKind.REJECT, mt5.TRADE_RETCODE_REJECT), (FaultKind.REQUOTE, mt5.TRADE_RETCODE_REQUOTE)],
)
def test_the_broker_refuses_an_order(desk: FaultyDesk, kind: FaultKind, retcode: int) -> None:
    desk.server.add_fault(LOGIN, kind, times=1)
    assert desk.program.order_check(**BUY).retcode == 0
    desk.server.set_prices("EURUSD", 1.09, 1.09004)
    refused = desk.program.order_send(**BUY)
    assert (refused.retcode, refused.deal) == (retcode, 0)
    assert (refused.bid, refused.ask) == (1.09, 1.09004)
    assert desk.program.positions_get() == ()
    assert desk.outcome() == (Outcome.ANSWERED, 1)
    assert desk.program.order_send(**BUY).retcode == mt5.TRADE_RETCODE_DONE


def test_a_part_of_an_order_is_filled(desk: FaultyDesk) -> None:
    desk.server.add_fault(LOGIN, FaultKind.PARTIAL_FILL, fraction=0.25)
    filled = desk.program.order_send(**BUY)
    assert (filled.retcode, filled.volume) == (mt5.TRADE_RETCODE_DONE_PARTIAL, 0.05)
    assert [position.volume for position in desk.program.positions_get()] == [0.05]
    assert desk.batch().positions["volume"].tolist() == [0.05]


@pytest.mark.parametrize(("points", "price"), [(10, 1.08624), (-4, 1.0861), (0, 1.08614)])
def test_an_order_slips(desk: FaultyDesk, points: int, price: float) -> None:
    desk.server.add_fault(LOGIN, FaultKind.SLIPPAGE, points=points)
    filled = desk.program.order_send(**BUY)
    assert filled.retcode == mt5.TRADE_RETCODE_DONE
    assert desk.program.positions_get()[0].price_open == price
    assert desk.batch().positions["price_open"].tolist() == [price]


def test_slippage_is_drawn_from_its_range(desk: FaultyDesk) -> None:
    desk.server.add_fault(LOGIN, FaultKind.SLIPPAGE, points=-2, points_to=2, seed=4)
    for _ in range(60):
        desk.program.order_send(**{**BUY, "volume": 0.01})
    prices = {position.price_open for position in desk.program.positions_get()}
    assert prices == {1.08612, 1.08613, 1.08614, 1.08615, 1.08616}


@pytest.mark.parametrize(
    ("details", "comment"),
    [
        ({}, ""),
        ({"rewrite": "truncate", "length": 8}, "provider"),
        ({"rewrite": "replace", "text": "[web]"}, "[web]"),
    ],
)
def test_the_broker_rewrites_a_comment(
    desk: FaultyDesk, details: dict[str, Any], comment: str
) -> None:
    desk.server.add_fault(LOGIN, FaultKind.COMMENT_REWRITTEN, **details)
    desk.program.order_send(**{**BUY, "magic": 77})
    (position,) = desk.program.positions_get()
    assert (position.comment, position.magic) == (comment, 77)
    assert desk.deals(LOGIN)[-1]["comment"] == comment
    assert desk.program.history_orders_get(ticket=position.ticket)[0].comment == comment


def test_a_refusal_of_the_terminal_knows_no_price_and_no_number(desk: FaultyDesk) -> None:
    desk.program.order_send(**BUY)
    for prepare, retcode, comment in (
        (lambda: desk.server.set_algo_trading(LOGIN, False),
         mt5.TRADE_RETCODE_CLIENT_DISABLES_AT, "AutoTrading disabled by client"),
        (lambda: desk.server.set_fault(LOGIN, FaultKind.CUT_FROM_BROKER),
         mt5.TRADE_RETCODE_CONNECTION, "No connection"),
    ):  # fmt: skip
        prepare()
        refused = desk.program.order_send(**BUY)
        assert (refused.retcode, refused.comment) == (retcode, comment)
        assert (refused.bid, refused.ask, refused.request_id) == (0.0, 0.0, 0)
        checked = desk.program.order_check(**BUY)
        assert (checked.retcode, checked.comment) == (retcode, comment)
        desk.server.set_algo_trading(LOGIN, True)
