"""What the open positions and pending orders of each account add up to."""

from dataclasses import dataclass, field

import numpy as np

from accounts.terminals.readings import ReadingBatch
from risk.core.arrays import Floats, Integers

_ORDER_TYPE_CLOSE_BY = 8

# So many sums are held at once while counting: a few megabytes, whatever the number of accounts.
_CELLS_AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True)
class Exposures:
    """Sums over positions and orders, one element per account.

    `sized_*` are the sums of lots per symbol and direction (0 buy, 1 sell), pendings included,
    sorted by account. NaN in a sum means that a reading lacked one of its numbers.
    """

    positions: Floats
    pending_orders: Floats
    net_notional: Floats  # sum over the symbols of |long - short|, account currency
    gross_notional: Floats
    sized_account: Integers = field(repr=False)
    sized_symbol: Integers = field(repr=False)
    sized_direction: Integers = field(repr=False)
    sized_lots: Floats = field(repr=False)
    symbols: tuple[str, ...] = field(repr=False)


def exposures_of(batch: ReadingBatch) -> Exposures:
    """Add up the positions and pending orders of a batch per account, symbol and direction."""
    accounts, symbols = len(batch.accounts), len(batch.symbols)
    held, orders = batch.positions, batch.orders
    pending = orders[orders["type"] < _ORDER_TYPE_CLOSE_BY]  # a close-by adds no size
    held_account = held["account"].astype(np.int64)
    held_symbol = held["symbol"].astype(np.int64)
    selling = (held["type"] & 1).astype(np.int64)
    notional = np.ascontiguousarray(held["notional"])
    sized_account, cells, lots = _sums(
        np.concatenate([held_account, pending["account"]]),
        np.concatenate(
            [
                held_symbol * 2 + selling,
                pending["symbol"].astype(np.int64) * 2 + (pending["type"] & 1),
            ]
        ),
        np.concatenate([held["volume"], pending["volume"]]),
        accounts,
        symbols * 2,
    )
    net_account, _, net = _sums(
        held_account, held_symbol, np.where(selling, -notional, notional), accounts, symbols
    )
    return Exposures(
        positions=np.bincount(held_account, minlength=accounts).astype(np.float64),
        pending_orders=np.bincount(pending["account"], minlength=accounts).astype(np.float64),
        net_notional=_per_account(net_account, np.abs(net), accounts),
        gross_notional=_per_account(held_account, np.abs(notional), accounts),
        sized_account=sized_account,
        sized_symbol=cells >> 1,
        sized_direction=cells & 1,
        sized_lots=lots,
        symbols=batch.symbols,
    )


def largest_sizes(exposures: Exposures, accounts: int, symbols: frozenset[str]) -> Integers:
    """Find each account's largest sum of lots: its row in `sized_*`, -1 where there is none.

    Only the named symbols count, all of them when none is named. Of equal sums the first in
    the order of the batch's symbols is taken; a sum that is not known comes before all others.
    """
    rows = np.arange(len(exposures.sized_account))
    if symbols:
        wanted = np.array([name in symbols for name in exposures.symbols], dtype=np.bool_)
        rows = rows[wanted[exposures.sized_symbol]]
    found = np.full(accounts, -1, dtype=np.int64)
    if not len(rows):
        return found
    account, lots = exposures.sized_account[rows], exposures.sized_lots[rows]
    lots = np.where(np.isnan(lots), np.inf, lots)
    starts = np.flatnonzero(np.r_[True, account[1:] != account[:-1]])
    largest = np.maximum.reduceat(lots, starts)
    counts = np.diff(np.r_[starts, len(rows)])
    candidates = np.where(lots == np.repeat(largest, counts), np.arange(len(rows)), len(rows))
    found[account[starts]] = rows[np.minimum.reduceat(candidates, starts)]
    return found


def _sums(
    account: Integers, column: Integers, weights: Floats, accounts: int, columns: int
) -> tuple[Integers, Integers, Floats]:
    """Sum `weights` per (account, column); return the sums that are not 0, sorted by both."""
    step = max(1, _CELLS_AT_ONCE // max(1, columns))
    if accounts <= step:
        key, sums = _nonzero_sums(account * columns + column, weights, accounts * columns)
    else:
        parts = []
        for first in range(0, accounts, step):
            inside = (account >= first) & (account < first + step)
            key = (account[inside] - first) * columns + column[inside]
            found, sums = _nonzero_sums(key, weights[inside], step * columns)
            parts.append((found + first * columns, sums))
        key = np.concatenate([found for found, _ in parts])
        sums = np.concatenate([sums for _, sums in parts])
    return key // max(1, columns), key % max(1, columns), sums


def _nonzero_sums(key: Integers, weights: Floats, cells: int) -> tuple[Integers, Floats]:
    sums = np.bincount(key, weights, minlength=cells).astype(np.float64, copy=False)
    found = np.flatnonzero(sums).astype(np.int64, copy=False)
    return found, sums[found]


def _per_account(account: Integers, weights: Floats, accounts: int) -> Floats:
    return np.bincount(account, weights, minlength=accounts).astype(np.float64, copy=False)
