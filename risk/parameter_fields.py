"""What the form of each rule type asks for, by the names of risk.core.parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from risk.core.rule_types import (
    AmountKind,
    Comparison,
    ConsistencyBasis,
    DrawdownKind,
    ExposureOf,
    Importance,
    Lock,
    Reference,
    RuleType,
    WindowKind,
)
from risk.field_types import (
    ClockTimeField,
    CurrenciesField,
    NamesField,
    PlainNumberField,
    WeekdayField,
)
from risk.models import RiskRule

Type = RiskRule.Type
_RESET = ("reset_time", "reset_zone")

PARAMETERS: dict[str, tuple[str, ...]] = {
    Type.MAX_DAILY_LOSS.value: (
        "amount_kind", "reference", "comparison", *_RESET, "withdrawals_move_floor",
    ),
    Type.MAX_DRAWDOWN.value: (
        "amount_kind", "kind", "lock", "lock_offset", "comparison", *_RESET,
        "withdrawals_move_floor",
    ),
    Type.MARGIN_LEVEL.value: ("comparison", "hold_seconds"),
    Type.MAX_POSITION_SIZE.value: ("symbols", "hold_seconds"),
    Type.POSITION_LIMIT.value: ("hold_seconds", "include_pending"),
    Type.MAX_LEVERAGE.value: ("hold_seconds", "gross"),
    Type.MAX_EXPOSURE.value: ("exposure_of", "symbols", "hold_seconds"),
    Type.MAX_CORRELATION.value: ("hold_seconds",),
    Type.RISK_PER_TRADE.value: ("symbols", "hold_seconds"),
    Type.STOP_LOSS_REQUIRED.value: ("hold_seconds",),
    Type.MAX_DAILY_TRADES.value: _RESET,
    Type.TRADING_WINDOW.value: (
        "kind", "from_weekday", "from_time", "until_weekday", "until_time", "zone",
        "min_importance", "currencies", "hold_seconds", "include_pending",
    ),
    Type.NO_CROSS_HEDGING.value: ("hold_seconds",),
    Type.INACTIVITY.value: (),
    Type.PROFIT_TARGET.value: ("amount_kind",),
    Type.MIN_TRADING_DAYS.value: _RESET,
    Type.CONSISTENCY.value: ("basis", *_RESET),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LimitField:
    """How the limit of a rule type is asked for; `unit` stands beside the field."""

    label: str
    help_text: str
    unit: str = ""


# Their limit is a fraction, which people write in percent; with an `amount_kind` it may be money.
SHARES = frozenset({Type.CONSISTENCY.value, Type.RISK_PER_TRADE.value})
# There is no limit to choose: one symbol in opposite directions is one too many.
FIXED_LIMITS: Mapping[str, int] = {Type.NO_CROSS_HEDGING.value: 1}

LIMITS: Mapping[str, LimitField] = {
    Type.MAX_DAILY_LOSS.value: LimitField("Limit", "Such as 5 for 5 %, or an amount of money."),
    Type.MAX_DRAWDOWN.value: LimitField("Limit", "Such as 10 for 10 %, or an amount of money."),
    Type.MARGIN_LEVEL.value: LimitField(
        "Lowest margin level", "As MetaTrader shows it: equity in percent of the margin.", "%"
    ),
    Type.MAX_POSITION_SIZE.value: LimitField(
        "Largest size", "Per symbol and direction, pending orders included.", "lots"
    ),
    Type.POSITION_LIMIT.value: LimitField(
        "Most positions", "How many may be open at once.", "positions"
    ),
    Type.MAX_LEVERAGE.value: LimitField(
        "Highest leverage", "What is held as a multiple of the equity.", "× equity"
    ),
    Type.MAX_EXPOSURE.value: LimitField(
        "Largest exposure",
        "Net value of one symbol or currency as a multiple of the equity.",
        "× equity",
    ),
    Type.MAX_CORRELATION.value: LimitField(
        "Highest correlation",
        "Between two open positions, from 0 to 1; a buy and a sell of the same move count "
        "against each other. From 60 daily returns.",
    ),
    Type.RISK_PER_TRADE.value: LimitField(
        "Most at risk",
        "What is lost at the stops of one symbol, as a share of the balance. "
        "Positions without a stop are left to “Stop loss required”.",
        "% of balance",
    ),
    Type.STOP_LOSS_REQUIRED.value: LimitField(
        "Within", "How long a position may be open without a stop loss.", "minutes"
    ),
    Type.MAX_DAILY_TRADES.value: LimitField(
        "Most trades a day", "Positions opened in one trading day.", "trades"
    ),
    Type.TRADING_WINDOW.value: LimitField(
        "Minutes",
        "News: this long before and after an event nothing may be open. "
        "Otherwise: this long before, the account is warned.",
        "minutes",
    ),
    Type.NO_CROSS_HEDGING.value: LimitField("Limit", ""),
    Type.INACTIVITY.value: LimitField(
        "Longest pause", "Days since the last trade; firms close idle accounts.", "days"
    ),
    Type.PROFIT_TARGET.value: LimitField(
        "Target", "Such as 10 for 10 %, or an amount of money above the initial balance."
    ),
    Type.MIN_TRADING_DAYS.value: LimitField(
        "Fewest days", "A day counts when a position was opened on it.", "days"
    ),
    Type.CONSISTENCY.value: LimitField(
        "Best day at most", "The largest part of the profit that one day may bring.", "%"
    ),
}


def parameter_field(rule_type: str, name: str) -> forms.Field:
    """Return a new form field for this parameter of this type."""
    make = _SPECIAL.get((rule_type, name)) or _FIELDS[name]
    return make()


def unknown_names(rule_type: str, parameters: Mapping[str, object]) -> list[str]:
    """Return the parameters that the form has no field for."""
    return [name for name in parameters if name not in PARAMETERS[rule_type]]


def _choice(
    label: str, choices: Mapping[str, str], help_text: str = ""
) -> Callable[[], forms.Field]:
    first = next(iter(choices))
    return lambda: forms.ChoiceField(
        label=label, choices=list(choices.items()), initial=first, help_text=help_text
    )


def _flag(label: str, help_text: str = "", *, initial: bool = False) -> Callable[[], forms.Field]:
    return lambda: forms.BooleanField(
        required=False, label=label, help_text=help_text, initial=initial
    )


def _clock(label: str, help_text: str = "") -> Callable[[], forms.Field]:
    return lambda: ClockTimeField(required=False, label=label, help_text=help_text)


def _zone(label: str, help_text: str) -> Callable[[], forms.Field]:
    attrs: dict[str, Any] = {"list": "broker-zones", "autocomplete": "off"}
    return lambda: forms.CharField(
        required=False,
        max_length=64,
        label=label,
        widget=forms.TextInput(attrs=attrs),
        help_text=help_text,
    )


_FIELDS: dict[str, Callable[[], forms.Field]] = {
    "amount_kind": _choice(
        "Counted in",
        {
            AmountKind.FRACTION_OF_INITIAL.value: "% of the initial balance",
            AmountKind.FRACTION_OF_REFERENCE.value: "% of the reference",
            AmountKind.MONEY.value: "money (account currency)",
        },
    ),
    "reference": _choice(
        "Measured from",
        {
            Reference.BALANCE.value: "the balance at the reset",
            Reference.EQUITY.value: "the equity at the reset",
            Reference.HIGHER.value: "the higher of both at the reset",
        },
    ),
    "comparison": _choice(
        "Exactly at the limit",
        {
            Comparison.AT_OR_BELOW.value: "is a violation",
            Comparison.BELOW.value: "is still allowed",
        },
    ),
    "kind": _choice(
        "The floor",
        {
            DrawdownKind.STATIC.value: "stays where it is",
            DrawdownKind.TRAILING_END_OF_DAY.value: "trails the end-of-day balance",
            DrawdownKind.TRAILING_CLOSED_BALANCE.value: "trails the closed balance",
            DrawdownKind.TRAILING_INTRADAY_EQUITY.value: "trails the highest equity",
        },
    ),
    "lock": _choice(
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
        help_text="In money above the initial balance.",
    ),
    "reset_time": _clock("Resets at", "Empty: when the account's trading day starts."),
    "reset_zone": _zone(
        "Time zone of the reset", "Such as Europe/Prague. Empty: the account's zone."
    ),
    "withdrawals_move_floor": _flag(
        "A withdrawal moves the floor",
        "Right for own money; most firms count a withdrawal as a loss.",
        initial=True,
    ),
    "hold_seconds": lambda: PlainNumberField(
        required=False,
        min_value=0,
        max_value=86_400,
        initial=60,
        label="Over after",
        help_text="Seconds inside the limit that end a violation by themselves.",
    ),
    "symbols": lambda: NamesField(
        required=False,
        max_length=600,
        label="Only for these symbols",
        help_text="As the broker writes them, separated by commas. Empty: every symbol.",
    ),
    "include_pending": _flag("Count pending orders too"),
    "gross": _flag("Add up buys and sells instead of netting them"),
    "exposure_of": _choice(
        "Added up by",
        {
            ExposureOf.SYMBOL.value: "symbol",
            ExposureOf.CURRENCY.value: "currency",
        },
    ),
    "from_time": _clock("Flat from"),
    "until_time": _clock("Until"),
    "from_weekday": lambda: WeekdayField(label="From", initial=4),
    "until_weekday": lambda: WeekdayField(label="Until", initial=6),
    "zone": _zone("Time zone", "Empty: the account's zone."),
    "min_importance": _choice(
        "Which events",
        {
            Importance.HIGH.value: "of high importance",
            Importance.MEDIUM.value: "of medium and high importance",
            Importance.LOW.value: "all of them",
        },
    ),
    "currencies": lambda: CurrenciesField(
        required=False,
        max_length=100,
        label="Only these currencies",
        help_text="Such as USD, EUR. Empty: the currencies of what is open.",
    ),
    "basis": _choice(
        "Compared with",
        {
            ConsistencyBasis.TOTAL_PROFIT.value: "the total profit",
            ConsistencyBasis.POSITIVE_DAYS.value: "the sum of the days in profit",
        },
    ),
}

_SPECIAL: dict[tuple[str, str], Callable[[], forms.Field]] = {
    (RuleType.PROFIT_TARGET.value, "amount_kind"): _choice(
        "Counted in",
        {
            AmountKind.FRACTION_OF_INITIAL.value: "% of the initial balance",
            AmountKind.MONEY.value: "money (account currency)",
        },
    ),
    (RuleType.TRADING_WINDOW.value, "kind"): _choice(
        "Nothing may be open",
        {
            WindowKind.WEEKEND.value: "over the weekend",
            WindowKind.DAILY.value: "at a time of every day",
            WindowKind.NEWS.value: "around news",
        },
    ),
    (RuleType.TRADING_WINDOW.value, "include_pending"): _flag(
        "Pending orders must go, too", initial=True
    ),
}
