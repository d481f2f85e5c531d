"""How far an account is from the limit of a rule, in the words of each rule type."""

from dataclasses import dataclass

from risk.core.figures import (
    Currency,
    age_text,
    amount_text,
    counted_text,
    duration_text,
    left_percent_text,
    left_text,
    minutes_text,
    plain_text,
    shown_text,
    used_percent_text,
    used_text,
)
from risk.core.pair_numbers import PairNumbers
from risk.core.parameters import (
    Consistency,
    Inactivity,
    MarginLevel,
    MaxCorrelation,
    MaxDailyLoss,
    MaxDailyTrades,
    MaxDrawdown,
    MaxExposure,
    MaxLeverage,
    MaxPositionSize,
    MinTradingDays,
    NoCrossHedging,
    PositionLimit,
    ProfitTarget,
    RiskPerTrade,
    RuleParameters,
    StopLossRequired,
    TradingWindow,
)
from risk.core.rule_types import ExposureOf

_DIRECTIONS = ("buy", "sell")
_LOTS = 6  # decimals: more than any broker's step has


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of a pair when all of them are known."""

    used: float
    limit: float
    left: float
    buffer: float


def state_text(
    rule: RuleParameters, numbers: PairNumbers, figures: Figures, currency: Currency
) -> str:
    """Say how far a rule is from its limit, without the name of the account."""
    match rule:
        case MaxDailyLoss():
            return _loss_text(figures, currency, "left today", "lost today")
        case MaxDrawdown():
            return _loss_text(figures, currency, "left before the maximum loss", "lost in all")
        case MarginLevel():
            return _margin_text(figures)
        case TradingWindow():
            return _window_text(numbers, figures)
        case StopLossRequired():
            return _stop_text(numbers, figures)
        case NoCrossHedging():
            return _opposites_text(numbers, figures)
        case ProfitTarget() | MinTradingDays() | Consistency():
            return _progress_text(rule, figures, currency)
        case _:
            return _limited_text(rule, numbers, figures, currency)


def place(numbers: PairNumbers, before: str = " ") -> str:
    """Name the symbol and direction that come nearest to the limit, "" when there are none."""
    return f"{before}{numbers.symbol} {_DIRECTIONS[numbers.direction]}" if numbers.symbol else ""


def inside_text(minutes: float) -> str:
    """Say for how long something has been open when nothing may be."""
    if minutes <= 0:
        return "something is open as the time begins in which nothing may be"
    return f"something is open, {duration_text(minutes)} into the time in which nothing may be"


def _limited_text(
    rule: RuleParameters, numbers: PairNumbers, figures: Figures, currency: Currency
) -> str:
    match rule:
        case MaxPositionSize():
            return _count_text(figures, f"{_some(figures, 'lot')}{place(numbers)} open", _LOTS)
        case PositionLimit():
            return _count_text(figures, f"{_some(figures, 'position')} open", 0)
        case MaxLeverage():
            return f"leverage {_ratio_text(figures, 'times the equity')}"
        case MaxExposure():
            kind = "currency " if rule.exposure_of is ExposureOf.CURRENCY else ""
            words = f"times the equity{place(numbers, ', most of it ')}"
            return f"{kind}exposure {_ratio_text(figures, words)}"
        case MaxCorrelation():
            words = f"allowed{place(numbers, ', with ')}"
            return f"correlation {_ratio_text(figures, words)}"
        case RiskPerTrade():
            words = f"at risk{place(numbers, ' in ')}"
            return _money_text(figures, words, currency)
        case MaxDailyTrades():
            return _count_text(figures, f"{_some(figures, 'trade')} opened today", 0)
        case Inactivity():
            return _count_text(figures, f"{_some(figures, 'day')} without a trade", 1)
        case _:
            return _count_text(figures, "", 2)


def _loss_text(figures: Figures, currency: Currency, left_words: str, lost_words: str) -> str:
    allowed = amount_text(figures.limit, currency.digits)
    if figures.left < 0:
        lost = used_text(figures.used, currency.digits)
        beyond = used_text(-figures.left, currency.digits)
        return (
            f"{lost} {currency.name} of {allowed} {lost_words}, "
            f"{beyond} {currency.name} beyond the limit"
        )
    left, share = left_text(figures.left, currency.digits), left_percent_text(figures.buffer)
    return f"{left} {currency.name} of {allowed} {left_words} ({share})"


def _margin_text(figures: Figures) -> str:
    level, least = left_text(figures.used, 1), plain_text(figures.limit)
    if figures.left < 0:
        return f"margin level {level} %, below the limit of {least} %"
    return f"margin level {level} %, the limit is {least} %"


def _some(figures: Figures, singular: str) -> str:
    """Name what a limit counts: one position, two positions."""
    return singular if plain_text(figures.limit) == "1" else f"{singular}s"


def _count_text(figures: Figures, what: str, digits: int) -> str:
    amounts = f"{shown_text(figures.used, digits)} of {plain_text(figures.limit)} {what}".rstrip()
    return _with_rest(amounts, figures, shown_text(-figures.left, digits))


def _ratio_text(figures: Figures, what: str) -> str:
    amounts = f"{used_text(figures.used, 2)} of {plain_text(figures.limit)} {what}"
    return _with_rest(amounts, figures, used_text(-figures.left, 2))


def _money_text(figures: Figures, what: str, currency: Currency) -> str:
    digits, unit = currency.digits, currency.name
    allowed = amount_text(figures.limit, digits)
    amounts = f"{used_text(figures.used, digits)} {unit} of {allowed} {what}"
    return _with_rest(amounts, figures, f"{used_text(-figures.left, digits)} {unit}")


def _with_rest(amounts: str, figures: Figures, beyond: str) -> str:
    if figures.left < 0:
        return f"{amounts}, {beyond} beyond the limit"
    return f"{amounts} ({left_percent_text(figures.buffer)} left)"


def _window_text(numbers: PairNumbers, figures: Figures) -> str:
    if figures.left <= 0:
        return inside_text(-figures.left)
    if numbers.value is None:
        return "no news ahead in the calendar"
    return f"nothing may be open in {duration_text(numbers.value)}"


def _stop_text(numbers: PairNumbers, figures: Figures) -> str:
    if not numbers.symbol:
        return "no position is without a stop loss"
    age, limit = age_text(figures.used), minutes_text(figures.limit)
    text = f"{place(numbers, '')} without a stop loss for {age} of {limit}"
    return _with_rest(text, figures, age_text(-figures.left))


def _opposites_text(numbers: PairNumbers, figures: Figures) -> str:
    if figures.used < 1:
        return "nothing is held against another account"
    if figures.used < 2:
        return f"{place(numbers, '')} is held against another account"
    symbols = counted_text(figures.used, "symbol")
    return f"{symbols} are held against other accounts, {place(numbers, '')} among them"


def _progress_text(
    rule: ProfitTarget | MinTradingDays | Consistency, figures: Figures, currency: Currency
) -> str:
    reached = figures.left <= 0
    match rule:
        case ProfitTarget():
            target = amount_text(figures.limit, currency.digits)
            if figures.used < 0:
                behind = used_text(-figures.used, currency.digits)
                return f"{behind} {currency.name} lost so far, the target is {target} made"
            made = left_text(figures.used, currency.digits)
            text = f"{made} {currency.name} of {target} made"
            return f"{text}, target reached" if reached else text
        case MinTradingDays():
            days = f"{plain_text(figures.used)} of {counted_text(figures.limit, 'trading day')}"
            return f"{days}, enough" if reached else days
        case Consistency():
            share, most = used_percent_text(figures.used), used_percent_text(figures.limit)
            fits = "more than the" if figures.left < 0 else "within the"
            return f"the best day made {share} of the profit, {fits} {most} allowed"
