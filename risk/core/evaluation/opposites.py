"""The rule against opposite positions in several accounts of one trader."""

from dataclasses import dataclass

import numpy as np

from risk.core.arrays import Floats, Integers
from risk.core.exposures import POSITION_TYPE_SELL, largest_rows, sums_by, taken_whole
from risk.core.holdings import Holdings
from risk.core.instruments import instrument_codes
from risk.core.pairs import PairTable
from risk.core.results import Evaluation, against_limit, give_reason, point_at
from risk.core.statuses import Reason
from risk.core.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class _Sides:
    """Which pair of rule and account holds which instrument, and in which directions.

    Sorted by pair; `symbol` is one of the symbols behind the instrument.
    """

    pair: Integers
    instrument: Integers
    symbol: Integers
    bought: Floats  # 1 or 0
    sold: Floats


def judge_opposites(result: Evaluation, table: PairTable, part: slice, holdings: Holdings) -> None:
    """Count the instruments that an account holds against another account of the same rule.

    Each account that takes part is marked. Both directions within one account oppose nobody. When
    an account of the rule was not read, here or on another host, the others are not known, unless
    what is known is opposed already.
    """
    index = table.account_index[part]
    families = _families(table, part, holdings.surroundings)
    names, sides = _sides(holdings, index)
    bought, sold, unseen = _totals(names, sides, families, holdings.surroundings)
    buys = (sides.bought > 0) & (sold > sides.sold)
    sells = (sides.sold > 0) & (bought > sides.bought)
    opposed = buys | sells
    count = np.bincount(sides.pair, opposed, minlength=len(index)).astype(np.float64)
    unread = families[~holdings.accounts.known[index]]
    hidden = (np.isin(families, unread) | np.isin(families, unseen)) & (count == 0)
    give_reason(result, part, Reason.NO_MEMBER, hidden)
    first = largest_rows(sides.pair, opposed.astype(np.float64), len(index))
    first = np.where(count > 0, first, -1)
    point_at(
        result,
        part,
        taken_whole(sides.symbol, first),
        taken_whole((~buys).astype(np.int64), first),
    )
    against_limit(result, table, part, holdings.accounts, np.where(hidden, np.nan, count))


def _families(table: PairTable, part: slice, surroundings: Surroundings) -> Integers:
    rules = table.rule_index[part]
    return rules if surroundings.rule_families is None else surroundings.rule_families[rules]


def _sides(holdings: Holdings, index: Integers) -> tuple[tuple[str, ...], _Sides]:
    """List what the account of each pair holds, of what was read."""
    exposures = holdings.exposures
    whole = exposures.held[exposures.held["account"] < len(holdings.accounts)]
    held = whole[holdings.accounts.known[whole["account"]]]
    account, symbol = held["account"].astype(np.int64), held["symbol"].astype(np.int64)
    names, instrument = instrument_codes(exposures, holdings.surroundings, account, symbol)
    columns = max(len(names), 1)
    selling = (held["type"] == POSITION_TYPE_SELL).astype(np.float64)
    owner, code, sold = sums_by(account, instrument, selling, columns)
    _, _, bought = sums_by(account, instrument, 1 - selling, columns)
    some_symbol = np.zeros(columns, dtype=np.int64)
    some_symbol[instrument] = symbol
    first = np.searchsorted(owner, index, side="left")
    lengths = np.searchsorted(owner, index, side="right") - first
    pair = np.repeat(np.arange(len(index)), lengths)
    rows = np.arange(len(pair)) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
    return names, _Sides(
        pair=pair,
        instrument=code[rows],
        symbol=some_symbol[code[rows]],
        bought=(bought[rows] > 0).astype(np.float64),
        sold=(sold[rows] > 0).astype(np.float64),
    )


def _totals(
    names: tuple[str, ...], sides: _Sides, families: Integers, surroundings: Surroundings
) -> tuple[Floats, Floats, Integers]:
    """Return how many accounts of its family buy and sell the instrument of each row.

    What accounts on other hosts hold counts in. Also returns the families of which that is not
    known.
    """
    count = max(len(names), 1)
    keys = families[sides.pair] * count + sides.instrument
    distinct, inverse = np.unique(keys, return_inverse=True)
    inverse = inverse.reshape(-1)
    bought = np.bincount(inverse, sides.bought, minlength=len(distinct)).astype(np.float64)
    sold = np.bincount(inverse, sides.sold, minlength=len(distinct)).astype(np.float64)
    places = {name: place for place, name in enumerate(names)}
    unseen = []
    for family, elsewhere in surroundings.sides_elsewhere.items():
        if elsewhere is None:
            unseen.append(family)
            continue
        for name, (lots_bought, lots_sold) in elsewhere.items():
            place = places.get(name)
            if place is not None:
                here = distinct == family * count + place
                bought[here] += lots_bought > 0
                sold[here] += lots_sold > 0
    return bought[inverse], sold[inverse], np.array(unseen, dtype=np.int64)
