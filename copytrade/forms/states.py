"""What is asked before a relationship is answered, held back, ended or renamed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.forms.base import ServiceForm
from copytrade.forms.fields import firm_terms_field
from copytrade.models import CopyRelationship

Ending = CopyRelationship.Ending


class ReasonForm(forms.Form, ServiceForm):
    """Why it is done, for the other side and for later; it may stay empty."""

    reason = forms.CharField(
        required=False, max_length=255, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )


class EndForm(ReasonForm):
    """How a relationship ends; of an offer nothing has to be said."""

    ending = forms.ChoiceField(widget=forms.RadioSelect, label="What becomes of the copies")

    field_order = ["ending", "reason"]

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, endings: Iterable[str], **options: Any
    ) -> None:
        super().__init__(data, **options)
        labels = dict(Ending.choices)
        offered = [(each, labels[each]) for each in labels if each in set(endings)]
        field = self.fields["ending"]
        if not offered:
            del self.fields["ending"]
        elif isinstance(field, forms.ChoiceField):
            field.choices = offered


class AcceptForm(forms.Form, ServiceForm):
    confirms_firm_terms = firm_terms_field()
    # The exact moment, microseconds and all, of the terms that were read.
    seen_at = forms.CharField(max_length=40, widget=forms.HiddenInput)

    def clean_seen_at(self) -> datetime:
        try:
            seen_at = datetime.fromisoformat(self.cleaned_data["seen_at"])
        except ValueError:
            seen_at = None
        if seen_at is None or seen_at.tzinfo is None:
            raise ValidationError("Read the offer again.")
        return seen_at


class AliasForm(forms.Form, ServiceForm):
    alias = forms.CharField(
        max_length=32,
        label="How you call it",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
