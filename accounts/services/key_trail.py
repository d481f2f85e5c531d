"""The trail of the keys: one row for each operation, whether it was allowed, refused or failed.

What was allowed is written in the transaction of the change. What was refused or failed is written
after that transaction was rolled back; a service that calls key services inside a transaction of
its own stands below `refusals_kept`, which waits for the outermost rollback:

    @refusals_kept()
    @transaction.atomic
    def create_account(…)
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from accounts.models import ApiKey, ApiKeyAuditLog
from accounts.origin import SYSTEM, Origin, printable
from accounts.refusals import Refusal
from accounts.services.security_events import SecurityEvent, SecurityKind, announce

Action = ApiKeyAuditLog.Action
Outcome = ApiKeyAuditLog.Outcome

LONGEST_NAME = 100
LONGEST_MESSAGE = 255
INVALID = "invalid"
STRANGER = "stranger"
# A stranger who asks again and again must not fill the owner's trail.
STRANGER_SECONDS = 60.0

_ANNOUNCED: Mapping[str, SecurityKind] = {
    Action.CREATED: SecurityKind.KEY_ADDED,
    Action.VIEWED: SecurityKind.KEY_VIEWED,
    Action.UPDATED: SecurityKind.KEY_CHANGED,
    Action.ROTATED: SecurityKind.KEY_ROTATED,
    Action.EXPIRED: SecurityKind.KEY_EXPIRED,
    Action.REVOKED: SecurityKind.KEY_REVOKED,
}
_ONLY_OF_OTHERS: frozenset[str] = frozenset({Action.VIEWED, Action.UPDATED})

logger = logging.getLogger(__name__)
_waiting: ContextVar[list[ApiKeyAuditLog] | None] = ContextVar("waiting", default=None)


@dataclass(slots=True)
class Operation:
    """Something that is done with a key; `message` may be told while it is under way."""

    key: ApiKey
    action: str
    now: datetime
    origin: Origin = SYSTEM
    account_id: UUID | None = None
    message: str = ""
    reason: str = ""

    def record(self) -> None:
        """Write that it was done, and have the key's owner told when that is worth it."""
        self.row(Outcome.ALLOWED).save(force_insert=True)
        kind = _ANNOUNCED.get(self.action)
        is_by_owner = self.origin.user_id == self.key.user_id
        if kind is None or (self.action in _ONLY_OF_OTHERS and is_by_owner):
            return
        # What a command does, as the demo desk, is nobody's doing; that time passes is told.
        if self.origin.user_id is None and self.action != Action.EXPIRED:
            return
        announce(
            SecurityEvent(
                kind,
                self.key.user_id,
                self.now,
                self.origin,
                what=self.key.name,
                object_id=str(self.key.pk),
            )
        )

    def row(self, outcome: str) -> ApiKeyAuditLog:
        """Return the row, not saved yet."""
        return ApiKeyAuditLog(
            key_id=self.key.pk,
            key_name=printable(self.key.name)[:LONGEST_NAME],
            user_id=self.key.user_id,
            actor_id=self.origin.user_id,
            actor_name=self.origin.username,
            account_id=self.account_id,
            action=self.action,
            outcome=outcome,
            reason=self.reason,
            message=printable(self.message)[:LONGEST_MESSAGE],
            ip_address=self.origin.ip_address,
            user_agent=self.origin.user_agent,
            created_at=self.now,
        )


@contextmanager
def audited(operation: Operation) -> Iterator[None]:
    """Run an operation in a transaction and leave its row; what it raises comes through."""
    with refusals_kept():
        try:
            with transaction.atomic():
                yield
                operation.record()
        except Refusal as refusal:
            operation.reason, operation.message = refusal.code, refusal.sentence
            keep(operation.row(Outcome.REFUSED))
            raise
        except ValidationError as error:
            operation.reason, operation.message = INVALID, " ".join(error.messages)
            keep(operation.row(Outcome.FAILED))
            raise


@contextmanager
def refusals_kept() -> Iterator[None]:
    """Write the rows of what is refused inside once everything inside was rolled back.

    Also a decorator. Of several around each other the outermost writes.
    """
    if _waiting.get() is not None:
        yield
        return
    rows: list[ApiKeyAuditLog] = []
    token = _waiting.set(rows)
    try:
        yield
    finally:
        _waiting.reset(token)
        _write(rows)


def keep(row: ApiKeyAuditLog) -> None:
    """Have a row written when the transaction around has come to its end, whichever it is."""
    rows = _waiting.get()
    if rows is None:
        _write([row])
    else:
        rows.append(row)


def note_garbled(operation: Operation, fields: Iterable[str]) -> None:
    """Record that what was asked of a key could not be read, by the names of the wrong fields.

    Not by what was said of them: that may quote what somebody typed into the wrong field.
    """
    wrong = ", ".join(sorted(fields))
    operation.reason, operation.message = INVALID, f"Not understood: {wrong}."
    keep(operation.row(Outcome.FAILED))


def note_view(*, key: ApiKey, origin: Origin, now: datetime) -> None:
    """Record that staff looked at somebody's key; what its owner looks at is nobody's business."""
    if key.user_id != origin.user_id:
        with transaction.atomic():
            Operation(key, Action.VIEWED, now, origin).record()


def note_stranger(*, key_id: UUID, action: str, origin: Origin, now: datetime) -> None:
    """Tell the owner of a key, if there is one, that somebody else has named it.

    One row a minute for the same stranger and action.
    """
    key = ApiKey.objects.only("pk", "name", "user_id").filter(pk=key_id).first()
    if key is None or key.user_id == origin.user_id:
        return
    lately = now - timedelta(seconds=STRANGER_SECONDS)
    is_known = ApiKeyAuditLog.objects.filter(
        key_id=key_id,
        created_at__gt=lately,
        actor_id=origin.user_id,
        action=action,
        reason=STRANGER,
    ).exists()
    if is_known:
        return
    sentence = "Somebody else asked for this key, and was told that there is none."
    operation = Operation(key, action, now, origin, message=sentence, reason=STRANGER)
    keep(operation.row(Outcome.REFUSED))


def _write(rows: list[ApiKeyAuditLog]) -> None:
    if not rows:
        return
    try:
        ApiKeyAuditLog.objects.bulk_create(rows)
    except DatabaseError as error:
        # The refusal itself must still reach whoever asked.
        logger.error("%d refusals of keys could not be recorded: %s", len(rows), error)
