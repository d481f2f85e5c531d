from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.db.models import QuerySet

from accounts.forms.base import ServiceForm
from accounts.models import ApiKey, ConnectedAccount, User

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[ConnectedAccount]
else:
    ModelForm = forms.ModelForm


class AccountForm(ModelForm, ServiceForm):
    """An account, new or changed; the password is written and never shown.

    The credential is a new password, or a key that the user has already.
    """

    password = forms.CharField(
        required=False,
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
            "name": "What you call it.",
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

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keys = ApiKey.objects.owned_by(user).filter(status=ApiKey.Status.ACTIVE).order_by("name")
        self._offer_keys(keys)
        self.fields["password"].required = "api_key" not in self.fields
        if self._has_account:
            self.initial["tags"] = ", ".join(tag.name for tag in self.instance.tags.all())
            if self.instance.api_key_id is not None:
                self.fields[
                    "password"
                ].help_text = "Leave empty to keep the present one. A new one is stored in the key."
        elif len(settings.TERMINAL_HOSTS) > 1:
            self.fields["terminal_host"] = forms.ChoiceField(
                choices=[(name, name) for name in settings.TERMINAL_HOSTS],
                help_text="The machine that holds this account's terminal.",
            )

    @property
    def _has_account(self) -> bool:
        return self.instance.pk is not None and not self.instance._state.adding

    def _offer_keys(self, keys: QuerySet[ApiKey]) -> None:
        """Let one of these keys be chosen; who has none sees no choice."""
        own = self.instance.api_key if self._has_account else None
        if own is not None:
            keys = keys | ApiKey.objects.filter(pk=own.pk)
        if not keys.exists():
            return
        self.fields["api_key"] = forms.ModelChoiceField(
            queryset=keys,
            required=False,
            label="Logs in with",
            empty_label="A new password" if own is None else None,
            initial=own,
            help_text="A key of yours, or a password that becomes a new key.",
        )
        if own is not None:
            self.initial["api_key"] = own.pk

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        key, password = cleaned.get("api_key"), cleaned.get("password")
        own_id = self.initial.get("api_key")
        if password and key is not None and key.pk != own_id:
            self.add_error("password", "Either choose a key or write a password, not both.")
        is_told = not self.errors.keys().isdisjoint({"api_key", "password"})
        if not password and key is None and own_id is None and not is_told:
            self.add_error("password", "This field is required.")
        return cleaned

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()

    def clean_tags(self) -> list[str]:
        return [name.strip() for name in self.cleaned_data["tags"].split(",") if name.strip()]

    def changes(self) -> dict[str, Any]:
        """Return what the service needs; an empty password means that it stays."""
        told = dict(self.cleaned_data)
        if not told["password"]:
            del told["password"]
        key = told.pop("api_key", None)
        if key is not None and key.pk != self.instance.api_key_id:
            told["api_key"] = key
        return told
