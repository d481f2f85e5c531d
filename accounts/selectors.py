import logging
import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db.models import Case, Max, OuterRef, QuerySet, Subquery, When
from redis import RedisError

from accounts.health import LONGEST_WINDOW, Change, Health, health_of
from accounts.hot_state import AccountState, read_accounts
from accounts.models import (
    AccountConnection,
    ConnectedAccount,
    ConnectionLog,
    Deal,
    EquitySnapshot,
    User,
)
from accounts.models.connection import ConnectionState
from accounts.sessions.states import Reason
from accounts.terminals.readings import STALE_AFTER_SECONDS

ONE_MINUTE = timedelta(minutes=1)

logger = logging.getLogger(__name__)


def last_states(accounts: Iterable[ConnectedAccount]) -> dict[UUID, AccountState]:
    """Return what the last tick left of these accounts; without Redis nothing is known of any."""
    by_host: dict[str, list[UUID]] = defaultdict(list)
    for account in accounts:
        by_host[account.terminal_host_id].append(account.pk)
    try:
        return read_accounts(by_host)
    except RedisError as error:
        logger.warning("The readings of the accounts are not known: %s", error)
        return {}


def accounts_of(user: User) -> QuerySet[ConnectedAccount]:
    """Return the user's accounts with their connections and tags."""
    return (
        ConnectedAccount.objects.owned_by(user)
        .select_related("connection")
        .prefetch_related("tags")
    )


def connection_log(account: ConnectedAccount) -> QuerySet[ConnectionLog]:
    """Return the changes of an account's connection, newest first."""
    return ConnectionLog.objects.filter(account_id=account.pk, user_id=account.user_id)


def deals_of(account: ConnectedAccount) -> QuerySet[Deal]:
    """Return the deals of the login that the account has now, newest first."""
    return Deal.objects.filter(account=account, server=account.server, login=account.login)


def equity_of(account: ConnectedAccount) -> QuerySet[EquitySnapshot]:
    """Return the snapshots of the login that the account has now, oldest first."""
    return EquitySnapshot.objects.filter(
        account=account, server=account.server, login=account.login
    )


def connection_health(
    account: ConnectedAccount, state: AccountState | None, *, now: datetime
) -> Health:
    """Work out how well an account's connection holds; one query, however long its log."""
    connection = getattr(account, "connection", None)
    return health_of(
        _changes(account, since=now - LONGEST_WINDOW),
        state=connection.state if connection else ConnectionState.DISCONNECTED,
        created_at=account.created_at,
        read_until=_proven_until(account, state, connection),
        now=now,
    )


def _changes(account: ConnectedAccount, *, since: datetime) -> list[Change]:
    last_minutes = EquitySnapshot.objects.filter(
        account=OuterRef("account_id"),
        resolution=EquitySnapshot.Resolution.MINUTE,
        at__lt=OuterRef("created_at"),
    ).order_by("-at")
    log = connection_log(account).filter(created_at__gte=since)
    restored = When(reason=Reason.RESTORED, then=Subquery(last_minutes.values("at")[:1]))
    rows = log.annotate(last_minute=Case(restored)).order_by("created_at", "id")
    return [
        Change(
            at=row.created_at,
            from_state=row.from_state,
            to_state=row.to_state,
            reason=row.reason,
            message=row.message,
            read_until=None if row.last_minute is None else row.last_minute + ONE_MINUTE,
        )
        for row in rows
    ]


def _proven_until(
    account: ConnectedAccount, state: AccountState | None, connection: AccountConnection | None
) -> datetime | None:
    """Return until when readings have shown that a session is connected; a fresh one still does."""
    read_at = float(state.account["read_at"]) if state is not None else math.nan
    if not math.isnan(read_at):
        return datetime.fromtimestamp(read_at + STALE_AFTER_SECONDS, UTC)
    if connection is None or connection.state != ConnectionState.CONNECTED:
        return None
    # Nothing is known of its readings now; the last minute that was recorded tells of earlier ones.
    last = EquitySnapshot.objects.filter(
        account=account, resolution=EquitySnapshot.Resolution.MINUTE
    ).aggregate(at=Max("at"))["at"]
    return connection.since if last is None else last + ONE_MINUTE
