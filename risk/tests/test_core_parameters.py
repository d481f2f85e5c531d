"""Reading and refusing the parameters of rules."""

from datetime import time
from decimal import Decimal

import pytest

from risk.core.parameters import (
    MaxDailyLoss,
    MaxDrawdown,
    MaxPositionSize,
    ParameterErrors,
    Thresholds,
    TradingWindow,
    parse_parameters,
)
from risk.core.rule_types import (
    ARMED_ACTIONS,
    OBJECTIVES,
    Action,
    AmountKind,
    Comparison,
    DrawdownKind,
    Importance,
    Lock,
    Reference,
    RuleType,
    allowed_actions,
)
from risk.core.statuses import Status, status_from_text, worst

DAILY, DRAWDOWN, MARGIN = RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN, RuleType.MARGIN_LEVEL
SIZE, COUNT, LEVERAGE = RuleType.MAX_POSITION_SIZE, RuleType.POSITION_LIMIT, RuleType.MAX_LEVERAGE
EXPOSURE, CORRELATION = RuleType.MAX_EXPOSURE, RuleType.MAX_CORRELATION
RISK, STOP, WINDOW = RuleType.RISK_PER_TRADE, RuleType.STOP_LOSS_REQUIRED, RuleType.TRADING_WINDOW
OPPOSITES, TRADES = RuleType.NO_CROSS_HEDGING, RuleType.MAX_DAILY_TRADES
IDLE, TARGET = RuleType.INACTIVITY, RuleType.PROFIT_TARGET
DAYS, EVEN = RuleType.MIN_TRADING_DAYS, RuleType.CONSISTENCY
TIMES = {"from_time": "21:45", "until_time": "23:00"}


def test_it_reads_a_daily_loss() -> None:
    raw = {
        "amount_kind": "fraction_of_reference",
        "reference": "higher_of_balance_and_equity",
        "reset_time": "17:00",
        "reset_zone": "America/New_York",
        "comparison": "below",
        "withdrawals_move_floor": False,
        "caution": 0.4,
        "critical": "0.2",
    }
    assert parse_parameters(DAILY, Decimal("0.05"), raw) == MaxDailyLoss(
        limit=Decimal("0.05"),
        thresholds=Thresholds(0.4, 0.2),
        amount_kind=AmountKind.FRACTION_OF_REFERENCE,
        reference=Reference.HIGHER,
        reset_time=time(17),
        reset_zone="America/New_York",
        comparison=Comparison.BELOW,
        withdrawals_move_floor=False,
    )


def test_it_reads_a_reset_as_accounts_write_it() -> None:
    read = parse_parameters(DAILY, Decimal("0.05"), {"reset_time": "17:00:00"})
    assert isinstance(read, MaxDailyLoss)
    assert read.reset_time == time(17)


def test_it_reads_a_maximum_loss() -> None:
    raw = {"kind": "trailing_end_of_day", "lock": "at_offset", "lock_offset": "100.00"}
    read = parse_parameters(DRAWDOWN, Decimal("0.06"), raw)
    assert isinstance(read, MaxDrawdown)
    assert (read.kind, read.lock) == (DrawdownKind.TRAILING_END_OF_DAY, Lock.AT_OFFSET)
    assert read.lock_offset == 100


def test_it_reads_the_symbols_once_each_and_as_they_are_written() -> None:
    read = parse_parameters(SIZE, Decimal(5), {"symbols": ["EURUSD", "EURUSD.a", " EURUSD"]})
    assert isinstance(read, MaxPositionSize)
    assert read.symbols == ("EURUSD", "EURUSD.a")


# What a type cannot do without.
NEEDED = {
    DAILY: {"amount_kind": "money"},
    DRAWDOWN: {"amount_kind": "money"},
    TARGET: {"amount_kind": "money"},
    WINDOW: TIMES,
}


@pytest.mark.parametrize("rule_type", list(RuleType))
@pytest.mark.parametrize("raw", [{}, {"caution": None, "critical": ""}])
def test_it_has_defaults_for_everything_but_the_limit(
    rule_type: RuleType, raw: dict[str, object]
) -> None:
    read = parse_parameters(rule_type, Decimal(1), {**NEEDED.get(rule_type, {}), **raw})
    assert (read.rule_type, read.thresholds) == (rule_type, Thresholds(0.3, 0.1))


