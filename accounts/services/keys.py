from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from accounts.models import ApiKey, ConnectedAccount, User
from accounts.services.connections import request_connect, request_disconnect

LONGEST_SECRET = 256


@sensitive_variables("secret")
def create_key(*, user: User, name: str, secret: str) -> ApiKey:
    """Put a broker login's password into the vault under a new key of this user."""
    key = ApiKey(user=user, name=name)
    key.full_clean(exclude=["secret"])
    key.secret = checked_secret(secret)
    key.save(force_insert=True)
    return key


@sensitive_variables("secret")
@transaction.atomic
def rotate_secret(*, key: ApiKey, secret: str, now: datetime) -> ApiKey:
    """Replace the password of a key, and log its connected accounts in with the new one."""
    key = ApiKey.objects.select_for_update().get(pk=key.pk)
    key.secret = checked_secret(secret)
    key.save(update_fields=["secret", "updated_at"])
    for account in key.accounts.filter(connection__is_wanted=True).order_by("pk"):
        log_in_again(account=account, now=now)
    return key


def log_in_again(*, account: ConnectedAccount, now: datetime) -> None:
    """End the session of an account and ask for a new one, with the credentials it has now."""
    request_disconnect(account=account, now=now)
    request_connect(account=account, now=now)


@sensitive_variables("secret")
def checked_secret(secret: str) -> str:
    """Return the password, or raise ValidationError at `password`, never quoting it."""
    if not secret:
        raise ValidationError({"password": "The password must not be empty."})
    if len(secret) > LONGEST_SECRET:
        raise ValidationError({"password": f"At most {LONGEST_SECRET} characters are possible."})
    if not secret.isprintable():
        raise ValidationError({"password": "The password holds characters that cannot be typed."})
    return secret
