"""Child processes beside a simulated broker: reading, logging in, orders, and what goes wrong."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from accounts.terminals.codes import AUTHORIZATION_FAILED, CALL_FAILED, IPC_NOT_STARTED
from accounts.terminals.processes.failures import AnswerLostError, CallRefusedError
from accounts.terminals.processes.folders import folder_name
from accounts.terminals.processes.keeper import Limits
from accounts.terminals.processes.programs import TerminalPrograms
from accounts.terminals.processes.seats import HEALTHY_SECONDS, Seat
from accounts.terminals.processes.source import ChildProcesses
from accounts.terminals.readings import Outcome
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.terminal_host import (
    PASSWORD,
    SERVER,
    TerminalDesk,
    in_thread,
    is_running,
    strange_program,
    terminal_desk,
    wait_for,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
ANSWERED, SILENT, GONE, REFUSED = (
    int(each) for each in (Outcome.ANSWERED, Outcome.SILENT, Outcome.NO_TERMINAL, Outcome.REFUSED)
)
BUY = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[TerminalDesk]:
    with terminal_desk(tmp_path) as made:
        yield made


def test_it_reads_what_the_broker_knows(desk: TerminalDesk) -> None:
    desk.connected(1001, 1002)
    batch = desk.read(1002, 1001, 7)
    assert batch.accounts["login"].tolist() == [1002, 1001, 0]
    assert batch.accounts["outcome"].tolist() == [ANSWERED, ANSWERED, GONE]
    assert batch.accounts["balance"].tolist() == [10_000.0, 10_000.0, 0.0]
    assert [batch.servers[place] for place in batch.accounts["server"][:2]] == [SERVER] * 2
    assert batch.deals["account"].tolist() == [0, 1]


def test_it_sends_an_order_and_shows_its_position_price_and_deal(desk: TerminalDesk) -> None:
    desk.connected(1001)
    before = desk.read(1001).accounts["last_deal"][0]
    answer = desk.source.call("order_send", 1001, BUY)
    assert answer[0] == 10009
    wait_for(lambda: len(desk.read(1001).positions) == 1)
    batch = desk.read(1001, cursors=[before])
    assert batch.symbols[batch.positions["symbol"][0]] == "EURUSD"
    assert batch.positions["ticket"].tolist() == [answer[2]]
    assert batch.deals["ticket"].tolist() == [answer[1]]
    assert batch.prices["server"].tolist() == [0]
    assert len(desk.read(1001, cursors=[answer[1]]).deals) == 0


def test_a_reader_that_is_ahead_takes_no_deals_from_one_that_is_behind(desk: TerminalDesk) -> None:
    desk.connected(1001)
    desk.server.deposit(1001, 5.0)
    wait_for(lambda: len(desk.read(1001).deals) == 2)
    first, second = desk.read(1001).deals["ticket"].tolist()

    for _ in range(20):
        assert desk.read(1001, cursors=[second]).deals["ticket"].tolist() == []
        assert desk.read(1001, cursors=[first]).deals["ticket"].tolist() == [second]
        assert desk.outcomes(1001) == [ANSWERED]


def test_a_reader_that_falls_behind_keeps_no_other_waiting(
    desk: TerminalDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.terminals.processes.source.CURSOR_SECONDS", 0.0)
    desk.connected(1001)
    newest = int(desk.read(1001).accounts["last_deal"][0])
    ahead = [newest]
    wait_for(lambda: desk.read(1001, cursors=ahead).accounts["outcome"][0] == ANSWERED)

    assert desk.outcomes(1001) == [SILENT]
    assert desk.read(1001, cursors=ahead).accounts["outcome"].tolist() == [ANSWERED]

    monkeypatch.undo()
    wait_for(lambda: desk.outcomes(1001) == [ANSWERED])
    assert desk.read(1001).deals["ticket"].tolist() == [newest]
    assert desk.read(1001, cursors=ahead).deals["ticket"].tolist() == []


def test_two_readers_at_their_own_pace_get_every_deal_once(desk: TerminalDesk) -> None:
    desk.connected(1001)
    wait_for(lambda: len(desk.read(1001).deals) == 1)
    got: dict[str, list[int]] = {"tick": [], "watch": []}
    cursors = {"tick": 0, "watch": 0}

    def look(reader: str) -> None:
        batch = desk.read(1001, cursors=[cursors[reader]])
        if batch.accounts["outcome"][0] == ANSWERED and len(batch.deals):
            got[reader] += batch.deals["ticket"].tolist()
            cursors[reader] = got[reader][-1]

    for number in range(12):
        desk.server.deposit(1001, 1.0)
        desk.server.deposit(1001, 1.0)  # of the same second
        if number == 6:
            os.kill(desk.source.processes()[1001], signal.SIGKILL)
            wait_for(lambda: desk.outcomes(1001) == [GONE])
            desk.log_in(1001)
        for place in range(4):
            time.sleep(0.01)
            look("watch")
            if place == number % 4:
                look("tick")

    def is_through() -> bool:
        look("watch")
        look("tick")
        return len(got["watch"]) >= 25 <= len(got["tick"])

    wait_for(is_through)
    assert got["tick"] == got["watch"] == sorted(set(got["watch"]))
    assert len(got["watch"]) == 25


def test_it_answers_the_rows_that_the_broker_answers(desk: TerminalDesk) -> None:
    desk.connected(1001)
    desk.source.call("order_send", 1001, BUY)
    for method, arguments in (
        ("positions", (None, None, None)),
        ("orders", (None, None, None)),
        ("history_deals", (0, 4_000_000_000, None, None, None)),
        ("history_orders", (0, 4_000_000_000, None, None, None)),
        ("symbol_tick", ("EURUSD",)),
    ):
        ours = desk.source.call(method, 1001, *arguments)
        theirs = desk.server.call(method, 1001, *arguments)
        assert ours == theirs, method
        assert type(ours) is type(theirs)


def test_a_cursor_that_goes_back_brings_the_deals_again(
    desk: TerminalDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.terminals.processes.source.CURSOR_SECONDS", 0.0)
    desk.connected(1001)
    newest = int(desk.read(1001).accounts["last_deal"][0])
    wait_for(lambda: desk.read(1001, cursors=[newest]).accounts["outcome"][0] == ANSWERED)
    assert desk.outcomes(1001) == [SILENT]  # rather than a reading that lacks deals
    wait_for(lambda: desk.outcomes(1001) == [ANSWERED])
    assert desk.read(1001).deals["ticket"].tolist() == [newest]


def test_it_tells_the_age_and_the_number_of_a_look(desk: TerminalDesk) -> None:
    desk.connected(1001)
    first = desk.read(1001).accounts[0]
    os.kill(desk.source.processes()[1001], signal.SIGSTOP)
    time.sleep(0.3)
    held = desk.read(1001).accounts[0]
    again = desk.read(1001).accounts[0]
    os.kill(desk.source.processes()[1001], signal.SIGCONT)
    assert held["age_seconds"] >= 0.25
    assert again["look"] == held["look"] >= first["look"]
    assert again["age_seconds"] >= held["age_seconds"]
    wait_for(lambda: desk.read(1001).accounts["look"][0] > held["look"])


def test_a_wrong_password_is_refused(desk: TerminalDesk) -> None:
    desk.open_account(1001)
    assert desk.log_in(1001, password="wrong") == [AUTHORIZATION_FAILED]
    assert desk.outcomes(1001) == [REFUSED]
    assert desk.log_in(1001) == [1]


def test_a_login_that_hangs_delays_nobody(desk: TerminalDesk) -> None:
    for login in (1001, 1002, 1003):
        desk.open_account(login)
    desk.server.add_fault(1001, FaultKind.HANG, calls=("authorise",), hang_seconds=6.0)
    credentials = [(login, PASSWORD, SERVER) for login in (1001, 1002, 1003)]
    codes: dict[int, list[int]] = {}
    for _ in range(40):
        for (login, _, _), code in zip(
            credentials, desk.source.authorise_many(credentials), strict=True
        ):
            codes.setdefault(login, []).append(int(code))
        if 1 in codes[1002] and 1 in codes[1003]:
            break
    assert set(codes[1001]) == {0}


def test_one_number_at_two_servers_of_one_host_is_refused(desk: TerminalDesk) -> None:
    desk.connected(1001)
    (answer,) = desk.source.authorise_many([(1001, PASSWORD, "Other-Live")])
    assert answer == CALL_FAILED
    assert "needs another host." in answer.sentence
    assert desk.outcomes(1001) == [ANSWERED]


@pytest.mark.parametrize("server", ["..", "", "/", ".", "a" * 200])
def test_a_server_that_can_have_no_folder_is_refused(desk: TerminalDesk, server: str) -> None:
    (answer,) = desk.source.authorise_many([(1001, PASSWORD, server)])
    if server == "/":
        assert answer != 1  # a folder named _-1001 leads nowhere either
    else:
        assert answer == CALL_FAILED
        assert "There can be no terminal" in answer.sentence


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("Example-Demo", "Example-Demo-7"),
        ("Broker, Ltd Live 3", "Broker__Ltd_Live_3-7"),
        ("../../etc/passwd", "_._etc_passwd-7"),
        ("C:\\Windows", "C__Windows-7"),
    ],
)
def test_a_folder_is_named_after_server_and_login(server: str, name: str) -> None:
    assert folder_name(server, 7) == name


def test_a_terminal_that_is_not_installed_is_named(tmp_path: Path) -> None:
    source = ChildProcesses(TerminalPrograms(tmp_path))
    try:
        (answer,) = source.authorise_many([(1001, PASSWORD, SERVER)])
        assert answer == IPC_NOT_STARTED
        assert f"{SERVER}-1001/terminal64.exe is missing" in answer.sentence
    finally:
        source.close()


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    folder = tmp_path / f"{SERVER}-1001"
    folder.mkdir()
    (folder / "terminal64.exe").touch()
    source = ChildProcesses(TerminalPrograms(tmp_path))
    try:
        answer = wait_for(lambda: source.authorise_many([(1001, PASSWORD, SERVER)])[0])
        assert answer == IPC_NOT_STARTED
        assert "MetaTrader5 package is not installed" in answer.sentence
    finally:
        source.close()


def test_a_silent_child_is_ended_and_a_login_starts_another(tmp_path: Path) -> None:
    limits = Limits(silence=0.5, silence_kill=1.0)
    with terminal_desk(tmp_path, limits=limits) as desk:
        desk.connected(1001, 1002)
        old, other = (desk.source.processes()[login] for login in (1001, 1002))
        os.kill(old, signal.SIGSTOP)
        wait_for(lambda: desk.outcomes(1001) == [SILENT])
        assert desk.outcomes(1002) == [ANSWERED]
        wait_for(lambda: desk.outcomes(1001) == [GONE])
        wait_for(lambda: not is_running(old))
        assert desk.log_in(1001) == [1]
        wait_for(lambda: desk.outcomes(1001, 1002) == [ANSWERED, ANSWERED])
        new = desk.source.processes()
        assert new[1001] != old
        assert new[1002] == other


def test_what_is_asked_of_a_silent_child_neither_leaves_nor_lengthens_its_life(
    tmp_path: Path,
) -> None:
    with terminal_desk(tmp_path, limits=Limits(silence=0.5, silence_kill=1.5)) as desk:
        desk.connected(1001)
        pid = desk.source.processes()[1001]
        os.kill(pid, signal.SIGSTOP)
        child = desk.source._seats[1001].child
        assert child is not None
        wait_for(lambda: child.is_silent(time.monotonic(), 0.5, 0.5))
        assert desk.outcomes(1001) == [SILENT]
        assert desk.source.authorise_many([(1001, PASSWORD, SERVER)]) == [0]
        with pytest.raises(CallRefusedError) as refused:
            desk.source.call("order_send", 1001, BUY)
        assert not refused.value.may_have_executed
        desk.read(1001, cursors=[-1])  # a cursor that goes back is a question too
        wait_for(lambda: not is_running(pid), seconds=5.0)


def test_a_killed_child_is_gone_at_once_and_another_waits(desk: TerminalDesk) -> None:
    desk.connected(1001)
    os.kill(desk.source.processes()[1001], signal.SIGKILL)
    killed = time.monotonic()
    wait_for(lambda: desk.outcomes(1001) == [GONE])
    assert desk.log_in(1001) == [1]
    assert time.monotonic() - killed >= 0.5  # half of a second: this desk draws no jitter


def test_each_start_waits_twice_as_long_until_one_was_healthy(tmp_path: Path) -> None:
    seat = Seat(1001, SERVER, tmp_path)
    waits = []
    for lived in (*[0.0] * 8, HEALTHY_SECONDS - 1e-6, HEALTHY_SECONDS):
        seat.fell(lived, 1000.0, lambda: 1.0)
        waits.append(seat.not_before - 1000.0)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 1.0]
    seat.fell(0.0, 1000.0, lambda: 0.0)
    assert seat.not_before == 1001.0  # half of two seconds, never less


def test_garbage_on_the_pipe_ends_a_child(tmp_path: Path) -> None:
    code = "import time; print('Hello, world! ' * 9, flush=True); time.sleep(99)"
    programs = TerminalPrograms(
        tmp_path, module="simulated", prefix=strange_program(tmp_path, code)
    )
    source = ChildProcesses(programs, limits=Limits(), random=lambda: 0.0)
    try:
        answer = wait_for(lambda: source.authorise_many([(1001, PASSWORD, SERVER)])[0])
        assert "unreadable" in answer.sentence
        assert source.processes() == {}
    finally:
        source.close()


def test_an_order_in_flight_when_its_child_dies_is_unknown(desk: TerminalDesk) -> None:
    desk.connected(1001)
    desk.server.add_fault(1001, FaultKind.HANG, calls=("order_send",), hang_seconds=2.0)
    found = in_thread(lambda: desk.source.call("order_send", 1001, BUY))
    wait_for(lambda: any(fault["struck"] for fault in desk.server.faults()))
    os.kill(desk.source.processes()[1001], signal.SIGKILL)
    (error,) = wait_for(lambda: found)
    assert isinstance(error, AnswerLostError)
    assert error.may_have_executed


def test_an_order_that_hangs_is_unknown_and_its_child_ended(tmp_path: Path) -> None:
    with terminal_desk(tmp_path, limits=Limits(order=0.5)) as desk:
        desk.connected(1001)
        pid = desk.source.processes()[1001]
        desk.server.add_fault(1001, FaultKind.HANG, calls=("order_send",), hang_seconds=3.0)
        with pytest.raises(AnswerLostError) as lost:
            desk.source.call("order_send", 1001, BUY)
        assert lost.value.may_have_executed
        wait_for(lambda: not is_running(pid))


def test_an_order_that_never_left_is_not_executed(desk: TerminalDesk) -> None:
    with pytest.raises(CallRefusedError) as refused:
        desk.source.call("order_send", 1001, BUY)
    assert not refused.value.may_have_executed
    desk.connected(1001)
    os.kill(desk.source.processes()[1001], signal.SIGKILL)
    wait_for(lambda: desk.outcomes(1001) == [GONE])
    with pytest.raises(CallRefusedError) as refused:
        desk.source.call("order_send", 1001, BUY)
    assert not refused.value.may_have_executed


def test_another_account_in_the_terminal_is_told_as_it_is(desk: TerminalDesk) -> None:
    desk.connected(1001, 1002)
    desk.server.set_fault(1001, FaultKind.WRONG_ACCOUNT, peer=1002)
    wait_for(lambda: desk.read(1001).accounts["login"].tolist() == [1002])
    with pytest.raises(CallRefusedError) as refused:
        desk.source.call("order_send", 1001, BUY)
    assert not refused.value.may_have_executed


def test_an_account_that_nobody_reads_is_let_go(
    desk: TerminalDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.connected(1001, 1002)
    monkeypatch.setattr("accounts.terminals.processes.seats.UNREAD_SECONDS", 0.5)
    pid = desk.source.processes()[1002]
    wait_for(lambda: desk.outcomes(1001) == [ANSWERED] and not is_running(pid))
    assert list(desk.source.processes()) == [1001]


def test_children_run_side_by_side_and_none_is_left(tmp_path: Path) -> None:
    logins = list(range(1001, 1009))
    with terminal_desk(tmp_path) as desk:
        desk.connected(*logins)
        pids = list(desk.source.processes().values())
        assert len(set(pids)) == len(logins)
        batch = desk.read(*logins)
        assert batch.accounts["login"].tolist() == logins
        assert np.all(batch.accounts["age_seconds"] < 1.0)
    assert not any(is_running(pid) for pid in pids)


PARENT = """
import sys, time
from pathlib import Path
from accounts.terminals.processes.programs import TerminalPrograms
from accounts.terminals.processes.source import ChildProcesses
home = Path(sys.argv[1])
source = ChildProcesses(
    TerminalPrograms(home / "terminals", module="simulated", broker_home=home / "broker")
)
credentials = [(login, "correct horse", "Example-Demo") for login in (1001, 1002)]
while sum(source.authorise_many(credentials)) != 2:
    time.sleep(0.1)
