"""The past of a new market: seeded bars of minutes, hours and days that lead up to its prices."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..symbols.contracts import Contract
from ..symbols.hours import DAY, HOUR, MINUTE
from .timeframes import RATES_DTYPE, Bars
from .walk import DEFAULTS, generator_key, sigma_per_second

DAYS_OF_MINUTES = 10
DAYS_OF_HOURS = 370
DAYS_OF_DAYS = 5 * 366
_TICKS_A_MINUTE = (20, 200)
_LOTS_A_TICK = 3

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Past:
    """Bars one after the other in time: days, then hours, then minutes up to the present one."""

    minutes: Bars
    hours: Bars
    days: Bars


def seeded_past(
    contract: Contract, seed: int, price: float, end: int, played: Bars | None = None
) -> Past:
    """Return the past of a symbol that stands at ``price`` at ``end`` (the broker's clock).

    Bars lie in the symbol's hours. Bars that were ``played`` are laid on its last minutes, one
    after the other, and what is seeded leads up to them.
    """
    random = np.random.Generator(np.random.Philox(key=generator_key(seed, contract.name, "past")))
    minutes, hours, days = grids(contract, end)
    given = np.zeros(0, dtype=RATES_DTYPE)
    if played is not None and len(played):
        given = _laid(played, minutes, price, contract)
        price = float(given["open"][0])
    seeded = _leading(contract, random, minutes[: len(minutes) - len(given)], MINUTE, price)
    recent = np.concatenate([seeded, given])
    middle = _leading(contract, random, hours, HOUR, _first_open(recent, price))
    return Past(recent, middle, _leading(contract, random, days, DAY, _first_open(middle, price)))


def derived_past(contract: Contract, seed: int, legs: Sequence[Past], *, is_ratio: bool) -> Past:
    """Return the past of a cross, whose opens and closes follow from those of its two legs."""
    random = np.random.Generator(np.random.Philox(key=generator_key(seed, contract.name, "past")))
    first, second = legs

    def cross(one: Bars, other: Bars, seconds: int) -> Bars:
        times, of_one, of_other = np.intersect1d(one["time"], other["time"], return_indices=True)
        one, other = one[of_one], other[of_other]
        opens, closes = (
            one[side] / other[side] if is_ratio else one[side] * other[side]
            for side in ("open", "close")
        )
        return _bars(contract, random, times, seconds, np.log(opens), np.log(closes))

    return Past(
        cross(first.minutes, second.minutes, MINUTE),
        cross(first.hours, second.hours, HOUR),
        cross(first.days, second.days, DAY),
    )


def grids(contract: Contract, end: int) -> tuple[Times, Times, Times]:
    """Return when the minutes, hours and days of a past begin, without the present minute."""
    today = end - end % DAY
    from_minutes = today - (DAYS_OF_MINUTES - 1) * DAY
    from_hours = today - DAYS_OF_HOURS * DAY
    spans = (
        (from_minutes, end - end % MINUTE, MINUTE),
        (from_hours, from_minutes, HOUR),
        (today - DAYS_OF_DAYS * DAY, from_hours, DAY),
    )
    minutes, hours, days = (
        times[contract.hours.touched(times, step)]
        for times, step in ((np.arange(*span, dtype=np.int64), span[2]) for span in spans)
    )
    return minutes, hours, days


def _leading(
    contract: Contract, random: np.random.Generator, times: Times, seconds: int, price: float
) -> Bars:
    """Return a walk in bars that ends at a price, with gaps where there was no session."""
    count = len(times)
    if not count:
        return np.zeros(0, dtype=RATES_DTYPE)
    sigma = sigma_per_second(contract, DEFAULTS.gap_variance_fraction)
    within = random.standard_normal(count) * sigma * math.sqrt(seconds)
    closed = np.maximum(np.diff(times) - seconds, 0) * DEFAULTS.gap_variance_fraction
    between = random.standard_normal(count - 1) * sigma * np.sqrt(closed)
    # Backwards from the last close: what all later bars and gaps added.
    steps = within.copy()
    steps[:-1] += between
    opens = math.log(price) - np.cumsum(steps[::-1])[::-1]
    return _bars(contract, random, times, seconds, opens, opens + within)


def _bars(
    contract: Contract,
    random: np.random.Generator,
    times: Times,
    seconds: int,
    opens: Floats,
    closes: Floats,
) -> Bars:
    """Return bars from the logarithms of their opens and closes.

    Highs and lows are drawn from the distribution of a Brownian bridge's maximum.
    """
    count = len(times)
    sigma = sigma_per_second(contract, DEFAULTS.gap_variance_fraction)
    spread_out = -2 * sigma**2 * seconds * np.log1p(-random.random((2, count)))
    reach = np.sqrt((closes - opens) ** 2 + spread_out)
    bars = np.zeros(count, dtype=RATES_DTYPE)
    bars["time"] = times
    bars["open"], bars["close"] = (_prices(contract, side) for side in (opens, closes))
    bars["high"] = _prices(contract, (opens + closes + reach[0]) / 2)
    bars["low"] = _prices(contract, (opens + closes - reach[1]) / 2)
    bars["tick_volume"] = random.integers(*_TICKS_A_MINUTE, count) * (seconds // MINUTE)
    if contract.exchange:
        bars["real_volume"] = bars["tick_volume"] * _LOTS_A_TICK
    bars["spread"] = contract.spread_points
    return bars


def _laid(played: Bars, minutes: Times, price: float, contract: Contract) -> Bars:
    """Date played bars so that they end at the last minute, at a price."""
    count = min(len(played), len(minutes))
    laid = np.zeros(count, dtype=RATES_DTYPE)
    if not count:
        return laid
    newest = played[-count:]
    factor = price / float(newest["close"][-1])
    for name in ("open", "high", "low", "close"):
        laid[name] = _prices(contract, np.log(newest[name] * factor))
    for name in ("tick_volume", "spread"):
        laid[name] = newest[name]
    laid["time"] = minutes[-count:]
    return laid


def _prices(contract: Contract, logarithms: Floats) -> Floats:
    ticks = np.maximum(np.rint(np.exp(logarithms) / contract.tick_size), 1.0)
    prices: Floats = np.round(ticks * contract.tick_size, contract.digits)
    return prices


def _first_open(bars: Bars, otherwise: float) -> float:
    return float(bars["open"][0]) if len(bars) else otherwise
