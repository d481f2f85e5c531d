from datetime import timedelta
from uuid import UUID

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from accounts.history.snapshots import prune, roll_up
from accounts.origin import Origin
from accounts.services import program_sessions
from accounts.services.browser_sessions import forget_ended_browser_sessions
from accounts.services.key_verification import close_overdue_verifications
from accounts.services.keys import expire_keys as expire_due_keys
from accounts.services.known_origins import forget_old_origins
from accounts.services.security_events import SecurityEvent, SecurityKind, announce
from accounts.sessions.process import nudge
from accounts.sessions.verification import verify_on_host


@shared_task(name="accounts.apply_connection", ignore_result=True)
def apply_connection(account_id: str) -> None:
    """Let the sessions of this process follow what was asked for an account.

    Runs on the queue of the account's host. A message that is lost only costs time: the sessions
    look into the database every second.
    """
    nudge(UUID(account_id))


@shared_task(name="accounts.verify_key", ignore_result=True)
def verify_key(host: str, key_id: str, question: int) -> None:
    """Log in to the accounts of a host that use a key; `question` is the row that asked for it.

    Runs on the queue of that host. Asked twice, it tries twice and records both. The message
    carries no secret.
    """
    verify_on_host(host=host, key_id=UUID(key_id), question=question)


@shared_task(name="accounts.expire_keys", ignore_result=True)
def expire_keys() -> None:
    """Tell of keys whose time has come; nobody could log in with them from that second on."""
    expire_due_keys(now=timezone.now())


@shared_task(name="accounts.tell_guessing", ignore_result=True)
def tell_guessing(counted: str, user_id: int, network: str) -> None:
    """Announce that somebody guesses at a user's password, or at their codes ("code")."""
    kind = SecurityKind.CODE_GUESSED_AT if counted == "code" else SecurityKind.PASSWORD_GUESSED_AT
    announce(SecurityEvent(kind, user_id, timezone.now(), Origin(ip_address=network or None)))


@shared_task(name="accounts.close_verifications", ignore_result=True)
def close_verifications() -> None:
    """Give up verifications that no worker has answered."""
    close_overdue_verifications(now=timezone.now())


@shared_task(name="accounts.roll_up_equity", ignore_result=True)
def roll_up_equity() -> None:
    """Roll minutes up to hours and days, and delete what is older than it is kept."""
    roll_up()
    prune(
        now=timezone.now(),
        minutes_kept=timedelta(days=settings.EQUITY_MINUTES_KEPT_DAYS),
        hours_kept=timedelta(days=settings.EQUITY_HOURS_KEPT_DAYS),
    )


@shared_task(name="accounts.forget_sessions", ignore_result=True)
def forget_sessions() -> None:
    """Delete what browsers and programs leave behind that are signed in no more."""
    forget_ended_browser_sessions()
    program_sessions.forget_ended_sessions(now=timezone.now())
    forget_old_origins(now=timezone.now())
