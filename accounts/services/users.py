from collections.abc import Callable
from datetime import datetime

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables

from accounts.models import User
from accounts.origin import Origin
from accounts.services import program_sessions
from accounts.services.browser_sessions import end_browser_sessions
from accounts.services.security_events import SecurityEvent, SecurityKind, announce

TAKEN = "unique"
# Gives a new user what an app above has for everybody, in the transaction that makes the user.
Arrival = Callable[[User], None]
_arrivals: list[Arrival] = []


def register_arrival(arrival: Arrival) -> None:
    if arrival not in _arrivals:
        _arrivals.append(arrival)


@sensitive_variables("password")
def register_user(
    *,
    username: str,
    email: str,
    password: str,
    time_zone: str = "UTC",
    is_email_verified: bool = False,
) -> User:
    """Create a user who can sign in; raises ValidationError with the fields named.

    Names and e-mail addresses that differ in case alone belong to one person. Hashing the password
    takes its time: it happens before the transaction, which on SQLite keeps all others waiting.
    """
    user = User(
        username=User.normalize_username(username), email=email.lower(), time_zone=time_zone
    )
    errors: dict[str, list[ValidationError]] = {}
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        errors = dict(error.error_dict)
    _note_taken(user, errors)
    try:
        validate_password(password, user)
    except ValidationError as error:
        errors["password"] = error.error_list
    # Taken whether or not there are errors: the time tells nobody which addresses are known.
    user.set_password(password)
    if errors:
        raise ValidationError(errors)
    try:
        with transaction.atomic():
            user.save(force_insert=True)
            EmailAddress.objects.create(
                user=user, email=user.email, primary=True, verified=is_email_verified
            )
            for arrival in _arrivals:
                arrival(user)
    except IntegrityError:
        # Somebody took the name between the check and now.
        raise ValidationError({"username": "This name or address is taken."}) from None
    return user


def without_taken_email(error: ValidationError) -> ValidationError | None:
    """Return what may be told where addresses are verified: not that somebody has this address.

    None when there is nothing else to tell.
    """
    errors = dict(error.error_dict)
    kept = [each for each in errors.pop("email", []) if each.code != TAKEN]
    if kept:
        errors["email"] = kept
    return ValidationError(errors) if errors else None


@sensitive_variables("password")
def change_password(
    *, user: User, password: str, now: datetime, but_session: str | None = None
) -> None:
    """Set a password, and end all that is signed in but the session with the key `but_session`."""
    user.set_password(password)  # takes its time, and so happens outside of the transaction
    reason = program_sessions.PASSWORD_CHANGED
    with transaction.atomic():
        user.save(update_fields=["password"])
        end_all(user=user, reason=reason, now=now, but_session=but_session)


def end_all(*, user: User, reason: str, now: datetime, but_session: str | None = None) -> int:
    """End what is signed in, browsers and programs; return how many."""
    browsers = end_browser_sessions(user=user, but=but_session)
    return browsers + program_sessions.end_all_sessions(user=user, reason=reason, now=now)


@transaction.atomic
def end_others(*, user: User, but_session: str | None, origin: Origin, now: datetime) -> int:
    """End what else a user has signed in, on their own wish; return how many."""
    ended = end_all(user=user, reason=program_sessions.ENDED, now=now, but_session=but_session)
    if ended:
        what = "1 other sign-in" if ended == 1 else f"{ended} other sign-ins"
        announce(SecurityEvent(SecurityKind.SESSIONS_ENDED, user.pk, now, origin, what=what))
    return ended


def _note_taken(user: User, errors: dict[str, list[ValidationError]]) -> None:
    if "username" not in errors and User.objects.filter(username__iexact=user.username).exists():
        errors["username"] = [ValidationError("This name is taken.", code=TAKEN)]
    if _is_taken(errors.get("email")) or (
        "email" not in errors and User.objects.filter(email__iexact=user.email).exists()
    ):
        errors["email"] = [ValidationError("This address is in use already.", code=TAKEN)]


def _is_taken(errors: list[ValidationError] | None) -> bool:
    return any(each.code == TAKEN for each in errors or [])
