from collections.abc import Iterable
from typing import Any

from django import forms

from accounts.models import ConnectedAccount
from accounts.models.connection import ConnectionState

SORTS = [
    ("name", "Sort by name"),
    ("login", "Sort by number"),
    ("broker", "Sort by broker"),
    ("role", "Sort by role"),
    ("state", "Troubled first"),
    ("-equity", "Highest equity first"),
    ("equity", "Lowest equity first"),
    ("-name", "Name, backwards"),
    ("-login", "Number, backwards"),
    ("-broker", "Broker, backwards"),
    ("-role", "Role, backwards"),
    ("-state", "Connected first"),
]


class AccountListForm(forms.Form):
    """What somebody looks for in the list of accounts; every field may be empty."""

    q = forms.CharField(
        required=False,
        max_length=100,
        label="Search",
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "placeholder": "Name, number, broker or server",
                "autocomplete": "off",
                "enterkeyhint": "search",
            }
        ),
    )
    state = forms.ChoiceField(
        required=False,
        label="Connection",
        choices=[("", "Any connection"), *ConnectionState.choices],
    )
    role = forms.ChoiceField(
        required=False, label="Role", choices=[("", "Any role"), *ConnectedAccount.Role.choices]
    )
    kind = forms.ChoiceField(
        required=False,
        label="Demo or live",
        choices=[("", "Demo and live"), ("demo", "Demo"), ("live", "Live")],
    )
    active = forms.ChoiceField(
        required=False,
        label="Watched or not",
        choices=[("", "Active or not"), ("yes", "Active"), ("no", "Inactive")],
    )
    sort = forms.ChoiceField(required=False, label="Sort by", choices=SORTS)

    def __init__(self, *args: Any, tags: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "auto_id": "filter_%s"})
        choices = [("", "Any tag"), *((name, name) for name in tags)]
        if len(choices) > 1:
            self.fields["tag"] = forms.ChoiceField(required=False, label="Tag", choices=choices)
            self.order_fields(["q", "tag"])

    def wanted(self) -> dict[str, Any]:
        """Return what was asked for and understood."""
        self.is_valid()
        return self.cleaned_data

    def is_narrowing(self) -> bool:
        return any(value for name, value in self.wanted().items() if name != "sort")
