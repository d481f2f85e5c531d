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
    parse_parameters,
)
from risk.core.rule_types import (
    AmountKind,
    Comparison,
    DrawdownKind,
    Lock,
    Reference,
    RuleType,
)
from risk.core.statuses import Status, status_from_text, worst

DAILY, DRAWDOWN, MARGIN = RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN, RuleType.MARGIN_LEVEL
SIZE, COUNT, LEVERAGE = RuleType.MAX_POSITION_SIZE, RuleType.POSITION_LIMIT, RuleType.MAX_LEVERAGE


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
    RuleType.PROFIT_TARGET: {"amount_kind": "money"},
    RuleType.TRADING_WINDOW: {"from_time": "21:45", "until_time": "23:00"},
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
    ],
)
def test_it_names_the_field_that_is_wrong(
    rule_type: RuleType, limit: str, raw: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(ParameterErrors) as refusal:
        parse_parameters(rule_type, Decimal(limit), raw)
    assert list(refusal.value.fields) == [field]
    assert words in refusal.value.fields[field]


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
