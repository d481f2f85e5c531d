"""What a child makes of a terminal that answers wrongly, in part or not at all."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from accounts.terminals.child.reading import Snapshot
from accounts.terminals.readings import Outcome
from accounts.terminals.simulated.faults.specs import FaultKind, FaultSpec
from accounts.tests.child_comparison import assert_equal_to_batch
from accounts.tests.child_reader import OneReader
from accounts.tests.simulated_desk import Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


UNKNOWN = {
    FaultKind.NONE: Outcome.NONE,
    FaultKind.DISCONNECT_TERMINAL: Outcome.NO_TERMINAL,
    FaultKind.CRASH_TERMINAL: Outcome.NO_TERMINAL,
}


@pytest.mark.parametrize("kind", UNKNOWN)
def test_it_says_nothing_of_an_account_that_it_does_not_know(desk: Desk, kind: FaultKind) -> None:
    login = desk.open_account()
    desk.buy(login, 0.1, "EURUSD")
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)
    one.look()
    desk.server.set_fault(login, kind)

    one.look()
    reading = one.look()

    assert reading.account["outcome"][0] == UNKNOWN[kind]
    if kind is not FaultKind.CRASH_TERMINAL:  # the batch would be the next to meet it
        assert_equal_to_batch(reading, desk.server.read_batch([login], [0]))
    assert (reading.account["login"][0], len(reading.positions), len(reading.deals)) == (0, 0, 0)


@pytest.mark.parametrize(
    "call", ["account_info", "positions", "orders", "terminal_info", "history_deals", "symbol_tick"]
)
def test_it_is_silent_when_any_call_is(desk: Desk, call: str) -> None:
    login = desk.open_account()
    desk.buy(login, 0.1, "EURUSD")
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)
    desk.server.script_faults(login, [FaultSpec(kind=FaultKind.TIMEOUT_BEFORE, calls=(call,))])

    account = one.look().account

    assert (account["outcome"][0], account["error_code"][0]) == (Outcome.SILENT, -10005)


def test_it_says_that_a_session_is_refused(desk: Desk) -> None:
    login = desk.open_account()
    one = OneReader(desk, login)
    desk.server.set_enabled(login, False)

    reading = one.look()

    assert reading.account["outcome"][0] == Outcome.REFUSED
    assert_equal_to_batch(reading, desk.server.read_batch([login], [0]))


@pytest.mark.parametrize("kind", [FaultKind.CUT_FROM_BROKER, FaultKind.CACHED, FaultKind.EMPTY])
def test_it_shows_a_cut_off_terminal_as_it_is(desk: Desk, kind: FaultKind) -> None:
    login = desk.open_account()
    desk.buy(login, 0.1, "EURUSD")
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)
    one.look()
    desk.server.set_fault(login, kind)
    desk.server.set_prices("EURUSD", 1.2, 1.2001)

    reading = one.look()

    batch = desk.server.read_batch([login], [0])
    assert reading.account["connected"][0] == (kind is not FaultKind.CUT_FROM_BROKER)
    assert reading.account["position_count"][0] == batch.accounts["position_count"][0]
    assert reading.account["equity"][0] == batch.accounts["equity"][0]
    assert reading.account["margin"][0] > 0


def test_it_reads_a_torn_account_once_more(desk: Desk) -> None:
    login = desk.open_account()
    desk.buy(login, 0.1, "EURUSD")
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)
    one.look()
    one.package.calls.clear()
    desk.server.set_fault(login, FaultKind.TORN, once=True)

    assert_equal_to_batch(one.look(), desk.server.read_batch([login], [0]))
    assert one.package.calls["account_info"] == 2

    desk.server.set_fault(login, FaultKind.TORN)
    one.package.calls.clear()
    torn = one.look()

    assert one.package.calls["account_info"] == 2
    assert abs(torn.positions["profit"].sum() - torn.account["profit"][0]) > 1.0


@pytest.mark.parametrize(
    ("cents", "fits"), [(0.0, True), (6.9, True), (7.1, False), (-6.9, True), (-7.1, False)]
)
def test_it_allows_for_what_each_position_was_rounded_by(cents: float, fits: bool) -> None:
    positions = [SimpleNamespace(profit=1.0, swap=-0.25)] * 10
    profit = 7.5 + cents / 100.0
    account = SimpleNamespace(
        balance=100.0, credit=5.0, profit=profit, equity=105.0 + profit, currency_digits=2
    )

    assert Snapshot(account, positions, ()).fits_together() is fits


@pytest.mark.parametrize(("cents", "fits"), [(1.9, True), (2.1, False), (-2.1, False)])
def test_it_allows_for_what_each_sum_was_rounded_by(cents: float, fits: bool) -> None:
    account = SimpleNamespace(
        balance=100.0, credit=5.0, profit=0.0, equity=105.0 + cents / 100.0, currency_digits=2
    )

    assert Snapshot(account, (), ()).fits_together() is fits


def test_it_shows_another_account_as_what_it_is_and_none_of_its_deals(desk: Desk) -> None:
    login, peer = desk.open_account(1001), desk.open_account(1002, currency="EUR")
    desk.buy(peer, 0.5, "EURUSD")
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)
    assert len(one.look().deals) == 1
    desk.server.set_fault(login, FaultKind.WRONG_ACCOUNT, peer=peer)

    wrong = one.look(after_seconds=2.0)

    assert (wrong.account["login"][0], wrong.currency) == (peer, "EUR")
    assert (len(wrong.deals), wrong.account["last_deal"][0]) == (0, 0)

    desk.server.clear_fault(login)
    assert_equal_to_batch(one.look(after_seconds=2.0), desk.server.read_batch([login], [0]))


def test_it_takes_no_deals_from_an_account_that_comes_in_between(desk: Desk) -> None:
    login, peer = desk.open_account(1001), desk.open_account(1002)
    for _ in range(3):
        desk.buy(peer, 0.5, "EURUSD")
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)
    history = FaultSpec(kind=FaultKind.WRONG_ACCOUNT, peer=peer, calls=("history_deals",))
    compared = FaultSpec(
        kind=FaultKind.WRONG_ACCOUNT, peer=peer, calls=("account_info",), skip=1, times=1
    )
    desk.server.script_faults(login, [history, compared])

    unknown = one.look()

    assert (unknown.account["outcome"][0], len(unknown.deals)) == (Outcome.NONE, 0)
    desk.server.clear_fault(login)
    assert_equal_to_batch(one.look(), desk.server.read_batch([login], [0]))
    known = one.look(after_seconds=20.0).deals["ticket"].tolist()
    compared = FaultSpec(
        kind=FaultKind.WRONG_ACCOUNT, peer=peer, calls=("account_info",), skip=1, times=1
    )
    desk.server.script_faults(login, [history, compared])

    assert one.look(after_seconds=20.0).account["outcome"][0] == Outcome.NONE

    desk.server.clear_fault(login)
    assert one.look().deals["ticket"].tolist() == known


@pytest.mark.parametrize(
    "field", [{"volume": math.nan}, {"price_current": math.inf}, {"profit": None}, {"type": 1000}]
)
def test_it_knows_nothing_of_an_account_whose_rows_make_no_sense(
    desk: Desk, field: dict[str, Any]
) -> None:
    login = desk.open_account()
    desk.buy(login, 0.1, "EURUSD")
    one = OneReader(desk, login)
    (position,) = one.package.positions_get()
    shown = SimpleNamespace(**{**position._asdict(), **field})
    one.package.replace(positions_get=lambda: (shown,))

    reading = one.look()

    assert (reading.account["outcome"][0], reading.account["login"][0]) == (Outcome.NONE, 0)
