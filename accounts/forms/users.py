import zoneinfo
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.exceptions import ValidationError

from accounts.attempts import forgive_attempt, refused_attempt
from accounts.forms.base import ServiceForm
from accounts.models import User

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[User]
else:
    ModelForm = forms.ModelForm


def zone_names() -> list[str]:
    """Return the zones that a person lives in, for the list of suggestions."""
    return sorted(name for name in zoneinfo.available_timezones() if _is_place(name))


def _is_place(name: str) -> bool:
    return name == "UTC" or ("/" in name and not name.startswith(("Etc/", "SystemV/", "US/")))


class SignInForm(AuthenticationForm):
    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": "The name or the password is wrong.",
    }

    def clean(self) -> dict[str, Any]:
        """Look at the password, unless there were too many attempts lately."""
        if self.request is None:
            return super().clean()
        refusal = refused_attempt(self.request)
        if refusal is not None:
            raise ValidationError(refusal, code="throttled")
        cleaned = super().clean()
        forgive_attempt(self.request)
        return cleaned


class StaffSignInForm(SignInForm, AdminAuthenticationForm):
    """The sign-in of the administration."""

    error_messages = {**SignInForm.error_messages, **AdminAuthenticationForm.error_messages}


class RegisterForm(ModelForm, ServiceForm):
    password = forms.CharField(
        strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    class Meta:
        model = User
        fields = ("username", "email", "time_zone")
        help_texts = {"username": "", "time_zone": "Times are shown in it."}
        labels = {"username": "User name", "email": "E-mail address"}
        widgets = {
            "username": forms.TextInput(attrs={"autocomplete": "username", "autofocus": True}),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
            "time_zone": forms.TextInput(attrs={"list": "zones", "data-own-zone": ""}),
        }

    field_order = ("username", "email", "password", "time_zone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].help_text = " ".join(password_validators_help_texts()[1:2])

    def validate_unique(self) -> None:
        """Leave it to the service, which also knows names that differ in case alone."""


class PasswordForm(PasswordChangeForm):
    """The second form of its page: it does not take the focus."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].widget.attrs.pop("autofocus", None)


class ProfileForm(ModelForm, ServiceForm):
    class Meta:
        model = User
        fields = ("first_name", "last_name", "email", "time_zone")
        labels = {"email": "E-mail address"}
        help_texts = {"time_zone": "Times are shown in it."}
        widgets = {
            "first_name": forms.TextInput(attrs={"autocomplete": "given-name"}),
            "last_name": forms.TextInput(attrs={"autocomplete": "family-name"}),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
            "time_zone": forms.TextInput(attrs={"list": "zones"}),
        }

    def validate_unique(self) -> None:
        """Leave it to the service, which also knows addresses that differ in case alone."""
