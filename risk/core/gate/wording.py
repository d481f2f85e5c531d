"""What people read about each check of the gate."""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from risk.core.figures import amount_text, plain_text
from risk.core.gate.account_checks import (
    AccountCheck,
    price_fault,
    trade_mode_fault,
    volume_fault,
)
from risk.core.gate.cases import Cases
from risk.core.gate.lines import WARNS, Lines
from risk.core.gate.numbers import Numbers
from risk.core.gate.rule_checks import HOSTS_RULES, is_named, is_narrowed
from risk.core.gate.times import minutes_to_window
from risk.core.gate.verdicts import Check, Verdict
from risk.core.pairs import RULE_TYPES
from risk.core.rule_types import LOSS_RULES, RuleType
from risk.core.statuses import Status

_FIRST_ACCOUNT_CHECK: Final = int(AccountCheck.READING)
_PASSES: Final = {
    AccountCheck.READING: "The reading is fresh.",
    AccountCheck.IDENTITY: "The terminal shows the right account.",
    AccountCheck.TRADING_ALLOWED: "The account may trade.",
    AccountCheck.ALGO_TRADING: "The terminal takes orders of programs.",
    AccountCheck.LOCK: "The account is not locked.",
    AccountCheck.SYMBOL: "The terminal knows the symbol.",
    AccountCheck.TRADE_MODE: "The symbol may be traded so.",
    AccountCheck.PRICES: "The prices are as the broker wants them.",
}
_MONEY_TYPES: Final = LOSS_RULES | {RuleType.RISK_PER_TRADE}


def word(
    cases: Cases, lines: Lines, line: int, verdict: Verdict, numbers: Numbers, lots: str
) -> Check:
    """Say what one check found; `lots` is the volume that it is about, as text."""
    kind = int(lines.kind[line])
    if kind >= _FIRST_ACCOUNT_CHECK:
        return _account_check(cases, lines, line, verdict, numbers, lots)
    return _rule_check(cases, lines, line, verdict, numbers, lots)


def _account_check(
    cases: Cases, lines: Lines, line: int, verdict: Verdict, numbers: Numbers, lots: str
) -> Check:
    check, case = AccountCheck(int(lines.kind[line])), int(lines.case[line])
    passes = verdict is Verdict.ALLOW
    if check in (AccountCheck.VOLUME, AccountCheck.VOLUME_LIMIT, AccountCheck.FREE_MARGIN):
        sentence = _size_sentence(check, cases, case, numbers, lots, passes=passes)
    else:
        sentence = _PASSES[check] if passes else _BARS[check](cases, case)
    unit = "lots" if check in (AccountCheck.VOLUME, AccountCheck.VOLUME_LIMIT) else ""
    if check is AccountCheck.FREE_MARGIN:
        unit = cases.book.accounts.currencies[int(cases.row[case])]
    return Check(
        name=check.text,
        verdict=verdict,
        sentence=sentence,
        value=numbers.value,
        limit=numbers.limit,
        unit=unit,
        allowed_volume=numbers.allowed,
    )


def _size_sentence(
    check: AccountCheck, cases: Cases, case: int, numbers: Numbers, lots: str, *, passes: bool
) -> str:
    if check is AccountCheck.VOLUME:
        fault = volume_fault(cases.intents[case])
        if fault is not None:
            return fault
        if passes:
            return f"{lots} lots is a volume that the broker takes."
        return f"{lots} lots is more than the largest volume of {_plain(numbers.limit)}."
    if check is AccountCheck.VOLUME_LIMIT:
        if numbers.limit is None:
            return "The symbol has no limit on one direction."
        text = f"One direction would hold {_plain(numbers.value)} of {_plain(numbers.limit)} lots"
        return f"{text}." if passes else f"{text}{_largest(numbers)}."
    if math.isnan(cases.margin_per_lot[case]) and not passes:
        return "What margin the order takes is not known."
    money = _money(cases, case)
    text = f"The order takes {money(numbers.value)} of {money(numbers.limit)} free margin"
    return f"{text}." if passes else f"{text}{_largest(numbers)}."


def _reading(cases: Cases, case: int) -> str:
    sheet, row = cases.book.accounts, int(cases.row[case])
    if not sheet.is_connected[row]:
        return "The account is not connected, and an order needs a fresh reading."
    age = float(sheet.age_seconds[row])
    if not math.isfinite(age):
        return "There is no reading of the account, and an order needs a fresh one."
    if not sheet.known[row] and age <= 2:
        return "The last reading of the account can't be used, and an order needs a good one."
    return f"The last reading is {age:.1f} seconds old, and an order needs a fresh one."


