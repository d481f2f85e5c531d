from typing import Any

from django import forms

from accounts.models import ConnectedAccount, User
from groups.models import AccountGroup
from risk.models import RiskRule

STATES = [
    ("", "Any state"),
    ("violated", "Violated"),
    ("critical", "Critical"),
    ("unknown", "Unknown"),
    ("caution", "Caution"),
    ("safe", "Safe"),
    ("disarmed", "Not armed yet"),
    ("off", "Switched off"),
]


class RuleListForm(forms.Form):
    """What somebody looks for among the rules; every field may be empty."""

    type = forms.ChoiceField(
        required=False, label="What it limits", choices=[("", "Any type"), *RiskRule.Type.choices]
    )
    account = forms.ChoiceField(required=False, label="Account")
    group = forms.ChoiceField(required=False, label="Group")
    state = forms.ChoiceField(required=False, label="State", choices=STATES)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "auto_id": "filter_%s"})
        for name, empty, rows in (
            ("account", "Any account", ConnectedAccount.objects.owned_by(user)),
            ("group", "Any group", AccountGroup.objects.owned_by(user)),
        ):
            named = rows.order_by("name", "pk").values_list("pk", "name")
            field = self.fields[name]
            if isinstance(field, forms.ChoiceField):
                field.choices = [("", empty), *((str(pk), text) for pk, text in named)]

    def wanted(self) -> dict[str, str]:
        """Return what was asked for and understood."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}
