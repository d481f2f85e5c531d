from collections.abc import Callable
from datetime import datetime

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User

# Puts right what an app above has planned by a user's clock, in the transaction in which the user
# gets another time zone.
Mover = Callable[[User, datetime], None]
_movers: list[Mover] = []


def register_mover(mover: Mover) -> None:
    if mover not in _movers:
        _movers.append(mover)


@transaction.atomic
def update_profile(
    *, user: User, first_name: str, last_name: str, time_zone: str, now: datetime
) -> User:
    """Change what a user says about themselves; raises ValidationError with the fields named."""
    user = _locked(user)
    has_moved = time_zone != user.time_zone
    user.first_name, user.last_name, user.time_zone = first_name, last_name, time_zone
    user.full_clean(exclude=["password", "email"])
    user.save(update_fields=["first_name", "last_name", "time_zone"])
    if has_moved:
        tell_moved(user=user, now=now)
    return user


def tell_moved(*, user: User, now: datetime) -> None:
    """Have put right what was planned by the clock of the zone that the user had before."""
    for mover in _movers:
        mover(user, now)


@transaction.atomic
def set_email(*, user: User, email: str, is_verified: bool = False) -> EmailAddress:
    """Give a user another e-mail address at once; raises ValidationError with the field named.

    The address that the sign-in knows is kept in step with the user's own.
    """
    user = _locked(user)
    user.email = free_email(user=user, email=email)
    user.save(update_fields=["email"])
    EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    address, _ = EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"primary": True}
    )
    if is_verified and not address.verified:
        address.verified = True
        address.save(update_fields=["verified"])
    return address


@transaction.atomic
def ask_for_email(*, user: User, email: str) -> EmailAddress | None:
    """Note an address that becomes the user's when a link that is sent there is opened.

    Returns None for one that somebody else has: it can never be confirmed, and who asks is not
    told. Raises ValidationError with the field named for what is no address.
    """
    user = _locked(user)
    wanted = _written(email)
    EmailAddress.objects.filter(user=user, verified=False).exclude(email=user.email).delete()
    if not is_email_free(user=user, email=wanted):
        return None
    return EmailAddress.objects.get_or_create(
        user=user, email=wanted, defaults={"primary": False, "verified": False}
    )[0]


def is_email_free(*, user: User, email: str) -> bool:
    return not User.objects.filter(email__iexact=email).exclude(pk=user.pk).exists()


def free_email(*, user: User, email: str) -> str:
    """Return the address as it is stored; raises ValidationError with the field named."""
    wanted = _written(email)
    # One person's address, however it is written.
    if not is_email_free(user=user, email=wanted):
        raise ValidationError({"email": "This address is in use already."})
    return wanted


def _locked(user: User) -> User:
    # Without its key: a tick that tells this user something does not wait.
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _written(email: str) -> str:
    wanted = email.strip().lower()
    try:
        return str(User._meta.get_field("email").clean(wanted, None))
    except ValidationError as error:
        raise ValidationError({"email": error.error_list}) from None
