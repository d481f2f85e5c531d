"""A seeded random walk of prices, with sessions, gaps over closed times, and news."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import constants as mt5
from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import Contract
from ..symbols.hours import DAY, WEEK
from .feeds import MOST_ROUNDS_AT_ONCE, Moment, MomentAt, Quote, Quotes, Round

WEEKS_A_YEAR = 365.25 / 7
LONGEST_STEP_SECONDS = 60.0
_BLOCK_STEPS = 256
_NORMALS, _UNIFORMS = 2, 4  # drawn per step and symbol

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkParameters:
    """How the walk behaves. Times are market seconds; a symbol's own volatility is kept.

    ``gap_variance_fraction``: what an hour of closed market adds to the variance, as a share of an
    hour in session (closed time passes as the clock does, whatever the speed).
    ``news_per_day``: events per symbol. Each makes the price jump as far as ``news_jump_seconds``
    usually take it, raises the volatility by ``news_volatility`` times and the spread by
    ``news_spread`` times, which fades with ``news_half_life_seconds``.
    ``rollover_spread`` times wider is the spread for ``rollover_seconds`` on both sides of the
    midnight of the broker's clock. ``home_half_life_seconds`` draws prices back to where they
    began, so that a desk can run for weeks in sane prices. ``trade_probability``: how often a step
    brings a trade on an exchange.
    """

    gap_variance_fraction: float = 0.25
    news_per_day: float = 2.0
    news_jump_seconds: float = 1_800.0
    news_volatility: float = 2.0
    news_spread: float = 5.0
    news_half_life_seconds: float = 300.0
    rollover_spread: float = 3.0
    rollover_seconds: float = 600.0
    home_half_life_seconds: float = 3.0 * DAY
    trade_probability: float = 0.6

    @property
    def news_variance_fraction(self) -> float:
        """What news add to the variance of a quiet walk."""
        decay = math.log(2) / self.news_half_life_seconds
        burst = 2 * self.news_volatility / decay + self.news_volatility**2 / (2 * decay)
        return self.news_per_day / DAY * (self.news_jump_seconds + burst)


DEFAULTS = WalkParameters()


def sigma_per_second(contract: Contract, gap_variance_fraction: float) -> float:
    """Return a contract's volatility per square root of a second in session."""
    open_seconds = contract.hours.open_seconds
    closed = (WEEK - open_seconds) * gap_variance_fraction
    return contract.annual_volatility / math.sqrt(WEEKS_A_YEAR * (open_seconds + closed))


def generator_key(*parts: object) -> int:
    """Return the key of a random generator: the same parts, the same key."""
    text = ":".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


