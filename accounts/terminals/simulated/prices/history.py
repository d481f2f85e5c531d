"""Price history: the bars and ticks that a terminal can ask for.

Three series are kept for each symbol: minutes, hours and days. The coarser ones grow from the
minutes that closed, so that they never disagree where two of them reach.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import constants as mt5
from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import Contract
from ..symbols.hours import DAY, HOUR, MINUTE
from .past import Past
from .series import BarValues, Series, Tail, merged, pack, unpack, with_bar
from .timeframes import RATES_DTYPE, TICKS_DTYPE, TIMEFRAMES, Bars, bar_times, grain, joined

KEPT_MINUTES = 10 * 24 * 60
KEPT_HOURS = 380 * 24
KEPT_DAYS = 6 * 366
KEPT_TICKS = 20_000
_SEEDED_TICK_MINUTES = 500
_TICKS_PER_BAR = 4


class SymbolHistory:
    """One symbol's bars and ticks, built from its own ticks.

    Bars follow the bid, or with ``by_last`` (exchange symbols) the trades.
    """

    def __init__(self, point: float, *, by_last: bool = False) -> None:
        self._point = point
        self._by_last = by_last
        self._minutes = Tail(RATES_DTYPE, KEPT_MINUTES)
        self._hours = Series(HOUR, KEPT_HOURS)
        self._days = Series(DAY, KEPT_DAYS)
        self._ticks = Tail(TICKS_DTYPE, KEPT_TICKS)
        self._bar: BarValues | None = None
        self._last = 0.0
        self._volume = 0
        self._quote: tuple[float, float] | None = None

    def seed(self, past: Past) -> None:
        """Begin with a past."""
        hours = np.concatenate([past.hours, _of(past.minutes, mt5.TIMEFRAME_H1)])
        self._minutes.replace(past.minutes)
        self._hours.seed(hours)
        self._days.seed(np.concatenate([past.days, _of(hours, mt5.TIMEFRAME_D1)]))
        self._start_ticks()

    def restore(self, bar: Sequence[Any]) -> None:
        """Take back a closed bar from the journal."""
        closed: BarValues = tuple(bar)
        if self._bar is not None and closed[0] >= self._bar[0]:
            self._bar = None  # of a snapshot, when the minute was not over
        self._close(closed)

    def regrow(self, prices: Iterable[tuple[int, float, float]]) -> None:
        """Let the present bar grow again from (time_msc, bid, ask) of the journal, oldest first."""
        self._start_ticks()
        for time_msc, bid, ask in prices:
            self.tick(max(time_msc, self.earliest_msc), bid, ask)

    def tick(
        self,
        time_msc: int,
        bid: float,
        ask: float,
        last: float = 0.0,
        volume: int = 0,
        side: int = 0,
    ) -> BarValues | None:
        """Add a tick, never earlier than the one before; return the bar that it closed, if any.

        ``last``, ``volume`` and ``side`` are of a trade; without one they are 0.
        """
        self._add_tick(time_msc, bid, ask, last, volume, side)
        if not self._by_last:
            return self._grow(time_msc // 1000, bid, ask, 0)
        return self._grow(time_msc // 1000, last, ask - bid + last, volume) if volume else None

    def resume(self, time_msc: int, bid: float, ask: float) -> None:
        """Let the present bar begin at a restart, with the price that the books have."""
        if self._by_last:
            self._quote = (bid, ask)
        else:
            self.tick(time_msc, bid, ask)

    def bars(self, timeframe: int) -> Bars | None:
        """Return all bars of a timeframe, the present one last; None for an unknown timeframe."""
        if timeframe not in TIMEFRAMES:
            return None
        finest = self._with_present(self._minutes.rows)
        if timeframe == mt5.TIMEFRAME_M1:
            return finest
        seconds = grain(timeframe)
        if seconds == MINUTE:
            rows, is_full = finest, self._minutes.is_full
        else:
            series = self._hours if seconds == HOUR else self._days
            rows, is_full = self._with_present(series.rows, seconds), series.closed.is_full
        keys = bar_times(rows["time"], timeframe)
        # The first bar of a series that was cut off may lack its beginning.
        cut = is_full and len(rows) > 0 and keys[0] != rows["time"][0]
        bars = joined(rows, keys)
        return bars[1:] if cut else bars

    def dump(self) -> list[Any]:
        rows = (self._minutes.rows, self._hours.rows, self._days.rows)
        return [*(pack(bars, self._point) for bars in rows), self._bar]

    def load(self, dumped: Sequence[Any]) -> None:
        minutes, hours, days, bar = dumped
        self._minutes.replace(unpack(minutes, self._point))
        self._hours.seed(unpack(hours, self._point))
        self._days.seed(unpack(days, self._point))
        self._bar = None if bar is None else tuple(bar)
        self._start_ticks()

    def load_minutes(self, bars: Bars) -> None:
        """Take over a history that had minutes only."""
        hours = _of(bars, mt5.TIMEFRAME_H1)
        self._minutes.replace(bars)
        self._hours.seed(hours)
        self._days.seed(_of(hours, mt5.TIMEFRAME_D1))
        self._start_ticks()

    @property
    def closed(self) -> Bars:
        """The one-minute bars that closed."""
        return self._minutes.rows

    @property
    def ticks(self) -> Bars:
        return self._ticks.rows

    @property
    def earliest_msc(self) -> int:
        """The earliest time that the next tick can have, though the clock may have gone back."""
        ticks = self.ticks
        newest_msc = int(ticks["time_msc"][-1]) if len(ticks) else 0
        return max(self._closed_until * 1000, newest_msc)

    @property
    def known_until(self) -> int:
        """When the newest bar is over (the broker's clock), the present one too; 0 without any."""
        return self._closed_until if self._bar is None else self._bar[0] + MINUTE

    @property
    def _closed_until(self) -> int:
        rows = self._minutes.rows
        return int(rows["time"][-1]) + MINUTE if len(rows) else 0

    def _add_tick(
        self, time_msc: int, bid: float, ask: float, last: float, volume: int, side: int
    ) -> None:
        known = self._quote
        flags = mt5.TICK_FLAG_BID if known is None or known[0] != bid else 0
        flags |= mt5.TICK_FLAG_ASK if known is None or known[1] != ask else 0
        if volume:
            flags |= mt5.TICK_FLAG_LAST | mt5.TICK_FLAG_VOLUME | side
            self._last, self._volume = last, volume
        elif not flags:  # the same price set again by hand
            flags = mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK
        self._quote = (bid, ask)
        self._ticks.add((time_msc // 1000, bid, ask, self._last, self._volume, time_msc, flags,
                         float(self._volume)))  # fmt: skip

    def _grow(self, seconds: int, price: float, ask: float, volume: int) -> BarValues | None:
        opened_at = seconds - seconds % MINUTE
        spread = round((ask - price) / self._point)
        bar = self._bar
        if bar is not None and opened_at <= bar[0]:
            time, opened, high, low, _, ticks, least, traded = bar
            self._bar = (time, opened, max(high, price), min(low, price), price, ticks + 1,
                         min(least, spread), traded + volume)  # fmt: skip
            return None
        self._bar = (opened_at, price, price, price, price, 1, spread, volume)
        if bar is not None:
            self._close(bar)
        return bar

    def _close(self, bar: BarValues) -> None:
        self._minutes.add(bar)
        self._hours.add(bar)
        self._days.add(bar)

    def _with_present(self, rows: Bars, seconds: int = MINUTE) -> Bars:
        """Return rows with the present minute merged into their last one, or after it."""
        if self._bar is None:
            return rows
        opened_at = self._bar[0] - self._bar[0] % seconds
        if seconds > MINUTE and len(rows) and opened_at <= rows["time"][-1]:
            return with_bar(rows[:-1], merged(rows[-1].item(), self._bar))
        return with_bar(rows, (opened_at, *self._bar[1:]))

    def _start_ticks(self) -> None:
        """Give the time before the first tick some ticks: four for each of the last minutes."""
        bars = self._minutes.rows[-_SEEDED_TICK_MINUTES:]
        ticks = np.zeros((len(bars), _TICKS_PER_BAR), dtype=TICKS_DTYPE)
        rises = bars["close"] > bars["open"]
        bids = ticks["bid"]
        bids[:, 0], bids[:, 3] = bars["open"], bars["close"]
        bids[:, 1] = np.where(rises, bars["low"], bars["high"])
        bids[:, 2] = np.where(rises, bars["high"], bars["low"])
        ticks["ask"] = bids + (bars["spread"] * self._point)[:, None]
        offsets = np.arange(_TICKS_PER_BAR) * (MINUTE // _TICKS_PER_BAR)
        ticks["time"] = bars["time"][:, None] + offsets
        ticks["time_msc"] = ticks["time"] * 1000
        ticks["flags"] = mt5.TICK_FLAG_BID | mt5.TICK_FLAG_ASK
        if self._by_last:
            ticks["last"] = bids
            ticks["volume"] = np.maximum(bars["real_volume"] // _TICKS_PER_BAR, 1)[:, None]
            ticks["volume_real"] = ticks["volume"]
            ticks["flags"] |= mt5.TICK_FLAG_LAST | mt5.TICK_FLAG_VOLUME | mt5.TICK_FLAG_SELL
            if len(bars):
                self._last, self._volume = float(bids[-1, 3]), int(ticks["volume"][-1, 3])
        digits = round(-np.log10(self._point))
        ticks["ask"] = np.round(ticks["ask"], digits)
        self._ticks.replace(ticks.ravel())


class PriceHistory:
    """The histories of all symbols, in the order of CONTRACTS."""

    def __init__(self) -> None:
        self.symbols = [_history_of(contract) for contract in CONTRACTS]

    def dump(self) -> list[Any]:
        return [history.dump() for history in self.symbols]

    def load(self, dumped: Sequence[Any]) -> None:
        """Take over a dump; symbols that it doesn't have (new contracts) stay empty."""
        for history, kept in zip(self.symbols, dumped, strict=False):
            if isinstance(kept, bytes):  # before there were hours and days
                history.load_minutes(np.frombuffer(kept, dtype=RATES_DTYPE))
            else:
                history.load(kept)


def _history_of(contract: Contract) -> SymbolHistory:
    by_last = contract.chart_mode == mt5.SYMBOL_CHART_MODE_LAST
    return SymbolHistory(contract.point, by_last=by_last)


def _of(bars: Bars, timeframe: int) -> Bars:
    return joined(bars, bar_times(bars["time"], timeframe))
