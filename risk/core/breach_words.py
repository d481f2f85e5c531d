"""What was observed when a rule was broken, in the words of each rule type."""

import math

from risk.core.figures import (
    Currency,
    age_text,
    amount_text,
    counted_text,
    left_text,
    minutes_text,
    plain_text,
    used_text,
)
from risk.core.pair_numbers import PairNumbers
from risk.core.parameters import (
    Inactivity,
    MarginLevel,
    MaxCorrelation,
    MaxDailyLoss,
    MaxDailyTrades,
    MaxDrawdown,
    MaxExposure,
    MaxLeverage,
    MaxPositionSize,
    NoCrossHedging,
    PositionLimit,
    RiskPerTrade,
    RuleParameters,
    StopLossRequired,
    TradingWindow,
)
from risk.core.state_words import inside_text, place


def observed_text(rule: RuleParameters, numbers: PairNumbers, currency: Currency) -> str:
    """Say the observed value, the limit and their unit, without a full stop."""
    used, limit = numbers.used or 0.0, numbers.limit or 0.0
    match rule:
        case MaxDailyLoss() | MaxDrawdown():
            return _loss_text(rule, numbers, currency)
        case MarginLevel():
            return f"margin level {left_text(used, 1)} %, the limit is {plain_text(limit)} %"
        case RiskPerTrade():
            return (
                f"{used_text(used, currency.digits)} {currency.name} at risk"
                f"{place(numbers, ' in ')}, "
                f"the limit is {amount_text(limit, currency.digits)} {currency.name}"
            )
        case TradingWindow():
            return _window_text(used - limit)
        case NoCrossHedging():
            return f"{place(numbers, '') or 'a symbol'} is held against another account"
        case StopLossRequired():
            who = place(numbers, "") or "a position"
            return (
                f"{who} has had no stop loss for {age_text(used)}, "
                f"the limit is {minutes_text(limit)}"
            )
        case _:
            return _counted_text(rule, numbers, used, limit)


def _loss_text(rule: MaxDailyLoss | MaxDrawdown, numbers: PairNumbers, currency: Currency) -> str:
    when = " today" if isinstance(rule, MaxDailyLoss) else ""
    text = (
        f"{used_text(numbers.used or 0.0, currency.digits)} {currency.name} lost{when}, "
        f"the limit is {amount_text(numbers.limit or 0.0, currency.digits)} {currency.name}"
    )
    if numbers.value is None or numbers.floor is None:
        return text
    equity = left_text(numbers.value, currency.digits)
    return f"{text} (equity {equity}, floor {amount_text(numbers.floor, currency.digits)})"


def _window_text(minutes: float) -> str:
    if minutes >= 0:
        return inside_text(minutes)
    return f"something is open {age_text(-minutes)} before the time in which nothing may be"


def _counted_text(rule: RuleParameters, numbers: PairNumbers, used: float, limit: float) -> str:
    match rule:
        case MaxPositionSize():
            lots = f"{counted_text(used, 'lot')}{place(numbers)}"
            return f"{lots}, the limit is {counted_text(limit, 'lot')}"
        case PositionLimit():
            most = counted_text(limit, "position")
            return f"{counted_text(used, 'position')}, the limit is {most}"
        case MaxLeverage():
            most = f"the limit is {plain_text(limit)} times"
            return f"leverage {used_text(used, 2)} times the equity, {most}"
        case MaxExposure():
            most = place(numbers, ", most of it ")
            return (
                f"exposure {used_text(used, 2)} times the equity{most}, "
                f"the limit is {plain_text(limit)} times"
            )
        case MaxCorrelation():
            where = place(numbers, " with ")
            return f"correlation {used_text(used, 2)}{where}, the limit is {plain_text(limit)}"
        case MaxDailyTrades():
            most = counted_text(limit, "trade")
            return f"{counted_text(used, 'trade')} today, the limit is {most}"
        case Inactivity():
            days = counted_text(math.floor(used * 10 + 1e-6) / 10, "day")
            return f"no trade for {days}, the limit is {counted_text(limit, 'day')}"
        case _:
            return f"{plain_text(used)}, the limit is {plain_text(limit)}"
