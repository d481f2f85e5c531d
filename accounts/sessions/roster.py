"""Which accounts belong to a host, and what the database wants of their sessions."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Max, Q, QuerySet

from accounts.models import ApiKey, ConnectedAccount, TerminalHost
from accounts.models.connection import ConnectionState
from accounts.sessions.poll import RosterChange
from accounts.sessions.table import SessionSpec

LoadCursors = Callable[[Sequence[UUID]], Mapping[UUID, int]]
# A row that was edited past the models leaves no trace in the fingerprint.
FULL_READ_SECONDS = 30.0
_FIELDS = (
    "id",
    "user_id",
    "name",
    "login",
    "server",
    "currency",
    "api_key_id",
    "api_key__status",
    "api_key__rotated_at",
    "api_key__expires_at",
    "connection__is_wanted",
    "connection__state",
    "connection__since",
    "connection__reason",
    "connection__last_error",
    "connection__retries",
    "connection__next_attempt_at",
)


def ensure_hosts() -> None:
    """Create the rows of the terminal hosts that the settings name."""
    TerminalHost.objects.bulk_create(
        [TerminalHost(name=name) for name in settings.TERMINAL_HOSTS], ignore_conflicts=True
    )


class RosterReader:
    """Reads the accounts of one host and tells what became different since the last time."""

    def __init__(self, host: str, load_cursors: LoadCursors | None) -> None:
        self._host = host
        self._load_cursors = load_cursors
        self._specs: dict[UUID, SessionSpec] = {}
        self._fingerprint: Mapping[str, Any] | None = None
        self._read_at = -FULL_READ_SECONDS

    def read(
        self, now: datetime, monotonic: float, *, is_forced: bool
    ) -> tuple[RosterChange, Mapping[UUID, int]] | None:
        """Return the difference and the deal cursors of new accounts; None if nothing moved."""
        fingerprint = self._accounts().aggregate(
            accounts=Count("pk"),
            edited=Max("updated_at"),
            keyed=Max("api_key__updated_at"),
            expired=Count("pk", filter=Q(api_key__expires_at__lte=now)),
            wanted=Count("pk", filter=Q(connection__is_wanted=True)),
            moved=Max("connection__since"),
        )
        is_old = monotonic - self._read_at >= FULL_READ_SECONDS
        if fingerprint == self._fingerprint and not is_old and not is_forced:
            return None
        specs = {row[0]: _spec(row, now) for row in self._accounts().values_list(*_FIELDS)}
        known = self._specs
        roster = RosterChange(
            added=[spec for key, spec in specs.items() if key not in known],
            changed=[spec for key, spec in specs.items() if key in known and known[key] != spec],
            removed=[key for key in known if key not in specs],
        )
        added = [spec.account_id for spec in roster.added]
        cursors = self._load_cursors(added) if self._load_cursors and added else {}
        self._specs, self._fingerprint, self._read_at = specs, fingerprint, monotonic
        return roster, cursors

    def _accounts(self) -> QuerySet[ConnectedAccount]:
        return ConnectedAccount.objects.active().on_host(self._host).order_by("created_at", "pk")


def _spec(row: tuple[Any, ...], now: datetime) -> SessionSpec:
    account_id, user_id, name, login, server, currency, *rest = row
    key_id, key_status, rotated_at, expires_at, *rest = rest
    is_wanted, state, since, reason, message, retries, next_attempt_at = rest
    return SessionSpec(
        account_id=account_id,
        user_id=user_id,
        account_name=name,
        login=login,
        server=server,
        currency=currency,
        key_mark=_key_mark(key_id, key_status, rotated_at, expires_at, now),
        is_wanted=bool(is_wanted),
        state=state or ConnectionState.DISCONNECTED.value,
        since=since,
        reason=reason or "",
        message=message or "",
        retries=retries or 0,
        next_attempt_at=next_attempt_at,
    )


def _key_mark(
    key_id: UUID | None,
    status: str | None,
    rotated_at: datetime | None,
    expires_at: datetime | None,
    now: datetime,
) -> str:
    """Name what a login depends on; a key that is renamed, counted or verified stays the same."""
    is_over = expires_at is not None and expires_at <= now
    # The same before and after somebody has marked it: once is enough to end the session.
    status = ApiKey.Status.EXPIRED.value if is_over else status
    return f"{key_id}:{status}:{rotated_at.isoformat() if rotated_at else ''}"
