"""The broker's clock when the machine's is set back: it goes on, also over a restart."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.terminals.link import LinkTimeout
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.clock import (
    LARGEST_CORRECTION_SECONDS,
    LONGEST_LEAP_SECONDS,
    SteadyClock,
)
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.books_audit import audit, books_of
from accounts.tests.simulated_desk import START, Clock, Desk

LOGIN = 1001
SECOND, MINUTE, HOUR, DAY = 1.0, 60.0, 3_600.0, 86_400.0
LIMIT = {"action": mt5.TRADE_ACTION_PENDING, "symbol": "EURUSD", "volume": 0.1,
         "type": mt5.ORDER_TYPE_BUY_LIMIT, "price": 1.08}  # fmt: skip


def _passed(source: Clock, steady: SteadyClock, seconds: float) -> float:
    """Let time pass as a broker does, which looks at its clock again and again."""
    for _ in range(round(seconds / MINUTE)):
        source.now += MINUTE
        steady()
    return steady()


def test_it_stands_still_for_a_correction() -> None:
    source = Clock()
    steady = SteadyClock(source)
    assert steady() == START
    source.now -= LARGEST_CORRECTION_SECONDS
    assert steady() == START
    source.now += 0.5
    assert steady() == START
    source.now += 0.75
    assert steady() == START + 0.25 == source.now


def test_corrections_do_not_add_up_to_a_stop() -> None:
    source = Clock()
    steady = SteadyClock(source)
    steady()
    for _ in range(3):
        source.now -= 0.75
        steady()
    assert steady() == START
    for _ in range(4):
        source.now += 0.25
        steady()
    assert steady() == START + 0.25 > source.now + LARGEST_CORRECTION_SECONDS


@pytest.mark.parametrize("back", [SECOND + 0.125, HOUR, DAY])
def test_it_goes_on_at_the_pace_of_its_source(back: float) -> None:
    source = Clock()
    steady = SteadyClock(source)
    steady()
    source.now -= back
    assert steady() == START
    for passed in (0.25, 0.5, 0.75, 1.0):
        source.now += 0.25
        assert steady() == START + passed
    source.now -= back
    assert steady() == START + 1.0, "set back twice"
    source.now += 0.25
    assert steady() == START + 1.25


@pytest.mark.parametrize("back", [SECOND, 2 * SECOND, HOUR, DAY])
def test_it_is_with_its_source_again_once_that_is_set_forward(back: float) -> None:
    source = Clock()
    steady = SteadyClock(source)
    steady()
    source.now -= back
    steady()
    source.now += back
    assert steady() == source.now == START
    source.now += HOUR
    assert steady() == source.now


def test_it_stands_still_as_far_as_its_source_leaps_forward() -> None:
    source = Clock()
    steady = SteadyClock(source)
    steady()
    source.now -= HOUR
    steady()
    assert _passed(source, steady, 10 * MINUTE) == START + 10 * MINUTE
    source.now += HOUR / 2
    assert steady() == START + 10 * MINUTE
    assert _passed(source, steady, 10 * MINUTE) == START + 20 * MINUTE == source.now + HOUR / 2
    source.now += HOUR
    assert steady() == source.now


@pytest.mark.parametrize(
    ("leap", "shown"),
    [
        (LONGEST_LEAP_SECONDS - 0.125, START + LONGEST_LEAP_SECONDS - 0.125),
        (LONGEST_LEAP_SECONDS, START + LONGEST_LEAP_SECONDS),
        (LONGEST_LEAP_SECONDS + 0.125, START),
    ],
)
def test_it_takes_as_time_what_may_have_passed(leap: float, shown: float) -> None:
    source = Clock()
    steady = SteadyClock(source)
    steady()
    source.now -= HOUR
    steady()
    source.now += leap
    assert steady() == shown


def test_a_source_that_was_never_set_back_may_leap() -> None:
    source = Clock()
    steady = SteadyClock(source)
    for leap in (0.1, HOUR, 30 * DAY):
        source.now += leap
        assert steady() == source.now


@pytest.mark.parametrize(
    ("ahead", "first", "second_later"),
    [(-HOUR, 0.0, 1.0), (0.0, 0.0, 1.0), (1.0, 1.0, 1.0), (1.125, 1.125, 2.125),
     (DAY, DAY, DAY + 1.0)],
)  # fmt: skip
def test_it_begins_no_earlier_than_it_is_told(
    ahead: float, first: float, second_later: float
) -> None:
    source = Clock()
    steady = SteadyClock(source, not_before=START + ahead)
    assert steady() == START + first
    source.now += 1.0
    assert steady() == START + second_later


@given(st.lists(st.floats(-2 * DAY, 2 * DAY) | st.floats(-2.0, 2.0), max_size=40))
def test_it_never_runs_backwards_and_is_never_behind(moves: list[float]) -> None:
    source = Clock()
    steady = SteadyClock(source)
    shown = [steady()]
    for move in moves:
        source.now += move
        shown.append(steady())
        assert shown[-1] >= source.now
        # Nothing but time that may have passed carries it further than its source.
        assert shown[-1] <= max(source.now, shown[-2] + LONGEST_LEAP_SECONDS)
    assert shown == sorted(shown)


def _walking(**options: Any) -> Desk:
    options = {"clock": Clock(), "feed": True, "always_open": True, **options}
    desk = Desk(**options)
    desk.clock = options["clock"]
    return desk


def _tick_msc(desk: Desk) -> int:
    return int(desk.server.call("symbol_tick", LOGIN, "EURUSD")[5])


def _assert_times_never_decrease(desk: Desk) -> None:
    books = books_of(desk.server)
    for times in (books.deals["time_msc"], books.order_history["time_done_msc"]):
        assert (np.diff(times) >= 0).all()
    audit(books)


@pytest.mark.parametrize("back", [2 * SECOND, HOUR, DAY])
def test_prices_and_deals_go_on(back: float) -> None:
    desk = _walking()
    desk.open_account(LOGIN)
    desk.pass_time(1.0)
    desk.buy(LOGIN, 0.1)
    began, seen = desk.server.server_time(), [_tick_msc(desk)]
    desk.clock.now -= back
    desk.pass_time(0.0)
    for _ in range(10):
        desk.pass_time(1.0)
        desk.buy(LOGIN, 0.01)
        seen.append(_tick_msc(desk))
    assert desk.server.server_time() == began + 10.0
    assert all(later > earlier for earlier, later in pairwise(seen))
    _assert_times_never_decrease(desk)


def test_a_reading_is_of_the_machines_time_and_its_prices_of_the_brokers() -> None:
    desk = _walking()
    desk.open_account(LOGIN)
    desk.pass_time(1.0)
    desk.clock.now -= HOUR
    for _ in range(3):
        desk.pass_time(1.0)
    batch = desk.server.read_batch([LOGIN], [0])
    assert batch.taken_at == desk.clock.now
    newest = int(batch.prices["time_msc"].max())
    assert newest == round(desk.server.server_time() * 1000) == batch.accounts["tick_msc"][0]


def test_a_late_order_arrives_while_the_machine_is_set_back() -> None:
    desk = Desk(always_open=True)
    desk.open_account(LOGIN)
    desk.server.set_prices("EURUSD", 1.1, 1.1002)
    desk.server.add_fault(LOGIN, FaultKind.LATE, delay_seconds=3.0, times=1)
    with pytest.raises(LinkTimeout):
        desk.send(LOGIN, **LIMIT)
    desk.pass_time(1.0)
    desk.clock.now -= HOUR
    desk.pass_time(0.0)
    desk.pass_time(1.9)
    assert desk.orders(LOGIN) == []
    desk.pass_time(0.1)
    assert [order["price_open"] for order in desk.orders(LOGIN)] == [1.08]


def test_markets_keep_the_hours_of_the_brokers_clock() -> None:
    desk = Desk()
    desk.open_account(LOGIN)
    desk.clock.now = datetime(2026, 11, 20, 21, 30, tzinfo=UTC).timestamp()  # Friday
    desk.server.step()
    ticket = desk.buy(LOGIN, 0.1)
    desk.clock.now -= DAY
    desk.pass_time(0.0)
    for _ in range(31):
        desk.pass_time(MINUTE)
    # The broker's week is over; for the machine it is Thursday.
    refused = desk.market(LOGIN, mt5.ORDER_TYPE_SELL, 0.1, position=ticket)
    assert refused[0] == mt5.TRADE_RETCODE_MARKET_CLOSED
    for _ in range(round((2 * DAY + 10 * MINUTE) / MINUTE)):
        desk.pass_time(MINUTE)
    desk.sell(LOGIN, 0.1, position=ticket)  # on the broker's Monday
    _assert_times_never_decrease(desk)


def test_a_fault_ends_when_its_time_is_over() -> None:
    desk = Desk()
    desk.open_account(LOGIN)
    desk.server.add_fault(LOGIN, FaultKind.TIMEOUT_BEFORE, seconds=30.0)
    desk.clock.now -= HOUR
    desk.pass_time(0.0)
    desk.pass_time(29.5)
    assert len(desk.server.faults()) == 1
    desk.pass_time(0.5)
    assert desk.server.faults() == []


def test_a_hang_lasts_no_longer_than_its_fault() -> None:
    desk = Desk()
    desk.open_account(LOGIN)
    # This pause is real, the only one here; past its hang_seconds it would end with a timeout.
    desk.server.add_fault(LOGIN, FaultKind.HANG, seconds=0.01, hang_seconds=0.02)
    desk.clock.now -= HOUR
    assert desk.account(LOGIN)["login"] == LOGIN


@pytest.mark.parametrize("feed", [True, False])
@pytest.mark.parametrize("is_orderly", [True, False])
@pytest.mark.parametrize("back", [SECOND, HOUR, DAY])
def test_a_restart_does_not_take_it_back(
    tmp_path: Path, back: float, is_orderly: bool, feed: bool
) -> None:
    desk = _walking(feed=feed, home=tmp_path)
    desk.open_account(LOGIN)
    for _ in range(3):
        desk.pass_time(1.0)
        desk.server.deposit(LOGIN, 1.0)
        ticket = desk.buy(LOGIN, 0.01)
    stopped, seen = desk.server.server_time(), _tick_msc(desk)
    if is_orderly:
        desk.server.close()

    clock = Clock(desk.clock.now - back)
    again = _walking(feed=feed, home=tmp_path, clock=clock)
    assert again.server.server_time() == stopped
    again.sell(LOGIN, 0.01, position=ticket)
    for _ in range(3):
        again.pass_time(1.0)
        again.server.deposit(LOGIN, 1.0)
        assert _tick_msc(again) >= seen
    assert again.server.server_time() == stopped + (2.0 if back == SECOND else 3.0)
    _assert_times_never_decrease(again)


def test_a_restart_in_the_middle_goes_on_with_it(tmp_path: Path) -> None:
    desk = _walking(home=tmp_path)
    desk.open_account(LOGIN)
    desk.pass_time(1.0)
    desk.clock.now -= HOUR
    for _ in range(10):
        desk.pass_time(MINUTE)
    desk.buy(LOGIN, 0.1)
    stopped = desk.server.server_time()
    desk.server.close()

    again = _walking(home=tmp_path, clock=desk.clock)
    assert again.server.server_time() == stopped
    again.pass_time(MINUTE)
    assert again.server.server_time() == stopped + MINUTE
    again.server.close()

    desk.clock.now += HOUR - MINUTE  # away until the machine has nearly caught up
    last = _walking(home=tmp_path, clock=desk.clock)
    assert last.server.server_time() == stopped + MINUTE
    last.pass_time(10 * MINUTE)
    last.buy(LOGIN, 0.1)
    _assert_times_never_decrease(last)


def test_the_repeated_hour_of_autumn_is_no_step_back(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 10, 25, 0, 50, tzinfo=UTC).timestamp())  # 02:50, twice
    desk = _walking(clock=clock, home=tmp_path, zone_name="Europe/Prague")
    desk.open_account(LOGIN)
    desk.server.close()
    clock.now += 20 * MINUTE
    again = _walking(clock=clock, home=tmp_path, zone_name="Europe/Prague")
    shown = datetime.fromtimestamp(again.server.server_time(), UTC)
    assert (shown.hour, shown.minute) == (2, 10)
