from datetime import date
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator

from accounts.forms.base import ServiceForm
from accounts.models import ApiKey, ApiKeyAuditLog

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[ApiKey]
else:
    ModelForm = forms.ModelForm


class SecretField(forms.CharField):
    """A broker password, typed here and never shown again, not even after an error."""

    def __init__(self, **options: Any) -> None:
        attributes = {"autocomplete": "off", "spellcheck": "false"}
        widget = forms.PasswordInput(render_value=False, attrs=attributes)
        # Blanks at the ends belong to the secret.
        super().__init__(widget=widget, strip=False, **options)


class ExpiryInput(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class NewKeyForm(ModelForm, ServiceForm):
    secret = SecretField(
        label="Password",
        help_text=(
            "The trading or investor password of the broker login. It is encrypted, and never"
            " shown again."
        ),
    )

    class Meta:
        model = ApiKey
        fields = ("name", "expires_at")
        labels = {"expires_at": "Expires"}
        help_texts = {"name": "What you call it, such as: Northwind challenge."}
        widgets = {"expires_at": ExpiryInput()}

    field_order = ("name", "secret", "expires_at")


class KeyForm(ModelForm, ServiceForm):
    """Renames a key, switches it on or off, and moves its expiry."""

    is_active = forms.BooleanField(
        required=False,
        label="Accounts may log in with it",
        help_text="Switched off, its accounts lose their connection until it is on again.",
    )

    class Meta:
        model = ApiKey
        fields = ("name", "expires_at")
        labels = {"expires_at": "Expires"}
        help_texts = {"expires_at": "From then on nobody logs in with it. Empty: never."}
        widgets = {"expires_at": ExpiryInput()}

    field_order = ("name", "expires_at", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        key = self.instance
        self.initial["is_active"] = key.status == ApiKey.Status.ACTIVE
        if key.expires_at is not None:
            # As the input shows it: what nobody touched has not changed.
            self.initial["expires_at"] = key.expires_at.replace(second=0, microsecond=0)
        if key.status == ApiKey.Status.EXPIRED:
            del self.fields["is_active"]
            self.fields["expires_at"].help_text = "It is over; a later moment brings the key back."

    def changes(self) -> dict[str, Any]:
        """Return what the service needs: only what was touched."""
        changes = {name: self.cleaned_data[name] for name in self.changed_data}
        if "is_active" in changes:
            is_active = changes.pop("is_active")
            changes["status"] = ApiKey.Status.ACTIVE if is_active else ApiKey.Status.INACTIVE
        return changes


class RotationForm(ServiceForm, forms.Form):
    secret = SecretField(
        label="New password",
        help_text="As the broker knows it now. It is encrypted, and never shown again.",
    )


class KeyQueryForm(forms.Form):
    """What the list shows; a query that makes no sense shows everything."""

    q = forms.CharField(
        required=False,
        max_length=100,
        label="Search",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search by name"}),
    )
    status = forms.ChoiceField(
        required=False, choices=[("", "Any status"), *ApiKey.Status.choices], label="Status"
    )


class DayField(forms.DateField):
    """A day, far enough from the ends of the calendar to be a moment in every zone."""

    default_validators = [
        MinValueValidator(date(1970, 1, 1)),
        MaxValueValidator(date(9000, 1, 1)),
    ]

    def __init__(self, *, label: str) -> None:
        widget = forms.DateInput(attrs={"type": "date"})
        super().__init__(required=False, label=label, widget=widget)


class TrailQueryForm(forms.Form):
    action = forms.ChoiceField(
        required=False,
        choices=[("", "Everything"), *ApiKeyAuditLog.Action.choices],
        label="What",
    )
    outcome = forms.ChoiceField(
        required=False,
        choices=[("", "Any outcome"), *ApiKeyAuditLog.Outcome.choices],
        label="Outcome",
    )
    since = DayField(label="From")
    until = DayField(label="To")