@pytest.mark.parametrize("rule_type", list(RuleType))
@pytest.mark.parametrize("limit", ["-0.01", "0", "NaN", "Infinity", "1e13"])
def test_it_refuses_a_limit_that_limits_nothing(rule_type: RuleType, limit: str) -> None:
    with pytest.raises(ParameterErrors) as refusal:
        parse_parameters(rule_type, Decimal(limit), NEEDED.get(rule_type, {}))
    assert list(refusal.value.fields) == ["limit"]


@pytest.mark.parametrize(
    ("rule_type", "limit", "raw", "field", "words"),
    [
        (DAILY, "5", {}, "limit", "0.05 for 5 %"),
        (DAILY, "0.05", {"reset_zone": "Europe/Pragu"}, "reset_zone", "Europe/Pragu"),
        (DAILY, "0.05", {"reset_time": "24:00"}, "reset_time", "HH:MM"),
        (DAILY, "0.05", {"reset_time": "7:00"}, "reset_time", "HH:MM"),
        (DAILY, "0.05", {"reset_time": "17:00:60"}, "reset_time", "HH:MM"),
        (DAILY, "0.05", {"reset_time": 17}, "reset_time", "HH:MM"),
        (DAILY, "0.05", {"reference": "peak"}, "reference", "Choose one of balance, equity"),
        (DAILY, "0.05", {"reference": ["balance"]}, "reference", "Choose one of"),
        (DAILY, "0.05", {"kind": "static"}, "kind", "no such parameter"),
        (DAILY, "0.05", {"withdrawals_move_floor": "yes"}, "withdrawals_move_floor", "true"),
        (DAILY, "0.05", {"caution": 1}, "caution", "up to, not including, 1"),
        (DAILY, "0.05", {"critical": -0.1}, "critical", "fraction"),
        (DAILY, "0.05", {"caution": 0.1, "critical": 0.2}, "critical", "before caution"),
        (DAILY, "0.05", {"caution": "a lot"}, "caution", "number"),
        (DAILY, "0.05", {"caution": True}, "caution", "number"),
        (DRAWDOWN, "0.05", {"lock": "at_initial"}, "lock", "never rises"),
        (
            DRAWDOWN,
            "0.05",
            {"kind": "trailing_end_of_day", "lock": "at_offset"},
            "lock_offset",
            "how far",
        ),
        (DRAWDOWN, "0.05", {"lock_offset": 100}, "lock_offset", "at_offset"),
        (MARGIN, "150", {"comparison": "above"}, "comparison", "Choose one of below"),
        (MARGIN, "150", {"hold_seconds": -1}, "hold_seconds", "between 0 and"),
        (SIZE, "5", {"symbols": "EURUSD"}, "symbols", "list of symbols"),
        (SIZE, "5", {"symbols": ["EURUSD", 7]}, "symbols", "7 is not"),
        (COUNT, "2.5", {}, "limit", "whole number"),
        (COUNT, "3", {"include_pending": 1}, "include_pending", "true or false"),
        (LEVERAGE, "30", {"net": True}, "net", "no such parameter"),
        (EXPOSURE, "2", {"exposure_of": "group"}, "exposure_of", "symbol, currency"),
        (CORRELATION, "1.01", {}, "limit", "at most 1"),
        (RISK, "1.01", {}, "limit", "0.01 for 1 %"),
        (STOP, "1441", {}, "limit", "one day"),
        (OPPOSITES, "2", {}, "limit", "no limit to choose"),
        (OPPOSITES, "1", {"magic": 7}, "magic", "whole account"),
        (MARGIN, "150", {"magic": 7}, "magic", "whole account"),
        (COUNT, "3", {"magic": -1}, "magic", "whole number from 0 on"),
        (COUNT, "3", {"magic": "1.5"}, "magic", "whole number from 0 on"),
        (WINDOW, "30", {"until_time": "23:00"}, "from_time", "HH:MM"),
        (WINDOW, "30", {"from_time": "23:00"}, "until_time", "HH:MM"),
        (
            WINDOW,
            "30",
            {"kind": "daily", "from_time": "23:00", "until_time": "23:00"},
            "until_time",
            "never let you trade",
        ),
        (WINDOW, "30", {"kind": "lunch", **TIMES}, "kind", "daily, weekend, news"),
        (WINDOW, "30", {"from_weekday": 7, **TIMES}, "from_weekday", "Monday"),
        (WINDOW, "30", {"until_weekday": 1.5, **TIMES}, "until_weekday", "Monday"),
        (WINDOW, "30", {"zone": "Prague", **TIMES}, "zone", "Prague"),
        (WINDOW, "1441", {"kind": "news"}, "limit", "1,440 minutes"),
        (WINDOW, "5", {"kind": "news", "currencies": ["usd"]}, "currencies", "capital letters"),
        (WINDOW, "5", {"kind": "news", "min_importance": 3}, "min_importance", "low, medium"),
        (TRADES, "2.5", {}, "limit", "whole number"),
        (IDLE, "3651", {}, "limit", "3,650 days"),
        (TARGET, "8", {}, "limit", "0.05 for 5 %"),
        (
            TARGET,
            "0.08",
            {"amount_kind": "fraction_of_reference"},
            "amount_kind",
            "from the initial balance",
        ),
        (DAYS, "4.5", {}, "limit", "whole number"),
        (EVEN, "1.5", {}, "limit", "0.5 for 50 %"),
        (EVEN, "0.5", {"basis": "median"}, "basis", "total_profit, positive_days"),
    ],
)
def test_it_names_the_field_that_is_wrong(
    rule_type: RuleType, limit: str, raw: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(ParameterErrors) as refusal:
        parse_parameters(rule_type, Decimal(limit), raw)
    assert list(refusal.value.fields) == [field]
    assert words in refusal.value.fields[field]


def test_it_reads_a_window() -> None:
    raw = {"kind": "weekend", "from_weekday": "4", "until_weekday": 0, "zone": "Europe/Prague"}
    read = parse_parameters(WINDOW, Decimal(30), {**TIMES, **raw})
    assert read == TradingWindow(
        limit=Decimal(30),
        from_time=time(21, 45),
        until_time=time(23),
        from_weekday=4,
        until_weekday=0,
        zone="Europe/Prague",
    )
    news = parse_parameters(WINDOW, Decimal(5), {"kind": "news", "currencies": ["USD", "USD"]})
    assert isinstance(news, TradingWindow)
    assert (news.currencies, news.min_importance) == (("USD",), Importance.HIGH)


def test_it_reads_the_strategy_of_a_rule() -> None:
    for magic in (0, "77", Decimal(2**63 - 1)):
        assert parse_parameters(COUNT, Decimal(3), {"magic": magic}).magic == int(magic)


@pytest.mark.parametrize("rule_type", list(RuleType))
def test_it_lets_only_actions_close_that_know_what_to_close(rule_type: RuleType) -> None:
    allowed = allowed_actions(rule_type)
    assert allowed[0] is Action.ALERT
    if rule_type in OBJECTIVES:
        assert allowed == (Action.ALERT,)
    if rule_type is OPPOSITES:
        assert not ARMED_ACTIONS & set(allowed)


def test_it_names_all_wrong_fields_at_once() -> None:
    with pytest.raises(ParameterErrors) as refusal:
        parse_parameters(DAILY, Decimal(-1), {"reference": "x", "reset_zone": "y", "z": 1})
    assert set(refusal.value.fields) == {"limit", "reference", "reset_zone", "z"}


def test_it_orders_statuses_by_severity() -> None:
    order = [Status.SAFE, Status.CAUTION, Status.UNKNOWN, Status.CRITICAL, Status.VIOLATED]
    assert sorted(Status) == order
    assert worst([Status.CAUTION, Status.UNKNOWN]) is Status.UNKNOWN
    assert worst([]) is Status.SAFE
    assert [status_from_text(status.text) for status in Status] == list(Status)
    with pytest.raises(ValueError, match="not a status"):
        status_from_text("fine")
