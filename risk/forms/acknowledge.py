from collections.abc import Mapping
from typing import Any

from django import forms

from accounts.forms.base import ServiceForm


class AcknowledgeForm(forms.Form, ServiceForm):
    reason = forms.CharField(
        max_length=255,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        help_text="It goes into the ledger with your name and the time.",
    )
    new_reference = forms.BooleanField(
        required=False,
        label="Count anew from here",
        help_text="The loss so far is forgotten: the rule is measured from the present equity on.",
    )

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, may_take_reference: bool = False
    ) -> None:
        super().__init__(data)
        if not may_take_reference:
            del self.fields["new_reference"]

    @property
    def wants_new_reference(self) -> bool:
        return bool(self.cleaned_data.get("new_reference"))
