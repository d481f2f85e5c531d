"""Form fields that write the values of rules the way people read them."""

from datetime import time
from decimal import Decimal
from typing import Any

from django import forms

_DECIMAL: dict[str, str] = {"inputmode": "decimal", "autocomplete": "off"}


class PercentField(forms.DecimalField):
    """A fraction that is typed and shown in percent; its bounds are in percent, too.

    A Decimal is taken for the fraction, a text for what somebody typed.
    """

    widget = forms.TextInput(attrs=_DECIMAL)

    def prepare_value(self, value: Any) -> Any:
        return plain(value * 100) if isinstance(value, Decimal) else value

    def clean(self, value: object) -> Decimal | None:
        percent = super().clean(value)
        return percent / 100 if isinstance(percent, Decimal) else None


class ClockTimeField(forms.TimeField):
    """A time of day that is kept as the text "HH:MM"."""

    widget = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")

    def clean(self, value: object) -> str:
        moment = super().clean(value)
        return f"{moment:%H:%M}" if isinstance(moment, time) else ""


class NamesField(forms.CharField):
    """Names that are typed with commas and kept as a list; brokers' symbols keep their case."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value

    def clean(self, value: object) -> list[str]:
        text = super().clean(value)
        return [name for name in text.replace(",", " ").split() if name]


class NameListField(forms.CharField):
    """Names that may hold spaces, typed with commas and kept as a list."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value

    def clean(self, value: object) -> list[str]:
        return [name.strip() for name in super().clean(value).split(",") if name.strip()]


class CurrenciesField(NamesField):
    """Currencies by their three letters, which are capitals whatever was typed."""

    def clean(self, value: object) -> list[str]:
        return [name.upper() for name in super().clean(value)]


class PlainNumberField(forms.DecimalField):
    """A number that JSON can hold."""

    widget = forms.TextInput(attrs={"inputmode": "decimal"})

    def clean(self, value: object) -> float | int | None:
        number = super().clean(value)
        if not isinstance(number, Decimal):
            return None
        return int(number) if number == number.to_integral_value() else float(number)


class WeekdayField(forms.TypedChoiceField):
    """A day of the week, Monday being 0."""

    def __init__(self, **kwargs: Any) -> None:
        days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        super().__init__(
            choices=list(enumerate(days)), coerce=int, empty_value=None, required=False, **kwargs
        )


def plain(number: Decimal) -> str:
    """Write a number without needless zeros."""
    return f"{number.normalize():f}" if number.is_finite() else str(number)
