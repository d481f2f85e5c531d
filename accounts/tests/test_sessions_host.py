"""The sessions of a host with the database on one side and the trade server on the other."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection

from accounts.models import AccountConnection, ApiKey, ConnectedAccount, ConnectionLog, TerminalHost
from accounts.services.connections import request_connect, request_disconnect
from accounts.sessions import process
from accounts.sessions.host import HostSessions
from accounts.sessions.poll import Poll
from accounts.sessions.states import SessionState
from accounts.terminals import registry
from accounts.terminals.simulated.calls import BrokerCalls
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.server import TradeServer
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.process import BrokerService
from accounts.tests.factories import NOW, SECRET, make_account, make_user

SERVER = "Example-Demo"
TICK_SECONDS = 0.2


class Worker:
    """A worker of the host `local`, whose clock the test moves."""

    def __init__(self, server: Any, seconds: float = 0.0, **options: Any) -> None:
        self.seconds = seconds
        options = {"is_inline": True, "random": lambda: 0.5, **options}
        self.sessions = HostSessions("local", server, **options)

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def tick(self) -> Poll:
        poll = self.sessions.poll(self.now, self.seconds)
        self.sessions.flush()
        self.sessions.commit_cursors()
        self.seconds = round(self.seconds + TICK_SECONDS, 6)
        return poll

    def run(self, seconds: float) -> list[Poll]:
        return [self.tick() for _ in range(round(seconds / TICK_SECONDS))]


@pytest.fixture
def server() -> TradeServer:
    return TradeServer(clock=NOW.timestamp, feed=False)


def watched(server: BrokerCalls, user: Any = None, **fields: Any) -> ConnectedAccount:
    account = make_account(
        user or make_user(), server=SERVER, with_key=True, state="connecting", **fields
    )
    server.create_account(account.login, SECRET, SERVER, account.name, deposit=10_000.0)
    return account


def state_of(account: ConnectedAccount) -> str:
    return AccountConnection.objects.get(account=account).state


def log_of(account: ConnectedAccount) -> list[tuple[str, str, str]]:
    rows = ConnectionLog.objects.filter(account_id=account.pk).order_by("id")
    return list(rows.values_list("from_state", "to_state", "reason"))


@pytest.mark.django_db
class TestFollowingTheDatabase:
    def test_it_connects_what_is_wanted(self, server: TradeServer) -> None:
        account = watched(server)
        worker = Worker(server)
        poll = worker.run(0.4)[-1]
        assert poll.account_ids == (account.pk,)
        assert poll.accepted_now[0]
        assert state_of(account) == "connected"
        assert log_of(account) == [("connecting", "connected", "")]

    def test_it_logs_a_change_once_not_per_tick(self, server: TradeServer) -> None:
        account = watched(server)
        worker = Worker(server)
        worker.run(5)
        server.set_fault(account.login, FaultKind.CUT_FROM_BROKER)
        worker.run(60)
        server.clear_fault(account.login)
        worker.run(1)
        assert log_of(account) == [
            ("connecting", "connected", ""),
            ("connected", "error", "broker_connection_lost"),
            ("error", "connected", ""),
        ]

    def test_it_finds_a_wish_without_a_message_within_a_second(self, server: TradeServer) -> None:
        account = watched(server)
        request_disconnect(account=account, now=NOW)
        worker = Worker(server)
        worker.run(2)
        request_connect(account=account, now=worker.now)
        worker.run(1.6)
        assert state_of(account) == "connected"
        request_disconnect(account=account, now=worker.now)
        poll = worker.run(1.2)[-1]
        assert poll.states[0] == SessionState.DISCONNECTED
        assert state_of(account) == "disconnected"
        assert [step[:2] for step in log_of(account)] == [
            ("connecting", "disconnected"),
            ("disconnected", "connecting"),
            ("connecting", "connected"),
            ("connected", "disconnected"),
        ]

    def test_a_message_makes_it_look_at_once(self, server: TradeServer) -> None:
        account = watched(server)
        worker = Worker(server)
        worker.run(2)
        request_disconnect(account=account, now=worker.now)
        worker.sessions.nudge(account.pk)
        assert worker.tick().states[0] == SessionState.DISCONNECTED

    def test_a_person_ends_the_wait_after_a_wrong_password(self, server: TradeServer) -> None:
        account = watched(server)
        server.change_password(account.login, "another")
        worker = Worker(server)
        worker.run(10)
        row = AccountConnection.objects.get()
        assert (row.state, row.reason) == ("error", "wrong_password")
        assert row.next_attempt_at is not None
        key: Any = account.api_key
        key.secret, key.rotated_at = "another", worker.now
        key.save(update_fields=["secret", "rotated_at", "updated_at"])
        worker.run(2)
        assert state_of(account) == "connected"

    def test_new_and_deleted_accounts_are_found(self, server: TradeServer) -> None:
        first = watched(server)
        worker = Worker(server)
        worker.run(1)
        second = watched(server, first.user)
        polls = worker.run(2)
        assert polls[-1].account_ids == (first.pk, second.pk)
        assert polls[-1].accepted_now.all()
        first.delete()
        assert worker.run(1.2)[-1].account_ids == (second.pk,)
        second.is_active = False
        second.save(update_fields=["is_active", "updated_at"])
        assert worker.run(1.2)[-1].account_ids == ()

    def test_it_leaves_other_hosts_alone(self, server: TradeServer) -> None:
        watched(server, terminal_host=TerminalHost.objects.create(name="other"))
        assert Worker(server).run(0.4)[-1].account_ids == ()

    def test_it_asks_the_database_once_a_second(
        self, server: TradeServer, django_assert_num_queries: Any
    ) -> None:
        watched(server)
        worker = Worker(server)
        worker.run(3)
        with django_assert_num_queries(2):  # the fingerprint, and nothing when it has not moved
            worker.run(2)

    def test_it_starts_after_the_deals_that_are_stored(self, server: TradeServer) -> None:
        account = watched(server)
        (first,) = [deal["ticket"] for deal in Worker(server).run(0.4)[-1].deals]
        asked: list[Sequence[UUID]] = []

        def load_cursors(account_ids: Sequence[UUID]) -> dict[UUID, int]:
            asked.append(account_ids)
            return {account.pk: int(first)}

        worker = Worker(server, load_cursors=load_cursors)
        assert all(len(poll.deals) == 0 for poll in worker.run(3))
        assert asked == [[account.pk]]

    def test_a_database_that_is_away_stops_no_reading(self, server: TradeServer) -> None:
        watched(server)
        worker = Worker(server)
        worker.run(1)

        def away(*arguments: Any) -> Any:
            raise OperationalError("the database is away")

        with connection.execute_wrapper(away):
            polls = [worker.sessions.poll(worker.now, worker.seconds + i) for i in range(3)]
        assert all(poll.accepted_now[0] for poll in polls)


@pytest.mark.django_db
class TestLoggingIn:
    def test_a_wrong_password_is_told_in_words(self, server: TradeServer) -> None:
        account = watched(server)
        server.change_password(account.login, "another")
        Worker(server).run(3)
        row = AccountConnection.objects.get()
        assert (row.state, row.reason) == ("error", "wrong_password")
        assert row.last_error.startswith("The broker refused the login")
        assert SECRET not in row.last_error

    @pytest.mark.parametrize("status", ["inactive", "revoked", "expired"])
    def test_a_key_out_of_use_is_not_opened(self, server: TradeServer, status: str) -> None:
        watched(server)
        ApiKey.objects.filter(status="active").update(
            status=status, **({"secret": None} if status == "revoked" else {})
        )
        Worker(server).run(1)
        assert AccountConnection.objects.get().reason == "credentials_missing"

    def test_an_account_without_a_key_says_so(self, server: TradeServer) -> None:
        make_account(make_user(), state="connecting")
        Worker(server).run(1)
        assert AccountConnection.objects.get().reason == "credentials_missing"

    def test_a_key_that_does_not_open_says_so(self, server: TradeServer, settings: Any) -> None:
        watched(server)
        settings.MASTER_KEY = "another master key, long enough to be one"
        Worker(server).run(1)
        assert AccountConnection.objects.get().reason == "credentials_unreadable"

    def test_credentials_are_read_in_one_query(
        self, server: TradeServer, django_assert_num_queries: Any
    ) -> None:
        alice = make_user()
        for _ in range(5):
            watched(server, alice)
        worker = Worker(server)
        # Fingerprint, accounts, credentials; the uses are one update and one insert in a savepoint.
        with django_assert_num_queries(7):
            worker.sessions.poll(worker.now, 0.0)

    def test_a_failure_while_logging_in_does_not_show_the_password(
        self, server: TradeServer, caplog: pytest.LogCaptureFixture, monkeypatch: Any
    ) -> None:
        watched(server)

        def fail(credentials: Any) -> Any:
            raise ValueError(f"cannot send {credentials}")

        monkeypatch.setattr(server, "authorise_many", fail)
        Worker(server).run(1)
        assert AccountConnection.objects.get().reason == "connect_failed"
        assert SECRET not in caplog.text
        assert SECRET not in AccountConnection.objects.get().last_error
        assert "ValueError" in caplog.text

    def test_a_host_without_terminals_says_so(self) -> None:
        make_account(make_user(), state="connecting", with_key=True)
        Worker(registry.NoTerminals()).run(1)
        row = AccountConnection.objects.get()
        assert (row.state, row.reason) == ("error", "terminal_not_found")
        assert row.last_error == "This worker has no MetaTrader 5 terminals."


@pytest.mark.django_db
class TestRestart:
    def test_sessions_come_back_by_themselves(self, server: TradeServer) -> None:
        account = watched(server)
        Worker(server).run(1)
        successor = Worker(server, seconds=10)
        polls = successor.run(0.6)
        assert polls[-1].accepted_now[0]
        assert log_of(account)[1:] == [
            ("connected", "connecting", "restored"),
            ("connecting", "connected", ""),
        ]

    def test_what_was_disconnected_stays_so(self, server: TradeServer) -> None:
        account = watched(server)
        request_disconnect(account=account, now=NOW)
        polls = Worker(server).run(2)
        assert all(poll.states[0] == SessionState.DISCONNECTED for poll in polls)

    def test_a_restart_does_not_hammer_a_refused_login(self, server: TradeServer) -> None:
        account = watched(server)
        server.change_password(account.login, "another")
        worker = Worker(server)
        worker.run(3)
        due_at = AccountConnection.objects.get().next_attempt_at
        assert due_at is not None
        server.change_password(account.login, SECRET)
        wait = (due_at - NOW).total_seconds()
        successor = Worker(server, seconds=5)
        successor.run(wait - 5 - 1)
        assert state_of(account) == "error"
        successor.run(2)
        assert state_of(account) == "connected"

    def test_an_error_that_may_have_passed_is_tried_at_once(self, server: TradeServer) -> None:
        account = watched(server)
        AccountConnection.objects.update(
            state="error", reason="no_answer", retries=9, next_attempt_at=NOW + timedelta(hours=1)
        )
        Worker(server).run(2)
        assert state_of(account) == "connected"


@pytest.mark.django_db
class TestProcess:
    @pytest.fixture(autouse=True)
    def clean(self) -> Iterator[None]:
        yield
        process.close_sessions("local")
        registry.unregister("local")

    def test_it_opens_the_sessions_of_a_host_once(self, server: TradeServer) -> None:
        registry.register("local", server)
        sessions = process.open_sessions("local", is_inline=True)
        assert TerminalHost.objects.filter(pk="local").exists()
        assert process.open_sessions("local") is sessions
        assert process.sessions_of("local") is sessions
        assert sessions.source is server
        process.close_sessions("local")
        assert process.sessions_of("local") is None

    def test_real_terminals_are_not_pretended(self) -> None:
        TerminalHost.objects.create(name="local", kind=TerminalHost.Kind.METATRADER5)
        sessions = process.open_sessions("local", is_inline=True)
        assert isinstance(sessions.source, registry.NoTerminals)

    def test_a_broker_that_does_not_run_fails_fast(self) -> None:
        account = make_account(make_user(), state="connecting", with_key=True)
        sessions = process.open_sessions("local", is_inline=True)
        sessions.poll(NOW, 0.0)
        sessions.flush()
        assert AccountConnection.objects.get(account=account).reason == "terminal_not_found"


@pytest.mark.django_db
def test_sessions_outlive_a_broker_process_that_ends_and_returns(
    tmp_path: Path,
) -> None:
    service = BrokerService(TradeServer(clock=NOW.timestamp, feed=False, home=tmp_path), tmp_path)
    service.start()
    broker = RemoteBroker(tmp_path / "broker.json")
    account = watched(broker)
    worker = Worker(registry.source_of("local", "simulated", tmp_path))
    try:
        assert worker.run(0.4)[-1].accepted_now[0]
        service.stop()
        assert worker.run(2.2)[-1].states[0] == SessionState.ERROR
        service = BrokerService(TradeServer(clock=NOW.timestamp, home=tmp_path), tmp_path)
        service.start()
        assert worker.run(70)[-1].accepted_now[0]
    finally:
        broker.close()
        worker.sessions.source.close()  # type: ignore[attr-defined]  # a RemoteBroker
        service.stop()
    assert [step[1:] for step in log_of(account)] == [
        ("connected", ""),
        ("error", "terminal_not_found"),
        ("connected", ""),
    ]


@pytest.mark.django_db(transaction=True)
def test_with_threads_of_its_own_the_poll_waits_for_nobody(server: TradeServer) -> None:
    account = watched(server)
    gate = Event()

    class SlowLogin:
        read_batch = server.read_batch
        call = server.call

        def authorise_many(self, credentials: Any) -> list[int]:
            assert gate.wait(30)
            return server.authorise_many(credentials)

    worker = Worker(SlowLogin(), is_inline=False)
    try:
        until(lambda: len(worker.tick().account_ids) == 1)
        assert worker.tick().states[0] == SessionState.CONNECTING
        gate.set()
        until(lambda: bool(worker.tick().accepted_now.any()))
    finally:
        worker.sessions.close()
        for job in worker.sessions._jobs.values():
            job.executor.shutdown(wait=True)
    assert state_of(account) == "connected"


def until(condition: Any) -> None:
    for _ in range(2000):
        if condition():
            return
        Event().wait(0.005)
    raise AssertionError("it never came about")
