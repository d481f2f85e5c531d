"""What may be in a name: it is shown on pages, in e-mails' subjects and in logs."""

import unicodedata

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

_BREAKING = frozenset({"Cc", "Zl", "Zp"})
# They turn the direction of the text behind them, which may then read as something else.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

validate_currency = RegexValidator(
    r"^[A-Z]{3,8}\Z", "Give the currency in capital letters, such as USD."
)


def validate_one_line(text: str) -> None:
    if any(unicodedata.category(sign) in _BREAKING or sign in _TURNING for sign in text):
        raise ValidationError("Write it on one line, without control characters.")
