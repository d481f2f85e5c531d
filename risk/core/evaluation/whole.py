"""The evaluation of a table: each rule type by its own function, then the statuses of all."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from risk.core.account_columns import AccountColumns
from risk.core.activity import judge_activity
from risk.core.arrays import Codes, Flags, Integers
from risk.core.evaluation.exposure import judge_correlation, judge_exposure
from risk.core.evaluation.losses import judge_daily_loss, judge_drawdown
from risk.core.evaluation.opposites import judge_opposites
from risk.core.evaluation.sizes import (
    judge_leverage,
    judge_margin_level,
    judge_position_count,
    judge_position_size,
)
from risk.core.evaluation.stop_losses import judge_risk_per_trade, judge_stop_loss
from risk.core.evaluation.trading_windows import judge_trading_window
from risk.core.exposures import Exposures
from risk.core.holdings import Holdings
from risk.core.pairs import DRAWDOWN_CODE, PairTable
from risk.core.results import Evaluation, nothing_known, with_latches
from risk.core.rule_types import ACTIVITY_RULES, OBJECTIVES, DrawdownKind, RuleType
from risk.core.states import PairState
from risk.core.statuses import Reason, Status
from risk.core.surroundings import EMPTY, Surroundings

Judge = Callable[[Evaluation, PairTable, slice, Holdings], None]

_JUDGES: Final[Mapping[RuleType, Judge]] = {
    RuleType.MARGIN_LEVEL: judge_margin_level,
    RuleType.MAX_POSITION_SIZE: judge_position_size,
    RuleType.POSITION_LIMIT: judge_position_count,
    RuleType.MAX_LEVERAGE: judge_leverage,
    RuleType.MAX_EXPOSURE: judge_exposure,
    RuleType.MAX_CORRELATION: judge_correlation,
    RuleType.RISK_PER_TRADE: judge_risk_per_trade,
    RuleType.STOP_LOSS_REQUIRED: judge_stop_loss,
    RuleType.TRADING_WINDOW: judge_trading_window,
    RuleType.NO_CROSS_HEDGING: judge_opposites,
}


def evaluate(
    table: PairTable,
    state: PairState,
    accounts: AccountColumns,
    exposures: Exposures,
    surroundings: Surroundings = EMPTY,
) -> Evaluation:
    """Evaluate all pairs; `accounts` and `exposures` come from one batch.

    Loss rules: floor = reference + deposits (+ withdrawals when they move it) - amount, where a
    lock caps the floor; left = equity - floor, at most the amount; violated below the floor, or
    at it, as the rule says. Credit is left out on both sides. Rules that are narrowed to a strategy
    count its positions and orders alone. Source: DOMAIN.md, part 3.
    """
    result = nothing_known(len(table))
    judge_daily_loss(result, table, state, accounts)
    judge_drawdown(result, table, state, accounts)
    judge_activity(result, table, state, accounts, surroundings.moment)
    holdings = Holdings(accounts, exposures.with_strategies(table.strategies), surroundings)
    for rule_type, judge in _JUDGES.items():
        part = table.slice_of(rule_type)
        if part.start < part.stop:
            judge(result, table, part, holdings)
    return _with_statuses(result, table, state, accounts)


def _with_statuses(
    result: Evaluation, table: PairTable, state: PairState, accounts: AccountColumns
) -> Evaluation:
    present, buffer = result.present, result.buffer
    inside = present != Status.VIOLATED
    present[inside & (buffer <= table.caution)] = Status.CAUTION
    present[inside & (buffer <= table.critical)] = Status.CRITICAL
    for rule_type in OBJECTIVES:
        present[table.slice_of(rule_type)] = Status.SAFE
    unknown = np.flatnonzero(np.isnan(buffer))
    present[unknown] = Status.UNKNOWN
    if len(unknown):
        result.reason[unknown] = _reasons(unknown, result, table, state, accounts)
    return with_latches(result, state.latched)


def _reasons(
    pairs: Integers,
    result: Evaluation,
    table: PairTable,
    state: PairState,
    accounts: AccountColumns,
) -> Codes:
    """Tell why each of these pairs is not known; the first reason that holds is given."""
    daily = _among(pairs, table, RuleType.MAX_DAILY_LOSS)
    drawdown = _among(pairs, table, RuleType.MAX_DRAWDOWN)
    activity = np.zeros(len(pairs), dtype=np.bool_)
    for rule_type in ACTIVITY_RULES:
        activity |= _among(pairs, table, rule_type)
    given = result.reason[pairs]
    lacks_balance = table.uses_balance[pairs] & np.isnan(state.day_balance[pairs])
    lacks_equity = table.uses_equity[pairs] & np.isnan(state.day_equity[pairs])
    trails = table.drawdown_kind[pairs] > DRAWDOWN_CODE[DrawdownKind.STATIC]
    needs_initial = np.isnan(table.fixed_amount[pairs]) | np.isnan(table.lock_level[pairs])
    return np.select(
        [
            ~accounts.known[table.account_index[pairs]],
            given != Reason.NONE,
            (daily | drawdown | activity) & needs_initial,
            drawdown & ~trails & np.isnan(table.initial_balance[pairs]),
            daily & (lacks_balance | lacks_equity) & np.isnan(state.day_started_at[pairs]),
            daily & (lacks_balance | lacks_equity),
            drawdown & trails & np.isnan(state.peak[pairs]),
            daily | drawdown | (activity & (table.fixed_amount[pairs] <= 0)),
            activity,
        ],
        [
            Reason.NO_READING,
            given,
            Reason.NO_INITIAL_BALANCE,
            Reason.NO_INITIAL_BALANCE,
            Reason.NO_DAY_START,
            Reason.RESET_MISSED,
            Reason.NO_PEAK,
            Reason.NO_LIMIT,
            Reason.NO_HISTORY,
        ],
        default=Reason.NO_VALUE,
    ).astype(np.int8)


def _among(pairs: Integers, table: PairTable, rule_type: RuleType) -> Flags:
    part = table.slice_of(rule_type)
    among: Flags = (pairs >= part.start) & (pairs < part.stop)
    return among
