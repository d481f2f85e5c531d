"""What a rule does, said as a person would say it."""

from decimal import Decimal

from risk.core.condition_words import conduct_condition, money_text, position_condition, reset_text
from risk.core.figures import Currency, counted_text, fraction_text, plain_text, verb_text
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
from risk.core.responses import Response
from risk.core.rule_types import (
    ARMED_ACTIONS,
    Action,
    AmountKind,
    ClosingOrder,
    Comparison,
    DrawdownKind,
    Lock,
    Reference,
    RuleType,
)

_ACTIONS = {
    Action.ALERT: "Alert",
    Action.BLOCK: "Block new orders",
    Action.REDUCE_SIZE: "Reduce the size",
    Action.CLOSE_POSITION: "Close the offending positions",
    Action.CLOSE_ALL: "Close everything and lock the account",
}

# Objectives never become a violation, and only a violation alerts anybody.
_PROGRESS = {
    RuleType.PROFIT_TARGET: "Show the progress, and tell when",
    RuleType.MIN_TRADING_DAYS: "Show the progress, and tell when",
    RuleType.CONSISTENCY: "Tell when",
}

_REFERENCES = {
    Reference.BALANCE: "the balance",
    Reference.EQUITY: "the equity",
    Reference.HIGHER: "the higher of balance and equity",
}

# The largest loss first is how every enforcement begins unless it is told otherwise.
_CLOSING_ORDERS = {
    ClosingOrder.NEWEST_FIRST: "the newest position is closed first",
    ClosingOrder.OLDEST_FIRST: "the oldest position is closed first",
}


def rule_sentence(
    rule: RuleParameters,
    action: Action,
    currency: Currency | None,
    trading_day: Clock | None,
    response: Response | None = None,
) -> str:
    """Say in one sentence, without a full stop, what a rule does and when.

    `currency` is None where accounts of several currencies share the rule; `trading_day` is the
    accounts' own reset where they share one and the rule has none. With a `response` the sentence
    also says what is special about it: a safety margin, a hold time, which positions come first.
    """
    condition = _condition(rule, currency, trading_day)
    answer = _PROGRESS.get(rule.rule_type, f"{_ACTIONS[action]} when")
    parts = [f"{answer} {condition}", *_narrowing(rule)]
    if response is not None:
        parts += response_parts(action, response)
    return "; ".join(parts)


def response_parts(action: Action, response: Response) -> list[str]:
    """Say each thing in which a rule's response differs from the plain one."""
    parts = []
    if response.act_at_fraction < 1:
        parts.append(f"it acts at {fraction_text(Decimal(str(response.act_at_fraction)))} of that")
    if response.act_after_seconds > 0:
        lasted = counted_text(response.act_after_seconds, "second")
        parts.append(f"it acts once that has lasted {lasted}")
    if action not in ARMED_ACTIONS:
        return parts
    if response.closing_order in _CLOSING_ORDERS:
        parts.append(_CLOSING_ORDERS[response.closing_order])
    if response.losers_only:
        parts.append("only positions that are losing are closed")
    if response.close_fraction < 1:
        share = fraction_text(Decimal(str(response.close_fraction)))
        parts.append(f"{share} of each position is closed")
    return parts


def _narrowing(rule: RuleParameters) -> list[str]:
    parts = []
    if rule.magic is None and isinstance(rule, LossParameters) and not rule.withdrawals_move_floor:
        parts.append("money that is withdrawn counts as lost")
    if rule.magic is not None:
        parts.append(f"only trades with the magic number {rule.magic} count")
    return parts


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
                f"more than {counted_text(rule.limit, 'lot')} of {symbols} "
                f"{verb_text(rule.limit)} held "
                "in one direction, pending orders included"
            )
        case PositionLimit():
            pending = ", pending orders included" if rule.include_pending else ""
            most = counted_text(rule.limit, "position")
            return f"more than {most} {verb_text(rule.limit)} open{pending}"
        case MaxLeverage():
            gross = ", buys and sells added up" if rule.gross else ""
            times = f"{plain_text(rule.limit)} times the equity"
            return f"the leverage exceeds {times}{gross}"
        case _:
            return conduct_condition(rule, currency, day) or position_condition(rule)


def _daily_condition(rule: MaxDailyLoss, currency: Currency | None, day: Clock | None) -> str:
    reference = f"{_REFERENCES[rule.reference]} {reset_text(rule, day)}"
    loss = f"today's loss {_reaches(rule)}"
    if rule.amount_kind is AmountKind.FRACTION_OF_REFERENCE:
        return f"{loss} {fraction_text(rule.limit)} of {reference}"
    return f"{loss} {_amount(rule, currency)}, counted from {reference}"


def _drawdown_condition(rule: MaxDrawdown, currency: Currency | None, day: Clock | None) -> str:
    peak = {
        DrawdownKind.STATIC: "the initial balance",
        DrawdownKind.TRAILING_END_OF_DAY: f"the highest balance {reset_text(rule, day)}",
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
        offset = money_text(rule.lock_offset, currency)
        return f"{text}; the floor stops rising {offset} above the initial balance"
    return text


def _reaches(rule: LossParameters) -> str:
    return "exceeds" if rule.comparison is Comparison.BELOW else "reaches"


def _amount(rule: LossParameters, currency: Currency | None) -> str:
    if rule.amount_kind is AmountKind.MONEY:
        return money_text(rule.limit, currency)
    return f"{fraction_text(rule.limit)} of the initial balance"
