"""What the open positions and pending orders of each account add up to."""

from dataclasses import dataclass, field

import numpy as np

from accounts.terminals.readings import ReadingBatch
from risk.core.arrays import Floats, Integers

_POSITION_TYPE_SELL = 1
_ORDER_TYPE_CLOSE_BY = 8


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
    held = batch.positions
    held_account = held["account"].astype(np.int64)
    held_symbol = held["symbol"].astype(np.int64)
    selling = held["type"] == _POSITION_TYPE_SELL
    notional = np.ascontiguousarray(held["notional"])
    pending = np.flatnonzero(batch.orders["type"] < _ORDER_TYPE_CLOSE_BY)  # it adds no size
    pending_account = batch.orders["account"][pending].astype(np.int64)
    pending_symbol = batch.orders["symbol"][pending].astype(np.int64)
    pending_selling = batch.orders["type"][pending] & 1  # MetaTrader's selling types are odd
    sized_account, cells, lots = _sums(
        np.concatenate([held_account, pending_account]),
        np.concatenate([held_symbol * 2 + selling, pending_symbol * 2 + pending_selling]),
        np.concatenate([held["volume"], batch.orders["volume"][pending]]),
        symbols * 2,
    )
    net_account, _, net = _sums(
        held_account, held_symbol, np.where(selling, -notional, notional), symbols
    )
    return Exposures(
        positions=np.bincount(held_account, minlength=accounts).astype(np.float64),
        pending_orders=np.bincount(pending_account, minlength=accounts).astype(np.float64),
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
    account: Integers, column: Integers, weights: Floats, columns: int
) -> tuple[Integers, Integers, Floats]:
    """Sum `weights` per (account, column); return the sums sorted by both."""
    key = account * columns + column
    order = np.argsort(key, kind="stable")
    key = key[order]
    if not len(key):
        return key, key, np.empty(0)
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    found = key[starts]
    return found // columns, found % columns, np.add.reduceat(weights[order], starts)


def _per_account(account: Integers, weights: Floats, accounts: int) -> Floats:
    return np.bincount(account, weights, minlength=accounts).astype(np.float64, copy=False)
