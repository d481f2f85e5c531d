"""Sessions on the broker's wall clock, opening by hand, and the two changes of the clock."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.terminals.simulated.symbols.hours import (
    ALWAYS,
    DAY,
    FOREX_HOURS,
    HOUR,
    MINUTE,
    WEEK,
    daily,
)
from accounts.terminals.simulated.symbols.opening import Opening
from accounts.tests.simulated_desk import Clock, Desk

EURUSD, BTCUSD, NQH30 = (CONTRACT_INDEX[name] for name in ("EURUSD", "BTCUSD", "NQH30"))
WEDNESDAY = 1_794_960_000  # 00:00, 18 November 2026


def _utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> float:
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


def _stepped(desk: Desk, until: float, step_seconds: float = 30.0) -> None:
    while desk.clock.now < until:
        desk.clock.now += step_seconds
        desk.server.step()


def _bars(desk: Desk, symbol: str, timeframe: int, count: int = 5_000) -> Any:
    return desk.server.call("rates", 1001, symbol, timeframe, None, None, 0, count)


@pytest.mark.parametrize(
    ("second", "is_open"),
    [(2 * MINUTE - 1, False), (2 * MINUTE, True), (DAY - 2 * MINUTE - 1, True),
     (DAY - 2 * MINUTE, False)],
)  # fmt: skip
def test_it_is_open_from_the_first_second_of_a_session_to_the_last(
    second: int, is_open: bool
) -> None:
    assert FOREX_HOURS.is_open(WEDNESDAY + second) is is_open
    assert not FOREX_HOURS.is_open(WEDNESDAY + second + 3 * DAY)  # a Saturday


def test_it_adds_up_the_sessions_of_a_week() -> None:
    assert FOREX_HOURS.open_seconds == 5 * (DAY - 4 * MINUTE)
    assert ALWAYS.open_seconds == WEEK


def test_it_knows_the_periods_that_a_session_touches() -> None:
    hours = daily((3,), (9 * HOUR + 30 * MINUTE, 11 * HOUR))  # Wednesdays
    starts = WEDNESDAY + HOUR * np.arange(8, 13)
    assert hours.touched(starts, HOUR).tolist() == [False, True, True, False, False]
    days = WEDNESDAY + DAY * np.arange(-1, 8)
    assert np.flatnonzero(hours.touched(days, DAY)).tolist() == [1, 8]


def _opening(at: int) -> Opening:
    return Opening(lambda: at)


def test_a_hand_goes_before_the_hours_until_it_lets_go() -> None:
    weekend, opening = WEDNESDAY + 3 * DAY, _opening(WEDNESDAY + 3 * DAY)
    assert not opening.is_open(EURUSD)
    opening.set_open(EURUSD, True)
    assert opening.is_open(EURUSD)
    assert opening.quoted(weekend)[EURUSD]
    opening.set_open(EURUSD, None)
    assert not opening.is_open(EURUSD)
    opening.set_open(BTCUSD, False)
    assert not opening.is_open(BTCUSD)
    assert not opening.quoted(weekend)[BTCUSD]
    opening.set_open(BTCUSD, True)
    assert opening.is_open(BTCUSD)


def test_it_quotes_what_is_in_session_has_quotes_and_has_not_expired() -> None:
    open_all = Opening(lambda: WEDNESDAY, always_open=True)
    expiry = CONTRACTS[NQH30].expires_at
    assert open_all.quoted(expiry - 1)[NQH30]
    assert not open_all.quoted(expiry)[NQH30]
    open_all.set_quotes(EURUSD, False)
    assert not open_all.quoted(WEDNESDAY)[EURUSD]
    open_all.set_quotes(EURUSD, True)
    assert open_all.quoted(WEDNESDAY)[EURUSD]
    weekend = _opening(WEDNESDAY + 3 * DAY).quoted(WEDNESDAY + 3 * DAY)
    assert [CONTRACTS[symbol].name for symbol, on in enumerate(weekend) if on] == ["BTCUSD"]


def test_it_refuses_orders_without_quotes_and_in_a_closed_market() -> None:
    desk = Desk()
    login = desk.open_account()
    desk.server.set_quotes("EURUSD", False)
    assert desk.market(login, mt5.ORDER_TYPE_BUY, 0.1)[0] == mt5.TRADE_RETCODE_PRICE_OFF
    desk.server.set_quotes("EURUSD", True)
    assert desk.buy(login, 0.1)
    desk.server.set_market_open("EURUSD", False)
    assert desk.market(login, mt5.ORDER_TYPE_BUY, 0.1)[0] == mt5.TRADE_RETCODE_MARKET_CLOSED
    desk.server.set_market_open("EURUSD", True)
    assert desk.buy(login, 0.1)
    with pytest.raises(ValueError, match="not a symbol"):
        desk.server.set_quotes("EURXYZ", True)
    with pytest.raises(ValueError, match="not a trade mode"):
        desk.server.set_trade_mode("EURUSD", 5)


def test_it_stands_still_over_the_weekend_and_goes_on_on_monday() -> None:
    desk = Desk(feed=True)
    login = desk.open_account()
    desk.clock.now = _utc(2026, 11, 20, 21, 50)  # Friday, 23:50 on the broker's clock
    desk.server.step()
    _stepped(desk, _utc(2026, 11, 20, 22, 10))
    closed = desk.server.call("symbol_tick", login, "EURUSD")
    crypto = desk.server.call("symbol_tick", login, "BTCUSD")
    assert closed[0] % DAY <= DAY - 2 * MINUTE
    _stepped(desk, _utc(2026, 11, 22, 19, 0), 3 * HOUR)  # Sunday evening
    assert desk.server.call("symbol_tick", login, "EURUSD") == closed
    assert desk.server.call("symbol_tick", login, "BTCUSD")[1] != crypto[1]
    assert desk.market(login, mt5.ORDER_TYPE_BUY, 0.1)[0] == mt5.TRADE_RETCODE_MARKET_CLOSED
    _stepped(desk, _utc(2026, 11, 22, 22, 3))
    opened = desk.server.call("symbol_tick", login, "EURUSD")
    assert opened[0] > closed[0]
    assert abs(opened[1] - closed[1]) > 0.0001  # ten points between two ticks
    assert _bars(desk, "EURUSD", mt5.TIMEFRAME_D1)["time"][-2:].tolist() == [
        WEDNESDAY + 2 * DAY, WEDNESDAY + 5 * DAY
    ]  # fmt: skip


def test_it_lives_through_a_pause_in_order_of_time() -> None:
    desk = Desk(feed=True)
    login = desk.open_account(deposit=100_000.0)
    desk.clock.now = _utc(2026, 11, 19, 20, 0)  # Thursday, 22:00 on the broker's clock
    desk.server.step()
    desk.buy(login, 0.1)
    desk.clock.now += 6 * HOUR
    desk.server.step()
    hours = _bars(desk, "EURUSD", mt5.TIMEFRAME_H1, 7)["time"]
    assert (hours % DAY // HOUR).tolist() == [22, 23, 0, 1, 2, 3, 4]
    (position,) = desk.positions(login)
    assert position["swap"] < 0  # the night has been charged

    desk.sell(login, 0.1, sl=0.0, tp=0.0, position=position["ticket"])
    ticket = desk.buy(login, 0.1, sl=desk.server.call("symbol_tick", login, "EURUSD")[1] - 0.001)
    began = desk.clock.now
    desk.clock.now = _utc(2026, 11, 21, 12, 0)  # Saturday
    desk.server.step()
    stopped = [deal for deal in desk.deals(login) if deal["position"] == ticket][1:]
    assert [deal["reason"] for deal in stopped] == [mt5.DEAL_REASON_SL]
    assert began + 2 * HOUR < stopped[0]["time"] < _utc(2026, 11, 20, 23, 58)


PRAGUE = "Europe/Prague"
SPRING = _utc(2027, 3, 28, 1, 0)  # 02:00 → 03:00, a Sunday
AUTUMN = _utc(2026, 10, 25, 1, 0)  # 03:00 → 02:00


def _desk_at(moment: float) -> Desk:
    clock = Clock(moment)
    desk = Desk(feed=True, zone_name=PRAGUE, clock=clock)
    desk.clock = clock
    desk.open_account()
    return desk


def _sunday(change: float) -> Desk:
    desk = _desk_at(change - 2 * HOUR)
    _stepped(desk, change + 3 * HOUR)
    return desk


def test_it_skips_the_hour_that_the_clock_skips() -> None:
    desk = _sunday(SPRING)
    hours = _bars(desk, "BTCUSD", mt5.TIMEFRAME_H1)["time"][-5:]
    assert (hours % DAY // HOUR).tolist() == [1, 3, 4, 5, 6]
    minutes = _bars(desk, "BTCUSD", mt5.TIMEFRAME_M1)["time"][-200:]
    assert sorted(set(np.diff(minutes).tolist())) == [60, 61 * 60]


def test_it_goes_on_with_its_bar_in_the_repeated_hour() -> None:
    desk = _sunday(AUTUMN)
    minutes = _bars(desk, "BTCUSD", mt5.TIMEFRAME_M1)
    times = minutes["time"]
    assert (np.diff(times) == 60).all()  # no minute twice, none missing, none backwards
    last_of_summer = minutes[times % DAY == 3 * HOUR - 60][-1]
    # 02:59 of the first pass lasts until the clock shows 03:00 again.
    assert last_of_summer["tick_volume"] > 100
    ticks = desk.server.call("ticks", 1001, "BTCUSD", 0, None, 100_000, mt5.COPY_TICKS_ALL)
    assert (np.diff(ticks["time_msc"]) >= 0).all()


def test_it_answers_every_bar_within_the_repeated_hour() -> None:
    desk = _desk_at(AUTUMN - HOUR)
    seen = 0
    while desk.clock.now < AUTUMN + HOUR:
        _stepped(desk, desk.clock.now + 10 * MINUTE)
        minutes = _bars(desk, "BTCUSD", mt5.TIMEFRAME_M1)
        assert minutes["time"][-1] >= seen
        seen = int(minutes["time"][-1])
        tick = desk.server.call("symbol_tick", 1001, "BTCUSD")
        assert minutes["close"][-1] == tick[1]


@pytest.mark.parametrize("change", [SPRING, AUTUMN])
def test_its_day_begins_at_midnight_of_the_wall_clock(change: float) -> None:
    desk = _sunday(change)
    days = _bars(desk, "BTCUSD", mt5.TIMEFRAME_D1)["time"]
    assert (days % DAY == 0).all()
    assert (np.diff(days) == DAY).all()
    offset = 2 * HOUR if change == AUTUMN else HOUR
    assert days[-1] == change - HOUR - (change - HOUR + offset) % DAY + offset


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        # New York + 7 h is UTC+3 until 1 November 2026, then UTC+2: sessions follow the wall.
        (_utc(2026, 10, 29, 20, 57), True), (_utc(2026, 10, 29, 20, 58), False),
        (_utc(2026, 11, 5, 20, 58), True), (_utc(2026, 11, 5, 21, 58), False),
        (_utc(2027, 3, 11, 21, 57), True), (_utc(2027, 3, 18, 20, 57), True),
        (_utc(2027, 3, 18, 20, 58), False),
    ],
)  # fmt: skip
def test_its_sessions_follow_the_wall_clock(at: float, is_open: bool) -> None:
    desk = Desk(clock=_frozen(at))
    login = desk.open_account()
    retcode = desk.market(login, mt5.ORDER_TYPE_BUY, 0.1)[0]
    assert retcode == (mt5.TRADE_RETCODE_DONE if is_open else mt5.TRADE_RETCODE_MARKET_CLOSED)


def _frozen(at: float) -> Callable[[], float]:
    return lambda: at
