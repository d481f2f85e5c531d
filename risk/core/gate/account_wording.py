"""What people read about the checks that have nothing to do with rules."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from risk.core.gate.account_checks import (
    AccountCheck,
    price_fault,
    trade_mode_fault,
    volume_fault,
)
from risk.core.gate.cases import Cases
from risk.core.gate.check_figures import largest_text, money_text, number_text
from risk.core.gate.lines import Lines
from risk.core.gate.numbers import Numbers
from risk.core.gate.verdicts import Check, Verdict

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


def word_account_check(
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
        return f"{lots} lots is more than the largest volume of {number_text(numbers.limit)}."
    if check is AccountCheck.VOLUME_LIMIT:
        if numbers.limit is None:
            return "The symbol has no limit on one direction."
        held, limit = number_text(numbers.value), number_text(numbers.limit)
        text = f"One direction would hold {held} of {limit} lots"
        return f"{text}." if passes else f"{text}{largest_text(numbers)}."
    if math.isnan(cases.margin_per_lot[case]) and not passes:
        return "What margin the order takes is not known."
    money = money_text(cases, case)
    text = f"The order takes {money(numbers.value)} of {money(numbers.limit)} free margin"
    return f"{text}." if passes else f"{text}{largest_text(numbers)}."


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
