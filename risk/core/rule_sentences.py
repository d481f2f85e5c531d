"""What a rule does, said as a person would say it."""

from decimal import Decimal

from risk.core.figures import Currency, amount_text, fraction_text, plain_text
from risk.core.pairs import Clock
from risk.core.parameters import (
    LossParameters,
    MarginLevel,
    MaxDailyLoss,
    MaxDrawdown,
    MaxLeverage,
    MaxPositionSize,
    PositionLimit,
    RuleParameters,
)
from risk.core.rule_types import Action, AmountKind, Comparison, DrawdownKind, Lock, Reference

_ACTIONS = {
    Action.ALERT: "Alert",
    Action.BLOCK: "Block new orders",
    Action.REDUCE_SIZE: "Reduce the size",
    Action.CLOSE_POSITION: "Close the offending positions",
    Action.CLOSE_ALL: "Close everything and lock the account",
}

_REFERENCES = {
    Reference.BALANCE: "the balance",
    Reference.EQUITY: "the equity",
    Reference.HIGHER: "the higher of balance and equity",
}


def rule_sentence(
    rule: RuleParameters, action: Action, currency: Currency | None, trading_day: Clock | None
) -> str:
    """Say in one sentence, without a full stop, what a rule does and when.

    `currency` is None where accounts of several currencies share the rule; `trading_day` is the
    accounts' own reset where they share one and the rule has none.
    """
    return f"{_ACTIONS[action]} when {_condition(rule, currency, trading_day)}"


def _condition(rule: RuleParameters, currency: Currency | None, day: Clock | None) -> str:
    match rule:
        case MaxDailyLoss():
            return _daily_condition(rule, currency, day)
        case MaxDrawdown():
            return _drawdown_condition(rule, currency, day)
        case MarginLevel():
            falls = "falls below" if rule.comparison is Comparison.BELOW else "falls to"
            return f"the margin level {falls} {plain_text(rule.limit)} %"
        case MaxPositionSize():
            symbols = " or ".join(rule.symbols) if rule.symbols else "any one symbol"
            return (
                f"more than {amount_text(rule.limit, 2)} lots of {symbols} are held "
                "in one direction, pending orders included"
            )
        case PositionLimit():
            pending = ", pending orders included" if rule.include_pending else ""
            return f"more than {plain_text(rule.limit)} positions are open{pending}"
        case MaxLeverage():
            gross = ", buys and sells added up" if rule.gross else ""
            return f"the leverage exceeds {plain_text(rule.limit)}{gross}"
        case _:
            return f"{plain_text(rule.limit)} is reached"


def _daily_condition(rule: MaxDailyLoss, currency: Currency | None, day: Clock | None) -> str:
    reference = f"{_REFERENCES[rule.reference]} {_reset_text(rule, day)}"
    loss = f"today's loss {_reaches(rule)}"
    if rule.amount_kind is AmountKind.FRACTION_OF_REFERENCE:
        return f"{loss} {fraction_text(rule.limit)} of {reference}"
    return f"{loss} {_amount(rule, currency)}, counted from {reference}"


def _drawdown_condition(rule: MaxDrawdown, currency: Currency | None, day: Clock | None) -> str:
    peak = {
        DrawdownKind.STATIC: "the initial balance",
        DrawdownKind.TRAILING_END_OF_DAY: f"the highest balance {_reset_text(rule, day)}",
        DrawdownKind.TRAILING_CLOSED_BALANCE: "the highest closed balance",
        DrawdownKind.TRAILING_INTRADAY_EQUITY: "the highest equity",
    }[rule.kind]
    if rule.amount_kind is AmountKind.FRACTION_OF_REFERENCE or (
        rule.kind is DrawdownKind.STATIC and rule.amount_kind is AmountKind.FRACTION_OF_INITIAL
    ):
        text = f"the loss {_reaches(rule)} {fraction_text(rule.limit)} of {peak}"
    else:
        text = f"the loss {_reaches(rule)} {_amount(rule, currency)}, counted from {peak}"
    if rule.lock is Lock.AT_INITIAL:
        return f"{text}; the floor stops rising at the initial balance"
    if rule.lock is Lock.AT_OFFSET:
        offset = _money(rule.lock_offset, currency)
        return f"{text}; the floor stops rising {offset} above the initial balance"
    return text


def _reaches(rule: LossParameters) -> str:
    return "exceeds" if rule.comparison is Comparison.BELOW else "reaches"


def _amount(rule: LossParameters, currency: Currency | None) -> str:
    if rule.amount_kind is AmountKind.MONEY:
        return _money(rule.limit, currency)
    return f"{fraction_text(rule.limit)} of the initial balance"


def _money(amount: Decimal, currency: Currency | None) -> str:
    if currency is None:
        return f"{amount_text(amount, 2)} in account currency"
    return f"{amount_text(amount, currency.digits)} {currency.name}"


def _reset_text(rule: LossParameters, day: Clock | None) -> str:
    time, zone = rule.reset_time, rule.reset_zone
    if day is not None:
        time = day.reset_time if time is None else time
        zone = day.zone if zone is None else zone
    if time is not None and zone is not None:
        return f"at {time:%H:%M} {zone}"
    if time is not None:
        return f"at {time:%H:%M} of the account's trading-day zone"
    return "at the start of the account's trading day"
