"""What a tick has found, laid out in rows for the hot state and the live objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from accounts.hot_state import ACCOUNT_STATE_DTYPE, RULE_STATE_DTYPE, AccountState, Tables
from accounts.sessions.poll import Poll
from accounts.terminals.readings import Rows
from risk.core.arrays import Flags, Floats, Integers
from risk.tracker import Assessment

_COPIED = (
    "balance",
    "credit",
    "equity",
    "profit",
    "margin",
    "margin_free",
    "margin_level",
    "leverage",
    "margin_mode",
    "currency",
    "currency_digits",
    "trade_mode",
    "trade_allowed",
    "algo_trading_allowed",
    "stop_out_mode",
    "stop_out_call",
    "stop_out_level",
    "tick_msc",
)
_EVALUATED = (
    "status",
    "present",
    "reason",
    "value",
    "used",
    "limit",
    "left",
    "floor",
    "buffer",
    "symbol",
    "direction",
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One row per account; the tables below it are sorted by account, with their offsets."""

    tables: Tables
    accounts: Rows
    rules: Rows
    rule_offsets: Integers
    positions: Rows
    position_offsets: Integers
    orders: Rows
    order_offsets: Integers

    def state_of(self, row: int) -> AccountState:
        rules = self.rules[self.rule_offsets[row] : self.rule_offsets[row + 1]]
        positions = self.positions[self.position_offsets[row] : self.position_offsets[row + 1]]
        orders = self.orders[self.order_offsets[row] : self.order_offsets[row + 1]]
        return AccountState(self.accounts[row], rules, positions, orders, self.tables)


def build_frame(
    poll: Poll, assessment: Assessment, *, rule_ids: Sequence[str], clock_offsets: Floats
) -> Frame:
    """Lay out a poll and its assessment.

    `rule_ids` are those of the desk's rules, in order; `clock_offsets` tell in seconds how far each
    account's broker is ahead of the account's zone.
    """
    count = len(poll.account_ids)
    accounts = np.zeros(count, dtype=ACCOUNT_STATE_DTYPE)
    accounts["read_at"] = poll.read_at
    accounts["clock_offset"] = clock_offsets
    accounts["identity_checks"] = poll.identity_checks
    accounts["identity_failures"] = poll.identity_failures
    for name in _COPIED:
        accounts[name] = poll.batch.accounts[name]
    positions, orders = poll.batch.positions, poll.batch.orders
    places = np.arange(count + 1)
    return Frame(
        tables=Tables(
            evaluated_at=assessment.moment,
            symbols=poll.batch.symbols,
            currencies=poll.batch.currencies,
            rules=tuple(rule_ids),
        ),
        accounts=accounts,
        rules=_rule_rows(assessment),
        rule_offsets=assessment.desk.pairs.account_starts,
        positions=positions,
        position_offsets=np.searchsorted(positions["account"], places),
        orders=orders,
        order_offsets=np.searchsorted(orders["account"], places),
    )


def _rule_rows(assessment: Assessment) -> Rows:
    table, state = assessment.desk.pairs, assessment.latches.state
    order = table.pairs_by_account
    rules = np.zeros(len(order), dtype=RULE_STATE_DTYPE)
    rules["rule"] = table.rule_index[order]
    for name in _EVALUATED:
        rules[name] = getattr(assessment.evaluation, name)[order]
    rules["reset_at"] = assessment.reset_at[order]
    rules["latched"] = (state.latched & ~state.is_early)[order]
    rules["acknowledged"] = state.acknowledged[order]
    rules["reconstructed"] = state.day_reconstructed[order]
    return rules


def changed_accounts(
    before: Frame | None, before_ids: tuple[UUID, ...], after: Frame, ids: tuple[UUID, ...]
) -> Flags:
    """Tell for which accounts something that people see differs, apart from the reading's age."""
    count = len(ids)
    if before is None or before_ids is not ids or len(before.rules) != len(after.rules):
        return np.ones(count, dtype=np.bool_)
    changed = np.zeros(count, dtype=np.bool_)
    for name in ("equity", "balance", "credit", "margin", "trade_allowed"):
        changed |= before.accounts[name] != after.accounts[name]
    differs = np.zeros(len(after.rules), dtype=np.bool_)
    for name in ("rule", "status", "reason", "latched", "acknowledged"):
        differs |= before.rules[name] != after.rules[name]
    for name in ("limit", "floor", "left"):
        old, new = before.rules[name], after.rules[name]
        differs |= (old != new) & ~(np.isnan(old) & np.isnan(new))
    owners = np.repeat(np.arange(count), np.diff(after.rule_offsets))
    changed[owners[differs]] = True
    moved = np.diff(before.position_offsets) != np.diff(after.position_offsets)
    result: Flags = changed | moved
    return result
