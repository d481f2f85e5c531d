"""The rules on how often, how long and how evenly an account trades."""

import numpy as np

from risk.core.account_columns import AccountColumns
from risk.core.arrays import Flags, Floats
from risk.core.pairs import PairTable
from risk.core.parameters import Consistency
from risk.core.results import Evaluation, against_limit, give_reason
from risk.core.rule_types import ConsistencyBasis, RuleType
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
    values = {
        RuleType.MAX_DAILY_TRADES: state.day_trades,
        RuleType.INACTIVITY: _idle_days(state, moment),
        RuleType.PROFIT_TARGET: state.total_profit,
        RuleType.MIN_TRADING_DAYS: state.trading_days + (state.day_trades > 0),
        RuleType.CONSISTENCY: _best_share(table, state),
    }
    for rule_type, value in values.items():
        part = table.slice_of(rule_type)
        if part.start == part.stop:
            continue
        against_limit(result, table, part, accounts, np.where(counted[part], value[part], np.nan))
        give_reason(result, part, Reason.NO_HISTORY, ~counted[part])
    profitless = counted & np.isnan(values[RuleType.CONSISTENCY])
    part = table.slice_of(RuleType.CONSISTENCY)
    give_reason(result, part, Reason.NO_PROFIT, profitless[part])


def _idle_days(state: PairState, moment: float) -> Floats:
    since = np.where(np.isnan(state.last_trade_at), state.started_at, state.last_trade_at)
    return np.maximum(moment - since, 0.0) / _DAY_SECONDS


def _best_share(table: PairTable, state: PairState) -> Floats:
    """Return the best day's share of the profit, NaN where there is no profit to share."""
    best = np.maximum(state.best_day, state.day_profit)
    of_days = state.positive_days + np.maximum(state.day_profit, 0.0)
    profit = np.where(_counts_positive_days(table), of_days, state.total_profit)
    has_profit = profit > 0
    return np.where(has_profit, best / np.where(has_profit, profit, 1.0), np.nan)


def _counts_positive_days(table: PairTable) -> Flags:
    by_rule = np.array(
        [
            isinstance(rule, Consistency) and rule.basis is ConsistencyBasis.POSITIVE_DAYS
            for rule in table.rules
        ],
        dtype=np.bool_,
    )
    return by_rule[table.rule_index]
