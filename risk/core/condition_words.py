"""When a rule on positions, times or trades is broken, as a person would say it."""

from datetime import time
from decimal import Decimal

from risk.core.figures import (
    Currency,
    amount_text,
    counted_text,
    fraction_text,
    minutes_text,
    plain_text,
    verb_text,
)
from risk.core.pairs import Clock
from risk.core.parameters import (
    Consistency,
    DayParameters,
    Inactivity,
    MaxCorrelation,
    MaxDailyTrades,
    MaxExposure,
    MinTradingDays,
    NoCrossHedging,
    ProfitTarget,
    RiskPerTrade,
    RuleParameters,
    StopLossRequired,
    TradingWindow,
)
from risk.core.rule_types import AmountKind, ConsistencyBasis, ExposureOf, Importance, WindowKind

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NEWS = {
    Importance.LOW: "news of any importance",
    Importance.MEDIUM: "news of medium or high importance",
    Importance.HIGH: "news of high importance",
}


def position_condition(rule: RuleParameters) -> str:
    """Say when a rule on what is open is broken."""
    match rule:
        case MaxExposure():
            return _exposure_condition(rule)
        case MaxCorrelation():
            return (
                f"two open symbols are correlated by more than {plain_text(rule.limit)}, "
                "their directions counted in"
            )
        case RiskPerTrade():
            symbols = " or ".join(rule.symbols) if rule.symbols else "any one symbol"
            return (
                f"the positions in {symbols} would lose more than {fraction_text(rule.limit)} "
                "of the balance at their stops"
            )
        case StopLossRequired():
            after = minutes_text(rule.limit)
            return f"a position has no stop loss {after} after it was opened"
        case NoCrossHedging():
            return "two accounts under this rule hold the same symbol in opposite directions"
        case _:
            return f"{plain_text(rule.limit)} is reached"


def conduct_condition(rule: RuleParameters, currency: Currency | None, day: Clock | None) -> str:
    """Say when a rule on times and trades, or an objective, is met; "" for other rules."""
    match rule:
        case TradingWindow():
            return _window_condition(rule)
        case MaxDailyTrades():
            most = counted_text(rule.limit, "position")
            opened = f"{verb_text(rule.limit)} opened"
            return f"more than {most} {opened} in one day, counted {_since(rule, day)}"
        case Inactivity():
            return f"nothing was traded for {counted_text(rule.limit, 'day')}"
        case ProfitTarget():
            return f"the closed profit reaches {_target(rule, currency)}"
        case MinTradingDays():
            return f"positions were opened on {counted_text(rule.limit, 'day')}"
        case Consistency():
            whole = "the profit of all winning days"
            if rule.basis is ConsistencyBasis.TOTAL_PROFIT:
                whole = "the whole profit"
            return f"the best day makes more than {fraction_text(rule.limit)} of {whole}"
        case _:
            return ""


def money_text(amount: Decimal, currency: Currency | None) -> str:
    """Write an amount with its currency, which is None where it differs between accounts."""
    if currency is None:
        return f"{amount_text(amount, 2)} in account currency"
    return f"{amount_text(amount, currency.digits)} {currency.name}"


def reset_text(rule: DayParameters, day: Clock | None) -> str:
    """Say at which moment a rule's trading day begins."""
    moment, zone = rule.reset_time, rule.reset_zone
    if day is not None:
        moment = day.reset_time if moment is None else moment
        zone = day.zone if zone is None else zone
    if moment is not None and zone is not None:
        return f"at {moment:%H:%M} {zone}"
    if moment is not None:
        return f"at {moment:%H:%M} of the account's trading-day zone"
    return "at the start of the account's trading day"


def _since(rule: DayParameters, day: Clock | None) -> str:
    return reset_text(rule, day).replace("at ", "from ", 1)


def _target(rule: ProfitTarget, currency: Currency | None) -> str:
    if rule.amount_kind is AmountKind.MONEY:
        return money_text(rule.limit, currency)
    return f"{fraction_text(rule.limit)} of the initial balance"


def _exposure_condition(rule: MaxExposure) -> str:
    limit = plain_text(rule.limit)
    if rule.exposure_of is ExposureOf.CURRENCY:
        names = " or ".join(rule.symbols) if rule.symbols else "any one currency"
        return f"what is held in {names}, buys less sells, exceeds {limit} times the equity"
    names = " or ".join(rule.symbols) if rule.symbols else "any one symbol"
    return f"the value held in {names}, buys less sells, exceeds {limit} times the equity"


def _window_condition(rule: TradingWindow) -> str:
    what = "a position or a pending order" if rule.include_pending else "a position"
    if rule.kind is WindowKind.NEWS:
        minutes = minutes_text(rule.limit)
        whose = " or ".join(rule.currencies) if rule.currencies else "its currencies"
        news = _NEWS[rule.min_importance]
        return f"{what} is open from {minutes} before until {minutes} after {news} on {whose}"
    zone = rule.zone or "by the broker's clock"
    start, end = _clock_text(rule.from_time), _clock_text(rule.until_time)
    if rule.kind is WindowKind.WEEKEND:
        start = f"{_WEEKDAYS[rule.from_weekday]} {start}"
        end = f"{_WEEKDAYS[rule.until_weekday]} {end}"
        return f"{what} is open from {start} until {end} {zone}"
    return f"{what} is open between {start} and {end} {zone}"


def _clock_text(moment: time | None) -> str:
    return "" if moment is None else f"{moment:%H:%M}"
