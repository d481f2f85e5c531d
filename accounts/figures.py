"""How numbers are written on pages: what is not known is a dash, never a zero."""

import math
from datetime import datetime

UNKNOWN = "—"
# A reading younger than this is simply "live"; the digits of its age would only flicker.
LIVE_SECONDS = 1.0


def amount(value: float | None, digits: int = 2) -> str:
    """Write a number with thousands separators and a true minus sign."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = f"{value:,.{digits}f}"
    if text.startswith("-"):
        # A loss of a tenth of a cent is not "-0.00".
        return text[1:] if float(value) > -0.5 * 10**-digits else "−" + text[1:]
    return text


def signed(value: float | None, digits: int = 2) -> str:
    """Write a result: gains carry a plus sign."""
    text = amount(value, digits)
    return f"+{text}" if value is not None and text[0] in "123456789" else _plus_small(text, value)


def _plus_small(text: str, value: float | None) -> str:
    is_gain = value is not None and value > 0 and any(digit in text for digit in "123456789")
    return f"+{text}" if is_gain else text


def age(seconds: float | None) -> str:
    """Write how old a reading is; one of the last second is "live"."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    return "live" if seconds < LIVE_SECONDS else f"{duration(seconds)} ago"


def duration(seconds: float) -> str:
    whole = int(seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def price(value: float | None, digits: int) -> str:
    """Write a price with its symbol's `digits`; 0 stands for one that is not set."""
    return amount(value or None, digits)


def until(moment: datetime, now: datetime) -> str:
    """Write how long it is until `moment`: "in 3 h 20 min"."""
    minutes = int((moment - now).total_seconds() // 60)
    if minutes < 1:
        return "in less than a minute"
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"in {hours // 24} days"
    return f"in {hours} h {minutes} min" if hours else f"in {minutes} min"
