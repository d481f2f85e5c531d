"""What a relationship copies and how much of it, as a person fills it in."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, cast

from django import forms
from django.core.exceptions import ValidationError

from accounts.forms.base import ServiceForm
from copytrade.core.kinds import Sizing
from copytrade.forms.fields import MagicsField, SymbolMapField, SymbolsField
from copytrade.models import CopyRelationship
from copytrade.terms import TERMS, TermChanges, check_terms, set_terms
from risk.field_types import PercentField

_DECIMAL: Final = {"inputmode": "decimal", "autocomplete": "off"}
_WHOLE: Final = {"inputmode": "numeric", "autocomplete": "off"}
_FIELDS: Final = CopyRelationship._meta

# What a size is told by; the page shows the one that the chosen sizing takes.
_SIZE_FIELDS: Final = ("multiplier", "fixed_lots", "risk_fraction")
_SHOWN_BY_SIZING: Final = {Sizing.FIXED_LOT: "fixed_lots", Sizing.RISK_PERCENT: "risk_fraction"}

# What an example needs to know; the rest of a form may be wrong meanwhile.
SIZE_TERMS: Final = (
    "sizing",
    "multiplier",
    "fixed_lots",
    "risk_fraction",
    "below_minimum",
    "maximum_lots",
    "symbol_map",
    "is_reverse",
)


def _choices(name: str) -> Any:
    field: Any = _FIELDS.get_field(name)
    return field.choices


def _initial(value: Any) -> Any:
    """Give a number the digits that it has, not those that its column keeps."""
    return Decimal(f"{value.normalize():f}") if isinstance(value, Decimal) else value


def _unseen_sizes(sizing: str | None) -> tuple[str, ...]:
    """Return the fields that this sizing does not ask for; none while it is not known."""
    if not sizing:
        return ()
    shown = _SHOWN_BY_SIZING.get(Sizing(sizing), "multiplier")
    return tuple(name for name in _SIZE_FIELDS if name != shown)


def _whole(label: str, **options: Any) -> forms.IntegerField:
    widget = forms.TextInput(attrs=_WHOLE)
    return forms.IntegerField(label=label, widget=widget, min_value=0, **options)


def _lots(label: str, **options: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        widget=forms.TextInput(attrs=_DECIMAL),
        max_digits=12,
        decimal_places=4,
        required=False,
        **options,
    )


class TermsForm(forms.Form, ServiceForm):
    """The terms of a relationship; the service checks what they mean together."""

    sizing = forms.ChoiceField(label="Sized by", choices=_choices("sizing"))
    multiplier = forms.DecimalField(
        label="Times",
        widget=forms.TextInput(attrs=_DECIMAL),
        max_digits=10,
        decimal_places=4,
        initial=Decimal(1),
        help_text="2 doubles each copy, 0.5 halves it.",
    )
    fixed_lots = _lots("Lots of each copy")
    risk_fraction = PercentField(
        required=False,
        label="Lost at the stop",
        max_digits=6,
        decimal_places=4,
        min_value=Decimal("0.01"),
        max_value=Decimal(100),
        help_text="Of the follower's equity. A trade without a stop is not copied.",
    )
    below_minimum = forms.ChoiceField(
        label="When it is less than the smallest lot", choices=_choices("below_minimum")
    )
    maximum_lots = _lots("Never more than", help_text="Of one copy.")

    include_symbols = SymbolsField(
        label="Only these symbols", help_text="As the provider's terminal shows them."
    )
    exclude_symbols = SymbolsField(label="Never these symbols")
    symbol_map = SymbolMapField(
        label="Symbols with another name here",
        help_text="The provider's = the follower's. Endings such as .m or .raw are found without.",
    )
    directions = forms.ChoiceField(label="Directions", choices=_choices("directions"))
    magics = MagicsField(label="Only these magic numbers")
    is_reverse = forms.BooleanField(
        required=False, label="Reverse: a buy there is a sell here, and stops change places"
    )
    copies_stops = forms.BooleanField(
        required=False, initial=True, label="Copy stop losses and take profits, and their changes"
    )
    stop_loss_points = _whole(
        "Own stop loss", required=False, help_text="Instead of the provider's."
    )
    take_profit_points = _whole(
        "Own take profit", required=False, help_text="Instead of the provider's."
    )
    copies_pendings = forms.BooleanField(
        required=False, label="Copy pending orders, rather than what they become"
    )

    open_deadline_seconds = _whole(
        "Open within", initial=60, help_text="What is noticed later is not opened any more."
    )
    maximum_slippage_points = _whole("At most this far from the provider's price", required=False)
    maximum_positions = _whole("At most open at once", required=False)
    trading_from = forms.TimeField(
        required=False,
        label="Open from",
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    trading_until = forms.TimeField(
        required=False,
        label="Open until",
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    trading_zone = forms.CharField(
        label="Time zone of these hours",
        initial="UTC",
        max_length=64,
        widget=forms.TextInput(attrs={"list": "zones", "autocomplete": "off"}),
    )
    equity_stop = forms.DecimalField(
        required=False,
        label="Stop copying at an equity of",
        widget=forms.TextInput(attrs=_DECIMAL),
        max_digits=18,
        decimal_places=2,
        help_text="In the follower's currency: what was copied is closed, and copying pauses.",
    )
    start_policy = forms.ChoiceField(label="Begin with", choices=_choices("start_policy"))
    cascade_scope = forms.ChoiceField(
        label="When the provider is liquidated, close here",
        choices=_choices("cascade_scope"),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        relationship: CopyRelationship | None = None,
        **options: Any,
    ) -> None:
        if relationship is not None:
            told = {name: _initial(getattr(relationship, name)) for name in TERMS}
            options["initial"] = {**told, **options.get("initial", {})}
        super().__init__(data, **options)
        self.relationship = relationship
        begun = relationship is not None and relationship.state != CopyRelationship.State.OFFERED
        if begun:
            del self.fields["start_policy"]

    def clean(self) -> dict[str, Any]:
        """Say at once all that makes no sense together, beside what is wrong by itself."""
        cleaned = super().clean() or self.cleaned_data
        unseen = _unseen_sizes(cleaned.get("sizing"))
        self.forgive(*unseen)
        row = CopyRelationship(alias="-")
        set_terms(row, self.terms())
        try:
            check_terms(row)
        except ValidationError as error:
            for name, texts in error.message_dict.items():
                if name in unseen:
                    cleaned.pop(name, None)
                elif name in self.fields and name not in self.errors:
                    self.add_error(name, texts)
        return cleaned

    def forgive(self, *names: str) -> None:
        """Drop what is wrong with fields that the page hides: nobody could put it right there."""
        for name in names:
            self.errors.pop(name, None)

    def terms(self) -> TermChanges:
        """Return the terms that were filled in rightly, by the names of the model."""
        told = self.cleaned_data
        return cast("TermChanges", {name: told[name] for name in TERMS if name in told})

    def size_terms(self) -> TermChanges:
        told = self.terms()
        return cast("TermChanges", {name: told[name] for name in SIZE_TERMS if name in told})

    @property
    def size_trouble(self) -> str:
        """Return what the first wrong field of the size says; empty where none is wrong."""
        wrong = (self.errors[name] for name in SIZE_TERMS if name in self.errors)
        return next((str(each[0]) for each in wrong), "")
