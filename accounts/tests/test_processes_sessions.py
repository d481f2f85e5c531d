"""The sessions of a host over child processes, with the states and reasons in the database."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.models import AccountConnection, ConnectedAccount, ConnectionLog, TerminalHost
from accounts.sessions import process
from accounts.sessions.host import HostSessions
from accounts.terminals.processes.keeper import Limits
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.factories import SECRET, make_account, make_host, make_user
from accounts.tests.terminal_host import SERVER, TerminalDesk, terminal_desk

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.django_db,
]
LIMITS = Limits(silence=0.5, silence_kill=2.5)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[TerminalDesk]:
    with terminal_desk(tmp_path, limits=LIMITS) as made:
        yield made


class Worker:
    """Ticks in real time, for the processes have clocks of their own."""

    def __init__(self, desk: TerminalDesk) -> None:
        self.sessions = HostSessions("local", desk.source, is_inline=True, random=lambda: 0.1)
        self.polls: list[Any] = []

    def tick(self) -> Any:
        poll = self.sessions.poll(timezone.now(), time.monotonic())
        self.sessions.flush()
        self.sessions.commit_cursors()
        self.polls.append(poll)
        time.sleep(0.05)
        return poll

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "It did not come about in time."
            self.tick()


def watched(desk: TerminalDesk, name: str = "Alpha 1", **fields: Any) -> ConnectedAccount:
    user = fields.pop("user", None) or make_user()
    account = make_account(user, name, server=SERVER, with_key=True, state="connecting", **fields)
    desk.server.create_account(account.login, SECRET, SERVER, name, deposit=10_000.0)
    return account


def connection_of(account: ConnectedAccount) -> AccountConnection:
    return AccountConnection.objects.get(account=account)


def is_in(account: ConnectedAccount, state: str) -> Callable[[], bool]:
    return lambda: connection_of(account).state == state


def reasons(account: ConnectedAccount) -> list[tuple[str, str]]:
    rows = ConnectionLog.objects.filter(account_id=account.pk).order_by("id")
    return list(rows.values_list("to_state", "reason"))


def test_it_connects_delivers_the_deals_once_and_disconnects(desk: TerminalDesk) -> None:
    account, worker = watched(desk), Worker(desk)
    worker.until(is_in(account, "connected"))
    for _ in range(5):
        worker.tick()
    told = [deal["ticket"] for poll in worker.polls for deal in poll.deals]
    assert len(told) == 1
    accepted = [poll for poll in worker.polls if len(poll.accepted_now) and poll.accepted_now[0]]
    assert all(poll.batch.accounts["balance"][0] == 10_000.0 for poll in accepted)
    assert reasons(account) == [("connected", "")]


def test_no_secret_is_in_a_childs_arguments_environment_or_log(
    desk: TerminalDesk, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("TRADEGUARD_MASTER_KEY", "SECRET_KEY", "DATABASE_URL"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    user = make_user()
    account, refused = watched(desk, user=user), watched(desk, "Alpha 2", user=user)
    desk.server.change_password(refused.login, "another")
    worker = Worker(desk)
    worker.until(lambda: is_in(account, "connected")() and is_in(refused, "error")())
    pids = desk.source.processes().values()
    assert pids
    shown = [
        Path(f"/proc/{pid}/{name}").read_bytes() for pid in pids for name in ("cmdline", "environ")
    ]
    assert any(b"LOG_LEVEL=DEBUG" in text for text in shown)
    assert not any(SECRET.encode() in text for text in shown)
    log = capfd.readouterr().err
    assert f"Logged in to {account.login}" in log
    assert SECRET not in log


def test_a_number_is_never_shown_younger_than_it_is(desk: TerminalDesk) -> None:
    account, worker = watched(desk), Worker(desk)
    worker.until(is_in(account, "connected"))
    os.kill(desk.source.processes()[account.login], signal.SIGSTOP)
    stopped = time.monotonic()
    time.sleep(0.3)
    poll = worker.tick()
    assert poll.age_seconds[0] >= poll.monotonic - stopped
    assert timezone.now().timestamp() - poll.read_at[0] >= poll.monotonic - stopped


def test_a_hanging_child_is_lost_and_comes_back_while_the_other_goes_on(
    desk: TerminalDesk,
) -> None:
    user = make_user()
    account, other = watched(desk, user=user), watched(desk, "Alpha 2", user=user)
    worker = Worker(desk)
    worker.until(lambda: is_in(account, "connected")() and is_in(other, "connected")())
    os.kill(desk.source.processes()[account.login], signal.SIGSTOP)
    worker.until(is_in(account, "error"))
    assert connection_of(account).reason in ("no_answer", "terminal_not_found")
    worker.until(is_in(account, "connected"))
    assert reasons(other) == [("connected", "")]


def test_a_wrong_account_is_named(desk: TerminalDesk) -> None:
    user = make_user()
    account, other = watched(desk, user=user), watched(desk, "Alpha 2", user=user)
    worker = Worker(desk)
    worker.until(lambda: is_in(account, "connected")() and is_in(other, "connected")())
    desk.server.set_fault(account.login, FaultKind.WRONG_ACCOUNT, peer=other.login)
    worker.until(lambda: connection_of(account).reason == "wrong_account")
    shown = worker.polls[-1].batch.accounts
    assert sorted(shown["login"].tolist()) == sorted([account.login, other.login])


def test_a_refused_password_is_named(desk: TerminalDesk) -> None:
    account, worker = watched(desk), Worker(desk)
    desk.server.change_password(account.login, "another one")
    worker.until(lambda: connection_of(account).reason == "wrong_password")


def test_a_second_account_of_the_same_number_is_refused_with_a_sentence(
    desk: TerminalDesk,
) -> None:
    user = make_user()
    account = watched(desk, user=user)
    worker = Worker(desk)
    worker.until(is_in(account, "connected"))
    twin = make_account(
        user, "Twin", server="Other-Live", login=account.login, with_key=True, state="connecting"
    )
    worker.sessions.nudge(twin.pk)
    worker.until(is_in(twin, "error"))
    assert "needs another host." in connection_of(twin).last_error
    assert connection_of(account).state == "connected"


def test_a_host_of_real_terminals_names_what_is_missing(tmp_path: Path, settings: Any) -> None:
    settings.TERMINALS_HOME, settings.TERMINAL_MODULE = str(tmp_path), "metatrader5"
    call_command("terminal_host", "local", "--kind", "metatrader5", verbosity=0)
    account = make_account(
        make_user(), server=SERVER, with_key=True, state="connecting", terminal_host=make_host()
    )
    sessions = process.open_sessions("local", is_inline=True)
    try:
        deadline = time.monotonic() + 10.0
        while connection_of(account).state != "error":
            assert time.monotonic() < deadline
            sessions.poll(timezone.now(), time.monotonic())
            sessions.flush()
        found = connection_of(account)
        assert found.reason == "terminal_not_found"
        assert f"{SERVER}-{account.login}" in found.last_error
        assert "terminal64.exe is missing" in found.last_error
    finally:
        process.close_sessions("local")


def test_real_terminals_are_for_the_process_that_watches_them(
    tmp_path: Path, settings: Any
) -> None:
    settings.TERMINALS_HOME, settings.TERMINAL_MODULE = str(tmp_path), "metatrader5"
    call_command("terminal_host", "local", "--kind", "metatrader5", verbosity=0)
    assert process.terminals_of("local") is None
    sessions = process.open_sessions("local", is_inline=True)
    try:
        assert process.terminals_of("local") is sessions.source
    finally:
        process.close_sessions("local")
    assert process.terminals_of("local") is None


def test_a_host_that_is_being_watched_keeps_its_kind() -> None:
    make_account(make_user(), state="connected")
    with pytest.raises(CommandError, match="Disconnect"):
        call_command("terminal_host", "local", "--kind", "metatrader5", verbosity=0)
    assert TerminalHost.objects.get(name="local").kind == "simulated"
