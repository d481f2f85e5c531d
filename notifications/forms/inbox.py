from typing import Any
from urllib.parse import urlencode

from django import forms

from notifications.models import NotificationType, Priority


class InboxForm(forms.Form):
    """What somebody looks for in the notification centre; every field may be empty."""

    unread = forms.ChoiceField(
        required=False, label="Read or not", choices=[("", "Read and unread"), ("1", "Unread only")]
    )
    type = forms.ChoiceField(
        required=False, label="About", choices=[("", "Everything"), *NotificationType.choices]
    )
    priority = forms.ChoiceField(
        required=False, label="Priority", choices=[("", "Any priority"), *Priority.choices]
    )

    def filters(self) -> dict[str, Any]:
        """Return what the selector takes; what makes no sense filters nothing."""
        self.is_valid()
        chosen = self.cleaned_data
        found: dict[str, Any] = {
            name: chosen[name] for name in ("type", "priority") if chosen.get(name)
        }
        return found | ({"unread": True} if chosen.get("unread") else {})

    def query(self) -> str:
        """Return the filters as part of an address, to turn the page with."""
        return urlencode(
            {name: "1" if name == "unread" else value for name, value in self.filters().items()}
        )
