"""Deals as the baselines see them: what came from outside, and what was won or lost."""

from dataclasses import dataclass, replace

import numpy as np

from accounts.core.zones import to_broker_epoch
from accounts.terminals.readings import Rows
from risk.core.arrays import Flags, Floats, Integers
from risk.core.pairs import PairTable
from risk.core.states import PairState

DEAL_TYPE_CREDIT = 3
# BALANCE, CORRECTION, BONUS. Credit is a transfer too, but it is left out wherever money counts.
_BALANCE_TRANSFER_TYPES = (2, 5, 6)


@dataclass(frozen=True, slots=True)
class MoneyMoves:
    """Sums over the deals since an instant, one element per pair asked for."""

    result: Floats  # won or lost, with commission, swap and fees
    deposits: Floats
    withdrawals: Floats  # never positive


def deal_amounts(deals: Rows) -> Floats:
    """Return what each deal did to the balance, in account currency."""
    amounts = deals["profit"] + deals["commission"] + deals["swap"] + deals["fee"]
    return np.where(deals["type"] == DEAL_TYPE_CREDIT, 0.0, amounts)


def are_transfers(deals: Rows) -> Flags:
    """Tell which deals moved money in or out of the balance."""
    return np.isin(deals["type"], _BALANCE_TRANSFER_TYPES)


def broker_msc(table: PairTable, pairs: Integers, instants: Floats) -> Floats:
    """Write UTC instants (epoch seconds, one per pair) as the brokers' clocks, in milliseconds.

    Deals compare with the result. In the hour that a broker's clock repeats in autumn deals
    can't be told apart; brokers and firms start no day then.
    """
    zones = table.broker_zone_index[pairs]
    result = np.full(len(pairs), np.nan)
    for zone in np.unique(zones):
        of_zone = np.flatnonzero((zones == zone) & ~np.isnan(instants))
        distinct, places = np.unique(instants[of_zone], return_inverse=True)
        clock = table.broker_zones[zone]
        written = np.array([to_broker_epoch(float(instant), clock) * 1000 for instant in distinct])
        if len(distinct):
            result[of_zone] = written[places]
    return result


def moves_since(table: PairTable, pairs: Integers, instants: Floats, deals: Rows) -> MoneyMoves:
    """Sum the deals of each pair's account at or after the pair's instant (UTC epoch seconds)."""
    count = len(pairs)
    if not len(deals) or not count:
        return MoneyMoves(np.zeros(count), np.zeros(count), np.zeros(count))
    owner, row = joined(table.account_index[pairs], deals)
    since = broker_msc(table, pairs, instants)
    inside = deals["time_msc"][row] >= since[owner]
    owner, row = owner[inside], row[inside]
    amounts, transfers = deal_amounts(deals)[row], are_transfers(deals)[row]

    def total(chosen: Flags) -> Floats:
        sums = np.bincount(owner, np.where(chosen, amounts, 0.0), minlength=count)
        return sums.astype(np.float64, copy=False)

    return MoneyMoves(
        result=total(~transfers),
        deposits=total(transfers & (amounts > 0)),
        withdrawals=total(transfers & (amounts < 0)),
    )


def add_transfers(table: PairTable, state: PairState, deals: Rows) -> PairState:
    """Add new deposits and withdrawals to the baselines that began before them.

    `deals` are the accepted ones that no earlier call has seen: each counts exactly once.
    """
    deals = deals[are_transfers(deals)] if len(deals) else deals
    if not len(deals):
        return state
    touched = np.unique(deals["account"])
    starts, ends = table.account_starts[touched], table.account_starts[touched + 1]
    pairs = np.concatenate(
        [table.pairs_by_account[start:end] for start, end in zip(starts, ends, strict=True)]
    )
    # A deposit is no money of a strategy, and no result of anything.
    pairs = pairs[~table.counted[pairs]]
    whole = moves_since(table, pairs, state.started_at[pairs], deals)
    day = moves_since(table, pairs, state.day_started_at[pairs], deals)
    return replace(
        state,
        deposits=_added(state.deposits, pairs, whole.deposits),
        withdrawals=_added(state.withdrawals, pairs, whole.withdrawals),
        day_deposits=_added(state.day_deposits, pairs, day.deposits),
        day_withdrawals=_added(state.day_withdrawals, pairs, day.withdrawals),
    )


def _added(column: Floats, pairs: Integers, amounts: Floats) -> Floats:
    column = column.copy()
    column[pairs] += amounts
    return column


def joined(account: Integers, deals: Rows) -> tuple[Integers, Integers]:
    """Join accounts with their rows in `deals` (sorted by account): places and row numbers."""
    first = np.searchsorted(deals["account"], account, side="left")
    counts = np.searchsorted(deals["account"], account, side="right") - first
    owner = np.repeat(np.arange(len(account)), counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    return owner, np.arange(len(owner)) - before + first[owner]
