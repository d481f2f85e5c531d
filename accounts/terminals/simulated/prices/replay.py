"""Bar and tick exports played back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from ..symbols.hours import MINUTE
from .exports import BarExport, Export
from .feeds import MOST_ROUNDS_AT_ONCE, Moment, MomentAt, Quote, Quotes, Round, quote
from .timeframes import Bars

TICKS_PER_BAR = 4
_MINUTE_MSC = MINUTE * 1000
EVENT_DTYPE = np.dtype(
    [("place", "<i8"), ("symbol", "<i4"), ("bid", "<f8"), ("spread", "<f8"), ("last", "<f8"),
     ("volume", "<i8"), ("side", "<i4")]
)  # fmt: skip


class Replay:
    """Exports played back, at the same market time for every symbol, ticks at their own times.

    A bar becomes four ticks, in the order that MetaTrader's tester takes: open, low, high, close
    when it closed up, open, high, low, close otherwise. Minutes in which no file has anything
    (nights, weekends) are left out; while none of the symbols is in session, the replay waits. At
    the end it begins again, lifted or lowered so that the price goes on from where it was.
    """

    def __init__(
        self, exports: Mapping[str, Export], speed: float = 1.0, start_fraction: float = 0.2
    ) -> None:
        self._exports = {CONTRACT_INDEX[name]: export for name, export in exports.items()}
        self.symbols = sorted(self._exports)
        minutes: npt.NDArray[np.int64] = np.unique(
            np.concatenate([_minutes(export) for export in self._exports.values()])
        )
        events = np.concatenate(
            [_events(symbol, self._exports[symbol], minutes) for symbol in self.symbols]
        )
        self._events = events[np.argsort(events["place"], kind="stable")]
        self._places: npt.NDArray[np.int64] = self._events["place"].copy()
        self._length = len(minutes) * _MINUTE_MSC
        self._msc_per_second = speed * 1000
        first_minute = int(len(minutes) * start_fraction)
        self._first = first_minute * _MINUTE_MSC
        self._first_time = int(minutes[first_minute]) * MINUTE
        self._position = float(self._first)  # milliseconds of played time
        self._factor = dict.fromkeys(self.symbols, 1.0)

    def advance(self, seconds: float, moment_at: MomentAt) -> list[Round]:
        arrival = moment_at(1.0)
        if not any(arrival.quoted[symbol] for symbol in self.symbols):
            return []
        before, after = self._position, self._position + seconds * self._msc_per_second
        last_lap = int(after // self._length)
        rounds: list[Round] = []
        # Of a pause of many laps, the last two are more than can be used.
        for lap in range(max(0, last_lap - 1), last_lap + 1):
            if lap:
                self._lift()
            start = lap * self._length
            first = int(np.searchsorted(self._places, before if not lap else -1, "right"))
            stop = int(np.searchsorted(self._places, after - start, "right"))
            rounds += self._rounds(first, stop, start - before, after - before, moment_at)
        self._position = after - last_lap * self._length
        return rounds[-MOST_ROUNDS_AT_ONCE:]

    def state(self) -> Any:
        return ["msc", self._position, [self._factor[symbol] for symbol in self.symbols]]

    def resume(self, state: Any, quotes: Quotes) -> None:
        """Go on from a state; without one of these files, from the prices of the books."""
        if self._is_mine(state):
            self._position = float(state[1])
            self._factor = dict(zip(self.symbols, state[2], strict=True))
            return
        for symbol in self.symbols:
            self._factor[symbol] = quotes[symbol][0] / self._event(symbol, self._first)["bid"]

    def first_quotes(self) -> list[Quote]:
        """Return the quotes at the point where the replay starts."""
        events = [self._event(symbol, self._first) for symbol in self.symbols]
        return [quote(int(event["symbol"]), float(event["bid"]), float(event["spread"]))
                for event in events]  # fmt: skip

    def played(self, symbol: int) -> Bars:
        """Return the one-minute bars of an export before the starting point."""
        bars = self._exports[symbol].minute_bars()
        return bars[bars["time"] < self._first_time]

    def _rounds(
        self, first: int, stop: int, shift: float, passing: float, moment_at: MomentAt
    ) -> list[Round]:
        # Ticks at one millisecond are a round; no more rounds than can be used are built.
        places = np.unique(self._places[first:stop])[-MOST_ROUNDS_AT_ONCE:]
        rounds = []
        for place in places.tolist():
            low, high = np.searchsorted(self._places, (place, place + 1)).tolist()
            at = min(1.0, max(0.0, (place + shift) / passing))
            quotes = self._quotes(low, high, moment_at(at))
            if quotes:
                rounds.append(Round(at, quotes))
        return rounds

    def _quotes(self, low: int, high: int, moment: Moment) -> list[Quote]:
        newest: dict[int, Quote] = {}
        for event in self._events[low:high]:
            symbol = int(event["symbol"])
            if moment.quoted[symbol]:
                factor = self._factor[symbol]
                made = quote(symbol, float(event["bid"]) * factor, float(event["spread"]))
                last = round(float(event["last"]) * factor, CONTRACTS[symbol].digits)
                traded = int(event["volume"])
                newest[symbol] = made._replace(
                    last=last if traded else 0.0, volume=traded, side=int(event["side"])
                )
        return list(newest.values())

    def _lift(self) -> None:
        """Let the next lap begin at the price at which this one ends."""
        for symbol in self.symbols:
            last, first = self._event(symbol, self._length), self._event(symbol, -1)
            self._factor[symbol] *= last["bid"] / first["bid"]

    def _event(self, symbol: int, place: int) -> Any:
        """Return a symbol's last event at or before a place, or its first one after it."""
        mine = self._events[self._events["symbol"] == symbol]
        return mine[max(0, int(np.searchsorted(mine["place"], place, "right")) - 1)]

    def _is_mine(self, state: Any) -> bool:
        return (
            isinstance(state, (list, tuple))
            and len(state) == 3
            and state[0] == "msc"
            and len(state[2]) == len(self.symbols)
            and 0 <= state[1] < self._length
        )


