"""Where prices come from: a seeded random walk, or the bars of export files played back."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .catalogue import CONTRACT_INDEX, CONTRACTS
from .exports import BarExport
from .history import DAY, MINUTE, RATES_DTYPE, Bars

Quote = tuple[int, float, float]  # symbol, bid, ask
Round = list[Quote]  # at most one quote per symbol
Quotes = Sequence[Sequence[float]]  # bid and ask per symbol

TRADING_SECONDS_A_YEAR = 252 * DAY
TICKS_PER_BAR = 4
MOST_ROUNDS_AT_ONCE = 240
# The walk is drawn back to where it began, so that a desk can run for weeks in sane prices.
_PULL_PER_SECOND = math.log(2) / (3 * DAY)


class RandomWalk:
    """Seeded walks with each symbol's own volatility, one quote of every symbol per advance.

    ``speed`` is how many seconds of market time pass in a second.
    """

    def __init__(self, symbols: Sequence[int], seed: int, speed: float = 1.0) -> None:
        self._symbols = list(symbols)
        self._speed = speed
        self._random = np.random.Generator(np.random.PCG64(seed))
        contracts = [CONTRACTS[symbol] for symbol in self._symbols]
        self._sigma = np.array([contract.annual_volatility for contract in contracts]) / math.sqrt(
            TRADING_SECONDS_A_YEAR
        )
        self._home = np.log([contract.start_bid for contract in contracts])
        self._level = self._home.copy()
        self._spread = [contract.spread_points for contract in contracts]

    def advance(self, seconds: float) -> list[Round]:
        passed = seconds * self._speed
        steps = self._random.standard_normal(len(self._symbols)) * self._sigma * math.sqrt(passed)
        pull = -math.expm1(-_PULL_PER_SECOND * passed)
        self._level += steps + (self._home - self._level) * pull
        wider = self._random.integers(0, 3, len(self._symbols)).tolist()
        bids = np.exp(self._level).tolist()
        return [
            [
                _quote(symbol, bid, spread + extra)
                for symbol, bid, spread, extra in zip(
                    self._symbols, bids, self._spread, wider, strict=True
                )
            ]
        ]

    def state(self) -> Any:
        state = self._random.bit_generator.state["state"]
        return [str(state["state"]), str(state["inc"])]  # 128 bits: too wide for the wire

    def resume(self, state: Any, quotes: Quotes) -> None:
        self._level = np.log([quotes[symbol][0] for symbol in self._symbols])
        if state:
            position = {"state": int(state[0]), "inc": int(state[1])}
            generator = self._random.bit_generator
            generator.state = {**generator.state, "state": position}

    def history(self, symbol: int, bid: float, end: int, count: int) -> Bars:
        """Return ``count`` plausible minutes that lead up to a price (RATES_DTYPE)."""
        contract = CONTRACTS[symbol]
        sigma = contract.annual_volatility * math.sqrt(MINUTE / TRADING_SECONDS_A_YEAR)
        back = np.cumsum(self._random.standard_normal(count + 1) * sigma)[::-1]
        path = bid * np.exp(back - back[-1])
        opens, closes = path[:-1], path[1:]
        reach = np.abs(self._random.standard_normal((2, count))) * sigma * bid / 2
        bars = np.zeros(count, dtype=RATES_DTYPE)
        bars["time"] = end - end % MINUTE - MINUTE * np.arange(count, 0, -1)
        bars["open"] = np.round(opens, contract.digits)
        bars["close"] = np.round(closes, contract.digits)
        bars["high"] = np.round(np.maximum(opens, closes) + reach[0], contract.digits)
        bars["low"] = np.round(np.minimum(opens, closes) - reach[1], contract.digits)
        bars["tick_volume"] = self._random.integers(20, 200, count)
        bars["spread"] = contract.spread_points
        return bars


class Replay:
    """Bar exports played back, at the same market time for every symbol.

    A bar becomes four ticks, in the order that MetaTrader's tester takes: open, low, high, close
    when it closed up, open, high, low, close otherwise. Minutes in which no file has a bar (nights,
    weekends) are left out. At the end it begins again, lifted or lowered so that the price goes on
    from where it was.
    """

    def __init__(
        self, exports: Mapping[str, BarExport], speed: float = 1.0, start_fraction: float = 0.2
    ) -> None:
        self._exports = {CONTRACT_INDEX[name]: export.bars for name, export in exports.items()}
        self.symbols = sorted(self._exports)
        times = [bars["time"] for bars in self._exports.values()]
        self._timeline: npt.NDArray[np.int64] = np.unique(np.concatenate(times))
        self._length = len(self._timeline) * TICKS_PER_BAR
        self._rounds_per_second = speed * TICKS_PER_BAR / MINUTE
        self._first = int(len(self._timeline) * start_fraction) * TICKS_PER_BAR
        self._position = float(self._first)
        self._factor = dict.fromkeys(self.symbols, 1.0)
        self._bids = {symbol: self._ticks(symbol) for symbol in self.symbols}
        self._spreads = {symbol: self._spread(symbol) for symbol in self.symbols}

    def advance(self, seconds: float) -> list[Round]:
        before = self._position
        self._position += seconds * self._rounds_per_second
        passed = range(math.floor(before) + 1, math.floor(self._position) + 1)
        left_out = passed[:-MOST_ROUNDS_AT_ONCE]
        if any(index % self._length == 0 for index in left_out):
            self._lift()
        rounds = [self._round(index) for index in passed[-MOST_ROUNDS_AT_ONCE:]]
        if self._position >= self._length * 2:
            self._position -= self._length
        return [quotes for quotes in rounds if quotes]

    def state(self) -> Any:
        return [self._position, [self._factor[symbol] for symbol in self.symbols]]

    def resume(self, state: Any, quotes: Quotes) -> None:
        if state and len(state[1]) == len(self.symbols) and state[0] < self._length * 2:
            self._position = float(state[0])
            self._factor = dict(zip(self.symbols, state[1], strict=True))
            return
        for symbol in self.symbols:
            self._factor[symbol] = quotes[symbol][0] / self._bid_before(symbol, self._first)

    def first_quotes(self) -> Round:
        """Return the quotes at the point where the replay starts."""
        index = self._first // TICKS_PER_BAR
        return [
            _quote(
                symbol,
                self._bid_before(symbol, self._first),
                int(self._spreads[symbol][index]),
            )
            for symbol in self.symbols
        ]

    def history(self, symbol: int, end: int, count: int) -> Bars:
        """Return the bars before the starting point, dated so that they end at ``end``."""
        bars = self._exports[symbol]
        played = bars[bars["time"] < self._timeline[self._first // TICKS_PER_BAR]][-count:]
        rates = np.zeros(len(played), dtype=RATES_DTYPE)
        for name in ("open", "high", "low", "close", "tick_volume", "spread"):
            rates[name] = played[name]
        rates["time"] = end - end % MINUTE - MINUTE * np.arange(len(played), 0, -1)
        return rates

    def _round(self, index: int) -> Round:
        place = index % self._length
        if place == 0:
            self._lift()
        return [
            _quote(symbol, float(self._bids[symbol][place]) * self._factor[symbol],
                   int(self._spreads[symbol][place // TICKS_PER_BAR]))
            for symbol in self.symbols
            if not math.isnan(self._bids[symbol][place])
        ]  # fmt: skip

    def _lift(self) -> None:
        """Let the next loop begin at the price at which this one ends."""
        for symbol in self.symbols:
            last, first = self._bid_before(symbol, self._length), self._bid_before(symbol, 1)
            self._factor[symbol] *= last / first

    def _ticks(self, symbol: int) -> npt.NDArray[np.float64]:
        bars = self._exports[symbol]
        ticks = np.full((len(self._timeline), TICKS_PER_BAR), np.nan)
        rows = np.searchsorted(self._timeline, bars["time"])
        rises = bars["close"] > bars["open"]
        ticks[rows, 0] = bars["open"]
        ticks[rows, 1] = np.where(rises, bars["low"], bars["high"])
        ticks[rows, 2] = np.where(rises, bars["high"], bars["low"])
        ticks[rows, 3] = bars["close"]
        return ticks.ravel()

    def _spread(self, symbol: int) -> npt.NDArray[np.int32]:
        """Return the spread at every minute of the timeline, the last known where it has no bar."""
        bars = self._exports[symbol]
        rows = np.searchsorted(bars["time"], self._timeline, "right") - 1
        spreads: npt.NDArray[np.int32] = bars["spread"][np.maximum(rows, 0)]
        return spreads

    def _bid_before(self, symbol: int, place: int) -> float:
        """Return the last price before a place on the timeline, or the first one after it."""
        ticks = self._bids[symbol]
        known = ticks[:place][~np.isnan(ticks[:place])]
        return float(known[-1] if len(known) else ticks[~np.isnan(ticks)][0])


def _quote(symbol: int, bid: float, spread_points: int) -> Quote:
    contract = CONTRACTS[symbol]
    rounded = round(bid, contract.digits)
    return symbol, rounded, round(rounded + spread_points * contract.point, contract.digits)
