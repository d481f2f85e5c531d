"""Codes of an authenticator app, and recovery codes."""

from dataclasses import replace
from typing import Any

from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.attempts import Attempt
from accounts.origin import Origin
from accounts.services.two_factor import use_code

WRONG = "This code is wrong, or it was used before. Wait for the next one."


def code_field(label: str, help_text: str = "") -> forms.CharField:
    attributes = {
        "autocomplete": "one-time-code",
        "autocapitalize": "none",
        "spellcheck": "false",
        "autofocus": True,
    }
    widget = forms.TextInput(attrs=attributes)
    return forms.CharField(label=label, help_text=help_text, max_length=32, widget=widget)


class _UsedUp:
    """Uses a code up, unless there were too many wrong ones lately."""

    user: Any
    cleaned_data: dict[str, Any]
    authenticator: Any

    def clean_code(self) -> str:
        code = str(self.cleaned_data["code"])
        attempt = Attempt.at_code(context.request, self.user.pk)
        if (refusal := attempt.refusal()) is not None:
            raise ValidationError(refusal, code="throttled")
        origin = replace(Origin.of_request(context.request), user_id=self.user.pk)
        used = use_code(user=self.user, code=code, now=timezone.now(), origin=origin)
        if used is None:
            raise ValidationError(WRONG, code="incorrect_code")
        attempt.forgive()
        used.user = self.user
        self.authenticator = used
        return code


class CodeForm(_UsedUp, AuthenticateForm):  # type: ignore[misc]  # allauth is half typed
    code = code_field("Code", "From your authenticator app, or one of your recovery codes.")


class CodeAgainForm(_UsedUp, ReauthenticateForm):  # type: ignore[misc]  # allauth is half typed
    code = code_field("Code", "From your authenticator app, or one of your recovery codes.")


class ActivationForm(ActivateTOTPForm):  # type: ignore[misc]  # allauth is half typed
    code = code_field("Code", "The 6 digits that the app shows now.")

    def clean_code(self) -> str:
        attempt = Attempt.at_code(context.request, self.user.pk)
        if (refusal := attempt.refusal()) is not None:
            raise ValidationError(refusal, code="throttled")
        self.cleaned_data["code"] = "".join(str(self.cleaned_data["code"]).split())
        code: str = super().clean_code()
        attempt.forgive()
        return code
