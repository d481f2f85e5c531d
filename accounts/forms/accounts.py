from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings

from accounts.forms.base import ServiceForm
from accounts.models import ConnectedAccount

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[ConnectedAccount]
else:
    ModelForm = forms.ModelForm


class AccountForm(ModelForm, ServiceForm):
    """An account, new or changed; the password is written and never shown."""

    password = forms.CharField(
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="The trading or investor password. It is encrypted, and never shown again.",
    )
    tags = forms.CharField(
        required=False, max_length=660, help_text="Separated by commas, such as: challenge, gold."
    )

    class Meta:
        model = ConnectedAccount
        fields = (
            "name",
            "broker",
            "server",
            "login",
            "currency",
            "initial_balance",
            "role",
            "is_demo",
            "is_active",
            "broker_time_zone",
            "day_reset_time",
            "day_reset_zone",
        )
        labels = {
            "login": "Login",
            "is_demo": "Demo account",
            "is_active": "Watch this account",
            "broker_time_zone": "Broker's time zone",
            "day_reset_time": "Trading day starts at",
            "day_reset_zone": "In this time zone",
        }
        help_texts = {
            "name": "How you call it.",
            "initial_balance": "What it started with; loss limits are counted from it.",
            "currency": "Three letters, as the broker writes them.",
            "is_demo": "",
            "day_reset_time": "When the daily loss starts at zero again.",
            "day_reset_zone": "An IANA zone such as Europe/Prague, or America/New_York+7h.",
        }
        widgets = {
            "login": forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
            "initial_balance": forms.TextInput(attrs={"inputmode": "decimal"}),
            "currency": forms.TextInput(attrs={"list": "currencies", "autocomplete": "off"}),
            "broker_time_zone": forms.TextInput(attrs={"list": "broker-zones"}),
            "day_reset_zone": forms.TextInput(attrs={"list": "broker-zones"}),
            "day_reset_time": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        }
        error_messages = {
            "login": {"invalid": "The login is a number; write digits only."},
            "initial_balance": {"min_value": "The initial balance must be more than 0."},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and not self.instance._state.adding:
            self.initial["tags"] = ", ".join(tag.name for tag in self.instance.tags.all())
            if self.instance.api_key_id is not None:
                self.fields["password"].required = False
                self.fields["password"].help_text = "Leave empty to keep the present one."
        elif len(settings.TERMINAL_HOSTS) > 1:
            self.fields["terminal_host"] = forms.ChoiceField(
                choices=[(name, name) for name in settings.TERMINAL_HOSTS],
                help_text="The machine that holds this account's terminal.",
            )

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()

    def clean_tags(self) -> list[str]:
        return [name.strip() for name in self.cleaned_data["tags"].split(",") if name.strip()]

    def changes(self) -> dict[str, Any]:
        """Return what the service needs; an empty password means that it stays."""
        return {
            name: value for name, value in self.cleaned_data.items() if name != "password" or value
        }
