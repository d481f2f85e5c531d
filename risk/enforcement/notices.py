"""What people are told about an enforcement, and how that survives a database that is away."""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
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
# Of a locked account on which somebody goes on opening positions.
AGAIN_AFTER = timedelta(minutes=1)
_AGAIN = "closed_again"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message, unless its user was told of the same within `unless_told`."""

    message: Message
    unless_told: timedelta | None = None
    kind: str = ""  # how the keys of what is the same begin

    @property
    def same(self) -> tuple[int, str, str, str]:
        return self.message.user_id, self.message.type, self.message.object_id, self.kind

    def was_told(self, now: datetime) -> bool:
        if self.unless_told is None:
            return False
        return Notification.objects.filter(
            user_id=self.message.user_id,
            type=self.message.type,
            object_id=self.message.object_id,
            dedupe_key__startswith=self.kind,
            created_at__gt=now - self.unless_told,
        ).exists()


class Notices:
    """Messages that wait to be written; added from any thread, written on a lane."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    def add(self, message: Message, *, unless_recent: bool = False) -> None:
        """Have a message told soon; `unless_recent` leaves out one of a kind told lately."""
        self._add(_Waiting(message, RECENTLY if unless_recent else None))

    def add_started(self, run: Enforcement) -> None:
        """Have told that a run began; of a locked account at most once a minute."""
        is_again = run.cause == Enforcement.Cause.LOCK
        self._add(_Waiting(started(run), AGAIN_AFTER if is_again else None, _kind(run)))

    def add_finished(self, run: Enforcement) -> None:
        """Have told how a run ended; not that a locked account is flat again, as it was before."""
        has_given_up = run.stage == Enforcement.Stage.GIVEN_UP
        if has_given_up or run.cause != Enforcement.Cause.LOCK:
            self.add(finished(run))

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
            notify(_news(waiting, now), now=now)
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("Notifications wait for the database: %s", error)
            with self._lock:
                self._waiting = waiting + self._waiting

    def _add(self, waiting: _Waiting) -> None:
        with self._lock:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(waiting)


def _news(waiting: Iterable[_Waiting], now: datetime) -> list[Message]:
    """Leave out what was told lately, and what is told twice at once."""
    found: list[Message] = []
    spaced: set[tuple[int, str, str, str]] = set()
    for one in waiting:
        if one.unless_told is not None:
            if one.same in spaced or one.was_told(now):
                continue
            spaced.add(one.same)
        found.append(one.message)
    return found


def _kind(run: Enforcement) -> str:
    return _AGAIN if run.cause == Enforcement.Cause.LOCK else "enforcement"


def started(run: Enforcement) -> Message:
    cause = Enforcement.Cause(run.cause)
    is_panic = cause is Enforcement.Cause.PANIC
    is_cutoff = cause is Enforcement.Cause.CUTOFF
    title = {
        Enforcement.Cause.CUTOFF: f"{run.account_name} is being liquidated",
        Enforcement.Cause.LOCK: f"{run.account_name} is locked: what was opened is closed again",
        Enforcement.Cause.PANIC: "Close all has begun",
    }.get(cause, f"{run.account_name}: TradeGuard steps in")
    return _message(
        run,
        "started",
        kind=NotificationType.LIQUIDATION if is_cutoff else NotificationType.ENFORCEMENT,
        priority=Priority.HIGH if is_panic else Priority.URGENT,
        title=title,
        body=f"{run.account_name}: {run.reason}" if is_panic else run.reason,
    )


def finished(run: Enforcement) -> Message:
    has_given_up = run.stage == Enforcement.Stage.GIVEN_UP
    title = f"{run.account_name}: not closed" if has_given_up else f"{run.account_name}: done"
    return _message(
        run,
        "given_up" if has_given_up else "finished",
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
        dedupe_key=f"{_kind(run)}:{run.pk}:{what}",
        repeat_key=_repeat_key(run, what),
    )


def _repeat_key(run: Enforcement, what: str) -> str:
    """Name what is the same for a reader: another rule is not, nor is another account.

    But that closing everything has begun is one thing, on however many accounts that is.
    """
    if run.cause == Enforcement.Cause.PANIC and what == "started":
        return f"panic:{run.requested_by_id}"
    return f"{run.account_id}:{run.cause}:{run.rule_id or ''}:{what}"


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
