"""How the sign-in of django-allauth behaves here."""

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.debug import sensitive_variables

from accounts.mailing import send_soon
from accounts.models import User
from accounts.origin import UNKNOWN_ADDRESS, Origin, client_address
from accounts.services.known_origins import note_sign_in
from accounts.services.profile import is_email_free
from accounts.services.sealed_values import SECOND_FACTORS
from accounts.services.security_events import SecurityEvent, SecurityKind, announce
from accounts.services.users import change_password
from accounts.vault.sealed_text import open_text, seal_text

# By the template of the mail that is sent, too.
_ANNOUNCED = {
    "account/email/password_changed": SecurityKind.PASSWORD_CHANGED,
    "account/email/password_reset": SecurityKind.PASSWORD_RESET,
    "account/email/email_changed": SecurityKind.EMAIL_CHANGED,
    "mfa/email/totp_activated": SecurityKind.TWO_FACTOR_ON,
    "mfa/email/totp_deactivated": SecurityKind.TWO_FACTOR_OFF,
    "mfa/email/recovery_codes_generated": SecurityKind.RECOVERY_CODES_MADE,
}
# In a session, between password and second factor: the hash that a whole sign-in keeps there, too.
SIGNING_IN_HASH = "signing_in_hash"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is half typed
    """Mails lead to PUBLIC_URL and leave beside the request; pages lead to our own pages only."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "The name or the password is wrong.",
        "email_password_mismatch": "The name or the password is wrong.",
        "incorrect_password": "The password is wrong.",
        "too_many_login_attempts": "These were many attempts. Try again in a few minutes.",
    }

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request) or UNKNOWN_ADDRESS

    def is_ajax(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Take addresses on this very host alone, as they are after a sign-in."""
        request = context.request
        return bool(url) and url_has_allowed_host_and_scheme(
            url, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        # Nothing of a request: its Host header is what a stranger says.
        told = {**context, "email": email, "public_url": settings.PUBLIC_URL.rstrip("/")}
        told.pop("request", None)
        send_soon(self.render_mail(template_prefix, email, told))

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """Send what is mailed about a change of one's sign-in, and announce the change."""
        super().send_notification_mail(template_prefix, user, context, email)
        kind = _ANNOUNCED.get(template_prefix)
        if kind is not None and isinstance(user, User):
            event = SecurityEvent(
                kind,
                user.pk,
                timezone.now(),
                _origin(self.request, user),
                what=(context or {}).get("to_email", ""),
                told_by="email",
            )
            announce(event)

    def pre_login(
        self, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any
    ) -> HttpResponse | None:
        """Note which password is shown: the second factor may come minutes later."""
        request.session[SIGNING_IN_HASH] = user.get_session_auth_hash()
        answer: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return answer

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Sign in, unless the password was replaced between it and the second factor."""
        shown = request.session.pop(SIGNING_IN_HASH, "")
        if not constant_time_compare(shown, user.get_session_auth_hash()):
            raise ImmediateHttpResponse(redirect("login"))
        super().login(request, user)
        if isinstance(user, User):
            note_sign_in(
                user=user, origin=_origin(request, user), is_program=False, now=timezone.now()
            )

    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """Set it, and end all that is signed in."""
        if isinstance(user, User):
            change_password(user=user, password=password, now=timezone.now())

    def confirm_email(self, request: HttpRequest, email_address: Any) -> bool:
        """Refuse an address that became somebody else's after the link was sent."""
        if not is_email_free(user=email_address.user, email=email_address.email):
            return False
        return bool(super().confirm_email(request, email_address))

    def get_reset_password_from_key_url(self, key: str) -> str:
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": "UID", "key": "KEY"})
        return _public(path.replace("UID-KEY", quote(key)))

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:  # noqa: ARG002
        return _public(reverse("account_confirm_email", args=[emailconfirmation.key]))

    def get_reauthentication_methods(
        self, user: AbstractBaseUser | AnonymousUser
    ) -> list[dict[str, Any]]:
        """Ask who has a second factor for that one: a password alone could be a stolen one."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        codes = [method for method in methods if method["id"] == "mfa_reauthenticate"]
        return codes or methods


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth is half typed
    """The secrets of authenticator apps and recovery codes lie in the vault."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is wrong, or it was used before. Wait for the next one.",
    }

    @sensitive_variables("text")
    def encrypt(self, text: str) -> str:
        return seal_text(text, context=SECOND_FACTORS)

    def decrypt(self, encrypted_text: str) -> str:
        return open_text(encrypted_text, context=SECOND_FACTORS)

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        return user.get_username()


def _origin(request: HttpRequest, user: User) -> Origin:
    """Return who acts; unless it is staff, it is the user: coming in, or with a link in hand."""
    origin = Origin.of_request(request)
    if getattr(request.user, "is_staff", False) and origin.user_id is not None:
        return origin
    return replace(origin, user_id=user.pk, username=user.get_username())


def _public(path: str) -> str:
    return f"{settings.PUBLIC_URL.rstrip('/')}{path}"
