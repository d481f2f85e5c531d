"""Writing connection states and their log: on change, in bulk, in order."""

import logging
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from django.db import (
    DEFAULT_DB_ALIAS,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connections,
    transaction,
)

from accounts.models import AccountConnection, ConnectionLog
from accounts.models.connection import ConnectionState
from accounts.sessions.states import ConnectionChange, FailedRetry

Event = ConnectionChange | FailedRetry
Tell = Callable[[Sequence[ConnectionChange]], object]
_STATE_FIELDS = ["state", "since", "reason", "last_error", "retries", "next_attempt_at"]
_BATCH_SIZE = 2_000
# PostgreSQL refuses more, and with it every change that waits behind this one.
_LONGEST_MESSAGE = 255

logger = logging.getLogger(__name__)


class ConnectionStore:
    """Keeps what is to be written until the database has taken it."""

    def __init__(self) -> None:
        self._pending: list[Event] = []

    def add(self, changes: Iterable[ConnectionChange], failed: Iterable[FailedRetry]) -> None:
        self._pending += [*failed, *changes]

    def flush(self, tell: Tell | None = None) -> int:
        """Write everything in one transaction and return how many changes that were.

        ``tell`` is called in that transaction with the changes of accounts that still exist. When
        the database is away everything is kept for the next call, and 0 returned; inside another
        transaction the error is raised instead.
        """
        events = tuple(self._pending)
        if not events:
            return 0
        try:
            with transaction.atomic():
                written = _write(events, tell)
        except (OperationalError, InterfaceError) as error:
            if connections[DEFAULT_DB_ALIAS].in_atomic_block:
                raise
            logger.warning("%d connection events wait for the database: %s", len(events), error)
            close_old_connections()
            return 0
        del self._pending[: len(events)]
        return written


def _write(events: Sequence[Event], tell: Tell | None) -> int:
    changes = [event for event in events if isinstance(event, ConnectionChange)]
    rows = _locked_rows({event.account_id for event in events})
    for event in events:
        row = rows.get(event.account_id)
        if row is not None:
            _carry_over(event, row)
    # One statement whatever the number of rows, and `is_wanted`, which people write, left alone.
    AccountConnection.objects.bulk_create(
        rows.values(),
        batch_size=_BATCH_SIZE,
        update_conflicts=True,
        unique_fields=["account"],
        update_fields=_STATE_FIELDS,
    )
    ConnectionLog.objects.bulk_create(map(_log_row, changes), batch_size=_BATCH_SIZE)
    known = [change for change in changes if change.account_id in rows]
    if tell is not None and known:
        tell(known)
    return len(changes)


def _locked_rows(account_ids: set[UUID]) -> dict[UUID, AccountConnection]:
    ordered = sorted(account_ids)
    rows: dict[UUID, AccountConnection] = {}
    for start in range(0, len(ordered), _BATCH_SIZE):
        batch = ordered[start : start + _BATCH_SIZE]
        found = AccountConnection.objects.filter(pk__in=batch).order_by("pk").select_for_update()
        rows.update({row.account_id: row for row in found})
    return rows


def _carry_over(event: Event, row: AccountConnection) -> None:
    if isinstance(event, FailedRetry):
        if row.state != ConnectionState.ERROR:
            return
    elif row.since > event.at:
        return  # somebody asked for something else meanwhile; the worker is about to follow
    else:
        row.state, row.since = event.to_state, event.at
        row.reason, row.last_error = event.reason, event.message[:_LONGEST_MESSAGE]
    row.retries, row.next_attempt_at = event.retries, event.next_attempt_at


def _log_row(change: ConnectionChange) -> ConnectionLog:
    return ConnectionLog(
        account_id=change.account_id,
        user_id=change.user_id,
        account_name=change.account_name,
        from_state=change.from_state,
        to_state=change.to_state,
        reason=change.reason,
        message=change.message[:_LONGEST_MESSAGE],
        created_at=change.at,
    )
