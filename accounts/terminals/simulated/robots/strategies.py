"""What the robots do: small deterministic strategies for a desk that looks alive.

Times are in bars: market minutes, of which one passes in a second at the default speed of 60.
"""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

BUY, SELL = 0, 1


@dataclass(frozen=True, slots=True)
class Held:
    """An open position; ``profit`` is in account currency with swap, ``age_bars`` in bars."""

    ticket: int
    symbol: int
    side: int
    volume: float
    price_open: float
    sl: float
    profit: float
    age_bars: float


@dataclass(frozen=True, slots=True)
class Trend:
    """How the last hour of a symbol went: its drift in standard deviations, sigma per bar."""

    drift: float
    last_move: float
    sigma: float  # in price
    spread: float


class Hands(ABC):
    """What a strategy can see and do."""

    random: random.Random
    symbols: Sequence[int]
    held: Sequence[Held]
    equity: float

    @abstractmethod
    def trend(self, symbol: int) -> Trend: ...

    @abstractmethod
    def open(self, symbol: int, side: int, weight: float, stop: float, take: float) -> None:
        """Open ``weight`` of the robot's exposure, stops at a distance in price (0 = none)."""

    @abstractmethod
    def close(self, held: Held) -> None: ...

    @abstractmethod
    def move_stop(self, held: Held, sl: float) -> None: ...


class Strategy(ABC):
    """Decides every ``pace_bars`` or so. ``exposure`` is its largest notional per equity."""

    exposure: ClassVar[float] = 3.0
    pace_bars: ClassVar[float] = 4.0
    max_positions: ClassVar[int] = 3
    # Beyond this loss of what was paid in, the robot trades its smallest size.
    loss_limit_fraction: ClassVar[float] = 0.04

    @abstractmethod
    def decide(self, hands: Hands, room: int) -> None:
        """Look at the market once; ``room`` is how many positions may still be opened."""


class TrendFollower(Strategy):
    def decide(self, hands: Hands, room: int) -> None:
        for held in hands.held:
            trend = hands.trend(held.symbol)
            sign = 1.0 if held.side == BUY else -1.0
            reach = _reach(trend, 40)
            if trend.drift * sign < -0.6 and held.age_bars > 10:
                hands.close(held)
            elif held.profit > 0 and held.sl and (held.price_open - held.sl) * sign > reach / 2:
                hands.move_stop(held, held.price_open - sign * reach * 0.4)
        symbol = hands.random.choice(hands.symbols)
        trend = hands.trend(symbol)
        crowded = sum(1 for held in hands.held if held.symbol == symbol) >= 2
        if room > 0 and not crowded and abs(trend.drift) > 0.4 and hands.random.random() < 0.25:
            reach = _reach(trend, 40)
            hands.open(symbol, BUY if trend.drift > 0 else SELL, 0.34, reach, reach * 1.8)


class MeanReverter(Strategy):
    exposure = 4.0

    def decide(self, hands: Hands, room: int) -> None:
        for held in hands.held:
            if held.age_bars > 60:
                hands.close(held)
        symbol = hands.random.choice(hands.symbols)
        trend = hands.trend(symbol)
        if room > 0 and abs(trend.drift) > 0.9 and hands.random.random() < 0.4:
            reach = _reach(trend, 30)
            hands.open(symbol, SELL if trend.drift > 0 else BUY, 0.34, reach * 1.5, reach)


class Scalper(Strategy):
    exposure = 5.0
    pace_bars = 3.0
    max_positions = 2

    def decide(self, hands: Hands, room: int) -> None:
        for held in hands.held:
            if held.age_bars > 12:
                hands.close(held)
        symbol = hands.random.choice(hands.symbols)
        trend = hands.trend(symbol)
        if room > 0 and self._opens(hands):
            reach = _reach(trend, 10)
            hands.open(symbol, BUY if trend.last_move > 0 else SELL, 0.5, reach, reach * 0.9)

    def _opens(self, hands: Hands) -> bool:
        return hands.random.random() < 0.25


class Holder(Strategy):
    exposure = 2.5
    pace_bars = 10.0
    loss_limit_fraction = 0.06

    def decide(self, hands: Hands, room: int) -> None:
        owned = {held.symbol for held in hands.held}
        free = [symbol for symbol in hands.symbols if symbol not in owned]
        if room > 0 and free and (not hands.held or hands.random.random() < 0.3):
            symbol = hands.random.choice(free)
            reach = _reach(hands.trend(symbol), 600)
            hands.open(symbol, BUY, 0.34, reach, reach * 2)


class Grid(Strategy):
    """Adds to a losing direction at growing distances; closes the basket in profit or at a cut."""

    exposure = 8.0
    pace_bars = 2.0
    max_positions = 5
    cut_fraction: ClassVar[float] = 0.012
    gain_fraction: ClassVar[float] = 0.003
    growth: ClassVar[float] = 1.4

    def decide(self, hands: Hands, room: int) -> None:
        if not hands.held:
            symbol = hands.random.choice(hands.symbols)
            side = BUY if hands.trend(symbol).drift < 0 else SELL
            if hands.random.random() < 0.3:
                hands.open(symbol, side, self._weight(0), 0.0, 0.0)
            return
        basket = sum(held.profit for held in hands.held)
        cut, gain = self.cut_fraction * hands.equity, self.gain_fraction * hands.equity
        if basket > gain or basket < -cut:
            for held in hands.held:
                hands.close(held)
            return
        newest = max(hands.held, key=lambda held: held.ticket)
        step = _reach(hands.trend(newest.symbol), 12)
        size = newest.volume * newest.price_open
        behind = newest.profit < 0 and -newest.profit > 0.5 * step / newest.price_open * size
        if room > 0 and behind and newest.age_bars > 6:
            hands.open(newest.symbol, newest.side, self._weight(len(hands.held)), 0.0, 0.0)

    def _weight(self, level: int) -> float:
        total = sum(self.growth**step for step in range(self.max_positions))
        return self.growth**level / total


class Reckless(Grid):
    """A grid without brakes: large, never cut, on the way to a rule or to the stop-out."""

    exposure = 60.0
    pace_bars = 3.0
    max_positions = 6
    loss_limit_fraction = 1.0
    cut_fraction = 1.0
    gain_fraction = 0.03
    growth = 1.2


class Overtrader(Strategy):
    """In and out all the time with too much size: the spread alone brings it down, surely."""

    exposure = 30.0
    pace_bars = 2.0
    loss_limit_fraction = 0.15

    def decide(self, hands: Hands, room: int) -> None:
        for held in hands.held:
            if held.age_bars > 5:
                hands.close(held)
        symbol = hands.random.choice(hands.symbols)
        if room > 0:
            side = BUY if hands.trend(symbol).last_move > 0 else SELL
            hands.open(symbol, side, 0.34, 0.0, 0.0)


class Signals(Scalper):
    """A scalper that holds something at nearly all times: whoever copies it never waits long."""

    def _opens(self, hands: Hands) -> bool:
        return not hands.held or super()._opens(hands)


STRATEGIES: dict[str, type[Strategy]] = {
    "trend": TrendFollower,
    "reversion": MeanReverter,
    "scalper": Scalper,
    "holder": Holder,
    "grid": Grid,
    "reckless": Reckless,
    "overtrader": Overtrader,
    "signals": Signals,
}


def _reach(trend: Trend, bars: int) -> float:
    """Return how far the price usually gets in some bars, but a few spreads at least."""
    return max(trend.sigma * math.sqrt(bars), trend.spread * 3)
