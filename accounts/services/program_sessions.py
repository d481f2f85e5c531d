"""Programs that are signed in: a short access token, and a refresh token that changes with use.

The access token carries the session's id (`sid`), so that ending a session ends its tokens at once.
Only the newest refresh token is good. An older one that comes back is in two hands, nobody knows
whose, and ends the session; that a program repeats a refresh whose answer got lost looks the same,
and it signs in anew.
"""

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.views.decorators.debug import sensitive_variables
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import RefreshToken, Token
from rest_framework_simplejwt.utils import get_md5_hash_password

from accounts.models import User
from accounts.models.session import ProgramSession
from accounts.origin import Origin
from accounts.services.known_origins import note_sign_in
from accounts.services.security_events import SecurityEvent, SecurityKind, announce
from accounts.sign_ins import program_name

logger = logging.getLogger(__name__)
SESSION_CLAIM = "sid"
ENDED, REUSED, PASSWORD_CHANGED = "ended", "reused", "password"
SECOND_FACTOR_CHANGED, SWITCHED_OFF = "second_factor", "switched_off"
KEPT_AFTER_END = timedelta(days=30)


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    access: str
    refresh: str


@transaction.atomic
def start_session(*, user: User, origin: Origin, now: datetime) -> Tokens:
    """Sign a program in and return its first tokens."""
    session = ProgramSession(
        id=uuid4(),
        user=user,
        ip_address=origin.ip_address,
        user_agent=origin.user_agent,
        created_at=now,
        last_used_at=now,
        expires_at=now + api_settings.REFRESH_TOKEN_LIFETIME,
    )
    tokens = _tokens_of(user, session.pk)
    session.refresh_hash = _hash(tokens.refresh)
    User.objects.filter(pk=user.pk).update(last_login=now)
    session.save(force_insert=True)
    note_sign_in(user=user, origin=origin, is_program=True, now=now)
    return tokens


@sensitive_variables("shown")
def rotate_session(*, shown: str, origin: Origin, now: datetime) -> Tokens:
    """Exchange a refresh token for new tokens; raises InvalidToken.

    Of two exchanges at the same moment one gets the tokens, and the other ends the session.
    """
    session = _session_of(shown)
    token = _parsed(shown)
    if session is None or not is_live(session, token, now):
        raise InvalidToken("This session has ended; sign in again.")
    tokens = _tokens_of(session.user, session.pk)
    replaced = ProgramSession.objects.filter(
        pk=session.pk, refresh_hash=_hash(shown), revoked_at=None
    ).update(
        refresh_hash=_hash(tokens.refresh),
        last_used_at=now,
        expires_at=now + api_settings.REFRESH_TOKEN_LIFETIME,
        ip_address=origin.ip_address,
        user_agent=origin.user_agent,
    )
    if not replaced:
        ended = _end(user_id=session.user_id, session_id=session.pk, reason=REUSED, now=now)
        if ended:
            logger.warning(
                "The session %s of user %s ended: a refresh token came a second time, from %s.",
                session.pk,
                session.user_id,
                origin.ip_address,
            )
            announce(
                SecurityEvent(
                    SecurityKind.TOKEN_REUSED,
                    session.user_id,
                    now,
                    origin,
                    what=program_name(session.user_agent),
                    object_id=str(session.pk),
                )
            )
        raise InvalidToken("This refresh token was used before, so its session has ended.")
    return tokens


@sensitive_variables("shown")
def end_session_of(*, shown: str, now: datetime) -> None:
    """End the session of a refresh token, new or old; raises InvalidToken."""
    session = _session_of(shown)
    if session is None:
        raise InvalidToken("This session has ended; sign in again.")
    _end(user_id=session.user_id, session_id=session.pk, reason=ENDED, now=now)


@transaction.atomic
def end_session(*, user: User, session_id: UUID, origin: Origin, now: datetime) -> bool:
    """End one of a user's sessions; False when there is none such any more."""
    is_ended = _end(user_id=user.pk, session_id=session_id, reason=ENDED, now=now) == 1
    if is_ended:
        kind = SecurityKind.SESSIONS_ENDED
        announce(SecurityEvent(kind, user.pk, now, origin, what="The sign-in of a program"))
    return is_ended


def end_all_sessions(*, user: User, reason: str, now: datetime) -> int:
    return _end(user_id=user.pk, session_id=None, reason=reason, now=now)


def forget_ended_sessions(*, now: datetime) -> None:
    """Delete sessions that ended so long ago that nobody asks how they did."""
    ProgramSession.objects.filter(expires_at__lt=now - KEPT_AFTER_END).delete()


def is_live(session: ProgramSession, token: Token, now: datetime) -> bool:
    """Tell whether a token of this session is good: not ended, same password, active user."""
    user = session.user
    return (
        session.revoked_at is None
        and session.expires_at > now
        and user.is_active
        and str(token.get(api_settings.USER_ID_CLAIM)) == str(user.pk)
        and token.get(api_settings.REVOKE_TOKEN_CLAIM) == get_md5_hash_password(user.password)
    )


def session_id_of(token: Token) -> UUID | None:
    try:
        return UUID(str(token.get(SESSION_CLAIM)))
    except ValueError:
        return None


def _end(*, user_id: int, session_id: UUID | None, reason: str, now: datetime) -> int:
    sessions = ProgramSession.objects.filter(user_id=user_id, revoked_at=None)
    if session_id is not None:
        sessions = sessions.filter(pk=session_id)
    return sessions.update(revoked_at=now, revoked_reason=reason)


def _tokens_of(user: User, session_id: UUID) -> Tokens:
    refresh = RefreshToken.for_user(user)
    refresh[SESSION_CLAIM] = str(session_id)
    return Tokens(access=str(refresh.access_token), refresh=str(refresh))


def _session_of(shown: str) -> ProgramSession | None:
    session_id = session_id_of(_parsed(shown))
    if session_id is None:
        return None
    return ProgramSession.objects.select_related("user").filter(pk=session_id).first()


def _parsed(shown: str) -> Token:
    try:
        return RefreshToken(shown)  # type: ignore[arg-type]  # it takes text as well
    except TokenError as error:
        raise InvalidToken(str(error)) from None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
