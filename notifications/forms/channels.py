from collections.abc import Iterator
from typing import Any

from django import forms
from django.views.decorators.debug import sensitive_variables

from accounts.forms.base import ServiceForm
from notifications.delivering.transport import CredentialField, Transport
from notifications.models import Channel


class UnshownInput(forms.TextInput):
    """An input for what is pasted: readable while it is there, and never sent back."""

    def format_value(self, value: Any) -> None:  # noqa: ARG002  # signature of Django
        return None


class ChannelForm(forms.Form, ServiceForm):
    """What a transport asks for to reach somebody, and what its user calls the channel.

    For a channel that exists already an empty field means that it stays as it is.
    """

    name = forms.CharField(required=False, max_length=64, label="Name")

    @sensitive_variables()
    def __init__(
        self, transport: Transport, data: Any = None, *, channel: Channel | None = None
    ) -> None:
        super().__init__(data, initial={"name": channel.name} if channel else {})
        self.transport = transport
        self.is_new = channel is None
        self.asked = [field for field in transport.fields if field.is_asked]
        for field in self.asked:
            self.fields[field.name] = self._field(field)
            if self._can_be_removed(field):
                self.fields[f"remove_{field.name}"] = forms.BooleanField(
                    required=False, label=f"Remove “{field.label}”"
                )
        name = self.fields["name"]
        name.required = not self.is_new
        if self.is_new:
            name.widget.attrs["placeholder"] = transport.label
            name.help_text = "What you call it, when you have several."
        self.order_fields([*self._ordered(), "name"])

    @property
    def has_lost_secrets(self) -> bool:
        """Whether something was typed that is not sent back, and has to be typed again."""
        secret = [field.name for field in self.asked if field.is_secret]
        return bool(self.errors) and any(self.data.get(name) for name in secret)

    @sensitive_variables()
    def credentials(self) -> dict[str, str]:
        """Return what was filled in, for the transport to check; empty is what is to be removed."""
        given = {field.name: self.cleaned_data[field.name] for field in self.asked}
        return {
            name: value
            for name, value in given.items()
            if value or self.cleaned_data.get(f"remove_{name}")
        }

    def _can_be_removed(self, field: CredentialField) -> bool:
        """Whether a field may end up empty: what is secret is only ever replaced."""
        return not (self.is_new or field.is_required or field.is_secret)

    def _ordered(self) -> Iterator[str]:
        for field in self.asked:
            yield field.name
            yield f"remove_{field.name}"

    def _field(self, field: CredentialField) -> forms.CharField:
        attributes = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
        if field.placeholder:
            attributes["placeholder"] = field.placeholder
        if not self.is_new:
            attributes["placeholder"] = "Unchanged"
        widget = UnshownInput if field.is_secret else forms.TextInput
        return forms.CharField(
            label=field.label,
            help_text=field.help_text,
            required=field.is_required and self.is_new,
            max_length=2048,
            widget=widget(attrs=attributes),
        )
