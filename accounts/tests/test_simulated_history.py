"""Bars of all timeframes and ticks: how they grow, agree with each other, and are asked for."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.prices.history import PriceHistory, SymbolHistory
from accounts.terminals.simulated.prices.past import seeded_past
from accounts.terminals.simulated.prices.timeframes import RATES_DTYPE, TIMEFRAMES
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.terminals.simulated.symbols.hours import DAY, HOUR, MINUTE
from accounts.tests.simulated_desk import Desk

NOON = 1_795_003_200  # Wednesday, 18 November 2026
EURUSD, MSFT = CONTRACT_INDEX["EURUSD"], CONTRACT_INDEX["MSFT"]
FAR = 100_000


def _bars(history: SymbolHistory, timeframe: int) -> Any:
    bars = history.bars(timeframe)
    assert bars is not None
    return bars


@pytest.fixture(scope="module")
def lively() -> Desk:
    """A desk after five minutes at sixty times the market's pace."""
    desk = Desk(feed=True, speed=60.0)
    desk.open_account()
    for _ in range(300):
        desk.clock.now += 1.0
        desk.server.step()
    return desk


def _rates(desk: Desk, symbol: str, timeframe: int, *which: int | None) -> Any:
    return desk.server.call("rates", 1001, symbol, timeframe, *which)


def test_it_builds_bars_from_its_ticks() -> None:
    history = SymbolHistory(0.00001)
    for second, bid in [(0, 1.10), (20, 1.12), (59, 1.09), (60, 1.11), (3_600, 1.2)]:
        history.tick((NOON + second) * 1000, bid, bid + 0.0002)

    minutes, hours = _bars(history, mt5.TIMEFRAME_M1), _bars(history, mt5.TIMEFRAME_H1)

    assert minutes["close"].tolist() == [1.09, 1.11, 1.2]
    assert minutes[0].tolist() == (NOON, 1.10, 1.12, 1.09, 1.09, 3, 20, 0)
    assert hours["time"].tolist() == [NOON, NOON + HOUR]
    assert hours[0].tolist() == (NOON, 1.10, 1.12, 1.09, 1.11, 4, 20, 0)
    assert history.bars(7) is None
    assert all(len(_bars(history, timeframe)) >= 1 for timeframe in TIMEFRAMES)


def test_it_begins_weeks_on_sunday_and_months_on_the_first() -> None:
    history = SymbolHistory(0.00001)
    for day in (18, 21, 22, 31):
        history.tick((NOON + (day - 18) * DAY) * 1000, 1.1, 1.1)

    def opened(timeframe: int) -> list[str]:
        return list(
            _bars(history, timeframe)["time"]
            .astype("datetime64[s]")
            .astype("datetime64[D]")
            .astype(str)
        )

    assert opened(mt5.TIMEFRAME_W1) == ["2026-11-15", "2026-11-22", "2026-11-29"]
    assert opened(mt5.TIMEFRAME_MN1) == ["2026-11-01", "2026-12-01"]


def test_it_builds_bars_of_an_exchange_from_trades() -> None:
    history = SymbolHistory(0.01, by_last=True)
    history.tick(NOON * 1000, 10.0, 10.2)
    assert len(_bars(history, 1)) == 0
    history.tick(NOON * 1000 + 1, 10.0, 10.2, 10.2, 3, mt5.TICK_FLAG_BUY)
    history.tick(NOON * 1000 + 2, 10.1, 10.2)
    history.tick(NOON * 1000 + 3, 10.1, 10.2, 10.1, 4, mt5.TICK_FLAG_SELL)
    assert _bars(history, 1).tolist() == [(NOON, 10.2, 10.2, 10.1, 10.1, 2, 10, 7)]
    assert history.ticks["last"].tolist() == [0.0, 10.2, 10.2, 10.1]
    assert history.ticks["flags"].tolist() == [2 | 4, 8 | 16 | 32, 2, 8 | 16 | 64]


def test_its_flags_tell_which_side_changed() -> None:
    history = SymbolHistory(0.00001)
    for bid, ask in [(1.1, 1.2), (1.1, 1.3), (1.0, 1.3), (1.2, 1.4), (1.2, 1.4)]:
        history.tick(NOON * 1000, bid, ask)
    assert history.ticks["flags"].tolist() == [6, 4, 2, 6, 6]


