"""The figures in the sentences of checks."""

import math

from risk.core.figures import amount_text, plain_text
from risk.core.gate.told import Told


def money_text(told: Told, amount: float | None) -> str:
    if amount is None:
        return "an unknown amount"
    return f"{amount_text(amount, told.facts.digits)} {told.facts.currency}"


def largest_text(told: Told) -> str:
    if not told.largest:
        return ""
    lots = "lot" if told.largest == "1" else "lots"
    return f"; {told.largest} {lots} would pass"


def number_text(number: float | None) -> str:
    return "?" if number is None or not math.isfinite(number) else plain_text(number)


def quotient_text(number: float | None) -> str:
    return "?" if number is None else f"{number:,.2f}"
