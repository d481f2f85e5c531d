"""Numbers as people read them, rounded towards the cautious side.

What is left is rounded down and what is used is rounded up, so that no sentence promises more
than there is. A share of the limit that is used shows 100 % only when all of it is, and one
that is left shows 0 % only when none is: "under 1 %" in between.
"""

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

# Doubles carry noise: 212.40 may arrive as 212.39999999999418.
_NOISE = Decimal("0.000001")

_MINUTES_IN_WORDS = 120
_MINUTES_IN_SECONDS = 2
_HOURS_WITH_MINUTES = 48


@dataclass(frozen=True, slots=True)
class Currency:
    """An account's currency and how many decimals its amounts have."""

    name: str
    digits: int = 2


def amount_text(amount: float | Decimal, digits: int, rounding: str = ROUND_HALF_EVEN) -> str:
    """Write an amount with thousands commas, e.g. "5,000.00"; the unit is the caller's."""
    exact = Decimal(str(amount)).quantize(_NOISE)
    rounded = exact.quantize(Decimal(1).scaleb(-digits), rounding=rounding)
    return f"{abs(rounded) if rounded == 0 else rounded:,.{digits}f}"


def left_text(amount: float, digits: int) -> str:
    """Write what is left, rounded down."""
    return amount_text(amount, digits, ROUND_FLOOR)


def used_text(amount: float, digits: int) -> str:
    """Write what is used, rounded up."""
    return amount_text(amount, digits, ROUND_CEILING)


def left_percent_text(buffer: float) -> str:
    """Write a buffer as "4 %", rounded down."""
    percent = Decimal(str(buffer * 100)).quantize(_NOISE)
    if 0 < percent < 1:
        return "under 1 %"
    return f"{percent.quantize(Decimal(1), rounding=ROUND_FLOOR):,} %"


def used_percent_text(fraction: float) -> str:
    """Write a used fraction as "97 %", rounded up, yet "100 %" only when it is all used."""
    percent = Decimal(str(fraction * 100)).quantize(_NOISE)
    rounded = percent.quantize(Decimal(1), rounding=ROUND_CEILING)
    return f"{99 if percent < 100 <= rounded else rounded:,} %"


def plain_text(number: float | Decimal) -> str:
    """Write a number without needless zeros: "2.5", "150"."""
    exact = Decimal(str(number)).quantize(_NOISE).normalize()
    return f"{exact:,f}"


def shown_text(amount: float, digits: int) -> str:
    """Write what is used, rounded up, without needless zeros."""
    rounded = Decimal(str(amount)).quantize(_NOISE)
    return plain_text(rounded.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_CEILING))


def fraction_text(fraction: Decimal) -> str:
    """Write a fraction as a percentage without needless zeros: 0.05 is "5 %"."""
    return f"{plain_text(fraction * 100)} %"


def counted_text(number: float | Decimal, singular: str) -> str:
    """Write a number with what is counted: "1 minute", "2.5 minutes"."""
    text = plain_text(number)
    return f"{text} {singular}{'' if text == '1' else 's'}"


def verb_text(number: float | Decimal) -> str:
    """Return "is" for one thing and "are" for any other number of them."""
    return "is" if plain_text(number) == "1" else "are"


def minutes_text(minutes: float | Decimal) -> str:
    """Write minutes as they are, a fraction of few of them in seconds: "5 minutes", "6 seconds"."""
    exact = Decimal(str(minutes)).quantize(_NOISE)
    if exact < _MINUTES_IN_SECONDS and exact != exact.to_integral_value():
        return counted_text(exact * 60, "second")
    return counted_text(exact, "minute")


def age_text(minutes: float) -> str:
    """Write for how long something has lasted, rounded up: "4 seconds", "2.5 minutes"."""
    exact = Decimal(str(minutes)).quantize(_NOISE)
    if exact < _MINUTES_IN_SECONDS:
        seconds = (exact * 60).quantize(_NOISE).to_integral_value(ROUND_CEILING)
        if seconds % 60 or not seconds:
            return counted_text(seconds, "second")
        return counted_text(seconds / 60, "minute")
    return counted_text(exact.quantize(Decimal("0.1"), rounding=ROUND_CEILING), "minute")


def duration_text(minutes: float) -> str:
    """Write a time, rounded down: "25 minutes", "3 h 20 min", "2 days 4 h"."""
    whole = math.floor(minutes + 1e-9)
    if whole < 1:
        return "under a minute"
    if whole < _MINUTES_IN_WORDS:
        return counted_text(whole, "minute")
    hours, rest = divmod(whole, 60)
    if hours < _HOURS_WITH_MINUTES:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{counted_text(days, 'day')} {hours} h" if hours else counted_text(days, "day")
