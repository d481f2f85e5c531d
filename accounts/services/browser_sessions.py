"""Browsers that are signed in."""

from datetime import datetime
from importlib import import_module

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef

from accounts.models import User
from accounts.origin import Origin
from accounts.services.security_events import SecurityEvent, SecurityKind, announce


def end_browser_sessions(*, user: User, but: str | None = None) -> int:
    """End a user's sessions in browsers, except the one with the key `but`; return how many."""
    rows = UserSession.objects.filter(user_id=user.pk)
    if but is not None:
        rows = rows.exclude(session_key=but)
    return _end(list(rows.values_list("pk", "session_key")))


@transaction.atomic
def end_browser_session(*, user: User, row_id: int, origin: Origin, now: datetime) -> bool:
    """End one of a user's sessions; False when there is none such any more."""
    rows = UserSession.objects.filter(user_id=user.pk, pk=row_id)
    is_ended = _end(list(rows.values_list("pk", "session_key"))) == 1
    if is_ended:
        kind = SecurityKind.SESSIONS_ENDED
        announce(SecurityEvent(kind, user.pk, now, origin, what="The sign-in of a browser"))
    return is_ended


def forget_ended_browser_sessions() -> None:
    """Delete the sessions that have expired, and what is noted of sessions that are no more."""
    _store().clear_expired()
    living = Session.objects.filter(session_key=OuterRef("session_key"))
    UserSession.objects.filter(~Exists(living)).delete()


def _end(rows: list[tuple[int, str]]) -> int:
    store = _store()
    for _, key in rows:
        store.delete(key)
    UserSession.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    return len(rows)


def _store() -> SessionBase:
    store: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore()
    return store
