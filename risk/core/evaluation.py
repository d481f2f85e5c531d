"""Every pair against its limit, at once."""

from dataclasses import dataclass, replace

import numpy as np

from risk.core.account_columns import AccountColumns
from risk.core.arrays import Codes, Flags, Floats, Integers
from risk.core.exposures import Exposures, largest_sizes
from risk.core.pairs import DRAWDOWN_CODE, PairTable
from risk.core.rule_types import DrawdownKind, RuleType
from risk.core.states import PairState
from risk.core.statuses import Reason, Status

# Doubles carry noise: what is nearer to the limit than this is at the limit.
TOLERANCE = 0.5e-6

# Leverage is a quotient by equity: with nothing left it is counted as if one cent were left.
_SMALLEST_EQUITY = 0.01


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What each pair says, in the order of the PairTable; NaN is "not known".

    `value` is what was compared: equity without credit for the loss rules, else the margin level
    in percent, lots, positions or leverage. `used`, `limit`, `left` and `floor` are in the
    rule's unit, `buffer` is what is left as a fraction of the limit. `present` is the status that
    the reading alone gives, `status` counts latches too. `symbol` (an index into the
    batch's symbols, -1 none) and `direction` (0 buy, 1 sell) tell where a size is largest.
    """

    status: Codes
    present: Codes
    value: Floats
    used: Floats
    limit: Floats
    left: Floats
    floor: Floats
    buffer: Floats
    reason: Codes
    symbol: Integers
    direction: Codes

    @property
    def breached(self) -> Flags:
        """Tell which pairs the reading itself shows beyond their limit, latched or not."""
        return np.equal(self.present, Status.VIOLATED)


def evaluate(
    table: PairTable, state: PairState, accounts: AccountColumns, exposures: Exposures
) -> Evaluation:
    """Evaluate all pairs; `accounts` and `exposures` come from one batch.

    Loss rules: floor = reference + deposits (+ withdrawals when they move it) - amount, where a
    lock caps the floor; left = equity - floor, at most the amount; violated below the floor, or
    at it, as the rule says. Credit is left out on both sides. Source: DOMAIN.md, part 3.
    """
    count = len(table)
    columns = {
        name: np.full(count, np.nan)
        for name in ("value", "used", "limit", "left", "floor", "buffer")
    }
    result = Evaluation(
        status=np.zeros(count, dtype=np.int8),
        present=np.zeros(count, dtype=np.int8),
        reason=np.zeros(count, dtype=np.int8),
        symbol=np.full(count, -1, dtype=np.int64),
        direction=np.zeros(count, dtype=np.int8),
        **columns,
    )
    _daily_loss(result, table, state, accounts)
    _drawdown(result, table, state, accounts)
    _margin_level(result, table, accounts)
    _position_size(result, table, accounts, exposures)
    _position_count(result, table, accounts, exposures)
    _leverage(result, table, accounts, exposures)
    return _with_statuses(result, table, state, accounts)


def with_latches(evaluation: Evaluation, latched: Flags) -> Evaluation:
    """Return the evaluation with `status` counting these latches instead of the former ones."""
    status = np.where(latched, np.int8(Status.VIOLATED), evaluation.present)
    return replace(evaluation, status=status)


def _daily_loss(
    result: Evaluation, table: PairTable, state: PairState, accounts: AccountColumns
) -> None:
    part = table.slice_of(RuleType.MAX_DAILY_LOSS)
    reference = np.maximum(
        np.where(table.uses_balance[part], state.day_balance[part], -np.inf),
        np.where(table.uses_equity[part], state.day_equity[part], -np.inf),
    )
    moved = state.day_deposits[part] + table.withdrawals_move[part] * state.day_withdrawals[part]
    # An account that was empty at the reset, as on its first day, is measured by its funding.
    base = np.where(reference > 0, reference, reference + state.day_deposits[part])
    amount = table.fixed_amount[part] + table.reference_fraction[part] * base
    _against_floor(result, table, part, accounts, amount, reference + moved - amount)


def _drawdown(
    result: Evaluation, table: PairTable, state: PairState, accounts: AccountColumns
) -> None:
    part = table.slice_of(RuleType.MAX_DRAWDOWN)
    static = table.drawdown_kind[part] == DRAWDOWN_CODE[DrawdownKind.STATIC]
    reference = np.where(static, table.initial_balance[part], state.peak[part])
    moved = state.deposits[part] + table.withdrawals_move[part] * state.withdrawals[part]
    amount = table.fixed_amount[part] + table.reference_fraction[part] * reference
    floor = np.minimum(reference - amount, table.lock_level[part]) + moved
    _against_floor(result, table, part, accounts, amount, floor)


def _against_floor(
    result: Evaluation,
    table: PairTable,
    part: slice,
    accounts: AccountColumns,
    amount: Floats,
    floor: Floats,
) -> None:
    equity = accounts.own_equity[table.account_index[part]]
    amount = np.where(amount > 0, amount, np.nan)
    floor = np.where(np.isnan(amount), np.nan, floor)
    left = np.minimum(_without_noise(equity - floor), amount)
    result.value[part] = equity
    result.limit[part] = amount
    result.floor[part] = floor
    result.left[part] = left
    result.used[part] = amount - left
    result.buffer[part] = left / amount
    _mark_breaches(result, table, part, left)


def _margin_level(result: Evaluation, table: PairTable, accounts: AccountColumns) -> None:
    """Compare margin levels: above the limit the buffer is 1 - limit/level, below level/limit - 1.

    Both have the same slope where they meet, and each stays finite on its side. Without margin
    there is no level: the buffer is whole.
    """
    part = table.slice_of(RuleType.MARGIN_LEVEL)
    index = table.account_index[part]
    margin, reported = accounts.margin[index], accounts.margin_level[index]
    limit = table.fixed_amount[part]
    open_margin = margin > 0
    computed = accounts.equity[index] / np.where(open_margin, margin, np.nan) * 100
    level = np.where(open_margin, np.where(reported == 0, computed, reported), np.nan)
    left = _without_noise(level - limit)
    above = left > 0
    buffer = np.where(above, left / np.where(above, level, 1.0), left / limit)
    result.value[part] = level
    result.limit[part] = limit
    result.left[part] = left
    result.used[part] = level
    result.buffer[part] = np.where(margin <= 0, 1.0, buffer)
    result.reason[part] = np.where(margin <= 0, np.int8(Reason.NO_MARGIN), np.int8(Reason.NONE))
    _mark_breaches(result, table, part, left)


def _position_size(
    result: Evaluation, table: PairTable, accounts: AccountColumns, exposures: Exposures
) -> None:
    part = table.slice_of(RuleType.MAX_POSITION_SIZE)
    filters = table.symbol_filter[part]
    index = table.account_index[part]
    rows = np.full(len(index), -1, dtype=np.int64)
    for number in np.unique(filters):
        largest = largest_sizes(exposures, len(accounts), table.symbol_filters[number])
        rows = np.where(filters == number, largest[index], rows)
    some = rows >= 0
    lots = np.zeros(len(rows))
    lots[some] = exposures.sized_lots[rows[some]]
    symbol = result.symbol[part]
    symbol[some] = exposures.sized_symbol[rows[some]]
    direction = result.direction[part]
    direction[some] = exposures.sized_direction[rows[some]]
    _against_limit(result, table, part, accounts, lots)


def _position_count(
    result: Evaluation, table: PairTable, accounts: AccountColumns, exposures: Exposures
) -> None:
    part = table.slice_of(RuleType.POSITION_LIMIT)
    index = table.account_index[part]
    pending = np.where(table.include_pending[part], exposures.pending_orders[index], 0.0)
    _against_limit(result, table, part, accounts, exposures.positions[index] + pending)


def _leverage(
    result: Evaluation, table: PairTable, accounts: AccountColumns, exposures: Exposures
) -> None:
    part = table.slice_of(RuleType.MAX_LEVERAGE)
    index = table.account_index[part]
    notional = np.where(
        table.gross[part], exposures.gross_notional[index], exposures.net_notional[index]
    )
    equity = np.maximum(accounts.equity[index], _SMALLEST_EQUITY)
    _against_limit(result, table, part, accounts, notional / equity)


def _against_limit(
    result: Evaluation, table: PairTable, part: slice, accounts: AccountColumns, value: Floats
) -> None:
    limit = table.fixed_amount[part]
    value = np.where(accounts.known[table.account_index[part]], value, np.nan)
    left = _without_noise(limit - value)
    result.value[part] = value
    result.limit[part] = limit
    result.left[part] = left
    result.used[part] = value
    result.buffer[part] = left / limit
    _mark_breaches(result, table, part, left)


def _without_noise(left: Floats) -> Floats:
    return np.where(np.abs(left) <= TOLERANCE, 0.0, left)


def _mark_breaches(result: Evaluation, table: PairTable, part: slice, left: Floats) -> None:
    breached = (left < 0) | ((left == 0) & ~table.below[part])
    result.present[part] = np.where(breached, np.int8(Status.VIOLATED), np.int8(Status.SAFE))


def _with_statuses(
    result: Evaluation, table: PairTable, state: PairState, accounts: AccountColumns
) -> Evaluation:
    present, buffer = result.present, result.buffer
    inside = present != Status.VIOLATED
    present[inside & (buffer <= table.caution)] = Status.CAUTION
    present[inside & (buffer <= table.critical)] = Status.CRITICAL
    unknown = np.flatnonzero(np.isnan(buffer))
    present[unknown] = Status.UNKNOWN
    if len(unknown):
        result.reason[unknown] = _reasons(unknown, table, state, accounts)
    return with_latches(result, state.latched)


def _reasons(
    pairs: Integers, table: PairTable, state: PairState, accounts: AccountColumns
) -> Codes:
    """Tell why each of these pairs is not known; the first reason that holds is given."""
    daily, drawdown = (
        (pairs >= part.start) & (pairs < part.stop)
        for part in (
            table.slice_of(RuleType.MAX_DAILY_LOSS),
            table.slice_of(RuleType.MAX_DRAWDOWN),
        )
    )
    lacks_balance = table.uses_balance[pairs] & np.isnan(state.day_balance[pairs])
    lacks_equity = table.uses_equity[pairs] & np.isnan(state.day_equity[pairs])
    trails = table.drawdown_kind[pairs] > DRAWDOWN_CODE[DrawdownKind.STATIC]
    needs_initial = np.isnan(table.fixed_amount[pairs]) | np.isnan(table.lock_level[pairs])
    return np.select(
        [
            ~accounts.known[table.account_index[pairs]],
            (daily | drawdown) & needs_initial,
            drawdown & ~trails & np.isnan(table.initial_balance[pairs]),
            daily & (lacks_balance | lacks_equity) & np.isnan(state.day_started_at[pairs]),
            daily & (lacks_balance | lacks_equity),
            drawdown & trails & np.isnan(state.peak[pairs]),
            daily | drawdown,
        ],
        [
            Reason.NO_READING,
            Reason.NO_INITIAL_BALANCE,
            Reason.NO_INITIAL_BALANCE,
            Reason.NO_DAY_START,
            Reason.RESET_MISSED,
            Reason.NO_PEAK,
            Reason.NO_LIMIT,
        ],
        default=Reason.NO_VALUE,
    ).astype(np.int8)