def _minutes(export: Export) -> npt.NDArray[np.int64]:
    """Return the minutes (since the epoch) in which an export has something."""
    if isinstance(export, BarExport):
        return export.bars["time"] // MINUTE
    return np.unique(export.ticks["time_msc"] // _MINUTE_MSC)


def _events(symbol: int, export: Export, minutes: npt.NDArray[np.int64]) -> Bars:
    if isinstance(export, BarExport):
        return _bar_events(symbol, export.bars, minutes)
    ticks = export.ticks
    events = np.zeros(len(ticks), dtype=EVENT_DTYPE)
    minute, rest = np.divmod(ticks["time_msc"], _MINUTE_MSC)
    events["place"] = np.searchsorted(minutes, minute) * _MINUTE_MSC + rest
    events["symbol"] = symbol
    events["spread"] = ticks["ask"] - ticks["bid"]
    for name in ("bid", "last", "volume", "side"):
        events[name] = ticks[name]
    return events


def _bar_events(symbol: int, bars: Bars, minutes: npt.NDArray[np.int64]) -> Bars:
    events = np.zeros((len(bars), TICKS_PER_BAR), dtype=EVENT_DTYPE)
    places = np.searchsorted(minutes, bars["time"] // MINUTE) * _MINUTE_MSC
    events["place"] = places[:, None] + np.arange(TICKS_PER_BAR) * (_MINUTE_MSC // TICKS_PER_BAR)
    rises = bars["close"] > bars["open"]
    events["bid"][:, 0], events["bid"][:, 3] = bars["open"], bars["close"]
    events["bid"][:, 1] = np.where(rises, bars["low"], bars["high"])
    events["bid"][:, 2] = np.where(rises, bars["high"], bars["low"])
    events["spread"] = (bars["spread"] * CONTRACTS[symbol].point)[:, None]
    events["symbol"] = symbol
    return events.ravel()
