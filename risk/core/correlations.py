"""How much alike the open positions of an account move."""

from dataclasses import dataclass

import numpy as np

from risk.core.arrays import Flags, Floats, Integers
from risk.core.exposures import Exposures, largest_rows, taken, taken_whole
from risk.core.surroundings import Correlations, Surroundings


@dataclass(frozen=True, slots=True)
class LargestCorrelations:
    """One element per account; the coefficient is 0 where no two symbols are open.

    `symbol` is one of the two that are most alike (-1 none), the larger in notional. `unknown`
    tells where the coefficient of two open symbols is missing.
    """

    coefficient: Floats
    symbol: Integers
    selling: Integers
    unknown: Flags


def largest_correlations(
    exposures: Exposures, surroundings: Surroundings, wanted: Flags
) -> LargestCorrelations:
    """Find the largest sign-adjusted coefficient between two open symbols of each wanted account.

    Two symbols held in the same direction count with their coefficient, in opposite directions
    with its negative; what is hedged within a symbol has no direction and is left out. Only what
    moves together counts: the least is 0. Source: DOMAIN.md, part 3.
    """
    rows = np.flatnonzero(wanted[exposures.net_account] & (exposures.net_value != 0))
    account = exposures.net_account[rows]
    first, second = _two_of_each(account)
    one, other = rows[first], rows[second]
    owner = account[first]
    sign = np.sign(exposures.net_value[one]) * np.sign(exposures.net_value[other])
    coefficient = sign * _coefficients(exposures, surroundings, owner, one, other)
    missing = np.isnan(coefficient)
    count = len(exposures)
    found = largest_rows(owner, np.where(missing, -np.inf, coefficient), count)
    largest = np.maximum(taken(np.where(missing, 0.0, coefficient), found), 0.0)
    sizes = np.abs(exposures.net_value)
    larger = np.where(sizes[one] >= sizes[other], one, other)
    heaviest = np.where(largest > 0, taken_whole(larger, found), -1)
    return LargestCorrelations(
        coefficient=largest,
        symbol=taken_whole(exposures.net_symbol, heaviest),
        selling=(taken(exposures.net_value, heaviest) < 0).astype(np.int64),
        unknown=np.bincount(owner, missing, minlength=count) > 0,
    )


def _two_of_each(account: Integers) -> tuple[Integers, Integers]:
    """List every two rows of one account once; the rows are sorted by account."""
    ends = np.searchsorted(account, account, side="right")
    rows = np.arange(len(account))
    after = ends - rows - 1
    first = np.repeat(rows, after)
    before = np.repeat(np.cumsum(after) - after, after)
    return first, first + 1 + np.arange(len(first)) - before


def _coefficients(
    exposures: Exposures,
    surroundings: Surroundings,
    owner: Integers,
    one: Integers,
    other: Integers,
) -> Floats:
    found = np.full(len(owner), np.nan)
    server = exposures.account_server[owner]
    for number in np.unique(server).tolist():
        known = surroundings.correlations.get(exposures.servers[number]) if number >= 0 else None
        if known is None:
            continue
        here = np.flatnonzero(server == number)
        places = _places(exposures, known)
        rows = places[exposures.net_symbol[one[here]]]
        columns = places[exposures.net_symbol[other[here]]]
        listed = (rows >= 0) & (columns >= 0)
        found[here[listed]] = known.matrix[rows[listed], columns[listed]]
    return found


def _places(exposures: Exposures, known: Correlations) -> Integers:
    numbers = {name: place for place, name in enumerate(known.names)}
    return np.array([numbers.get(name, -1) for name in exposures.symbols], dtype=np.int64)
