"""Browsers that are signed in."""

from importlib import import_module

from allauth.usersessions.models import UserSession
from django.conf import settings

from accounts.models import User


def end_browser_sessions(*, user: User, but: str | None = None) -> int:
    """End a user's sessions in browsers, except the one with the key `but`; return how many."""
    rows = UserSession.objects.filter(user_id=user.pk)
    if but is not None:
        rows = rows.exclude(session_key=but)
    return _end(list(rows.values_list("pk", "session_key")))


def end_browser_session(*, user: User, row_id: int) -> bool:
    rows = UserSession.objects.filter(user_id=user.pk, pk=row_id)
    return _end(list(rows.values_list("pk", "session_key"))) == 1


def _end(rows: list[tuple[int, str]]) -> int:
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    for _, key in rows:
        store.delete(key)
    UserSession.objects.filter(pk__in=[pk for pk, _ in rows]).delete()
    return len(rows)
