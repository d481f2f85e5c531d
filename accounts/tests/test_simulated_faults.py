"""Faults of readings: what a program sees through the module, and what the batch read says."""

import threading
from typing import Any

import pytest

from accounts.terminals.readings import Outcome
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.faulty_desk import (
    BUY,
    CALL_FAILED,
    LOGIN,
    NO_CONNECTION,
    OTHER,
    RECEIVE_FAILED,
    SEND_FAILED,
    TIMEOUT,
    FaultyDesk,
)
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk


@pytest.fixture
def desk() -> FaultyDesk:
    return FaultyDesk()


@pytest.mark.parametrize(
    ("kind", "details", "error", "outcome"),
    [
        (FaultKind.DISCONNECT_TERMINAL, {}, NO_CONNECTION, (Outcome.NO_TERMINAL, -10004)),
        (FaultKind.DISCONNECT_TERMINAL, {"code": -10001}, SEND_FAILED,
         (Outcome.NO_TERMINAL, -10001)),
        (FaultKind.CRASH_TERMINAL, {"moment": "before"}, SEND_FAILED,
         (Outcome.NO_TERMINAL, -10001)),
        (FaultKind.CRASH_TERMINAL, {"moment": "after"}, RECEIVE_FAILED,
         (Outcome.NO_TERMINAL, -10002)),
        (FaultKind.HANG, {"hang_seconds": 0.0}, TIMEOUT, (Outcome.SILENT, -10005)),
        (FaultKind.NONE, {}, CALL_FAILED, (Outcome.NONE, -1)),
        (FaultKind.TIMEOUT_BEFORE, {"calls": ("positions", "account_info")}, TIMEOUT,
         (Outcome.SILENT, -10005)),
        (FaultKind.TIMEOUT_AFTER, {"calls": ("positions", "account_info")}, TIMEOUT,
         (Outcome.SILENT, -10005)),
    ],
)  # fmt: skip
def test_it_keeps_a_reading_back(
    desk: FaultyDesk,
    kind: FaultKind,
    details: dict[str, Any],
    error: tuple[int, str],
    outcome: tuple[int, int],
) -> None:
    desk.server.add_fault(LOGIN, kind, **details)
    assert desk.program.positions_get() is None
    assert desk.program.last_error() == error
    assert desk.outcome() == outcome
    assert desk.neighbour.positions_get() == ()
    desk.server.clear_fault(LOGIN)
    desk.server.authorise_many([(LOGIN, PASSWORD, SERVER)])
    assert desk.program.initialize("x", login=LOGIN, password=PASSWORD, server=SERVER)
    assert desk.program.positions_get() == ()
    assert desk.outcome() == (Outcome.ANSWERED, 1)


def test_a_crashed_terminal_stays_away_until_it_is_started_again(desk: FaultyDesk) -> None:
    desk.server.add_fault(LOGIN, FaultKind.CRASH_TERMINAL, times=1, calls=("account_info",))
    second = desk.program_of(LOGIN)
    assert desk.program.account_info() is None
    assert desk.program.last_error() == RECEIVE_FAILED
    for call in (desk.program.account_info, desk.program.positions_get, desk.program.symbols_total):
        assert call() is None
        assert desk.program.last_error() == NO_CONNECTION
    assert desk.program.order_send(**BUY) is None
    # It is this terminal that died, not the account's others.
    assert second.account_info() is not None
    assert desk.outcome() == (Outcome.ANSWERED, 1)
    assert desk.program.initialize("x", login=LOGIN, password=PASSWORD, server=SERVER)
    assert desk.program.positions_get() == ()


