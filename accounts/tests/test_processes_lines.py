"""The line between a host and one child: what hangs at its other end may hold up nobody."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from accounts.terminals.child.frames import Hello, Kind, frame, hello_payload, same_payload
from accounts.terminals.codes import IPC_TIMEOUT
from accounts.terminals.processes.child import Child, Look
from accounts.terminals.processes.failures import AnswerLostError, CallRefusedError
from accounts.terminals.processes.keeper import Limits
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.terminal_host import (
    PASSWORD,
    SERVER,
    in_thread,
    is_running,
    terminal_desk,
    wait_for,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
MORE_THAN_A_PIPE_HOLDS = 300


def a_child(folder: Path, program: str) -> Child:
    return Child(
        [program], folder=folder, working_folder=folder, environment={}, on_end=lambda child: None
    )


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Child]:
    """A process that sends back whatever it is sent."""
    child = a_child(tmp_path, "cat")
    yield child
    assert child.end(5.0)


def test_a_child_that_reads_nothing_holds_up_nobody(tmp_path: Path) -> None:
    with terminal_desk(tmp_path) as desk:
        desk.connected(1001, 1002)
        pid, child = desk.source.processes()[1001], desk.source._seats[1001].child
        assert child is not None
        os.kill(pid, signal.SIGSTOP)
        asked = in_thread(
            lambda: [
                child.request("symbol_info", (1001, "X" * 1000), 1.0)
                for _ in range(MORE_THAN_A_PIPE_HOLDS)
            ]
        )
        (answers,) = wait_for(lambda: asked, seconds=5.0)
        desk.read(1001, cursors=[-1])
        assert desk.outcomes(1002) == [0]
        wait_for(lambda: not is_running(pid), seconds=5.0)
        first, last = answers[0].exception(5.0), answers[-1].exception(5.0)
        assert isinstance(first, AnswerLostError)  # it left, so that nobody knows
        assert isinstance(last, CallRefusedError)
        assert not last.may_have_executed


def test_what_has_not_left_before_a_stop_never_does(tmp_path: Path) -> None:
    with terminal_desk(tmp_path) as desk:
        desk.connected(1001)
        child = desk.source._seats[1001].child
        assert child is not None
        child.stop()
        with pytest.raises(CallRefusedError) as refused:
            child.request("order_send", (1001, {}), 1.0)
        assert not refused.value.may_have_executed


def test_a_clock_that_was_set_back_does_not_silence_a_terminal(echo: Child) -> None:
    now = time.time()
    echo.look = Look(b"", now + 3600.0, time.monotonic() - 60.0, 1)
    echo._sender.put(frame(Kind.SAME, same_payload(now)))
    wait_for(lambda: echo.look is not None and echo.look.number > 1)
    assert echo.look.age_seconds(time.monotonic()) < 30.0


def test_saying_the_same_again_is_no_new_look(echo: Child) -> None:
    look = echo.look = Look(b"", 1000.0, 0.0, 1)
    echo._sender.put(frame(Kind.SAME, same_payload(1000.0)))
    echo._sender.put(frame(Kind.HELLO, hello_payload(Hello(0, 1, "", ""))))
    wait_for(lambda: echo.hello is not None)
    assert echo.look is look


@pytest.mark.parametrize(("slept", "age"), [(0.0, 0.5), (3600.0, 3600.5), (-3600.0, 0.5)])
def test_a_look_has_the_age_of_the_clock_that_makes_it_older(slept: float, age: float) -> None:
    now = time.monotonic()
    look = Look(b"", time.time() - 0.5 - slept, now - 0.5, 1)
    assert look.age_seconds(now) == pytest.approx(age, abs=0.2)


def test_no_descriptor_and_no_thread_is_left_of_a_child(tmp_path: Path) -> None:
    def left() -> int:
        return len(os.listdir("/proc/self/fd")) + len(os.listdir("/proc/self/task"))

    before = left()
    for _ in range(30):
        assert a_child(tmp_path, "true").wait(5.0)
    wait_for(lambda: left() <= before)


def test_a_login_that_hangs_for_good_names_what_may_be_wrong(tmp_path: Path) -> None:
    with terminal_desk(tmp_path, limits=Limits(log_in=1.0)) as desk:
        desk.open_account(1001)
        desk.server.add_fault(1001, FaultKind.HANG, calls=("authorise",), hang_seconds=3.0)
        answer = wait_for(lambda: desk.source.authorise_many([(1001, PASSWORD, SERVER)])[0])
        assert answer == IPC_TIMEOUT
        assert "check the server's name" in answer.sentence
