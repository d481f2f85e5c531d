from django import forms

from accounts.forms.base import ServiceForm

_NUMBER = {"inputmode": "decimal", "autocomplete": "off"}


class CutoffForm(forms.Form, ServiceForm):
    """The margin levels of the cut-off, in percent as MetaTrader shows them."""

    warning_level = forms.DecimalField(
        max_digits=7,
        decimal_places=2,
        label="Warn at",
        widget=forms.TextInput(attrs={**_NUMBER, "autofocus": True}),
        help_text="An urgent notification when the margin level falls to this.",
    )
    liquidation_level = forms.DecimalField(
        max_digits=7,
        decimal_places=2,
        label="Close everything at",
        widget=forms.TextInput(attrs=_NUMBER),
        help_text="Everything is closed and the account is locked.",
    )
