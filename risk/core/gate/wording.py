"""What people read about each check of the gate."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from risk.core.figures import plain_text
from risk.core.gate.account_checks import AccountCheck
from risk.core.gate.account_wording import word_account_check
from risk.core.gate.cases import Cases
from risk.core.gate.check_figures import largest_text, money_text, number_text, quotient_text
from risk.core.gate.lines import WARNS, Lines
from risk.core.gate.numbers import Numbers
from risk.core.gate.rule_checks import HOSTS_RULES, is_named, is_narrowed
from risk.core.gate.times import minutes_to_window
from risk.core.gate.verdicts import Check, Verdict
from risk.core.pairs import RULE_TYPES
from risk.core.rule_types import LOSS_RULES, RuleType
from risk.core.statuses import Status

_FIRST_ACCOUNT_CHECK: Final = int(AccountCheck.READING)
_MONEY_TYPES: Final = LOSS_RULES | {RuleType.RISK_PER_TRADE}


def word(
    cases: Cases, lines: Lines, line: int, verdict: Verdict, numbers: Numbers, lots: str
) -> Check:
    """Say what one check found; `lots` is the volume that it is about, as text."""
    kind = int(lines.kind[line])
    if kind >= _FIRST_ACCOUNT_CHECK:
        return word_account_check(cases, lines, line, verdict, numbers, lots)
    return _rule_check(cases, lines, line, verdict, numbers, lots)


def _rule_check(
    cases: Cases, lines: Lines, line: int, verdict: Verdict, numbers: Numbers, lots: str
) -> Check:
    book, pair = cases.book, int(lines.pair[line])
    rule_type = RULE_TYPES[int(lines.kind[line])]
    label = book.labels[int(book.table.rule_index[pair])]
    currency = book.accounts.currencies[int(cases.row[lines.case[line]])]
    return Check(
        name=rule_type.value,
        verdict=verdict,
        sentence=f"{label.name}: {_rule_sentence(cases, lines, line, verdict, numbers, lots)}",
        value=numbers.value,
        limit=numbers.limit,
        unit=currency if rule_type in _MONEY_TYPES else _UNITS.get(rule_type, ""),
        allowed_volume=numbers.allowed,
        rule_id=label.id,
        rule_name=label.name,
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


def _rule_sentence(
    cases: Cases, lines: Lines, line: int, verdict: Verdict, numbers: Numbers, lots: str
) -> str:
    book, pair, case = cases.book, int(lines.pair[line]), int(lines.case[line])
    rule_type = RULE_TYPES[int(lines.kind[line])]
    if is_narrowed(lines, cases, line):
        return "it looks at one strategy, which this order is no part of."
    if lines.is_barred[line] and verdict is not Verdict.ALLOW:
        is_there = book.standing.status[pair] == Status.VIOLATED
        return f"{'it is violated' if is_there else 'its action runs'}, so nothing may be opened."
    if verdict is Verdict.ALLOW and not is_named(lines, cases, line):
        return f"it does not look at {cases.intents[case].symbol}."
    if verdict is Verdict.ALLOW and float(cases.volume[case]) <= cases.closing_lots[case]:
        return f"{lots} lots only make a position smaller."
    if numbers.is_unknown:
        return _unknown(cases, case, rule_type, warns=bool(lines.effect[line] == WARNS))
    text = _TEXTS[rule_type](cases, case, pair, numbers, lots)
    if verdict is Verdict.ALLOW or lines.effect[line] == WARNS:
        return f"{text}."
    return f"{text}{largest_text(numbers)}."


def _unknown(cases: Cases, case: int, rule_type: RuleType, *, warns: bool) -> str:
    if rule_type in LOSS_RULES and not cases.has_stop[case]:
        return "an order without a stop loss may lose more than is left, so it needs one."
    if cases.book.is_preview and rule_type in HOSTS_RULES:
        return "it is looked at where the account is, when the order is there."
    if warns:
        return "what it would say is not known now; it only warns."
    return "what it would say is not known now, so nothing may be opened."


def _loss(cases: Cases, case: int, _pair: int, numbers: Numbers, lots: str) -> str:
    money = money_text(cases, case)
    text = (
        f"if {lots} lots end at the stop, {money(numbers.value)} of {money(numbers.limit)} are lost"
    )
    if cases.intents[case].commission_per_lot is None:
        text += " (the commission is not known and was left out)"
    return text


def _margin(_cases: Cases, _case: int, _pair: int, numbers: Numbers, lots: str) -> str:
    if numbers.value is None:
        return f"no margin would be in use with {lots} lots"
    return (
        f"the margin level would be {numbers.value:,.1f} % (limit {number_text(numbers.limit)} %)"
    )


def _size(cases: Cases, case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    intent = cases.intents[case]
    side = "bought" if intent.is_buy else "sold"
    lots, limit = number_text(numbers.value), number_text(numbers.limit)
    return f"{lots} of {limit} lots of {intent.symbol} would be {side}, pending orders included"


def _count(_cases: Cases, _case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    return f"{number_text(numbers.value)} of {number_text(numbers.limit)} positions would be open"


def _leverage(_cases: Cases, _case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    return f"the leverage would be {quotient_text(numbers.value)} of {number_text(numbers.limit)}"


def _exposure(cases: Cases, case: int, pair: int, numbers: Numbers, _lots: str) -> str:
    of_currency = cases.book.table.by_currency[pair]
    what = "one currency" if of_currency else cases.intents[case].symbol
    return (
        f"the exposure to {what} would be {quotient_text(numbers.value)} times the equity"
        f" (limit {number_text(numbers.limit)})"
    )


def _correlation(_cases: Cases, _case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    return (
        f"the largest correlation of open positions would be {quotient_text(numbers.value)}"
        f" (limit {number_text(numbers.limit)})"
    )


def _risk(cases: Cases, case: int, _pair: int, numbers: Numbers, lots: str) -> str:
    if not cases.has_stop[case]:
        return "an order without a stop loss has no risk that it could count"
    money, symbol = money_text(cases, case), cases.intents[case].symbol
    return (
        f"with {lots} lots {money(numbers.value)} of {money(numbers.limit)} would be at risk at"
        f" the stops of {symbol}"
    )


def _stop(cases: Cases, case: int, _pair: int, _numbers: Numbers, _lots: str) -> str:
    if cases.has_stop[case]:
        return "the order has a stop loss"
    return "the order needs a stop loss"


def _trades(_cases: Cases, _case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    return f"it would be trade {number_text(numbers.value)} of {number_text(numbers.limit)} today"


def _window(cases: Cases, case: int, pair: int, _numbers: Numbers, _lots: str) -> str:
    minutes = minutes_to_window(cases, case, pair)
    if minutes <= 0:
        return "nothing may be open now"
    if math.isinf(minutes):
        return "no time is ahead at which nothing may be open"
    return f"positions may be open for {plain_text(math.floor(minutes))} more minutes"


def _hedging(cases: Cases, case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    symbol = cases.intents[case].symbol
    if numbers.value:
        return f"another account holds {symbol} the other way round"
    return f"no other account holds {symbol} the other way round"


_TEXTS: Final[Mapping[RuleType, Callable[[Cases, int, int, Numbers, str], str]]] = {
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
