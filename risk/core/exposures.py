"""What the open positions and pending orders of each account add up to."""

from dataclasses import dataclass, field

import numpy as np

from accounts.terminals.readings import ReadingBatch, Rows
from risk.core.arrays import Flags, Floats, Integers
from risk.core.holders import Strategies

POSITION_TYPE_SELL = 1
_ORDER_TYPE_CLOSE_BY = 8


@dataclass(frozen=True, slots=True)
class Exposures:
    """Sums over positions and orders, one element per holder: accounts, then strategies on them.

    `sized_*` are the sums of lots per symbol and direction (0 buy, 1 sell), pendings included,
    `net_*` those of the notional of the positions per symbol (positive is bought), both sorted by
    account. NaN in a sum means that a reading lacked one of its numbers. `held` and `pending` are
    the rows themselves, close-by orders left out, for they add nothing.
    """

    positions: Floats
    pending_orders: Floats
    net_notional: Floats  # sum over the symbols of |long - short|, account currency
    gross_notional: Floats
    sized_account: Integers = field(repr=False)
    sized_symbol: Integers = field(repr=False)
    sized_direction: Integers = field(repr=False)
    sized_lots: Floats = field(repr=False)
    net_account: Integers = field(repr=False)
    net_symbol: Integers = field(repr=False)
    net_value: Floats = field(repr=False)
    held: Rows = field(repr=False)
    pending: Rows = field(repr=False)
    account_server: Integers = field(repr=False)  # index into `servers`, -1 not known
    servers: tuple[str, ...] = field(repr=False)
    symbols: tuple[str, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.positions)

    def with_strategies(self, strategies: Strategies) -> "Exposures":
        """Return the sums with one more element for each strategy, behind those of the accounts.

        Its positions and orders are listed once more, as those of that element.
        """
        if not len(strategies):
            return self
        return _added_up(
            np.concatenate([self.held, _owned(self.held, strategies, len(self))]),
            np.concatenate([self.pending, _owned(self.pending, strategies, len(self))]),
            np.concatenate([self.account_server, self.account_server[strategies.account]]),
            self.servers,
            self.symbols,
        )


def exposures_of(batch: ReadingBatch) -> Exposures:
    """Add up the positions and pending orders of a batch per account, symbol and direction."""
    pending = batch.orders[batch.orders["type"] < _ORDER_TYPE_CLOSE_BY]
    servers = batch.accounts["server"].astype(np.int64)
    return _added_up(batch.positions, pending, servers, batch.servers, batch.symbols)


def _owned(rows: Rows, strategies: Strategies, accounts: int) -> Rows:
    """Return the rows that strategies have opened, sorted by strategy, with it for the account."""
    magics = np.unique(strategies.magic)
    keys = strategies.account * len(magics) + np.searchsorted(magics, strategies.magic)
    code = np.minimum(np.searchsorted(magics, rows["magic"]), len(magics) - 1)
    key = rows["account"] * len(magics) + code
    places = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    found = np.flatnonzero((magics[code] == rows["magic"]) & (keys[places] == key))
    found = found[np.argsort(places[found], kind="stable")]
    owned: Rows = rows[found]
    owned["account"] = accounts + places[found]
    return owned


def _added_up(
    held: Rows,
    pending: Rows,
    account_server: Integers,
    servers: tuple[str, ...],
    names: tuple[str, ...],
) -> Exposures:
    accounts, symbols = len(account_server), len(names)
    held_account = held["account"].astype(np.int64)
    held_symbol = held["symbol"].astype(np.int64)
    selling = held["type"] == POSITION_TYPE_SELL
    notional = np.ascontiguousarray(held["notional"])
    pending_account = pending["account"].astype(np.int64)
    pending_symbol = pending["symbol"].astype(np.int64)
    pending_selling = pending["type"] & 1  # MetaTrader's selling types are odd
    sized_account, cells, lots = sums_by(
        np.concatenate([held_account, pending_account]),
        np.concatenate([held_symbol * 2 + selling, pending_symbol * 2 + pending_selling]),
        np.concatenate([held["volume"], pending["volume"]]),
        symbols * 2,
    )
    net_account, net_symbol, net = sums_by(
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
        net_account=net_account,
        net_symbol=net_symbol,
        net_value=net,
        held=held,
        pending=pending,
        account_server=account_server,
        servers=servers,
        symbols=names,
    )


def named_symbols(exposures: Exposures, symbols: frozenset[str]) -> Flags:
    """Tell for each symbol of the batch whether it is among those named; all, if none is named."""
    return np.array([not symbols or name in symbols for name in exposures.symbols], dtype=np.bool_)


def largest_sizes(exposures: Exposures, symbols: frozenset[str]) -> Integers:
    """Find each account's largest sum of lots: its row in `sized_*`, -1 where there is none.

    Only the named symbols count, all of them when none is named. Of equal sums the first in
    the order of the batch's symbols is taken; a sum that is not known comes before all others.
    """
    rows = np.arange(len(exposures.sized_account))
    if symbols:
        rows = rows[named_symbols(exposures, symbols)[exposures.sized_symbol]]
    account, lots = exposures.sized_account[rows], exposures.sized_lots[rows]
    return taken_whole(rows, largest_rows(account, lots, len(exposures)))


def largest_rows(account: Integers, values: Floats, accounts: int) -> Integers:
    """Find each account's row of the largest value, -1 where it has none.

    The rows are sorted by account. Of equals the first is taken; NaN comes before all others.
    """
    found = np.full(accounts, -1, dtype=np.int64)
    if not len(account):
        return found
    values = np.where(np.isnan(values), np.inf, values)
    starts = np.flatnonzero(np.r_[True, account[1:] != account[:-1]])
    largest = np.maximum.reduceat(values, starts)
    counts = np.diff(np.r_[starts, len(account)])
    rows = np.where(values == np.repeat(largest, counts), np.arange(len(account)), len(account))
    found[account[starts]] = np.minimum.reduceat(rows, starts)
    return found


def taken(values: Floats, rows: Integers, default: float = 0.0) -> Floats:
    """Return the values at those rows; `default` where a row is -1."""
    result = np.full(len(rows), default)
    some = rows >= 0
    result[some] = values[rows[some]]
    return result


def taken_whole(values: Integers, rows: Integers, default: int = -1) -> Integers:
    """Return the whole numbers at those rows; `default` where a row is -1."""
    result = np.full(len(rows), default, dtype=np.int64)
    some = rows >= 0
    result[some] = values[rows[some]]
    return result


def sums_by(
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
