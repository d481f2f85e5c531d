"""Price history: the one-minute bars and the last ticks that a terminal can ask for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import constants as mt5
from .catalogue import CONTRACTS

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
BarValues = tuple[int, float, float, float, float, int, int, int]

MINUTE = 60
DAY = 86_400
KEPT_BARS = 3 * 24 * 60
KEPT_TICKS = 20_000
_SUNDAY_OFFSET = 4 * DAY  # 1970-01-01 was a Thursday; MetaTrader's weeks begin on Sunday


class _Tail:
    """The newest rows of an endless series, oldest first."""

    def __init__(self, dtype: np.dtype[np.void], kept: int) -> None:
        self._rows: Bars = np.zeros(kept * 2, dtype=dtype)
        self._kept = kept
        self._size = 0

    def add(self, row: Sequence[Any]) -> None:
        if self._size == len(self._rows):
            self._rows[: self._kept] = self._rows[-self._kept :].copy()
            self._size = self._kept
        self._rows[self._size] = tuple(row)
        self._size += 1

    def replace(self, rows: Bars) -> None:
        newest = rows[-self._kept :]
        self._rows[: len(newest)] = newest
        self._size = len(newest)

    @property
    def rows(self) -> Bars:
        return self._rows[max(0, self._size - self._kept) : self._size]


class SymbolHistory:
    """One symbol's bars and ticks, built from its own ticks."""

    def __init__(self, point: float) -> None:
        self._point = point
        self._closed = _Tail(RATES_DTYPE, KEPT_BARS)
        self._ticks = _Tail(TICKS_DTYPE, KEPT_TICKS)
        self._bar: BarValues | None = None

    def seed(self, bars: Bars) -> None:
        self._closed.replace(bars)

    def restore(self, bar: Sequence[Any]) -> None:
        """Take back a closed bar from the journal."""
        self._closed.add(bar)

    def tick(self, time_msc: int, bid: float, ask: float) -> BarValues | None:
        """Add a tick; return the bar that it closed, if any."""
        seconds = time_msc // 1000
        flags = mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK
        self._ticks.add((seconds, bid, ask, 0.0, 0, time_msc, flags, 0.0))
        opened_at = seconds - seconds % MINUTE
        bar = self._bar
        spread = round((ask - bid) / self._point)
        # "Not later" also holds in autumn's repeated hour: it goes on with the bar it has.
        if bar is not None and opened_at <= bar[0]:
            time, opened, high, low, _, ticks, least, volume = bar
            self._bar = (time, opened, max(high, bid), min(low, bid), bid, ticks + 1,
                         min(least, spread), volume)  # fmt: skip
            return None
        self._bar = (opened_at, bid, bid, bid, bid, 1, spread, 0)
        if bar is not None:
            self._closed.add(bar)
        return bar

    @property
    def closed(self) -> Bars:
        return self._closed.rows

    @property
    def ticks(self) -> Bars:
        return self._ticks.rows

    def bars(self, timeframe: int) -> Bars | None:
        """Return all bars of a timeframe, the present one last; None for an unknown timeframe."""
        minutes = self._minutes()
        if timeframe == mt5.TIMEFRAME_M1:
            return minutes
        keys = _bar_times(minutes["time"], timeframe)
        return None if keys is None else _aggregated(minutes, keys)

    def day_range(self) -> tuple[float, float, float, float]:
        """Return today's highest and lowest bid, and the same of the ask by the present spread."""
        minutes = self._minutes()
        if not len(minutes):
            return 0.0, 0.0, 0.0, 0.0
        today = minutes[minutes["time"] // DAY == minutes["time"][-1] // DAY]
        spread = int(minutes["spread"][-1]) * self._point
        high, low = float(today["high"].max()), float(today["low"].min())
        return high, low, high + spread, low + spread

    def _minutes(self) -> Bars:
        closed = self._closed.rows
        if self._bar is None:
            return closed
        present = np.array([self._bar], dtype=RATES_DTYPE)
        before = closed[closed["time"] < self._bar[0]]
        return np.concatenate([before, present])


class PriceHistory:
    """The histories of all symbols, in the order of CONTRACTS."""

    def __init__(self) -> None:
        self.symbols = [SymbolHistory(contract.point) for contract in CONTRACTS]

    def dump(self) -> list[bytes]:
        return [history.closed.tobytes() for history in self.symbols]

    def load(self, dumped: Sequence[bytes]) -> None:
        for history, raw in zip(self.symbols, dumped, strict=True):
            history.seed(np.frombuffer(raw, dtype=RATES_DTYPE))

    def is_empty(self) -> bool:
        return not any(len(history.closed) for history in self.symbols)


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
    """Choose ticks as copy_ticks_* do; this market has quotes only, no trade ticks."""
    if flags == mt5.COPY_TICKS_TRADE:
        return ticks[:0]
    chosen = ticks[ticks["time_msc"] >= start * 1000]
    if end is not None:
        chosen = chosen[chosen["time_msc"] <= end * 1000]
    return chosen if count is None else chosen[:count]


def _bar_times(times: npt.NDArray[np.int64], timeframe: int) -> npt.NDArray[np.int64] | None:
    if timeframe == mt5.TIMEFRAME_MN1:
        months = times.astype("datetime64[s]").astype("datetime64[M]")
        return months.astype("datetime64[s]").astype(np.int64)
    if timeframe == mt5.TIMEFRAME_W1:
        return times - (times + _SUNDAY_OFFSET) % (7 * DAY)
    hours = timeframe & 0x3FFF
    seconds = hours * 3600 if timeframe & 0x4000 else timeframe * MINUTE
    known = {value for name, value in vars(mt5).items() if name.startswith("TIMEFRAME_")}
    return times - times % seconds if timeframe in known else None


def _aggregated(minutes: Bars, keys: npt.NDArray[np.int64]) -> Bars:
    if not len(minutes):
        return minutes
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    ends = np.concatenate([starts[1:], [len(keys)]]) - 1
    bars = np.zeros(len(starts), dtype=RATES_DTYPE)
    bars["time"] = keys[starts]
    bars["open"] = minutes["open"][starts]
    bars["high"] = np.maximum.reduceat(minutes["high"], starts)
    bars["low"] = np.minimum.reduceat(minutes["low"], starts)
    bars["close"] = minutes["close"][ends]
    bars["tick_volume"] = np.add.reduceat(minutes["tick_volume"], starts)
    bars["spread"] = np.minimum.reduceat(minutes["spread"], starts)
    return bars
