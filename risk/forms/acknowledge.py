from django import forms

from accounts.forms.base import ServiceForm


class AcknowledgeForm(forms.Form, ServiceForm):
    reason = forms.CharField(
        max_length=255,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text="It goes into the ledger with your name and the time.",
    )
