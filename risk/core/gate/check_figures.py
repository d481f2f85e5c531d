"""The figures in the sentences of checks."""

from collections.abc import Callable

import numpy as np

from risk.core.figures import amount_text, plain_text
from risk.core.gate.cases import Cases
from risk.core.gate.numbers import Numbers


def money_text(cases: Cases, case: int) -> Callable[[float | None], str]:
    sheet, row = cases.book.accounts, int(cases.row[case])
    digits, currency = int(sheet.digits[row]), sheet.currencies[row]

    def text(amount: float | None) -> str:
        if amount is None:
            return "an unknown amount"
        return f"{amount_text(amount, digits)} {currency}"

    return text


def largest_text(numbers: Numbers) -> str:
    if not numbers.largest:
        return ""
    lots = "lot" if numbers.largest == "1" else "lots"
    return f"; {numbers.largest} {lots} would pass"


def number_text(number: float | None) -> str:
    return "?" if number is None or not np.isfinite(number) else plain_text(number)


def quotient_text(number: float | None) -> str:
    return "?" if number is None else f"{number:,.2f}"
