"""What people read about each check of the gate."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from risk.core.figures import plain_text
from risk.core.gate.account_checks import AccountCheck
from risk.core.gate.account_wording import word_account_check
from risk.core.gate.check_figures import largest_text, money_text, number_text, quotient_text
from risk.core.gate.rule_checks import HOSTS_RULES
from risk.core.gate.told import Found, Told
from risk.core.gate.verdicts import Check
from risk.core.rule_types import LOSS_RULES, RuleType

_MONEY_TYPES: Final = LOSS_RULES | {RuleType.RISK_PER_TRADE}


def word(told: Told) -> Check:
    """Say what one check found."""
    if isinstance(told.kind, AccountCheck):
        return word_account_check(told, told.kind)
    rule_type = told.kind
    return Check(
        name=rule_type.value,
        verdict=told.verdict,
        sentence=f"{told.rule_name}: {_rule_sentence(told, rule_type)}",
        value=told.value,
        limit=told.limit,
        unit=told.facts.currency if rule_type in _MONEY_TYPES else _UNITS.get(rule_type, ""),
        allowed_volume=told.allowed,
        rule_id=told.rule_id,
        rule_name=told.rule_name,
    )


_UNITS: Final = {
    RuleType.MARGIN_LEVEL: "%",
    RuleType.MAX_POSITION_SIZE: "lots",
    RuleType.POSITION_LIMIT: "positions",
    RuleType.MAX_LEVERAGE: "x",
    RuleType.MAX_EXPOSURE: "x",
    RuleType.MAX_CORRELATION: "coefficient",
    RuleType.STOP_LOSS_REQUIRED: "stops",
    RuleType.MAX_DAILY_TRADES: "trades",
    RuleType.TRADING_WINDOW: "minutes",
    RuleType.NO_CROSS_HEDGING: "symbols",
}


def _rule_sentence(told: Told, rule_type: RuleType) -> str:
    found = told.found
    if Found.IS_NARROWED in found:
        return "it looks at one strategy, which this order is no part of."
    if Found.IS_BARRED in found and not told.passes:
        is_there = Found.IS_VIOLATED in found
        return f"{'it is violated' if is_there else 'its action runs'}, so nothing may be opened."
    if told.passes and Found.IS_NAMED not in found:
        return f"it does not look at {told.facts.symbol}."
    if told.passes and Found.ONLY_CLOSES in found:
        return f"{told.lots} lots only make a position smaller."
    if Found.IS_UNKNOWN in found:
        return _unknown(told, rule_type)
    text = _TEXTS[rule_type](told)
    if told.passes or Found.WARNS in found:
        return f"{text}."
    return f"{text}{largest_text(told)}."


def _unknown(told: Told, rule_type: RuleType) -> str:
    if rule_type in LOSS_RULES and not told.facts.has_stop:
        return "an order without a stop loss may lose more than is left, so it needs one."
    if told.is_preview and rule_type in HOSTS_RULES:
        return "it is looked at where the account is, when the order is there."
    if Found.WARNS in told.found:
        return "what it would say is not known now; it only warns."
    return "what it would say is not known now, so nothing may be opened."


def _loss(told: Told) -> str:
    value, limit = money_text(told, told.value), money_text(told, told.limit)
    text = f"if {told.lots} lots end at the stop, {value} of {limit} are lost"
    if not told.facts.knows_commission:
        text += " (the commission is not known and was left out)"
    return text


def _margin(told: Told) -> str:
    if told.value is None:
        return f"no margin would be in use with {told.lots} lots"
    return f"the margin level would be {told.value:,.1f} % (limit {number_text(told.limit)} %)"


def _size(told: Told) -> str:
    side = "bought" if told.facts.is_buy else "sold"
    lots, limit = number_text(told.value), number_text(told.limit)
    return f"{lots} of {limit} lots of {told.facts.symbol} would be {side}, pending orders included"


def _count(told: Told) -> str:
    return f"{number_text(told.value)} of {number_text(told.limit)} positions would be open"


def _leverage(told: Told) -> str:
    return f"the leverage would be {quotient_text(told.value)} of {number_text(told.limit)}"


def _exposure(told: Told) -> str:
    what = "one currency" if Found.BY_CURRENCY in told.found else told.facts.symbol
    return (
        f"the exposure to {what} would be {quotient_text(told.value)} times the equity"
        f" (limit {number_text(told.limit)})"
    )


def _correlation(told: Told) -> str:
    return (
        f"the largest correlation of open positions would be {quotient_text(told.value)}"
        f" (limit {number_text(told.limit)})"
    )


def _risk(told: Told) -> str:
    if not told.facts.has_stop:
        return "an order without a stop loss has no risk that it could count"
    value, limit = money_text(told, told.value), money_text(told, told.limit)
    return (
        f"with {told.lots} lots {value} of {limit} would be at risk at"
        f" the stops of {told.facts.symbol}"
    )


def _stop(told: Told) -> str:
    if told.facts.has_stop:
        return "the order has a stop loss"
    return "the order needs a stop loss"


def _trades(told: Told) -> str:
    return f"it would be trade {number_text(told.value)} of {number_text(told.limit)} today"


def _window(told: Told) -> str:
    if told.minutes <= 0:
        return "nothing may be open now"
    if math.isinf(told.minutes):
        return "no time is ahead at which nothing may be open"
    return f"positions may be open for {plain_text(math.floor(told.minutes))} more minutes"


def _hedging(told: Told) -> str:
    symbol = told.facts.symbol
    if told.value:
        return f"another account holds {symbol} the other way round"
    return f"no other account holds {symbol} the other way round"


_TEXTS: Final[Mapping[RuleType, Callable[[Told], str]]] = {
    RuleType.MAX_DAILY_LOSS: _loss,
    RuleType.MAX_DRAWDOWN: _loss,
    RuleType.MARGIN_LEVEL: _margin,
    RuleType.MAX_POSITION_SIZE: _size,
    RuleType.POSITION_LIMIT: _count,
    RuleType.MAX_LEVERAGE: _leverage,
    RuleType.MAX_EXPOSURE: _exposure,
    RuleType.MAX_CORRELATION: _correlation,
    RuleType.RISK_PER_TRADE: _risk,
    RuleType.STOP_LOSS_REQUIRED: _stop,
    RuleType.MAX_DAILY_TRADES: _trades,
    RuleType.TRADING_WINDOW: _window,
    RuleType.NO_CROSS_HEDGING: _hedging,
}