@pytest.mark.parametrize(
    ("kind", "is_connected"), [(FaultKind.CACHED, True), (FaultKind.CUT_FROM_BROKER, False)]
)
def test_a_terminal_answers_from_its_cache(
    desk: FaultyDesk, kind: FaultKind, is_connected: bool
) -> None:
    ticket = desk.buy(LOGIN, 0.2)
    before = (desk.program.account_info(), desk.program.positions_get(),
              desk.program.symbol_info_tick("EURUSD"), desk.deals(LOGIN))  # fmt: skip
    old = desk.batch().accounts
    desk.server.add_fault(LOGIN, kind, seconds=30)
    desk.clock.now += 20
    desk.server.set_prices("EURUSD", 1.09, 1.09004)
    desk.server.deposit(LOGIN, 500.0)

    assert desk.program.terminal_info().connected is is_connected
    now = (desk.program.account_info(), desk.program.positions_get(),
           desk.program.symbol_info_tick("EURUSD"), desk.deals(LOGIN))  # fmt: skip
    assert now == before
    new = desk.batch().accounts
    assert bool(new["connected"][0]) is is_connected
    assert new[["equity", "tick_msc"]][0] == old[["equity", "tick_msc"]][0]
    assert new["tick_msc"][1] == old["tick_msc"][1] + 20_000
    close = {**BUY, "type": mt5.ORDER_TYPE_SELL, "position": ticket}
    sent = desk.program.order_send(**close)
    expected = mt5.TRADE_RETCODE_DONE if is_connected else mt5.TRADE_RETCODE_CONNECTION
    assert sent.retcode == expected

    desk.clock.now += 10
    assert desk.program.account_info().balance > 10_400
    assert desk.batch().accounts["connected"][0]


def test_a_cache_that_comes_and_goes_shows_what_was_seen_last(desk: FaultyDesk) -> None:
    desk.server.add_fault(LOGIN, FaultKind.CACHED, skip=1, times=2, calls=("account_info",))
    desk.server.deposit(LOGIN, 100.0)
    balances = []
    for _ in range(4):
        balances.append(desk.program.account_info().balance)
        desk.server.deposit(LOGIN, 1.0)
    assert balances == [10_100.0, 10_100.0, 10_100.0, 10_103.0]


@pytest.mark.parametrize(
    ("details", "least", "most"),
    [
        ({"median_seconds": 0.3}, 0.3, 0.3),
        ({"distribution": "uniform", "least_seconds": 0.2, "most_seconds": 0.4}, 0.2, 0.4),
        ({"distribution": "lognormal", "median_seconds": 0.3, "sigma": 1.0, "most_seconds": 0.7},
         0.0, 0.7),
    ],
)  # fmt: skip
def test_an_answer_takes_its_time(
    desk: FaultyDesk, details: dict[str, Any], least: float, most: float
) -> None:
    desk.server.add_fault(LOGIN, FaultKind.LATENCY, seed=7, **details)
    for _ in range(200):
        assert desk.program.positions_get() == ()
    assert len(desk.slept) == 200
    assert least <= min(desk.slept) <= max(desk.slept) <= most
    if least < most:
        assert len(set(desk.slept)) > 100
        assert sum(desk.slept) / 200 == pytest.approx(0.33, abs=0.06)
    assert desk.neighbour.positions_get() == ()
    assert len(desk.slept) == 200


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [(0.1, (Outcome.ANSWERED, 1)), (0.101, (Outcome.SILENT, -10005))],
)
def test_the_batch_does_not_wait_for_a_slow_terminal(
    desk: FaultyDesk, seconds: float, outcome: tuple[int, int]
) -> None:
    desk.server.add_fault(LOGIN, FaultKind.LATENCY, median_seconds=seconds)
    assert desk.outcome() == outcome
    expected = [1 if outcome[0] == Outcome.ANSWERED else -10005, 1]
    credentials = [(LOGIN, PASSWORD, SERVER), (OTHER, PASSWORD, SERVER)]
    assert desk.server.authorise_many(credentials) == expected
    assert desk.slept == []