class RandomWalk:
    """Each symbol walks by itself; ``speed`` is how many market seconds pass in a second.

    Every symbol has a generator of its own, keyed by the seed and its name, so that another
    symbol changes nobody's path. What is drawn depends on the number of the step alone, which is
    all that has to be remembered of the generators.
    """

    def __init__(
        self,
        symbols: Sequence[int],
        seed: int,
        speed: float = 1.0,
        parameters: WalkParameters = DEFAULTS,
    ) -> None:
        self.symbols = list(symbols)
        self._speed = speed
        self._parameters = parameters
        contracts = [CONTRACTS[symbol] for symbol in self.symbols]
        self._keys = [generator_key(seed, contract.name) for contract in contracts]
        quiet = 1.0 / math.sqrt(1.0 + parameters.news_variance_fraction)
        self._sigma = quiet * np.array(
            [sigma_per_second(contract, parameters.gap_variance_fraction) for contract in contracts]
        )
        self._pull = math.log(2) / parameters.home_half_life_seconds
        self._home = np.log([contract.start_bid for contract in contracts])
        self._level: Floats = self._home.copy()
        self._closed_seconds: Floats = np.zeros(len(contracts))
        self._heat: Floats = np.zeros(len(contracts))  # 1 right after news
        self._tick = np.array([contract.tick_size for contract in contracts])
        self._digits = [contract.digits for contract in contracts]
        self._spread_ticks = np.array(
            [max(1.0, round(c.spread_points * c.point / c.tick_size)) for c in contracts]
        )
        self._spread_noise = 1.0 + np.minimum(2.0, self._spread_ticks / 4)
        self._traded = [c.chart_mode == mt5.SYMBOL_CHART_MODE_LAST for c in contracts]
        self._usual_trade = [max(1.0, c.depth_lots / 20) for c in contracts]
        self._steps = 0
        self._block_number = -1
        self._block: Floats = np.zeros((0, 0, 0))

    def advance(self, seconds: float, moment_at: MomentAt) -> list[Round]:
        """Let time pass: a round for each minute at most, and few for a long pause."""
        count = min(MOST_ROUNDS_AT_ONCE, max(1, math.ceil(seconds / LONGEST_STEP_SECONDS)))
        shares = [number / count for number in range(1, count + 1)]
        rounds = [Round(at, self._step(seconds / count, moment_at(at))) for at in shares]
        return [round_ for round_ in rounds if round_.quotes]

    def rest(self, seconds: float) -> None:
        """Let time pass in which nobody was there to quote."""
        self._closed_seconds += seconds

    def state(self) -> Any:
        """Return what a restart needs to go on exactly as if there had been none."""
        return [self._steps, self._level.tolist(), _kept(self._closed_seconds), _kept(self._heat)]

    def resume(self, state: Any, quotes: Quotes) -> None:
        """Go on from a state, at the prices of the books where the two differ."""
        bids = np.array([quotes[symbol][0] for symbol in self.symbols])
        if _is_of(state, len(self.symbols)):
            self._steps, level = int(state[0]), np.array(state[1], dtype=np.float64)
            self._closed_seconds = _restored(state[2], len(bids))
            self._heat = _restored(state[3], len(bids))
            near = np.abs(np.exp(level) - bids) <= self._tick * 0.51
            self._level = np.where(near, level, np.log(bids))
        else:
            self._level = np.log(bids)

    def _step(self, seconds: float, moment: Moment) -> list[Quote]:
        normals, uniforms = self._draw()
        quoted = np.array([moment.quoted[symbol] for symbol in self.symbols], dtype=np.bool_)
        passed = np.where(quoted, seconds * self._speed, 0.0)
        self._move(seconds, quoted, passed, normals, uniforms[:, 0])
        if not quoted.any():
            return []
        widening = 1.0 + self._parameters.news_spread * self._heat
        if self._is_rollover(moment.wall_seconds):
            widening += self._parameters.rollover_spread
        spread = np.rint(self._spread_ticks * widening)
        spread += np.floor(uniforms[:, 1] * self._spread_noise)
        bid_ticks = np.maximum(np.rint(np.exp(self._level) / self._tick), 1.0)
        bids = (bid_ticks * self._tick).tolist()
        asks = ((bid_ticks + spread) * self._tick).tolist()
        return [
            self._quote(place, bids[place], asks[place], normals[place, 0], uniforms[place])
            for place in np.flatnonzero(quoted).tolist()
        ]

    def _move(
        self,
        seconds: float,
        quoted: npt.NDArray[np.bool_],
        passed: Floats,
        normals: Floats,
        chance: Floats,
    ) -> None:
        """Move levels: diffusion pulled home, the gap after closed time, and news."""
        given = self._parameters
        fading = math.log(2) / given.news_half_life_seconds * seconds * self._speed
        # The mean of the fading burst over the step, and of its square.
        burst = given.news_volatility * self._heat * _mean_decay(fading)
        square = (given.news_volatility * self._heat) ** 2 * _mean_decay(2 * fading)
        gap = np.where(quoted, self._closed_seconds, 0.0) * given.gap_variance_fraction
        pulled = passed + gap
        spread_out = -np.expm1(-2 * self._pull * pulled) / (2 * self._pull)
        hotter = np.divide(passed * (1 + 2 * burst + square) + gap, pulled,
                           out=np.ones(len(pulled)), where=pulled > 0)  # fmt: skip
        self._level += normals[:, 0] * self._sigma * np.sqrt(spread_out * hotter)
        self._level += (self._home - self._level) * -np.expm1(-self._pull * pulled)
        happens = chance < -np.expm1(-given.news_per_day / DAY * passed)
        jump = normals[:, 1] * self._sigma * math.sqrt(given.news_jump_seconds)
        self._level += np.where(happens, jump, 0.0)
        self._heat *= math.exp(-fading)
        self._heat[self._heat < 0.01] = 0.0
        self._heat[happens] = 1.0
        self._closed_seconds = np.where(quoted, 0.0, self._closed_seconds + seconds)

    def _quote(
        self, place: int, bid: float, ask: float, direction: float, uniforms: Floats
    ) -> Quote:
        digits = self._digits[place]
        bid, ask = round(bid, digits), round(ask, digits)
        if not self._traded[place] or uniforms[2] >= self._parameters.trade_probability:
            return Quote(self.symbols[place], bid, ask)
        lots = 1 + int(-math.log1p(-uniforms[3]) * self._usual_trade[place])
        if direction > 0:
            return Quote(self.symbols[place], bid, ask, ask, lots, mt5.TICK_FLAG_BUY)
        return Quote(self.symbols[place], bid, ask, bid, lots, mt5.TICK_FLAG_SELL)

    def _is_rollover(self, wall_seconds: int) -> bool:
        of_day = wall_seconds % DAY
        return min(of_day, DAY - of_day) * self._speed < self._parameters.rollover_seconds

    def _draw(self) -> tuple[Floats, Floats]:
        """Return this step's normal and uniform numbers, a row per symbol."""
        number, place = divmod(self._steps, _BLOCK_STEPS)
        if number != self._block_number:
            self._block_number, self._block = number, self._drawn_block(number)
        self._steps += 1
        drawn = self._block[:, place]
        return drawn[:, :_NORMALS], drawn[:, _NORMALS:]

    def _drawn_block(self, number: int) -> Floats:
        block = np.empty((len(self._keys), _BLOCK_STEPS, _NORMALS + _UNIFORMS))
        for row, key in enumerate(self._keys):
            # The block's number stands in the counter's upper half: blocks never overlap.
            random = np.random.Generator(np.random.Philox(key=key, counter=number << 128))
            block[row, :, :_NORMALS] = random.standard_normal((_BLOCK_STEPS, _NORMALS))
            block[row, :, _NORMALS:] = random.random((_BLOCK_STEPS, _UNIFORMS))
        return block


def _mean_decay(exponent: float) -> float:
    return -math.expm1(-exponent) / exponent if exponent else 1.0


def _kept(values: Floats) -> list[list[float]]:
    # Mostly zeros: only the others are written, once a second.
    return [[place, float(values[place])] for place in np.flatnonzero(values).tolist()]


def _restored(kept: Sequence[Sequence[float]], count: int) -> Floats:
    values = np.zeros(count)
    for place, value in kept:
        values[int(place)] = value
    return values


def _is_of(state: Any, count: int) -> bool:
    """Tell whether a state is one of a walk of so many symbols."""
    return isinstance(state, (list, tuple)) and len(state) == 4 and len(state[1]) == count
