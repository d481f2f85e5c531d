"""Trades, days without a trade, and objectives, at and around their limits."""

import numpy as np
import pytest

from risk.core.account_columns import AccountColumns
from risk.core.baselines import day_starts
from risk.core.evaluation import Evaluation, evaluate
from risk.core.exposures import exposures_of
from risk.core.latches import decide_latches
from risk.core.pairs import PairTable
from risk.core.rule_types import RuleType
from risk.core.states import PairState
from risk.core.statuses import Reason, Status
from risk.core.surroundings import Surroundings
from risk.tests.core_cases import NOON, at, batch, columns, pairs_of, rule, state_of

DAY = 86_400.0
DAY_START = at(2026, 5, 31, 22)


def judged(
    table: PairTable, state: PairState, *, accepted: bool = True, moment: float = NOON
) -> Evaluation:
    reading = batch([{"balance": 100_000.0}])
    accounts: AccountColumns = columns(reading, [accepted])
    surroundings = Surroundings(moment=moment)
    return evaluate(table, state, accounts, exposures_of(reading), surroundings)


@pytest.mark.parametrize(
    ("trades", "status"),
    [(0, Status.SAFE), (4, Status.CAUTION), (5, Status.CRITICAL), (6, Status.VIOLATED)],
)
def test_it_allows_as_many_trades_a_day_as_the_limit_says(trades: int, status: Status) -> None:
    table = pairs_of([rule(RuleType.MAX_DAILY_TRADES, "5")])
    result = judged(table, state_of(table, day_started_at=DAY_START, day_trades=trades))
    assert (result.status[0], result.used[0], result.left[0]) == (status, trades, 5 - trades)


def test_too_many_trades_stay_a_violation_until_the_reset() -> None:
    table = pairs_of([rule(RuleType.MAX_DAILY_TRADES, "5")])
    state = state_of(table, day_started_at=DAY_START, day_trades=6)
    days = day_starts(table, NOON)
    state = decide_latches(table, state, judged(table, state), days, NOON).state
    assert state.latched[0]
    reset = DAY_START + DAY
    unknown = state_of(table, latched=True, latched_at=NOON)
    for moment, cleared in ((reset - 0.1, 0), (reset, 1)):
        result = judged(table, unknown)
        days = day_starts(table, moment)
        assert len(decide_latches(table, state, result, days, moment).cleared) == cleared


@pytest.mark.parametrize(
    ("idle", "status"),
    [(29.9999, Status.CRITICAL), (30.0, Status.VIOLATED), (30.1, Status.VIOLATED)],
)
@pytest.mark.parametrize("has_traded", [True, False])
def test_it_is_inactive_after_its_days_without_a_trade(
    idle: float, status: Status, has_traded: bool
) -> None:
    table = pairs_of([rule(RuleType.INACTIVITY, "30")])
    since = NOON - idle * DAY
    state = state_of(
        table,
        day_started_at=DAY_START,
        started_at=NOON - DAY if has_traded else since,
        last_trade_at=since if has_traded else np.nan,
    )
    result = judged(table, state)
    assert result.status[0] == status
    assert result.used[0] == pytest.approx(idle)


@pytest.mark.parametrize("rule_type", ["PROFIT_TARGET", "MIN_TRADING_DAYS", "CONSISTENCY"])
@pytest.mark.parametrize("amount", [-50_000.0, 0.0, 1.0, 50_000.0])
def test_an_objective_is_never_critical_or_violated(rule_type: str, amount: float) -> None:
    limits = {"PROFIT_TARGET": "0.1", "MIN_TRADING_DAYS": "5", "CONSISTENCY": "0.4"}
    table = pairs_of([rule(RuleType(rule_type), limits[rule_type])])
    state = state_of(
        table, day_started_at=DAY_START, total_profit=amount, day_profit=amount, best_day=amount
    )
    assert judged(table, state).status[0] not in (Status.CRITICAL, Status.VIOLATED)


@pytest.mark.parametrize(
    ("profit", "left"), [(-1_000.0, 11_000.0), (9_999.0, 1.0), (10_000.0, 0.0), (10_001.0, -1.0)]
)
def test_it_shows_how_much_profit_is_missing(profit: float, left: float) -> None:
    table = pairs_of([rule(RuleType.PROFIT_TARGET, "0.1")])
    result = judged(table, state_of(table, day_started_at=DAY_START, total_profit=profit))
    assert (result.used[0], result.limit[0], result.left[0]) == (profit, 10_000.0, left)
    assert result.buffer[0] == pytest.approx(left / 10_000.0)


@pytest.mark.parametrize(("today", "days"), [(0, 3), (1, 4), (9, 4)])
def test_today_counts_as_a_trading_day_once_a_position_was_opened(today: int, days: int) -> None:
    table = pairs_of([rule(RuleType.MIN_TRADING_DAYS, "4")])
    state = state_of(table, day_started_at=DAY_START, trading_days=3, day_trades=today)
    assert judged(table, state).used[0] == days


@pytest.mark.parametrize(
    ("basis", "day", "share"),
    [
        ("total_profit", 0.0, 600 / 1_500),
        ("total_profit", 700.0, 700 / 2_200),
        ("positive_days", 0.0, 600 / 2_000),
        ("positive_days", -100.0, 600 / 2_000),
        ("positive_days", 700.0, 700 / 2_700),
    ],
)
def test_it_compares_the_best_day_with_the_profit(basis: str, day: float, share: float) -> None:
    table = pairs_of([rule(RuleType.CONSISTENCY, "0.4", basis=basis)])
    state = state_of(
        table,
        day_started_at=DAY_START,
        best_day=600.0,
        positive_days=2_000.0,
        total_profit=1_500.0 + day,
        day_profit=day,
    )
    assert judged(table, state).used[0] == pytest.approx(share)


@pytest.mark.parametrize("profit", [0.0, -1.0])
def test_without_profit_no_day_has_a_share_of_it(profit: float) -> None:
    table = pairs_of([rule(RuleType.CONSISTENCY, "0.4")])
    result = judged(table, state_of(table, day_started_at=DAY_START, total_profit=profit))
    assert (result.status[0], result.reason[0]) == (Status.UNKNOWN, Reason.NO_PROFIT)


def test_what_was_not_counted_yet_is_not_known() -> None:
    table = pairs_of(
        [
            rule(RuleType(name), limit)
            for name, limit in [
                ("MAX_DAILY_TRADES", "5"),
                ("INACTIVITY", "30"),
                ("CONSISTENCY", "0.4"),
            ]
        ]
    )
    result = judged(table, state_of(table, day_started_at=np.nan))
    assert set(result.status.tolist()) == {Status.UNKNOWN}
    assert set(result.reason.tolist()) == {Reason.NO_HISTORY}
    unread = judged(table, state_of(table, day_started_at=DAY_START), accepted=False)
    assert set(unread.reason.tolist()) == {Reason.NO_READING}