def test_a_slow_call_holds_up_nobody_else() -> None:
    entered, leave = threading.Event(), threading.Event()

    def sleep(_seconds: float) -> None:
        entered.set()
        assert leave.wait(10)

    desk = Desk(sleep=sleep)
    desk.open_account(LOGIN)
    desk.open_account(OTHER)
    desk.server.add_fault(LOGIN, FaultKind.LATENCY, median_seconds=9.0)
    answers: list[Any] = []
    slow = threading.Thread(target=lambda: answers.append(desk.account(LOGIN)))
    slow.start()
    assert entered.wait(10)
    assert desk.buy(OTHER, 0.1)
    desk.server.step()
    assert answers == []
    leave.set()
    slow.join(10)
    assert answers[0]["login"] == LOGIN


def test_positions_and_orders_are_not_there_yet(desk: FaultyDesk) -> None:
    desk.buy(LOGIN, 0.2)
    waiting = {**BUY, "action": mt5.TRADE_ACTION_PENDING, "type": mt5.ORDER_TYPE_BUY_LIMIT,
               "price": 1.05, "type_filling": mt5.ORDER_FILLING_RETURN}  # fmt: skip
    assert desk.program.order_send(**waiting).retcode == mt5.TRADE_RETCODE_DONE
    desk.server.add_fault(LOGIN, FaultKind.EMPTY)
    assert (desk.program.positions_get(), desk.program.orders_get()) == ((), ())
    assert desk.program.account_info().margin > 0
    batch = desk.batch()
    assert (len(batch.positions), len(batch.orders)) == (0, 0)
    assert batch.accounts["margin"][0] > 0


@pytest.mark.parametrize("lots", [0.0, 0.2])
def test_account_and_positions_are_of_different_moments(desk: FaultyDesk, lots: float) -> None:
    if lots:
        desk.buy(LOGIN, lots)
    desk.server.add_fault(LOGIN, FaultKind.TORN, times=2)

    def gap() -> float:
        account = desk.program.account_info()
        floating = sum(each.profit + each.swap for each in desk.program.positions_get())
        return abs(float(account.profit) - float(floating))

    def batch_gap() -> float:
        batch = desk.batch()
        return abs(float(batch.accounts["profit"][0] - batch.positions["profit"].sum()))

    assert min(gap(), batch_gap()) > 1
    assert max(gap(), batch_gap()) < 0.01


def test_another_terminal_answers(desk: FaultyDesk) -> None:
    desk.buy(OTHER, 0.2)
    desk.server.add_fault(LOGIN, FaultKind.WRONG_ACCOUNT)
    assert desk.program.account_info().login == OTHER
    assert len(desk.program.positions_get()) == 1
    assert desk.batch().accounts["login"].tolist() == [OTHER, OTHER]


@pytest.mark.parametrize(("call", "positions", "orders"), [("positions", 0, 1), ("orders", 1, 0)])
def test_a_batch_strikes_the_calls_of_a_reading_apart(
    desk: FaultyDesk, call: str, positions: int, orders: int
) -> None:
    desk.buy(LOGIN, 0.2)
    desk.send(LOGIN, action=mt5.TRADE_ACTION_PENDING, type=mt5.ORDER_TYPE_BUY_LIMIT, volume=0.1,
              symbol="EURUSD", price=1.05, type_filling=mt5.ORDER_FILLING_RETURN)  # fmt: skip
    desk.server.add_fault(LOGIN, FaultKind.EMPTY, calls=(call,))
    assert len(desk.program.positions_get()) == positions
    assert len(desk.program.orders_get()) == orders
    batch = desk.batch()
    assert (len(batch.positions), len(batch.orders)) == (positions, orders)


def test_a_list_from_the_cache_tears_a_reading(desk: FaultyDesk) -> None:
    desk.server.add_fault(LOGIN, FaultKind.CACHED, calls=("positions",))
    desk.buy(LOGIN, 0.2)
    assert desk.program.positions_get() == ()
    assert desk.program.account_info().margin > 0
    batch = desk.batch()
    assert (len(batch.positions), batch.accounts["position_count"][0]) == (0, 0)
    assert batch.accounts["margin"][0] == desk.program.account_info().margin
