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
from risk.core.gate.told import Found, Told
from risk.core.gate.verdicts import Check

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


def word_account_check(told: Told, check: AccountCheck) -> Check:
    unit = "lots" if check in (AccountCheck.VOLUME, AccountCheck.VOLUME_LIMIT) else ""
    if check is AccountCheck.FREE_MARGIN:
        unit = told.facts.currency
    return Check(
        name=check.text,
        verdict=told.verdict,
        sentence=told.fault or _sentence(told, check),
        value=told.value,
        limit=told.limit,
        unit=unit,
        allowed_volume=told.allowed,
    )


def _sentence(told: Told, check: AccountCheck) -> str:
    if check is AccountCheck.VOLUME:
        if told.passes:
            return f"{told.lots} lots is a volume that the broker takes."
        return f"{told.lots} lots is more than the largest volume of {number_text(told.limit)}."
    if check is AccountCheck.VOLUME_LIMIT:
        if told.limit is None:
            return "The symbol has no limit on one direction."
        held, limit = number_text(told.value), number_text(told.limit)
        return _ended(told, f"One direction would hold {held} of {limit} lots")
    if check is AccountCheck.FREE_MARGIN:
        if Found.KNOWS_NO_MARGIN in told.found and not told.passes:
            return "What margin the order takes is not known."
        taken, free = money_text(told, told.value), money_text(told, told.limit)
        return _ended(told, f"The order takes {taken} of {free} free margin")
    return _PASSES[check] if told.passes else ""


def _ended(told: Told, text: str) -> str:
    return f"{text}." if told.passes else f"{text}{largest_text(told)}."


def fault_of(check: AccountCheck, cases: Cases, case: int) -> str:
    """Say why this check does not let an order pass; empty where its numbers tell that."""
    bars = _BARS.get(check)
    return "" if bars is None else bars(cases, case)


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


def _volume(cases: Cases, case: int) -> str:
    intents = cases.intents
    return volume_fault(intents.form_of(case), intents.volumes[case]) or ""


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
        f"The terminal does not tell the terms of {cases.intents.form_of(case).symbol}."
    ),
    AccountCheck.TRADE_MODE: lambda cases, case: (
        trade_mode_fault(cases.intents.form_of(case)) or ""
    ),
    AccountCheck.PRICES: lambda cases, case: price_fault(cases.intents.form_of(case)) or "",
    AccountCheck.VOLUME: _volume,
}
