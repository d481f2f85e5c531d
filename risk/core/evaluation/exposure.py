"""The rules on how much depends on one symbol, one currency or one movement."""

from dataclasses import dataclass

import numpy as np

from risk.core.arrays import Flags, Floats, Integers
from risk.core.correlations import largest_correlations
from risk.core.evaluation.sizes import over_money
from risk.core.exposures import (
    Exposures,
    largest_rows,
    named_symbols,
    sums_by,
    taken,
    taken_whole,
)
from risk.core.holdings import Holdings
from risk.core.instruments import currency_codes
from risk.core.pairs import PairTable
from risk.core.results import Evaluation, against_limit, give_reason, point_at
from risk.core.statuses import Reason
from risk.core.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class _Largest:
    """The largest exposure of each account, and the symbol that it comes from most (-1 none)."""

    value: Floats
    symbol: Integers
    selling: Flags
    unknown: Flags  # for lack of a symbol's currencies


def judge_exposure(result: Evaluation, table: PairTable, part: slice, holdings: Holdings) -> None:
    """Compare the largest |net notional| of one symbol or currency with the equity.

    A pair counts in its base currency as it was traded and in its profit currency against that. An
    instrument priced in its own currency, such as an index, counts in none.
    """
    index = table.account_index[part]
    kinds = table.symbol_filter[part] * 2 + table.by_currency[part]
    value, symbol = np.zeros(len(index)), np.full(len(index), -1, dtype=np.int64)
    selling, unknown = np.zeros(len(index), dtype=np.bool_), np.zeros(len(index), dtype=np.bool_)
    for kind in np.unique(kinds).tolist():
        names = table.symbol_filters[kind >> 1]
        if kind & 1:
            largest = _by_currency(holdings.exposures, holdings.surroundings, names)
        else:
            largest = _by_symbol(holdings.exposures, names)
        here = kinds == kind
        holder = table.holder[part][here]
        value[here], symbol[here] = largest.value[holder], largest.symbol[holder]
        selling[here], unknown[here] = largest.selling[holder], largest.unknown[holder]
    give_reason(result, part, Reason.NO_CURRENCIES, unknown)
    point_at(result, part, symbol, selling)
    of_equity = over_money(value, holdings.accounts.equity[index])
    against_limit(result, table, part, holdings.accounts, np.where(unknown, np.nan, of_equity))


def judge_correlation(
    result: Evaluation, table: PairTable, part: slice, holdings: Holdings
) -> None:
    """Compare the largest coefficient; one beyond the limit counts even if another is missing."""
    holder = table.holder[part]
    wanted = np.zeros(len(holdings.exposures), dtype=np.bool_)
    wanted[holder] = True
    largest = largest_correlations(holdings.exposures, holdings.surroundings, wanted)
    coefficient = largest.coefficient[holder]
    unknown = largest.unknown[holder] & (coefficient <= table.fixed_amount[part])
    give_reason(result, part, Reason.NO_CORRELATION, unknown)
    point_at(result, part, largest.symbol[holder], largest.selling[holder])
    against_limit(result, table, part, holdings.accounts, np.where(unknown, np.nan, coefficient))


def _by_symbol(exposures: Exposures, names: frozenset[str]) -> _Largest:
    rows = np.flatnonzero(named_symbols(exposures, names)[exposures.net_symbol])
    account = exposures.net_account[rows]
    return _with_main_symbol(exposures, rows, account, np.zeros(len(exposures), dtype=np.bool_))


def _with_main_symbol(
    exposures: Exposures, rows: Integers, account: Integers, unknown: Flags
) -> _Largest:
    sizes = np.abs(exposures.net_value[rows])
    found = taken_whole(rows, largest_rows(account, sizes, len(exposures)))
    value = taken(exposures.net_value, found)
    return _Largest(np.abs(value), taken_whole(exposures.net_symbol, found), value < 0, unknown)


def _by_currency(
    exposures: Exposures, surroundings: Surroundings, names: frozenset[str]
) -> _Largest:
    account, net = exposures.net_account, exposures.net_value
    codes = currency_codes(exposures, surroundings, account, exposures.net_symbol)
    known = (codes.base >= 0) & (codes.profit >= 0)
    unknown = np.bincount(account, ~known, minlength=len(exposures)) > 0
    owner, currency, sums = sums_by(
        np.concatenate([account[known], account[known]]),
        np.concatenate([codes.base[known], codes.profit[known]]),
        np.concatenate([net[known], -net[known]]),
        max(len(codes.names), 1),
    )
    if names:
        kept = np.array([name in names for name in codes.names], dtype=np.bool_)[currency]
        owner, currency, sums = owner[kept], currency[kept], sums[kept]
    found = largest_rows(owner, np.abs(sums), len(exposures))
    worst = taken_whole(currency, found)[account]
    rows = np.flatnonzero(((codes.base == worst) | (codes.profit == worst)) & (worst >= 0))
    main = _with_main_symbol(exposures, rows, account[rows], unknown)
    return _Largest(np.abs(taken(sums, found)), main.symbol, main.selling, unknown)
