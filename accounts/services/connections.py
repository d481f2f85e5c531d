"""Asking for a connection. The web process touches no terminal: it writes what is wanted, and the
worker of the account's host brings it about.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import AccountConnection, ConnectedAccount, ConnectionLog
from accounts.models.connection import ConnectionState
from accounts.publishing import publish_dashboard_on_commit
from accounts.sessions.states import Reason
from accounts.task_messages import TaskMessage, enqueue

# After this the worker has found the request in the database by itself.
_MESSAGE_SECONDS = 30.0
_TICK_SECONDS = 2.0
_WRITTEN = [
    "is_wanted",
    "state",
    "since",
    "reason",
    "last_error",
    "retries",
    "next_attempt_at",
]


@transaction.atomic
def request_connect(*, account: ConnectedAccount, now: datetime) -> AccountConnection:
    """Ask the account's host to connect it; one that is connected stays so."""
    connection = _locked(account, now)
    is_connected = connection.state == ConnectionState.CONNECTED and connection.is_wanted
    if not is_connected:
        _move(account, connection, ConnectionState.CONNECTING, now)
    connection.is_wanted = True
    connection.save(update_fields=_WRITTEN)
    _send_on_commit(account)
    publish_dashboard_on_commit(account.user_id)
    return connection


@transaction.atomic
def request_disconnect(
    *, account: ConnectedAccount, now: datetime, reason: Reason = Reason.REQUESTED
) -> AccountConnection:
    """Ask the account's host to end its session; its last reading grows stale.

    A `reason` of its own is what the page gives for the account being disconnected.
    """
    connection = _locked(account, now)
    if connection.state != ConnectionState.DISCONNECTED:
        _move(account, connection, ConnectionState.DISCONNECTED, now, reason)
    connection.is_wanted = False
    connection.save(update_fields=_WRITTEN)
    _send_on_commit(account)
    publish_dashboard_on_commit(account.user_id)
    return connection


def request_look(*, accounts: Iterable[ConnectedAccount]) -> None:
    """Have the hosts of these accounts look at once at what their database rows say."""
    for account in accounts:
        _send_on_commit(account)


def request_evaluation(*, accounts: Iterable[ConnectedAccount]) -> None:
    """Ask the hosts of these accounts for a tick out of turn."""
    for host in sorted({account.terminal_host_id for account in accounts}):
        _send("tradeguard.tick", host, host, expires=_TICK_SECONDS)


def _locked(account: ConnectedAccount, now: datetime) -> AccountConnection:
    # An account that was deleted meanwhile gets no row that would hang in the air.
    ConnectedAccount.objects.select_for_update().only("pk").get(pk=account.pk)
    connection, _ = AccountConnection.objects.select_for_update().get_or_create(
        account=account, defaults={"since": now}
    )
    return connection


def _move(
    account: ConnectedAccount,
    connection: AccountConnection,
    state: ConnectionState,
    now: datetime,
    reason: Reason = Reason.REQUESTED,
) -> None:
    """Change the state and log it; asked twice, it is logged once."""
    if connection.state != state:
        ConnectionLog.objects.create(
            account_id=account.pk,
            user_id=account.user_id,
            account_name=account.name,
            from_state=connection.state,
            to_state=state,
            reason=reason,
            message=reason.sentence,
            created_at=now,
        )
    # The worker takes a later `since` for a newer wish, also when its clock is ahead of ours.
    connection.since = max(now, connection.since + timedelta(microseconds=1))
    connection.state = state
    connection.reason = reason
    connection.last_error = "" if reason is Reason.REQUESTED else reason.sentence
    connection.retries, connection.next_attempt_at = 0, None


def _send_on_commit(account: ConnectedAccount) -> None:
    host, account_id = account.terminal_host_id, str(account.pk)

    def send() -> None:
        _send("accounts.apply_connection", host, account_id, expires=_MESSAGE_SECONDS)

    # Robust: should the message be lost, the worker finds the wish in the database.
    transaction.on_commit(send, robust=True)


def _send(task: str, host: str, argument: str, *, expires: float) -> None:
    enqueue(TaskMessage(task, [argument], f"terminals.{host}", expires))
