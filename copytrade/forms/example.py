from decimal import Decimal
from typing import Any

from django import forms

_TEXT = {"autocomplete": "off", "spellcheck": "false"}


class ExampleForm(forms.Form):
    """The trade that an example is shown for; every field may be empty."""

    example_lots = forms.DecimalField(
        required=False,
        label="Lots there",
        initial="1.00",
        min_value=Decimal("0.01"),
        max_value=Decimal(10_000),
        max_digits=9,
        decimal_places=4,
        widget=forms.TextInput(attrs={**_TEXT, "inputmode": "decimal"}),
    )
    example_symbol = forms.CharField(
        required=False,
        label="Symbol",
        max_length=32,
        widget=forms.TextInput(attrs={**_TEXT, "placeholder": "one held"}),
    )
    example_stop = forms.FloatField(
        required=False,
        label="With its stop at",
        min_value=0,
        widget=forms.TextInput(attrs={**_TEXT, "inputmode": "decimal", "placeholder": "price"}),
    )

    def trade(self) -> dict[str, Any]:
        """Return what was filled in, by the names that the selector takes."""
        told = self.cleaned_data
        return {
            "symbol": told.get("example_symbol") or "",
            "lots": told.get("example_lots") or Decimal(1),
            "stop_loss": told.get("example_stop") or None,
        }
