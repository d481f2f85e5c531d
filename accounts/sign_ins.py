"""All that a user has signed in, browsers and programs in one list."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session

from accounts.models import User
from accounts.models.session import ProgramSession
from accounts.origin import UNKNOWN_ADDRESS

BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
            ("Safari/", "Safari"))  # fmt: skip
SYSTEMS = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
           ("Mac OS X", "macOS"), ("Linux", "Linux"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class SignIn:
    id: Any
    is_program: bool
    is_current: bool
    what: str
    user_agent: str
    address: str | None
    since: datetime
    seen_at: datetime


def sign_ins_of(*, user: User, current_key: str | None, now: datetime) -> list[SignIn]:
    """Return what is signed in, this very browser first, then what was seen last."""
    browsers = list(UserSession.objects.filter(user=user))
    keys = [row.session_key for row in browsers]
    living = set(
        Session.objects.filter(session_key__in=keys, expire_date__gt=now).values_list(
            "session_key", flat=True
        )
    )
    rows = [_browser(row, current_key) for row in browsers if row.session_key in living]
    programs = ProgramSession.objects.filter(user=user, revoked_at=None, expires_at__gt=now)
    rows += [_program(row) for row in programs]
    return sorted(rows, key=lambda row: (not row.is_current, -row.seen_at.timestamp()))


def described(user_agent: str) -> str:
    """Return what a person calls this browser, as far as its own words go."""
    return browser_name(user_agent) or "A browser"


def browser_name(user_agent: str) -> str:
    """Return the browser and its system, or "" where neither is one that is known."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system


def program_name(user_agent: str) -> str:
    """Return what a program calls itself, without its version."""
    return user_agent.partition(" ")[0].partition("/")[0] or "A program"


def _browser(row: UserSession, current_key: str | None) -> SignIn:
    return SignIn(
        id=row.pk,
        is_program=False,
        is_current=row.session_key == current_key,
        what=described(row.user_agent),
        user_agent=row.user_agent,
        address=row.ip if row.ip != UNKNOWN_ADDRESS else None,
        since=row.created_at,
        seen_at=row.last_seen_at,
    )


def _program(row: ProgramSession) -> SignIn:
    return SignIn(
        id=row.pk,
        is_program=True,
        is_current=False,
        what=row.user_agent.partition(" ")[0] or "A program",
        user_agent=row.user_agent,
        address=row.ip_address,
        since=row.created_at,
        seen_at=row.last_used_at,
    )
