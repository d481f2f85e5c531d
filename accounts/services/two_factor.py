"""The second factor: using a code up, and taking the factor away from who lost it."""

import logging
from datetime import datetime

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.mfa.totp.internal.auth import yield_hotp_counters_from_time as counters_now
from allauth.mfa.utils import decrypt
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.template.loader import render_to_string
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from accounts.mailing import send_soon
from accounts.models import User
from accounts.origin import SYSTEM, Origin
from accounts.services import program_sessions
from accounts.services.browser_sessions import end_browser_sessions
from accounts.services.security_events import SecurityEvent, SecurityKind, announce

logger = logging.getLogger(__name__)
COUNTER = "last_counter"


@sensitive_variables("code")
@transaction.atomic
def use_code(
    *, user: User, code: str, now: datetime, origin: Origin = SYSTEM
) -> Authenticator | None:
    """Use up a code of the app or a recovery code; return whose it was, None when it is no good.

    A code of the app is good once, and so are all that came before it. The last one is kept with
    the secret: the cache, where allauth keeps it, may be away.
    """
    written = "".join(code.split()).replace("-", "")
    rows = Authenticator.objects.select_for_update().filter(user_id=user.pk).order_by("-type")
    for row in rows:
        if row.type == Authenticator.Type.TOTP:
            is_good = _use_counter(row, written)
        else:
            is_good = bool(row.wrap().validate_code(written))
        if is_good:
            Authenticator.objects.filter(pk=row.pk).update(last_used_at=now)
            if row.type == Authenticator.Type.RECOVERY_CODES:
                row.refresh_from_db(fields=["data"])
                left = f"{len(row.wrap().get_unused_codes())} are left"
                kind = SecurityKind.RECOVERY_CODE_USED
                announce(SecurityEvent(kind, user.pk, now, origin, what=left))
            return row
    return None


@sensitive_variables("code")
@transaction.atomic
def spend_code(*, user: User, code: str) -> None:
    """Use up the code that has just set the app up."""
    row = Authenticator.objects.select_for_update().get(
        user_id=user.pk, type=Authenticator.Type.TOTP
    )
    _use_counter(row, "".join(code.split()))


@transaction.atomic
def reset_two_factor(*, user: User, origin: Origin, now: datetime) -> bool:
    """Take the second factor from who lost it, and end all that is signed in.

    Returns False when there was none.
    """
    removed, _ = Authenticator.objects.filter(user_id=user.pk).delete()
    if not removed:
        return False
    end_browser_sessions(user=user)
    program_sessions.end_all_sessions(
        user=user, reason=program_sessions.SECOND_FACTOR_CHANGED, now=now
    )
    actor = origin.username or "the command line"
    logger.warning("The second factor of %s was taken away by %s.", user.get_username(), actor)
    told = {
        "name": user.get_username(),
        "actor": actor,
        "public_url": settings.PUBLIC_URL.rstrip("/"),
    }
    message = EmailMessage(
        subject="Your second factor was taken away",
        body=render_to_string("mfa/email/taken_away_message.txt", told),
        to=[user.email],
    )
    transaction.on_commit(lambda: send_soon(message))
    kind = SecurityKind.TWO_FACTOR_TAKEN_AWAY
    announce(SecurityEvent(kind, user.pk, now, origin, told_by="email"))
    return True


@sensitive_variables("secret", "code")
def _use_counter(row: Authenticator, code: str) -> bool:
    secret = decrypt(row.data["secret"])
    for counter in counters_now():
        if constant_time_compare(format_hotp_value(hotp_value(secret, counter)), code):
            if counter <= row.data.get(COUNTER, 0):
                return False
            row.data[COUNTER] = counter
            row.save(update_fields=["data"])
            return True
    return False
