"""How much alike symbols have moved from day to day."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np

from risk.core.arrays import Floats
from risk.core.surroundings import Correlations

RETURN_DAYS: Final = 60
FEWEST_RETURNS: Final = 30

# Closing prices of one symbol by the day (any number that ascends with the days).
Closes = Mapping[int, float]


def correlations_of(closes: Mapping[str, Closes]) -> Correlations:
    """Return Pearson's coefficients of daily log returns, aligned by their days.

    A return belongs to the day that it ends on, and goes back to the symbol's close before it. Of
    the last 60 days on which any of the symbols closed, two symbols need 30 in common; otherwise,
    and where one of them did not move at all, the coefficient is NaN. Source: DOMAIN.md, part 3.
    """
    names = tuple(sorted(closes))
    days = sorted({day for one in closes.values() for day in one})[-RETURN_DAYS:]
    places = {day: place for place, day in enumerate(days)}
    returns = np.full((len(names), len(days)), np.nan)
    for row, name in enumerate(names):
        for day, change in _log_returns(closes[name]).items():
            if day in places:
                returns[row, places[day]] = change
    return Correlations(names, _coefficients(returns))


def _log_returns(closes: Closes) -> dict[int, float]:
    known = sorted((day, close) for day, close in closes.items() if close > 0)
    return {day: float(np.log(close / before)) for (_, before), (day, close) in pairwise(known)}


def _coefficients(returns: Floats) -> Floats:
    """Correlate each two rows over the columns that both know."""
    known = ~np.isnan(returns)
    filled = np.where(known, returns, 0.0)
    weights = known.astype(np.float64)
    counts = weights @ weights.T
    enough = counts >= FEWEST_RETURNS
    n = np.where(enough, counts, 1.0)
    sums = filled @ weights.T  # of the row's returns, over the days that the column knows too
    squares = (filled**2) @ weights.T
    covariance = (filled @ filled.T) / n - (sums / n) * (sums.T / n)
    variance = np.maximum(squares / n - (sums / n) ** 2, 0.0)
    product = variance * variance.T
    moved = product > _SMALLEST_VARIANCE**2
    coefficient = covariance / np.sqrt(np.where(moved, product, 1.0))
    return np.where(enough & moved, np.clip(coefficient, -1.0, 1.0), np.nan)


# Of a symbol whose price stands still nothing but the noise of doubles is left.
_SMALLEST_VARIANCE: Final = 1e-18
