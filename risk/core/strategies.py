"""What a loss rule narrowed to a strategy sees: an account that this strategy alone had traded.

Such a virtual account begins with the account's initial balance when the rule begins to watch. It
has no deposits and no withdrawals, and no result but that of the strategy's deals and positions.
"""

import numpy as np

from accounts.terminals.readings import Rows
from risk.core.account_columns import AccountColumns
from risk.core.arrays import Flags, Floats
from risk.core.pairs import NO_MAGIC, PairTable
from risk.core.rule_types import LOSS_RULES
from risk.core.states import PairState


def of_strategies(table: PairTable) -> Flags:
    """Tell which pairs are loss rules narrowed to a strategy."""
    found = np.zeros(len(table), dtype=np.bool_)
    for rule_type in LOSS_RULES:
        part = table.slice_of(rule_type)
        found[part] = table.magic[part] != NO_MAGIC
    return found


def strategy_floating(table: PairTable, strategies: Flags, positions: Rows) -> Floats:
    """Add up what the positions of each pair's strategy float, swap included; 0 for other pairs."""
    floating = np.zeros(len(table))
    if not strategies.any():
        return floating
    amounts = positions["profit"] + positions["swap"]
    for magic in np.unique(table.magic[strategies]).tolist():
        of_magic = positions["magic"] == magic
        sums = np.bincount(
            positions["account"][of_magic], amounts[of_magic], minlength=table.accounts
        )
        pairs = strategies & (table.magic == magic)
        floating[pairs] = sums[table.account_index[pairs]]
    return floating


def own_balance(
    table: PairTable, state: PairState, accounts: AccountColumns, part: slice
) -> Floats:
    """Return the balance that each pair of a loss rule counts, NaN where it is not known."""
    index = table.account_index[part]
    virtual = table.initial_balance[part] + state.realised[part]
    whole = accounts.balance[index]
    return _chosen(table, state, accounts, part, virtual, whole)


def own_equity(table: PairTable, state: PairState, accounts: AccountColumns, part: slice) -> Floats:
    """Return the equity that each pair of a loss rule counts, NaN where it is not known."""
    virtual = table.initial_balance[part] + state.realised[part] + state.floating[part]
    whole = accounts.own_equity[table.account_index[part]]
    return _chosen(table, state, accounts, part, virtual, whole)


def _chosen(
    table: PairTable,
    state: PairState,
    accounts: AccountColumns,
    part: slice,
    virtual: Floats,
    whole: Floats,
) -> Floats:
    narrowed = table.magic[part] != NO_MAGIC
    if not narrowed.any():
        return whole
    known = accounts.known[table.account_index[part]] & ~np.isnan(state.day_started_at[part])
    return np.where(narrowed, np.where(known, virtual, np.nan), whole)
