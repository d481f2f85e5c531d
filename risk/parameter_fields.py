"""The form fields of a rule's parameters, by the names of risk.core.parameters."""

from collections.abc import Callable, Mapping
from datetime import time
from decimal import Decimal

from django import forms

from risk.core.rule_types import AmountKind, Comparison, DrawdownKind, Lock, Reference
from risk.models import RiskRule

Type = RiskRule.Type

PARAMETERS: dict[str, tuple[str, ...]] = {
    Type.MAX_DAILY_LOSS.value: (
        "amount_kind",
        "reference",
        "comparison",
        "reset_time",
        "reset_zone",
        "withdrawals_move_floor",
    ),
    Type.MAX_DRAWDOWN.value: (
        "amount_kind",
        "kind",
        "lock",
        "lock_offset",
        "comparison",
        "reset_time",
        "reset_zone",
        "withdrawals_move_floor",
    ),
    Type.MARGIN_LEVEL.value: ("comparison", "hold_seconds"),
    Type.MAX_POSITION_SIZE.value: ("symbols", "hold_seconds"),
    Type.POSITION_LIMIT.value: ("include_pending", "hold_seconds"),
    Type.MAX_LEVERAGE.value: ("gross", "hold_seconds"),
}
LIMIT_HELP = {
    Type.MAX_DAILY_LOSS.value: "Such as 5 for 5 %, or an amount of money.",
    Type.MAX_DRAWDOWN.value: "Such as 10 for 10 %, or an amount of money.",
    Type.MARGIN_LEVEL.value: "In percent, as MetaTrader shows the margin level.",
    Type.MAX_POSITION_SIZE.value: "In lots per symbol and direction, pending orders included.",
    Type.POSITION_LIMIT.value: "How many positions may be open at once.",
    Type.MAX_LEVERAGE.value: "As a multiple of the equity: 10 means ten times.",
}
UNITS = {
    Type.MARGIN_LEVEL.value: "%",
    Type.MAX_POSITION_SIZE.value: "lots",
    Type.POSITION_LIMIT.value: "positions",
    Type.MAX_LEVERAGE.value: "×",
}


class ClockTimeField(forms.TimeField):
    """A time of day that is kept as the text "HH:MM"."""

    widget = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")

    def clean(self, value: object) -> str:
        moment = super().clean(value)
        return f"{moment:%H:%M}" if isinstance(moment, time) else ""


class SymbolsField(forms.CharField):
    """Symbols that are typed with commas and kept as a list; brokers' names keep their case."""

    def clean(self, value: object) -> list[str]:
        text = super().clean(value)
        return [symbol for symbol in text.replace(",", " ").split() if symbol]


class PlainNumberField(forms.DecimalField):
    """A number that JSON can hold."""

    widget = forms.TextInput(attrs={"inputmode": "decimal"})

    def clean(self, value: object) -> float | int | None:
        number = super().clean(value)
        if not isinstance(number, Decimal):
            return None
        return int(number) if number == number.to_integral_value() else float(number)


def parameter_field(name: str) -> forms.Field:
    return _FIELDS[name]()


def unknown_names(rule_type: str, parameters: Mapping[str, object]) -> list[str]:
    """Return the parameters that the form has no field for."""
    return [name for name in parameters if name not in PARAMETERS[rule_type]]


def _choice(label: str, choices: Mapping[str, str], help_text: str = "") -> forms.ChoiceField:
    first = next(iter(choices))
    return forms.ChoiceField(
        label=label, choices=list(choices.items()), initial=first, help_text=help_text
    )


_FIELDS: dict[str, Callable[[], forms.Field]] = {
    "amount_kind": lambda: _choice(
        "Counted in",
        {
            AmountKind.FRACTION_OF_INITIAL.value: "% of the initial balance",
            AmountKind.FRACTION_OF_REFERENCE.value: "% of the reference",
            AmountKind.MONEY.value: "money (account currency)",
        },
    ),
    "reference": lambda: _choice(
        "Measured from",
        {
            Reference.BALANCE.value: "the balance at the reset",
            Reference.EQUITY.value: "the equity at the reset",
            Reference.HIGHER.value: "the higher of both at the reset",
        },
    ),
    "comparison": lambda: _choice(
        "Exactly at the limit",
        {
            Comparison.AT_OR_BELOW.value: "is a violation",
            Comparison.BELOW.value: "is still allowed",
        },
    ),
    "kind": lambda: _choice(
        "The floor",
        {
            DrawdownKind.STATIC.value: "stays where it is",
            DrawdownKind.TRAILING_END_OF_DAY.value: "trails the end-of-day balance",
            DrawdownKind.TRAILING_CLOSED_BALANCE.value: "trails the closed balance",
            DrawdownKind.TRAILING_INTRADAY_EQUITY.value: "trails the highest equity",
        },
    ),
    "lock": lambda: _choice(
        "A trailing floor",
        {
            Lock.NONE.value: "trails for ever",
            Lock.AT_INITIAL.value: "stops at the initial balance",
            Lock.AT_OFFSET.value: "stops above the initial balance",
        },
    ),
    "lock_offset": lambda: PlainNumberField(
        required=False,
        label="Stops this far above",
        help_text="In money above the initial balance; only for a floor that stops above it.",
    ),
    "reset_time": lambda: ClockTimeField(
        required=False, label="Resets at", help_text="Empty: when the account's trading day starts."
    ),
    "reset_zone": lambda: forms.CharField(
        required=False,
        max_length=64,
        label="Time zone of the reset",
        widget=forms.TextInput(attrs={"list": "broker-zones", "autocomplete": "off"}),
        help_text="Such as Europe/Prague. Empty: the account's zone.",
    ),
    "withdrawals_move_floor": lambda: forms.BooleanField(
        required=False,
        initial=True,
        label="A withdrawal moves the floor",
        help_text="Right for own money; most firms count a withdrawal as a loss.",
    ),
    "hold_seconds": lambda: PlainNumberField(
        required=False,
        min_value=0,
        max_value=86_400,
        initial=60,
        label="Seconds inside the limit that end a violation",
    ),
    "symbols": lambda: SymbolsField(
        required=False,
        max_length=600,
        label="Only for these symbols",
        help_text="As the broker writes them, separated by commas. Empty: every symbol.",
    ),
    "include_pending": lambda: forms.BooleanField(required=False, label="Count pending orders too"),
    "gross": lambda: forms.BooleanField(
        required=False, label="Add up buys and sells instead of netting them"
    ),
}
