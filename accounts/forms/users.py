import zoneinfo
from typing import TYPE_CHECKING, Any

from allauth.account.forms import (
    LoginForm,
    ReauthenticateForm,
    ResetPasswordForm,
    ResetPasswordKeyForm,
)
from django import forms
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.exceptions import ValidationError

from accounts.attempts import Attempt
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


class SignInForm(LoginForm):  # type: ignore[misc]  # allauth is half typed
    """A name or an e-mail address, and a password."""

    error_css_class = "field-wrong"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["login"]
        self.fields["username"] = forms.CharField(
            label="User name or e-mail address",
            max_length=254,
            widget=forms.TextInput(
                attrs={"autocomplete": "username", "autocapitalize": "none", "autofocus": True}
            ),
        )
        self.fields["password"] = _password("Password", "current-password")
        self.order_fields(["username", "password"])

    def clean(self) -> dict[str, Any]:
        """Look at the password, unless there were too many attempts lately."""
        if self.errors:
            return dict(self.cleaned_data)
        name = str(self.cleaned_data["username"]).strip()
        # Under the name that allauth reads.
        self.cleaned_data["login"] = name
        attempt = Attempt.at_password(self.request, name)
        if (refusal := attempt.refusal()) is not None:
            raise ValidationError(refusal, code="throttled")
        cleaned: dict[str, Any] = super().clean()
        attempt.forgive()
        return cleaned


class PasswordAgainForm(ReauthenticateForm):  # type: ignore[misc]  # allauth is half typed
    """Who is signed in types the password once more."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.request = kwargs.pop("request")
        super().__init__(*args, **kwargs)
        self.fields["password"] = _password("Password", "current-password", autofocus=True)

    def clean_password(self) -> str:
        attempt = Attempt.at_password(self.request, self.user.get_username())
        if (refusal := attempt.refusal()) is not None:
            raise ValidationError(refusal, code="throttled")
        password: str = super().clean_password()
        attempt.forgive()
        return password


class ForgottenForm(ResetPasswordForm):  # type: ignore[misc]  # allauth is half typed
    """Whose password it is that was forgotten; few are asked for from one address."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email", "autofocus": True}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.request = kwargs.pop("request")
        super().__init__(*args, **kwargs)

    def clean_email(self) -> str:
        if (refusal := Attempt.of_address(self.request).refusal()) is not None:
            raise ValidationError(refusal, code="throttled")
        email = str(super().clean_email()).lower()
        # An address that waits to be confirmed may be a wrong one, of somebody else.
        self.users: list[User] = [user for user in self.users if user.email == email]
        return email


class NewPasswordForm(ResetPasswordKeyForm):  # type: ignore[misc]  # allauth is half typed
    """The end of a reset by e-mail."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in (("password1", "New password"), ("password2", "New password again")):
            self.fields[name].label = label
            self.fields[name].widget.attrs.pop("placeholder", None)
        self.fields["password1"].help_text = password_help()


def _password(label: str, autocomplete: str, *, autofocus: bool = False) -> forms.CharField:
    attributes: dict[str, Any] = {"autocomplete": autocomplete}
    if autofocus:
        attributes["autofocus"] = True
    widget = forms.PasswordInput(render_value=False, attrs=attributes)
    return forms.CharField(label=label, strip=False, max_length=4096, widget=widget)


def password_help() -> str:
    return " ".join(password_validators_help_texts()[1:2])


class RegisterForm(ModelForm, ServiceForm):
    password = forms.CharField(
        strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    class Meta:
        model = User
        fields = ("username", "email", "time_zone")
        help_texts = {"username": "", "time_zone": "Times are shown in this zone."}
        labels = {"username": "User name", "email": "E-mail address"}
        widgets = {
            "username": forms.TextInput(attrs={"autocomplete": "username", "autofocus": True}),
            "email": forms.EmailInput(attrs={"autocomplete": "email"}),
            "time_zone": forms.TextInput(attrs={"list": "zones", "data-own-zone": ""}),
        }

    field_order = ("username", "email", "password", "time_zone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].help_text = password_help()

    def validate_unique(self) -> None:
        """Leave it to the service, which also knows names that differ in case alone."""


class PasswordForm(PasswordChangeForm):
    """The second form of its page: it does not take the focus."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        self.fields["old_password"].label = "Current password"
        self.fields["new_password2"].label = "New password again"
        self.fields["new_password1"].help_text = password_help()
        self.fields["new_password2"].help_text = ""


class ProfileForm(ModelForm, ServiceForm):
    class Meta:
        model = User
        fields = ("first_name", "last_name", "time_zone")
        help_texts = {"time_zone": "Times are shown in this zone."}
        widgets = {
            "first_name": forms.TextInput(attrs={"autocomplete": "given-name"}),
            "last_name": forms.TextInput(attrs={"autocomplete": "family-name"}),
            "time_zone": forms.TextInput(attrs={"list": "zones"}),
        }


class EmailForm(forms.Form, ServiceForm):
    """Another address: it is written to before it counts, where addresses are verified."""

    email = forms.EmailField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )
