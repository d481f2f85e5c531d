"""What people are told about an enforcement, and how that survives a database that is away."""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.db.models import Q
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
# A breach that has just been told says what is done about it.
SAID_BY_BREACH = timedelta(minutes=1)
# While something is being closed its lanes write; what waits longer than this is written anyway.
LONGEST_WAIT = timedelta(seconds=2)
# A worker that has just started tells what its predecessor may have died over.
ENDED_LATELY = timedelta(hours=1)
_AGAIN = "closed_again"
_FLAT = "the account is flat."
_ON_ITS_WAY = (Enforcement.Cause.RULE, Enforcement.Cause.CUTOFF)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message, unless its user was told of the same within `unless_told`."""

    message: Message
    unless_told: timedelta | None = None
    kind: str = ""  # how the keys of what is the same begin
    breach_id: UUID | None = None  # that says the same

    @property
    def same(self) -> tuple[int, str, str, str]:
        return self.message.user_id, self.message.type, self.message.object_id, self.kind

    def was_told(self, now: datetime) -> bool:
        if self.unless_told is None:
            return False
        is_same = Q(type=self.message.type, dedupe_key__startswith=self.kind)
        if self.breach_id is not None:
            is_same = Q(dedupe_key__startswith=f"risk_breach:{self.breach_id}")
        return Notification.objects.filter(
            is_same,
            user_id=self.message.user_id,
            object_type=self.message.object_type,
            object_id=self.message.object_id,
            created_at__gt=now - self.unless_told,
        ).exists()


class Notices:
    """Messages that wait to be written; added from any thread, written on a lane."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._since: datetime | None = None  # when somebody first saw something waiting

    def add(self, message: Message, *, unless_recent: bool = False) -> None:
        """Have a message told soon; `unless_recent` leaves out one of a kind told lately."""
        kind = message.dedupe_key.partition(":")[0]
        self._add(_Waiting(message, RECENTLY if unless_recent else None, f"{kind}:"))

    def add_started(self, run: Enforcement) -> None:
        """Have told that a run began, unless the breach that began it has just said so.

        Of a locked account at most once a minute.
        """
        message = started(run)
        if run.cause in _ON_ITS_WAY and run.breach_id is not None:
            self._add(_Waiting(message, SAID_BY_BREACH, _kind(run), run.breach_id))
        else:
            is_again = run.cause == Enforcement.Cause.LOCK
            self._add(_Waiting(message, AGAIN_AFTER if is_again else None, _kind(run)))

    def add_finished(self, run: Enforcement) -> None:
        """Have told how a run ended; not that a locked account is flat again, as it was before."""
        if is_end_news(run):
            self.add(finished(run))

    def is_due(self, now: datetime, *, is_busy: bool) -> bool:
        """Tell whether what waits should be written now; while lanes are busy they mostly do."""
        if not self._waiting:
            self._since = None
            return False
        self._since = min(self._since or now, now)
        return not is_busy or now - self._since >= LONGEST_WAIT

    def write(self, now: datetime) -> None:
        """Tell what waits; while the database is away it goes on waiting."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        self._since = None
        try:
            notify(_news(waiting, now), now=now)
        except (OperationalError, InterfaceError) as error:
            forget_connection()
            logger.warning("Notifications wait for the database: %s", error)
            with self._lock:
                self._waiting = waiting + self._waiting
        except Exception:
            # What the database refuses must keep back neither the others nor the closing.
            forget_connection()
            logger.exception("Of %d notifications something is refused.", len(waiting))
            self._write_singly(waiting, now)

    def _write_singly(self, waiting: Iterable[_Waiting], now: datetime) -> None:
        for one in waiting:
            try:
                notify(_news([one], now), now=now)
            except Exception:
                forget_connection()
                logger.exception("A notification is lost: %s", one.message.title)

    def _add(self, waiting: _Waiting) -> None:
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                logger.error("A notification was given up: %s", waiting.message.title)
                return
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
    if cause is Enforcement.Cause.CASCADE:
        return _message(
            run,
            "started",
            kind=NotificationType.CASCADE,
            priority=Priority.URGENT,
            title="Closed with the provider that was liquidated",
            body=f"{run.account_name}: {run.reason}",
        )
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
    """Say how a run ended, as urgently as it began: who was woken may sleep on, or must get up."""
    has_given_up = run.stage == Enforcement.Stage.GIVEN_UP
    is_asked_for = run.cause == Enforcement.Cause.PANIC
    is_cascade = run.cause == Enforcement.Cause.CASCADE
    is_flat = run.message.endswith(_FLAT)
    done = "everything is closed" if is_flat else "what had to be closed is closed"
    return _message(
        run,
        "given_up" if has_given_up else "finished",
        kind=NotificationType.CASCADE if is_cascade else NotificationType.ENFORCEMENT,
        priority=Priority.HIGH if is_asked_for and not has_given_up else Priority.URGENT,
        title=f"{run.account_name}: {'not closed' if has_given_up else done}",
        body=run.message,
    )


def is_end_news(run: Enforcement) -> bool:
    """Tell whether the end of a run is told: not that a locked account is flat again."""
    return run.stage == Enforcement.Stage.GIVEN_UP or run.cause != Enforcement.Cause.LOCK


def recent_run_messages(host: str, now: datetime) -> list[Message]:
    """Build the messages about runs of a host that ended lately; each has the key it always had.

    For those whose worker died between writing the end and telling it. Raises a database error
    when they cannot be read.
    """
    ended = Enforcement.objects.filter(host=host, finished_at__gt=now - ENDED_LATELY).filter(
        Q(stage=Enforcement.Stage.GIVEN_UP)
        | Q(positions_closed__gt=0)
        | Q(orders_cancelled__gt=0)
        | Q(cause__in=[Enforcement.Cause.PANIC, Enforcement.Cause.CASCADE])
    )
    return [finished(run) for run in ended.order_by("finished_at", "id") if is_end_news(run)]


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
    if run.cause == Enforcement.Cause.CASCADE and what == "started":
        # A desk of fifty followers falls with one provider: one thing, counted.
        return f"cascade:{run.options.get('cascade', {}).get('provider_id', '')}"
    return f"{run.account_id}:{run.cause}:{run.rule_id or ''}:{what}"


def ended_sentence(closed: int, cancelled: int, rest: int, by_copies: int = 0) -> str:
    """Say what a run closed and deleted, and that nothing is left, or what stays.

    `by_copies` positions had been closed by ordinary copied closes before a cascade's run.
    """
    parts = []
    if closed:
        parts.append(f"{closed} position{'s' if closed != 1 else ''} closed")
    if cancelled:
        parts.append(f"{cancelled} pending order{'s' if cancelled != 1 else ''} deleted")
    nothing = (
        "The copied closes had closed it already" if by_copies else "There was nothing to close"
    )
    done = " and ".join(parts) or nothing
    if not rest:
        return f"{done}; {_FLAT}"
    return f"{done}; {rest} position{'s stay' if rest != 1 else ' stays'} open, as intended."