@pytest.mark.parametrize("name", [contract.name for contract in CONTRACTS])
def test_its_past_lies_in_the_hours_of_the_symbol(lively: Desk, name: str) -> None:
    hours = CONTRACTS[CONTRACT_INDEX[name]].hours
    for timeframe, seconds, least in ((mt5.TIMEFRAME_M1, MINUTE, 2_500),
                                      (mt5.TIMEFRAME_H1, HOUR, 1_700),
                                      (mt5.TIMEFRAME_D1, DAY, 1_250)):  # fmt: skip
        bars = _rates(lively, name, timeframe, None, None, 0, FAR)
        assert len(bars) > least
        assert hours.touched(bars["time"], seconds).all()
        assert (np.diff(bars["time"]) >= seconds).all()
        assert (bars["low"] <= np.minimum(bars["open"], bars["close"])).all()
        assert (bars["high"] >= np.maximum(bars["open"], bars["close"])).all()
        assert (bars["low"] > 0).all()
        assert (bars["tick_volume"] > 0).all()
        assert (bars["spread"] > 0).all()
        assert (bars["real_volume"].max() > 0) == (name in ("MSFT", "NQH30"))


@pytest.mark.parametrize("name", ["EURUSD", "EURGBP", "GOLD", "BTCUSD", "NQH30"])
def test_its_timeframes_agree_with_each_other(lively: Desk, name: str) -> None:
    long = {mt5.TIMEFRAME_W1, mt5.TIMEFRAME_MN1}
    for timeframe in sorted(TIMEFRAMES - {mt5.TIMEFRAME_M1}):
        finest = mt5.TIMEFRAME_D1 if timeframe in long else mt5.TIMEFRAME_M1
        finer = _rates(lively, name, finest, None, None, 0, FAR)
        bars = _rates(lively, name, timeframe, None, None, 0, FAR)
        whole = bars[bars["time"] >= finer["time"][0] - finer["time"][0] % DAY]
        assert len(whole) > 5
        ends = np.append(whole["time"][1:], finer["time"][-1] + DAY)
        for bar, end in zip(whole, ends, strict=True):
            inside = finer[(finer["time"] >= bar["time"]) & (finer["time"] < end)]
            assert bar["high"] == inside["high"].max()
            assert bar["low"] == inside["low"].min()
            assert (bar["open"], bar["close"]) == (inside["open"][0], inside["close"][-1])
            assert bar["tick_volume"] == inside["tick_volume"].sum()


@pytest.mark.parametrize("timeframe", sorted(TIMEFRAMES))
def test_its_newest_bar_contains_the_present_tick(lively: Desk, timeframe: int) -> None:
    tick = lively.server.call("symbol_tick", 1001, "EURUSD")
    (newest,) = _rates(lively, "EURUSD", timeframe, None, None, 0, 1)
    assert newest["close"] == tick[1]
    assert newest["low"] <= tick[1] <= newest["high"]
    assert newest["time"] <= tick[0]