_BARS: Final[Mapping[AccountCheck, Callable[[Cases, int], str]]] = {
    AccountCheck.READING: _reading,
    AccountCheck.IDENTITY: lambda _cases, _case: (
        "The terminal shows another account than the order is for."
    ),
    AccountCheck.TRADING_ALLOWED: lambda _cases, _case: (
        "The broker lets nobody trade on this login: it is for watching only."
    ),
    AccountCheck.ALGO_TRADING: lambda _cases, _case: (
        'The terminal takes no orders of programs: switch on "Algo Trading".'
    ),
    AccountCheck.LOCK: lambda cases, case: (
        f"The account is locked: {cases.book.accounts.lock_reasons[int(cases.row[case])]}"
    )[:250],
    AccountCheck.SYMBOL: lambda cases, case: (
        f"The terminal does not tell the terms of {cases.intents[case].symbol}."
    ),
    AccountCheck.TRADE_MODE: lambda cases, case: trade_mode_fault(cases.intents[case]) or "",
    AccountCheck.PRICES: lambda cases, case: price_fault(cases.intents[case]) or "",
}


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
    return f"{text}{_largest(numbers)}."


def _unknown(cases: Cases, case: int, rule_type: RuleType, *, warns: bool) -> str:
    if rule_type in LOSS_RULES and not cases.has_stop[case]:
        return "an order without a stop loss may lose more than is left, so it needs one."
    if cases.book.is_preview and rule_type in HOSTS_RULES:
        return "it is looked at where the account is, when the order is there."
    if warns:
        return "what it would say is not known now; it only warns."
    return "what it would say is not known now, so nothing may be opened."


def _loss(cases: Cases, case: int, _pair: int, numbers: Numbers, lots: str) -> str:
    money = _money(cases, case)
    text = (
        f"if {lots} lots end at the stop, {money(numbers.value)} of {money(numbers.limit)} are lost"
    )
    if cases.intents[case].commission_per_lot is None:
        text += " (the commission is not known and was left out)"
    return text


def _margin(_cases: Cases, _case: int, _pair: int, numbers: Numbers, lots: str) -> str:
    if numbers.value is None:
        return f"no margin would be in use with {lots} lots"
    return f"the margin level would be {numbers.value:,.1f} % (limit {_plain(numbers.limit)} %)"


def _size(cases: Cases, case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    intent = cases.intents[case]
    side = "bought" if intent.is_buy else "sold"
    return (
        f"{_plain(numbers.value)} of {_plain(numbers.limit)} lots of {intent.symbol} would be"
        f" {side}, pending orders included"
    )


def _count(_cases: Cases, _case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    return f"{_plain(numbers.value)} of {_plain(numbers.limit)} positions would be open"


def _leverage(_cases: Cases, _case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    return f"the leverage would be {_quotient(numbers.value)} of {_plain(numbers.limit)}"


def _exposure(cases: Cases, case: int, pair: int, numbers: Numbers, _lots: str) -> str:
    of_currency = cases.book.table.by_currency[pair]
    what = "one currency" if of_currency else cases.intents[case].symbol
    return (
        f"the exposure to {what} would be {_quotient(numbers.value)} times the equity"
        f" (limit {_plain(numbers.limit)})"
    )


def _correlation(_cases: Cases, _case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    return (
        f"the largest correlation of open positions would be {_quotient(numbers.value)}"
        f" (limit {_plain(numbers.limit)})"
    )


def _risk(cases: Cases, case: int, _pair: int, numbers: Numbers, lots: str) -> str:
    if not cases.has_stop[case]:
        return "an order without a stop loss has no risk that it could count"
    money, symbol = _money(cases, case), cases.intents[case].symbol
    return (
        f"with {lots} lots {money(numbers.value)} of {money(numbers.limit)} would be at risk at"
        f" the stops of {symbol}"
    )


def _stop(cases: Cases, case: int, _pair: int, _numbers: Numbers, _lots: str) -> str:
    if cases.has_stop[case]:
        return "the order has a stop loss"
    return "the order needs a stop loss"


def _trades(_cases: Cases, _case: int, _pair: int, numbers: Numbers, _lots: str) -> str:
    return f"it would be trade {_plain(numbers.value)} of {_plain(numbers.limit)} today"


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


def _money(cases: Cases, case: int) -> Callable[[float | None], str]:
    sheet, row = cases.book.accounts, int(cases.row[case])
    digits, currency = int(sheet.digits[row]), sheet.currencies[row]

    def text(amount: float | None) -> str:
        if amount is None:
            return "an unknown amount"
        return f"{amount_text(amount, digits)} {currency}"

    return text


def _largest(numbers: Numbers) -> str:
    if not numbers.largest:
        return ""
    return f"; {numbers.largest} lots would pass"


def _plain(number: float | None) -> str:
    return "?" if number is None or not np.isfinite(number) else plain_text(number)


def _quotient(number: float | None) -> str:
    return "?" if number is None else f"{number:,.2f}"
