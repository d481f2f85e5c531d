"""The forms of what somebody does about all that is open, and about a lock."""

from django import forms

from accounts.forms.base import ServiceForm
from risk.services.breaches import LONGEST_REASON

DEFAULT_REASON = "Closed by hand."


class CloseAllForm(forms.Form, ServiceForm):
    """Nothing has to be typed: who presses the button is in a hurry."""

    lock = forms.BooleanField(
        required=False,
        initial=True,
        label="Lock afterwards",
        help_text="Nothing can be opened until you unlock the account, with a reason.",
    )
    reason = forms.CharField(
        required=False,
        max_length=LONGEST_REASON,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": DEFAULT_REASON}),
    )

    def reason_given(self) -> str:
        return self.cleaned_data["reason"].strip() or DEFAULT_REASON


class UnlockForm(forms.Form, ServiceForm):
    reason = forms.CharField(
        max_length=LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text="It goes into the ledger with your name and the time.",
    )
