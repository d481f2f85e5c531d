"""What is known of a user's second factor: an authenticator app, and codes for when it is lost."""

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa.models import Authenticator
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest

METHOD = "mfa"


def has_second_factor(user: AbstractBaseUser | AnonymousUser) -> bool:
    if user.pk is None:
        return False
    rows = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.TOTP)
    return bool(rows.exists())


def was_second_factor_shown(request: HttpRequest) -> bool:
    """Tell whether this session has shown the second factor that its user has."""
    user = request.user
    if not user.is_authenticated:
        return False
    records = get_authentication_records(request, user)
    return any(record.get("method") == METHOD for record in records) and has_second_factor(user)


def record_second_factor(request: HttpRequest) -> None:
    """Note that this session has shown it."""
    user = request.user
    if user.is_authenticated:
        record_authentication(request, user, method=METHOD)


def recovery_codes_left(user: AbstractBaseUser) -> int:
    row = Authenticator.objects.filter(
        user_id=user.pk, type=Authenticator.Type.RECOVERY_CODES
    ).first()
    return len(row.wrap().get_unused_codes()) if row else 0
