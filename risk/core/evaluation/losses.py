"""The rules that set a floor under the equity."""

import numpy as np

from risk.core.account_columns import AccountColumns
from risk.core.arrays import Floats
from risk.core.pairs import DRAWDOWN_CODE, PairTable
from risk.core.results import Evaluation, mark_breaches, without_noise
from risk.core.rule_types import DrawdownKind, RuleType
from risk.core.states import PairState
from risk.core.strategies import own_equity


def judge_daily_loss(
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
    equity = own_equity(table, state, accounts, part)
    _against_floor(result, table, part, equity, amount, reference + moved - amount)


def judge_drawdown(
    result: Evaluation, table: PairTable, state: PairState, accounts: AccountColumns
) -> None:
    part = table.slice_of(RuleType.MAX_DRAWDOWN)
    static = table.drawdown_kind[part] == DRAWDOWN_CODE[DrawdownKind.STATIC]
    reference = np.where(static, table.initial_balance[part], state.peak[part])
    moved = state.deposits[part] + table.withdrawals_move[part] * state.withdrawals[part]
    amount = table.fixed_amount[part] + table.reference_fraction[part] * reference
    floor = np.minimum(reference - amount, table.lock_level[part]) + moved
    equity = own_equity(table, state, accounts, part)
    _against_floor(result, table, part, equity, amount, floor)


def _against_floor(
    result: Evaluation,
    table: PairTable,
    part: slice,
    equity: Floats,
    amount: Floats,
    floor: Floats,
) -> None:
    amount = np.where(amount > 0, amount, np.nan)
    floor = np.where(np.isnan(amount), np.nan, floor)
    left = np.minimum(without_noise(equity - floor), amount)
    result.value[part] = equity
    result.limit[part] = amount
    result.floor[part] = floor
    result.left[part] = left
    result.used[part] = amount - left
    result.buffer[part] = left / amount
    mark_breaches(result, table, part, left)
