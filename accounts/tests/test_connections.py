from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from accounts.models import AccountConnection, ConnectedAccount, ConnectionLog
from accounts.models.connection import ConnectionState
from accounts.services import connections
from accounts.services.connections import (
    request_connect,
    request_disconnect,
    request_evaluation,
)
from accounts.sessions import process
from accounts.task_messages import TaskMessage
from accounts.tasks import apply_connection
from accounts.tests.factories import NOW, make_account, make_host, make_user

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def account() -> ConnectedAccount:
    return make_account(make_user())


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any, str]]:
    messages: list[tuple[str, Any, str]] = []

    def put(message: TaskMessage) -> bool:
        messages.append((message.task, list(message.arguments), message.queue))
        return True

    monkeypatch.setattr(connections, "enqueue", put)
    return messages


def test_it_records_the_wish_and_tells_the_host(
    account: ConnectedAccount, sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        connection = request_connect(account=account, now=LATER)
        assert sent == []  # not before the wish can be read
    assert (connection.is_wanted, connection.state) == (True, ConnectionState.CONNECTING)
    assert connection.since == LATER
    assert sent == [("accounts.apply_connection", [str(account.pk)], "terminals.local")]
    log = ConnectionLog.objects.get()
    assert (log.account_id, log.user_id) == (account.pk, account.user_id)
    assert (log.from_state, log.to_state) == ("disconnected", "connecting")
    assert (log.reason, log.created_at) == ("requested", LATER)


def test_asked_twice_it_is_logged_once_and_still_newer(account: ConnectedAccount) -> None:
    first = request_connect(account=account, now=LATER)
    second = request_connect(account=account, now=LATER)
    assert second.since > first.since
    assert ConnectionLog.objects.count() == 1


def test_it_leaves_a_connected_account_connected() -> None:
    account = make_account(make_user(), state=ConnectionState.CONNECTED)
    assert request_connect(account=account, now=LATER).state == ConnectionState.CONNECTED
    assert AccountConnection.objects.get().since == NOW
    assert not ConnectionLog.objects.exists()


def test_it_clears_an_error(account: ConnectedAccount) -> None:
    AccountConnection.objects.update(
        is_wanted=True,
        state="error",
        reason="wrong_password",
        last_error="Refused.",
        retries=4,
        next_attempt_at=LATER,
    )
    connection = request_connect(account=account, now=LATER)
    connection.refresh_from_db()
    assert (connection.state, connection.last_error, connection.retries) == ("connecting", "", 0)
    assert connection.next_attempt_at is None


def test_it_ends_a_connection(account: ConnectedAccount) -> None:
    request_connect(account=account, now=NOW)
    connection = request_disconnect(account=account, now=LATER)
    connection.refresh_from_db()
    assert (connection.is_wanted, connection.state) == (False, ConnectionState.DISCONNECTED)
    assert ConnectionLog.objects.order_by("id").values_list("to_state", flat=True)[1] == (
        "disconnected"
    )


def test_disconnecting_what_is_disconnected_says_nothing(account: ConnectedAccount) -> None:
    request_disconnect(account=account, now=LATER)
    assert not ConnectionLog.objects.exists()


def test_an_account_without_a_connection_row_gets_one(account: ConnectedAccount) -> None:
    AccountConnection.objects.all().delete()
    request_connect(account=account, now=LATER)
    assert AccountConnection.objects.get().is_wanted


def test_the_wish_stands_when_the_message_cannot_be_sent(
    account: ConnectedAccount,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise RedisConnectionError

    monkeypatch.setattr(connections, "enqueue", fail)
    with django_capture_on_commit_callbacks(execute=True):
        request_connect(account=account, now=LATER)
    assert AccountConnection.objects.get().is_wanted


def test_it_asks_each_host_once_for_a_tick(sent: list[Any]) -> None:
    alice = make_user()
    other = make_host("other")
    accounts = [make_account(alice), make_account(alice), make_account(alice, terminal_host=other)]
    request_evaluation(accounts=accounts)
    assert sent == [
        ("tradeguard.tick", ["local"], "terminals.local"),
        ("tradeguard.tick", ["other"], "terminals.other"),
    ]


def test_the_task_nudges_the_sessions_of_its_process(
    account: ConnectedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudged: list[Any] = []

    class Sessions:
        def nudge(self, account_id: Any) -> None:
            nudged.append(account_id)

    monkeypatch.setitem(process._held, "local", Sessions())
    apply_connection(str(account.pk))
    assert nudged == [account.pk]
