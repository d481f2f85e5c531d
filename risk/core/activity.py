"""The rules on how often, how long and how evenly an account trades."""

import numpy as np

from risk.core.account_columns import AccountColumns
from risk.core.arrays import Floats
from risk.core.pairs import PairTable
from risk.core.parameters import Consistency, RuleParameters
from risk.core.results import Evaluation, against_limit, give_reason
from risk.core.rule_types import ACTIVITY_RULES, ConsistencyBasis, RuleType
from risk.core.states import PairState
from risk.core.statuses import Reason

_DAY_SECONDS = 86_400


def judge_activity(
    result: Evaluation,
    table: PairTable,
    state: PairState,
    accounts: AccountColumns,
    moment: float,
) -> None:
    """Hold what was counted from deals against the limits, at `moment` (UTC epoch seconds).

    Trades and days without a trade grow towards a limit. Objectives are to be reached: `used` is
    what is reached of the limit and `left` what is missing, so that nothing is left of one that is
    reached; the best day of a consistency rule must stay within its limit instead. What has not
    been counted yet is not known.
    """
    if not table.counted.any():
        return
    counted = ~np.isnan(state.day_started_at)
    for rule_type in ACTIVITY_RULES:
        part = table.slice_of(rule_type)
        if part.start == part.stop:
            continue
        value = _value(rule_type, table, state, part, moment)
        value = np.where(counted[part], value, np.nan)
        against_limit(result, table, part, accounts, value)
        give_reason(result, part, Reason.NO_HISTORY, ~counted[part])
        if rule_type is RuleType.CONSISTENCY:
            give_reason(result, part, Reason.NO_PROFIT, counted[part] & np.isnan(value))


def _value(
    rule_type: RuleType, table: PairTable, state: PairState, part: slice, moment: float
) -> Floats:
    match rule_type:
        case RuleType.MAX_DAILY_TRADES:
            return state.day_trades[part]
        case RuleType.INACTIVITY:
            return _idle_days(state, part, moment)
        case RuleType.PROFIT_TARGET:
            return state.total_profit[part]
        case RuleType.MIN_TRADING_DAYS:
            return state.trading_days[part] + (state.day_trades[part] > 0)
        case _:
            return _best_share(table, state, part)


def _idle_days(state: PairState, part: slice, moment: float) -> Floats:
    last = state.last_trade_at[part]
    since = np.where(np.isnan(last), state.started_at[part], last)
    return np.maximum(moment - since, 0.0) / _DAY_SECONDS


def _best_share(table: PairTable, state: PairState, part: slice) -> Floats:
    """Return the best day's share of the profit, NaN where there is no profit to share."""
    today = state.day_profit[part]
    best = np.maximum(state.best_day[part], today)
    of_days = state.positive_days[part] + np.maximum(today, 0.0)
    numbers, places = np.unique(table.rule_index[part], return_inverse=True)
    by_rule = np.array([_counts_positive_days(table.rules[number]) for number in numbers.tolist()])
    profit = np.where(by_rule[places], of_days, state.total_profit[part])
    has_profit = profit > 0
    return np.where(has_profit, best / np.where(has_profit, profit, 1.0), np.nan)


def _counts_positive_days(rule: RuleParameters) -> bool:
    return isinstance(rule, Consistency) and rule.basis is ConsistencyBasis.POSITIVE_DAYS
