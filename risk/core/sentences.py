"""What people read about the state of a rule: its numbers in its unit, never a bare boolean."""

from dataclasses import dataclass

from risk.core.figures import (
    Currency,
    amount_text,
    left_percent_text,
    left_text,
    plain_text,
    used_text,
)
from risk.core.pair_numbers import PairNumbers
from risk.core.parameters import (
    MarginLevel,
    MaxDailyLoss,
    MaxDrawdown,
    MaxLeverage,
    MaxPositionSize,
    PositionLimit,
    RuleParameters,
)
from risk.core.rule_types import RuleType
from risk.core.statuses import Reason, Status

RULE_NAMES = {
    RuleType.MAX_DAILY_LOSS: "daily loss limit",
    RuleType.MAX_DRAWDOWN: "maximum loss",
    RuleType.MARGIN_LEVEL: "margin level limit",
    RuleType.MAX_POSITION_SIZE: "position size limit",
    RuleType.POSITION_LIMIT: "limit of open positions",
    RuleType.MAX_LEVERAGE: "leverage limit",
    RuleType.MAX_EXPOSURE: "exposure limit",
    RuleType.MAX_CORRELATION: "correlation limit",
    RuleType.RISK_PER_TRADE: "risk per trade",
    RuleType.STOP_LOSS_REQUIRED: "stop loss rule",
    RuleType.MAX_DAILY_TRADES: "limit of trades a day",
    RuleType.TRADING_WINDOW: "trading window",
    RuleType.NO_CROSS_HEDGING: "rule against opposite positions",
    RuleType.INACTIVITY: "inactivity limit",
    RuleType.PROFIT_TARGET: "profit target",
    RuleType.MIN_TRADING_DAYS: "minimum of trading days",
    RuleType.CONSISTENCY: "consistency target",
}

_UNITS = {
    RuleType.MARGIN_LEVEL: "%",
    RuleType.MAX_POSITION_SIZE: "lots",
    RuleType.POSITION_LIMIT: "positions",
    RuleType.MAX_LEVERAGE: "x",
    RuleType.MAX_EXPOSURE: "x",
    RuleType.MAX_CORRELATION: "coefficient",
    RuleType.STOP_LOSS_REQUIRED: "minutes",
    RuleType.MAX_DAILY_TRADES: "trades",
    RuleType.TRADING_WINDOW: "minutes",
    RuleType.NO_CROSS_HEDGING: "symbols",
    RuleType.INACTIVITY: "days",
    RuleType.MIN_TRADING_DAYS: "days",
    RuleType.CONSISTENCY: "share",
}

_REASONS = {
    Reason.NO_READING: "there is no fresh reading of the account",
    Reason.NO_INITIAL_BALANCE: "the account's initial balance is not set",
    Reason.NO_DAY_START: "where the account stood when its day began is not known",
    Reason.RESET_MISSED: (
        "the reset passed unseen and could not be worked out; known again from the next reset"
    ),
    Reason.NO_PEAK: "the highest balance or equity so far is not known",
    Reason.NO_VALUE: "the reading lacks a number that this rule needs",
    Reason.NO_LIMIT: "the amount that may be lost works out at nothing",
    Reason.NO_MARGIN: "there is no margin in use",
    Reason.NO_HISTORY: "the trades that this rule counts are not known yet",
    Reason.NO_CORRELATION: "a held symbol has fewer than 30 daily returns to compare",
    Reason.NO_CURRENCIES: "the currencies of a held symbol are not known",
    Reason.NO_CALENDAR: "no imported news calendar reaches over the present",
    Reason.NO_MOMENT: "the time of the evaluation is missing",
    Reason.NO_OWNER: "whose news calendar counts is not known",
    Reason.NO_MEMBER: "what another account of this rule holds is not known",
    Reason.NO_PROFIT: "there is no profit yet, so no day has a share of it",
    Reason.NOTHING_OPEN: "nothing is open",
    Reason.NONE: "a number is missing",
}

_DIRECTIONS = ("buy", "sell")


@dataclass(frozen=True, slots=True)
class _Figures:
    used: float
    limit: float
    left: float
    buffer: float


def unit_of(rule_type: RuleType, currency: str) -> str:
    """Return the unit of a rule's numbers, the account's currency for money."""
    return _UNITS.get(rule_type, currency)


def unknown_sentence(reason: Reason) -> str:
    """Say why a rule is not known."""
    return f"Not known: {_REASONS[reason]}."


