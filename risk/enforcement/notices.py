"""What people are told about an enforcement, and how that survives a database that is away."""

import logging
import threading
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DatabaseError, InterfaceError
from django.urls import reverse

from notifications.models import Notification, NotificationType, Priority
from notifications.services import Message, notify
from risk.models import Enforcement
from risk.orders.doubts import forget_connection

logger = logging.getLogger(__name__)

MOST_WAITING = 1000
# A worker that has just started does not know what its predecessor told.
RECENTLY = timedelta(hours=24)


class Notices:
    """Messages that wait to be written; added from any thread, written on a lane."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Message, bool]] = []

    def add(self, message: Message, *, unless_recent: bool = False) -> None:
        """Have a message told soon; `unless_recent` leaves out one of a kind told lately."""
        with self._lock:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append((message, unless_recent))

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def write(self, now: datetime) -> None:
        """Tell what waits; while the database is away it goes on waiting."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            notify([one for one, careful in waiting if not (careful and _told(one, now))], now=now)
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("Notifications wait for the database: %s", error)
            with self._lock:
                self._waiting = waiting + self._waiting


def _told(message: Message, now: datetime) -> bool:
    return Notification.objects.filter(
        user_id=message.user_id,
        type=message.type,
        object_id=message.object_id,
        created_at__gt=now - RECENTLY,
    ).exists()


def started(run: Enforcement) -> Message:
    is_cutoff = run.cause == Enforcement.Cause.CUTOFF
    title = {
        Enforcement.Cause.CUTOFF: f"{run.account_name} is being liquidated",
        Enforcement.Cause.LOCK: f"{run.account_name} is locked: what was opened is closed again",
        Enforcement.Cause.PANIC: f"{run.account_name}: closing everything",
    }.get(Enforcement.Cause(run.cause), f"{run.account_name}: TradeGuard steps in")
    return _message(
        run,
        "started",
        kind=NotificationType.LIQUIDATION if is_cutoff else NotificationType.ENFORCEMENT,
        priority=Priority.HIGH if run.cause == Enforcement.Cause.PANIC else Priority.URGENT,
        title=title,
        body=run.reason,
    )


def finished(run: Enforcement) -> Message:
    has_given_up = run.stage == Enforcement.Stage.GIVEN_UP
    title = f"{run.account_name}: not closed" if has_given_up else f"{run.account_name}: done"
    return _message(
        run,
        "finished",
        kind=NotificationType.ENFORCEMENT,
        priority=Priority.URGENT if has_given_up else Priority.HIGH,
        title=title,
        body=run.message,
    )


def held_up(run: Enforcement) -> Message:
    """Say that a run does not get on, and goes on trying."""
    return _message(
        run,
        "held_up",
        kind=NotificationType.ENFORCEMENT,
        priority=Priority.URGENT,
        title=f"{run.account_name}: closing is held up",
        body=run.message,
    )


def reopened_too_often(
    account_id: UUID, user_id: int, name: str, per_minute: int, at: datetime
) -> Message:
    return Message(
        user_id=user_id,
        type=NotificationType.ENFORCEMENT,
        priority=Priority.URGENT,
        title=f"{name} is locked, and somebody goes on opening positions",
        body=f"TradeGuard has closed again {per_minute} times within a minute and now waits for a"
        " minute. Stop what opens positions there, by hand or by a robot.",
        link=reverse("account-detail", args=[account_id]),
        object_type="account",
        object_id=str(account_id),
        dedupe_key=f"reopened:{account_id}:{at.isoformat()}",
    )


def _message(
    run: Enforcement, what: str, kind: str, priority: str, title: str, body: str
) -> Message:
    return Message(
        user_id=run.user_id,
        type=kind,
        priority=priority,
        title=title,
        body=body,
        link=reverse("account-detail", args=[run.account_id]),
        object_type="account",
        object_id=str(run.account_id),
        dedupe_key=f"enforcement:{run.pk}:{what}",
    )


def ended_sentence(closed: int, cancelled: int, rest: int) -> str:
    """Say what a run closed and deleted, and that nothing is left, or what stays."""
    parts = []
    if closed:
        parts.append(f"{closed} position{'s' if closed != 1 else ''} closed")
    if cancelled:
        parts.append(f"{cancelled} pending order{'s' if cancelled != 1 else ''} deleted")
    done = " and ".join(parts) or "There was nothing to close"
    if not rest:
        return f"{done}; the account is flat."
    return f"{done}; {rest} position{'s stay' if rest != 1 else ' stays'} open, as intended."
