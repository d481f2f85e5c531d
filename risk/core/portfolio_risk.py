"""How a portfolio has done day by day, and what that says of its risk."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

import numpy as np

from risk.core.arrays import Floats

FEWEST_DAYS: Final = 20
_TAIL_PERCENT: Final = 5.0
_SATURDAY: Final = 5
# The sum of squares below which a series does not move: what rounding leaves of equal returns.
_STILL: Final = 1e-18


@dataclass(frozen=True, slots=True)
class DayEnd:
    """What an account was worth at the end of a day, and what was paid in or out on it."""

    day: date
    equity: float
    transfers: float


@dataclass(frozen=True, slots=True)
class TailRisk:
    """Losses of one day as fractions of the value, 0 when there was none: 0.02 is 2 %."""

    value_at_risk: float
    expected_shortfall: float


def daily_returns(days: Sequence[DayEnd]) -> dict[date, float]:
    """Return what each day added to the value of the day before, transfers left out.

    Money is taken as moved at the end of the day. Weekend days on which nothing moved are left
    out, and so is a day that began with nothing.
    """
    returns: dict[date, float] = {}
    for before, after in pairwise(days):
        if before.equity <= 0:
            continue
        change = (after.equity - after.transfers) / before.equity - 1.0
        if change == 0 and after.day.weekday() >= _SATURDAY:
            continue
        returns[after.day] = change
    return returns


def added_up(accounts: Sequence[Sequence[DayEnd]]) -> list[DayEnd]:
    """Add up the days that all accounts have; what moved on days between counts to the next."""
    if not accounts:
        return []
    common = set.intersection(*({each.day for each in days} for days in accounts))
    totals: dict[date, tuple[float, float]] = dict.fromkeys(sorted(common), (0.0, 0.0))
    for days in accounts:
        moved = 0.0
        for each in days:
            moved += each.transfers
            if each.day in totals:
                equity, transfers = totals[each.day]
                totals[each.day] = equity + each.equity, transfers + moved
                moved = 0.0
    return [DayEnd(day, equity, transfers) for day, (equity, transfers) in totals.items()]


def tail_risk(returns: Sequence[float]) -> TailRisk | None:
    """Return the historical value at risk and the mean loss beyond it; None for too few days.

    The 5th percentile of daily returns, and the mean of those at or below it. Source: DOMAIN.md,
    part 5.
    """
    if len(returns) < FEWEST_DAYS:
        return None
    values = np.asarray(returns, dtype=np.float64)
    worst = float(np.percentile(values, _TAIL_PERCENT))
    beyond = values[values <= worst + 1e-15]
    value_at_risk = max(-worst, 0.0)
    # A mean of equal values may come out a digit smaller than they are.
    return TailRisk(value_at_risk, max(-float(beyond.mean()), value_at_risk))


def max_drawdown(returns: Sequence[float]) -> float | None:
    """Return the deepest fall from a peak as a fraction, transfers left out; None without a day."""
    if not len(returns):
        return None
    index = np.concatenate([[1.0], np.cumprod(1.0 + np.asarray(returns, dtype=np.float64))])
    peaks = np.maximum.accumulate(index)
    return float(np.max(1.0 - index / peaks))


def correlation_matrix(returns: Sequence[Mapping[date, float]]) -> list[list[float | None]]:
    """Return Pearson's coefficient of every two series over the days that both have.

    None where those are fewer than 20, or where one of the two does not move.
    """
    days = sorted({day for each in returns for day in each})
    place_of = {day: place for place, day in enumerate(days)}
    logs = np.zeros((len(returns), len(days)))
    both = np.zeros_like(logs)
    for row, each in enumerate(returns):
        places = [place_of[day] for day in each]
        moves = np.log1p(np.maximum(np.fromiter(each.values(), np.float64, len(each)), -0.999999))
        # About their own mean, which no coefficient depends on and every sum keeps its digits by.
        logs[row, places] = moves - moves.mean() if len(moves) else moves
        both[row, places] = 1.0
    coefficients = _coefficients(logs, both)
    np.fill_diagonal(coefficients, 1.0)
    return [
        [None if math.isnan(value) else value for value in line] for line in coefficients.tolist()
    ]


def _coefficients(values: Floats, both: Floats) -> Floats:
    """Correlate all rows with each other at once; `both` is 1 where a row has a value."""
    counts = both @ both.T
    sums = values @ both.T  # of each row over the days that the other has, too
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = values**2 @ both.T - sums**2 / counts
        common = values @ values.T - sums * sums.T / counts
        found = common / np.sqrt(spread * spread.T)
    known = (counts >= FEWEST_DAYS) & (spread > _STILL) & (spread.T > _STILL)
    coefficients: Floats = np.where(known, np.clip(found, -1.0, 1.0), np.nan)
    return coefficients