def risk_sentence(
    account: str, rule: RuleParameters, numbers: PairNumbers, currency: Currency
) -> str:
    """Say how far an account is from a limit.

    For example "Alpha 3: 212.40 USD of 5,000.00 left today (4 %)". What is left is rounded
    down, what went beyond the limit is rounded up.
    """
    text = f"{account}: {_state_text(rule, numbers, currency)}"
    if numbers.status is Status.VIOLATED and numbers.acknowledged:
        text += "; violated, acknowledged"
    elif numbers.status is Status.VIOLATED and numbers.present is not Status.VIOLATED:
        text += "; violated before"
    return f"{text}; day start estimated" if _is_estimated(rule, numbers) else text


def breach_sentence(
    account: str, rule: RuleParameters, numbers: PairNumbers, currency: Currency
) -> str:
    """Say which rule an account broke: the observed value, the limit and their unit."""
    name = RULE_NAMES[rule.rule_type]
    if numbers.used is None or numbers.limit is None:
        return f"{account} broke its {name}."
    observed = _observed_text(rule, numbers, currency)
    return f"{account} broke its {name}: {observed}."


def _is_estimated(rule: RuleParameters, numbers: PairNumbers) -> bool:
    return isinstance(rule, MaxDailyLoss) and numbers.reconstructed


def _state_text(rule: RuleParameters, numbers: PairNumbers, currency: Currency) -> str:
    if numbers.present is Status.UNKNOWN:
        return f"not known, {_REASONS[numbers.reason]}"
    if numbers.reason is Reason.NO_MARGIN:
        return "no margin in use"
    used, left, limit, buffer = numbers.used, numbers.left, numbers.limit, numbers.buffer
    if used is None or left is None or limit is None or buffer is None:
        return f"not known, {_REASONS[Reason.NONE]}"
    figures = _Figures(used, limit, left, buffer)
    match rule:
        case MaxDailyLoss():
            return _loss_text(figures, currency, "left today", "lost today")
        case MaxDrawdown():
            return _loss_text(figures, currency, "left before the maximum loss", "lost in all")
        case MarginLevel():
            return _margin_text(figures)
        case MaxPositionSize():
            return _count_text(figures, f"lots{_place(numbers)} open", 2)
        case PositionLimit():
            return _count_text(figures, "positions open", 0)
        case MaxLeverage():
            return f"leverage {_count_text(figures, 'allowed', 2)}"
        case _:
            return _count_text(figures, "", 2)


def _loss_text(figures: _Figures, currency: Currency, left_words: str, lost_words: str) -> str:
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


def _margin_text(figures: _Figures) -> str:
    level, least = left_text(figures.used, 1), plain_text(figures.limit)
    if figures.left < 0:
        return f"margin level {level} %, below the limit of {least} %"
    return f"margin level {level} %, the limit is {least} %"


def _count_text(figures: _Figures, what: str, digits: int) -> str:
    used, limit = used_text(figures.used, digits), amount_text(figures.limit, digits)
    amounts = f"{used} of {limit} {what}".rstrip()
    if figures.left < 0:
        return f"{amounts}, {used_text(-figures.left, digits)} beyond the limit"
    return f"{amounts} ({left_percent_text(figures.buffer)} left)"


def _place(numbers: PairNumbers) -> str:
    return f" {numbers.symbol} {_DIRECTIONS[numbers.direction]}" if numbers.symbol else ""


def _observed_text(rule: RuleParameters, numbers: PairNumbers, currency: Currency) -> str:
    used, limit = numbers.used or 0.0, numbers.limit or 0.0
    match rule:
        case MaxDailyLoss() | MaxDrawdown():
            when = " today" if isinstance(rule, MaxDailyLoss) else ""
            text = (
                f"{used_text(used, currency.digits)} {currency.name} lost{when}, "
                f"the limit is {amount_text(limit, currency.digits)} {currency.name}"
            )
            if numbers.value is None or numbers.floor is None:
                return text
            equity = left_text(numbers.value, currency.digits)
            return f"{text} (equity {equity}, floor {amount_text(numbers.floor, currency.digits)})"
        case MarginLevel():
            return f"margin level {left_text(used, 1)} %, the limit is {plain_text(limit)} %"
        case MaxPositionSize():
            lots = f"{used_text(used, 2)} lots{_place(numbers)}"
            return f"{lots}, the limit is {amount_text(limit, 2)} lots"
        case PositionLimit():
            return f"{used_text(used, 0)} positions, the limit is {amount_text(limit, 0)} positions"
        case MaxLeverage():
            return f"leverage {used_text(used, 2)}, the limit is {amount_text(limit, 2)}"
        case _:
            return f"{plain_text(used)}, the limit is {plain_text(limit)}"