def test_its_days_hold_the_highs_of_their_hours_all_the_way_back(lively: Desk) -> None:
    hours = _rates(lively, "GBPUSD", mt5.TIMEFRAME_H1, None, None, 0, FAR)
    days = _rates(lively, "GBPUSD", mt5.TIMEFRAME_D1, None, None, 0, FAR)
    for day in days[days["time"] >= hours["time"][0] - hours["time"][0] % DAY]:
        inside = hours[hours["time"] // DAY == day["time"] // DAY]
        assert (day["high"], day["low"]) == (inside["high"].max(), inside["low"].min())


def test_it_answers_rates_as_asked(lively: Desk) -> None:
    def rates(*which: int | None) -> list[int]:
        return list(_rates(lively, "EURUSD", mt5.TIMEFRAME_M1, *which)["time"].tolist())

    everything = rates(None, None, 0, FAR)
    assert len(everything) > 10_000
    assert everything == sorted(set(everything))
    assert rates(None, None, 0, 3) == everything[-3:]
    assert rates(None, None, 2, 3) == everything[-5:-2]
    assert rates(None, None, len(everything) - 1, 3) == everything[:1]
    assert rates(None, None, len(everything), 3) == []
    # By range: opened at or after the start, and at or before the end.
    assert rates(everything[5], everything[9], None, None) == everything[5:10]
    assert rates(everything[5] + 1, everything[9] - 1, None, None) == everything[6:9]
    # By end and count: the last bar is the one at or before the date.
    assert rates(everything[9], None, None, 2) == everything[8:10]
    assert rates(everything[9] + 30, None, None, 2) == everything[8:10]
    assert rates(everything[9] - 1, None, None, 2) == everything[7:9]
    assert lively.server.call("rates", 1001, "EURXYZ", 1, None, None, 0, 5) is None


def test_it_answers_ticks_as_asked(lively: Desk) -> None:
    def ticks(symbol: str, flags: int, start: int = 0, count: int | None = FAR) -> Any:
        return lively.server.call("ticks", 1001, symbol, start, None, count, flags)

    everything = ticks("EURUSD", mt5.COPY_TICKS_ALL)
    assert len(everything) > 2_000
    assert (np.diff(everything["time_msc"]) >= 0).all()
    assert ticks("EURUSD", mt5.COPY_TICKS_ALL, 0, 5).tolist() == everything[:5].tolist()
    assert ticks("EURUSD", mt5.COPY_TICKS_INFO).tolist() == everything.tolist()
    assert len(ticks("EURUSD", mt5.COPY_TICKS_TRADE)) == 0
    middle = int(everything["time"][1_000])
    assert ticks("EURUSD", mt5.COPY_TICKS_ALL, middle)["time"][0] == middle
    newest = lively.server.call("symbol_tick", 1001, "EURUSD")
    assert everything[-1].tolist()[:3] == newest[:3]


def test_an_exchange_has_ticks_of_trades() -> None:
    desk = Desk(feed=True, speed=60.0, always_open=True)
    login = desk.open_account()
    for _ in range(120):
        desk.clock.now += 1.0
        desk.server.step()
    start = int(desk.clock.now + 2 * HOUR) - 100
    sides = mt5.TICK_FLAG_BUY | mt5.TICK_FLAG_SELL

    trades = desk.server.call("ticks", login, "MSFT", start, None, FAR, mt5.COPY_TICKS_TRADE)
    quotes = desk.server.call("ticks", login, "MSFT", start, None, FAR, mt5.COPY_TICKS_INFO)
    everything = desk.server.call("ticks", login, "MSFT", start, None, FAR, mt5.COPY_TICKS_ALL)

    assert 30 < len(trades) < 90
    assert (trades["flags"] & (mt5.TICK_FLAG_LAST | mt5.TICK_FLAG_VOLUME) == 24).all()
    assert (trades["flags"] & sides > 0).all()
    assert (trades["flags"] & sides < sides).all()
    assert (trades["volume"] > 0).all()
    assert set(trades["last"].tolist()) <= {*trades["bid"].tolist(), *trades["ask"].tolist()}
    assert (quotes["flags"] & 6 > 0).all()
    assert len(everything) >= max(len(trades), len(quotes))
    (bar,) = desk.server.call("rates", login, "MSFT", mt5.TIMEFRAME_M1, None, None, 0, 1)
    assert bar["close"] == everything["last"][-1]
    assert bar["real_volume"] > 0


def test_its_past_is_seeded_by_the_symbol_and_ends_at_the_price() -> None:
    one, same, other = (seeded_past(CONTRACTS[EURUSD], seed, 1.1, NOON + 30) for seed in (1, 1, 2))
    assert one.minutes.tolist() == same.minutes.tolist() != other.minutes.tolist()
    assert one.minutes["close"][-1] == 1.1
    assert one.minutes["time"][-1] == NOON - MINUTE
    assert one.hours["close"][-1] == pytest.approx(one.minutes["open"][0], rel=1e-3)
    daily = np.std(np.diff(np.log(one.days["close"]))) * np.sqrt(252)
    assert daily == pytest.approx(CONTRACTS[EURUSD].annual_volatility, rel=0.15)


def test_it_comes_back_from_a_dump_in_points() -> None:
    desk = Desk(feed=True, speed=60.0)
    for _ in range(90):
        desk.clock.now += 1.0
        desk.server.step()
    history = desk.server._engine.history
    again = PriceHistory()
    again.load(history.dump())
    for before, after in zip(history.symbols, again.symbols, strict=True):
        for timeframe in TIMEFRAMES:
            assert _bars(before, timeframe).tolist() == _bars(after, timeframe).tolist()
    size = sum(len(part) for symbol in history.dump() for part in symbol[:3])
    assert size < 16_000_000


def test_it_takes_over_a_history_of_minutes_alone() -> None:
    past = seeded_past(CONTRACTS[EURUSD], 1, 1.1, NOON)
    history = PriceHistory()
    history.load([past.minutes.tobytes()])
    eurusd = history.symbols[EURUSD]
    assert _bars(eurusd, mt5.TIMEFRAME_M1).tolist() == past.minutes.tolist()
    assert _bars(eurusd, mt5.TIMEFRAME_D1)["close"][-1] == 1.1
    assert len(_bars(history.symbols[MSFT], mt5.TIMEFRAME_D1)) == 0


def test_a_weekend_has_no_bars_of_forex(lively: Desk) -> None:
    start = int(datetime(2026, 11, 14, tzinfo=UTC).timestamp())
    for timeframe in (mt5.TIMEFRAME_M1, mt5.TIMEFRAME_H1, mt5.TIMEFRAME_D1):
        assert len(_rates(lively, "EURUSD", timeframe, start, start + 2 * DAY - 1, None, None)) == 0
        assert len(_rates(lively, "BTCUSD", timeframe, start, start + 2 * DAY - 1, None, None)) > 1
    assert RATES_DTYPE.itemsize == 60