print(*source.processes().values(), flush=True)
time.sleep(60)
"""


def test_no_child_outlives_a_parent_that_is_killed(desk: TerminalDesk) -> None:
    for login in (1001, 1002):
        desk.open_account(login)
    command = [sys.executable, "-c", textwrap.dedent(PARENT), str(desk.folder)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        # A child that hangs and cannot notice anything: the kernel has to end it.
        os.kill(pids[0], signal.SIGSTOP)
        parent.kill()
        parent.wait()
        wait_for(lambda: not any(is_running(pid) for pid in pids), seconds=1.0)


def test_a_new_parents_child_waits_for_the_old_one(desk: TerminalDesk) -> None:
    desk.connected(1001)
    (old,) = desk.source.processes().values()
    second = desk.another_parent()
    try:
        first_answers = [second.authorise_many([(1001, PASSWORD, SERVER)])[0] for _ in range(2)]
        assert first_answers == [0, 0]
        assert is_running(old)
        desk.source.close()
        wait_for(lambda: second.authorise_many([(1001, PASSWORD, SERVER)]) == [1])
        assert not is_running(old)
    finally:
        second.close()


def test_closing_leaves_no_child_even_when_one_hangs(tmp_path: Path) -> None:
    with terminal_desk(tmp_path, limits=Limits(stop=0.3)) as desk:
        desk.connected(1001, 1002)
        pids = list(desk.source.processes().values())
        os.kill(pids[0], signal.SIGSTOP)
    assert not any(is_running(pid) for pid in pids)


def test_the_secrets_of_the_host_do_not_reach_a_child(
    desk: TerminalDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEGUARD_MASTER_KEY", "of nobody's business")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host/db")
    desk.connected(1001)
    (pid,) = desk.source.processes().values()
    environment = Path(f"/proc/{pid}/environ").read_text()
    assert "PATH=" in environment
    assert "nobody" not in environment
    assert "secret" not in environment
    assert PASSWORD not in Path(f"/proc/{pid}/cmdline").read_text()
