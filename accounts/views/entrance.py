"""Ways in: signing in, the second factor, a forgotten password, a confirmed address."""

from typing import Any

from allauth.account import views as account_views
from allauth.mfa.base import views as factor_views
from allauth.mfa.recovery_codes import views as recovery_views
from allauth.mfa.totp import views as totp_views
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from accounts.attempts import forgive_person
from accounts.forms.users import ForgottenForm, NewPasswordForm, PasswordAgainForm, SignInForm
from accounts.second_factor import record_second_factor
from accounts.services import program_sessions
from accounts.services.two_factor import spend_code
from accounts.services.users import end_all
from accounts.views.lookups import signed_in

sensitive = method_decorator(
    [sensitive_post_parameters("password", "password1", "password2", "code"), never_cache],
    name="dispatch",
)


@sensitive
class SignInView(account_views.LoginView):  # type: ignore[misc]  # allauth is half typed
    form_class = SignInForm
    template_name = "registration/login.html"


@sensitive
class PasswordAgainView(account_views.ReauthenticateView):  # type: ignore[misc]
    form_class = PasswordAgainForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}


@sensitive
class ForgottenView(account_views.PasswordResetView):  # type: ignore[misc]
    form_class = ForgottenForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}


@sensitive
class NewPasswordView(account_views.PasswordResetFromKeyView):  # type: ignore[misc]
    form_class = NewPasswordForm

    def form_valid(self, form: Any) -> HttpResponse:
        forgive_person(self.reset_user)
        answer: HttpResponse = super().form_valid(form)
        return answer


@sensitive
class CodeView(factor_views.AuthenticateView):  # type: ignore[misc]
    """The second step of signing in."""


@sensitive
class CodeAgainView(factor_views.ReauthenticateView):  # type: ignore[misc]
    """Who is signed in shows the second factor once more."""


@sensitive
class ActivateView(totp_views.ActivateTOTPView):  # type: ignore[misc]
    """Set an authenticator app up; all else that is signed in has to come in through it."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        secret = str(context["form"].secret)
        groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
        return {**context, "spaced_key": " ".join(groups)}

    @method_decorator(transaction.atomic)
    def form_valid(self, form: Any) -> HttpResponse:
        user = signed_in(self.request)
        answer: HttpResponse = super().form_valid(form)
        spend_code(user=user, code=form.cleaned_data["code"])
        end_all(
            user=user,
            reason=program_sessions.SECOND_FACTOR_CHANGED,
            now=timezone.now(),
            but_session=self.request.session.session_key,
        )
        # The app has just shown a code: this session has its second factor.
        record_second_factor(self.request)
        return answer


@sensitive
class DeactivateView(totp_views.DeactivateTOTPView):  # type: ignore[misc]
    """Switch the second factor off."""


@sensitive
class RecoveryCodesView(recovery_views.ViewRecoveryCodesView):  # type: ignore[misc]
    """The recovery codes, shown once: on the page, and as a file that the page itself carries."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        name = signed_in(self.request).get_username()
        lines = [f"Recovery codes of {name} at TradeGuard", "Each is good once.", ""]
        file = "\n".join([*lines, *context["unused_codes"], ""])
        return {**context, "file": file}


@sensitive
class NewRecoveryCodesView(recovery_views.GenerateRecoveryCodesView):  # type: ignore[misc]
    """Make new recovery codes, which ends the old ones."""
