"""Bars and ticks as arrays: MetaTrader's time grid, joining bars, and choosing what was asked."""

import numpy as np
import numpy.typing as npt

from .. import constants as mt5
from ..symbols.hours import DAY, HOUR, MINUTE, WEEK

# Packed, as the MetaTrader5 package lays them out: 60 bytes each.
RATES_DTYPE = np.dtype(
    [("time", "<i8"), ("open", "<f8"), ("high", "<f8"), ("low", "<f8"), ("close", "<f8"),
     ("tick_volume", "<u8"), ("spread", "<i4"), ("real_volume", "<u8")]
)  # fmt: skip
TICKS_DTYPE = np.dtype(
    [("time", "<i8"), ("bid", "<f8"), ("ask", "<f8"), ("last", "<f8"), ("volume", "<u8"),
     ("time_msc", "<i8"), ("flags", "<u4"), ("volume_real", "<f8")]
)  # fmt: skip
Bars = npt.NDArray[np.void]
TIMEFRAMES = frozenset(value for name, value in vars(mt5).items() if name.startswith("TIMEFRAME_"))
_SUNDAY_OFFSET = 4 * DAY  # 1970-01-01 was a Thursday; MetaTrader's weeks begin on Sunday
_HOURLY = 0x4000
_INFO_FLAGS = mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK
_TRADE_FLAGS = mt5.TICK_FLAG_LAST | mt5.TICK_FLAG_VOLUME


def grain(timeframe: int) -> int:
    """Return the seconds of the coarsest bars (minute, hour, day) that a timeframe consists of."""
    if timeframe in (mt5.TIMEFRAME_D1, mt5.TIMEFRAME_W1, mt5.TIMEFRAME_MN1):
        return DAY
    return HOUR if timeframe & _HOURLY else MINUTE


def bar_times(times: npt.NDArray[np.int64], timeframe: int) -> npt.NDArray[np.int64]:
    """Return when the bars of a timeframe opened that moments of the broker's clock lie in."""
    if timeframe == mt5.TIMEFRAME_MN1:
        months = times.astype("datetime64[s]").astype("datetime64[M]")
        return months.astype("datetime64[s]").astype(np.int64)
    if timeframe == mt5.TIMEFRAME_W1:
        return times - (times + _SUNDAY_OFFSET) % WEEK
    units = timeframe & ~_HOURLY
    seconds = units * (HOUR if timeframe & _HOURLY else MINUTE)
    return times - times % seconds


def joined(bars: Bars, keys: npt.NDArray[np.int64]) -> Bars:
    """Join neighbouring bars that share a key, which is the time of the bar that they become."""
    if not len(bars):
        return bars
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    ends = np.concatenate([starts[1:], [len(keys)]]) - 1
    result = np.zeros(len(starts), dtype=RATES_DTYPE)
    result["time"] = keys[starts]
    result["open"] = bars["open"][starts]
    result["high"] = np.maximum.reduceat(bars["high"], starts)
    result["low"] = np.minimum.reduceat(bars["low"], starts)
    result["close"] = bars["close"][ends]
    result["tick_volume"] = np.add.reduceat(bars["tick_volume"], starts)
    result["spread"] = np.minimum.reduceat(bars["spread"], starts)
    result["real_volume"] = np.add.reduceat(bars["real_volume"], starts)
    return result


def select_rates(
    bars: Bars, start: int | None, end: int | None, position: int | None, count: int | None
) -> Bars:
    """Choose bars as copy_rates_* do: by range, by end and count, or by place from the newest."""
    if start is not None and end is not None:
        return bars[(bars["time"] >= start) & (bars["time"] <= end)]
    if position is None:
        last = start if end is None else end
        chosen = bars if last is None else bars[bars["time"] <= last]
        return chosen[-count:] if count else chosen[:0]
    stop = len(bars) - position
    return bars[max(0, stop - (count or 0)) : max(0, stop)]


def select_ticks(ticks: Bars, start: int, end: int | None, count: int | None, flags: int) -> Bars:
    """Choose ticks as copy_ticks_* do: ``flags`` asks for quotes, for trades, or for both."""
    wanted = _INFO_FLAGS if flags & mt5.COPY_TICKS_INFO else 0
    wanted |= _TRADE_FLAGS if flags & mt5.COPY_TICKS_TRADE else 0
    chosen: Bars = ticks[(ticks["time_msc"] >= start * 1000) & (ticks["flags"] & wanted != 0)]
    if end is not None:
        chosen = chosen[chosen["time_msc"] <= end * 1000]
    return chosen if count is None else chosen[:count]
