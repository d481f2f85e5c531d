"""The supervisor with small programs of its own: restarts, orders, death with the parent."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tradeguard.serving import programs
from tradeguard.serving.child import Child, Lifeline, Program
from tradeguard.serving.logs import ChildLog
from tradeguard.serving.supervisor import StartError, Supervisor

SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); time.sleep(60)"
)
# Starts a child through the leash and tells its pid, then waits to be killed.
PARENT = """
import signal, sys, time
from pathlib import Path
from tradeguard.serving.child import Child, Lifeline, Program
from tradeguard.serving.logs import ChildLog

folder = Path(sys.argv[1])
log = ChildLog(folder / "child.log", prefix="child", alarm=print)
program = Program("child", (sys.executable, "-c", {sleeper!r}), ready_prefix="up")
child = Child(program, environment={{}}, folder=folder, log=log,
              lifeline=Lifeline(uses_kernel={uses_kernel}))
while not child.is_ready:
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(60)
"""


def wait_for(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def python(name: str, code: str, **fields: object) -> Program:
    return Program(name, (sys.executable, "-c", code), **fields)  # type: ignore[arg-type]


def is_running(pid: int) -> bool:
    """Tell whether a process of this group runs; a zombie that nobody reaps does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if sys.platform != "linux":
        return True
    with suppress(FileNotFoundError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z"
    return False


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Iterator[Supervisor]:
    supervisor = Supervisor(
        environment=os.environ,
        folder=tmp_path,
        logs=tmp_path / "logs",
        run=tmp_path,
        say=said.append,
        on_end=lambda _pid: None,
    )
    yield supervisor
    supervisor.stop([], is_hurried=lambda: True)


def test_it_starts_a_killed_child_again(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    supervisor.start(python("worker", SLEEPER, ready_prefix="up"))
    wait_for(lambda: supervisor.is_ready("worker"))
    first = int((tmp_path / "worker.pid").read_text())
    os.kill(first, signal.SIGKILL)

    def is_back() -> bool:
        supervisor.watch()
        return supervisor.pids.get("worker", first) != first and supervisor.is_ready("worker")

    wait_for(is_back)
    assert said == ["worker ended (SIGKILL); starting it again in 0.2 s."]


def test_it_gives_up_on_a_child_that_never_starts(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start(python("web", "raise SystemExit('no such table')"))
    supervisor._posts[0].failures = 3

    def has_failed() -> bool:
        supervisor.watch()
        return "web" not in supervisor.pids

    wait_for(has_failed)
    with pytest.raises(StartError, match=r"(?s)web does not start.*web\.log.*no such table"):
        supervisor.raise_when_failing()


def test_a_full_disk_keeps_no_child_from_starting(
    supervisor: Supervisor, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    supervisor.start(python("worker", SLEEPER, ready_prefix="up"))
    wait_for(lambda: supervisor.is_ready("worker"))
    assert said == ["worker.new could not be written: No space left on device."]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's disk that is always full")
def test_a_log_on_a_full_disk_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    log = ChildLog(Path("/dev/full"), prefix="worker", alarm=said.append)
    for line in ("one", "two", "three"):
        log.add(line)
    assert said == ["full cannot be written at the moment."]
    assert list(log.tail) == ["one", "two", "three"]
    assert capsys.readouterr().err == ""
    log.close()


def test_it_waits_longer_after_each_failure(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(python("web", "raise SystemExit(3)"))

    def has_failed_twice() -> bool:
        supervisor.watch()
        return len(said) >= 2

    wait_for(has_failed_twice)
    assert said[:2] == [
        "web ended (exit code 3); starting it again in 0.2 s.",
        "web ended (exit code 3); starting it again in 1 s.",
    ]


def test_what_watches_is_never_away_for_long(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(python("hasty", "raise SystemExit(1)", longest_restart_seconds=0.3))

    def has_failed_twice() -> bool:
        supervisor.watch()
        return len(said) >= 2

    wait_for(has_failed_twice)
    assert said[1] == "hasty ended (exit code 1); starting it again in 0.3 s."
    assert programs.terminals("local").longest_restart_seconds <= 5.0


def test_it_stops_in_order(supervisor: Supervisor, tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(order)!r}, 'a').write(sys.argv[1]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)"
    )
    for name in "abc":
        command = (sys.executable, "-c", code, name)
        supervisor.start(Program(name, command, ready_prefix="up"))
    wait_for(lambda: all(supervisor.is_ready(name) for name in "abc"))
    supervisor.stop([("c",), ("b",), ("a",)], is_hurried=lambda: False)
    assert order.read_text() == "cba"
    assert supervisor.pids == {}
    assert not list(tmp_path.glob("*.pid"))


def test_what_takes_its_time_is_told_first_and_only_once(
    supervisor: Supervisor, tmp_path: Path, said: list[str]
) -> None:
    heard = tmp_path / "heard"
    code = (
        "import signal, sys, time\n"
        "def note(*_):\n"
        f"    open({str(heard)!r}, 'a').write(sys.argv[1])\n"
        "    global ends; ends = True\n"
        "ends = False; signal.signal(signal.SIGTERM, note); print('up', flush=True)\n"
        "while not ends: time.sleep(0.01)\n"
        "time.sleep(float(sys.argv[2]))"
    )
    for name, rest, stops_first in (("a", "0.3", False), ("b", "0", False), ("s", "0.6", True)):
        command = (sys.executable, "-c", code, name, rest)
        supervisor.start(Program(name, command, ready_prefix="up", stops_first=stops_first))
    wait_for(lambda: all(supervisor.is_ready(name) for name in "abs"))
    supervisor.stop([("a",), ("b",), ("s",)], is_hurried=lambda: False)
    assert sorted(heard.read_text()) == ["a", "b", "s"]
    assert heard.read_text()[-1] == "b"
    assert said == []


def test_what_sends_is_told_first_and_ends_before_redis() -> None:
    assert programs.deliveries("local").stops_first
    assert programs.STOP_ORDER[-2:] == (("deliveries",), ("redis",))


def test_who_comes_last_can_still_end_by_itself(
    supervisor: Supervisor, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradeguard.serving.supervisor.STOP_SECONDS", 0.1)
    monkeypatch.setattr("tradeguard.serving.supervisor.SHORTEST_STOP_SECONDS", 5.0)
    supervisor.start(python("deaf", STUBBORN, ready_prefix="up", stops_first=True))
    closes_books = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.5), sys.exit()))\n"
        "print('up', flush=True); time.sleep(60)"
    )
    supervisor.start(python("books", closes_books, ready_prefix="up"))
    wait_for(lambda: supervisor.is_ready("deaf") and supervisor.is_ready("books"))
    supervisor.stop([("books",), ("deaf",)], is_hurried=lambda: False)
    assert said == ["deaf does not stop by itself; ending it."]


def test_it_ends_a_child_that_does_not_stop(supervisor: Supervisor, said: list[str]) -> None:
    supervisor.start(python("deaf", STUBBORN, ready_prefix="up", stop_seconds=0.2))
    wait_for(lambda: supervisor.is_ready("deaf"))
    pid = supervisor.pids["deaf"]
    supervisor.stop([("deaf",)], is_hurried=lambda: False)
    assert said == ["deaf does not stop by itself; ending it."]
    assert not is_running(pid)


def test_it_ends_what_a_dead_child_left_behind(supervisor: Supervisor, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print('up', grandchild.pid, flush=True); time.sleep(60)"
    )
    supervisor.start(python("worker", code, ready_prefix="up"))
    wait_for(lambda: supervisor.is_ready("worker"))
    log = (tmp_path / "logs" / "worker.log").read_text()
    grandchild = int(log.split()[1])
    os.kill(supervisor.pids["worker"], signal.SIGKILL)

    def is_gone() -> bool:
        supervisor.watch()
        return not is_running(grandchild)

    wait_for(is_gone)


def test_it_runs_a_step_and_shows_why_it_failed(supervisor: Supervisor) -> None:
    assert supervisor.run(python("migrate", "print('done')"), is_cancelled=lambda: False)
    with pytest.raises(StartError, match="the disk is full"):
        supervisor.run(
            python("migrate", "raise SystemExit('the disk is full')"), is_cancelled=lambda: False
        )


def test_it_ends_a_step_when_cancelled(supervisor: Supervisor) -> None:
    assert not supervisor.run(python("migrate", SLEEPER), is_cancelled=lambda: True)


@pytest.mark.parametrize(
    "uses_kernel",
    [
        pytest.param(
            True,
            marks=pytest.mark.skipif(sys.platform != "linux", reason="needs Linux' prctl"),
        ),
        False,
    ],
)
def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path, uses_kernel: bool) -> None:
    code = PARENT.format(sleeper=SLEEPER, uses_kernel=uses_kernel)
    with subprocess.Popen(  # noqa: S603  # this file's own program
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
    wait_for(lambda: not is_running(child))


def test_the_leash_gives_the_exit_code_on(tmp_path: Path) -> None:
    for uses_kernel in [False] + [True] * (sys.platform == "linux"):
        log = ChildLog(tmp_path / "child.log", prefix="child", alarm=print)
        child = Child(
            python("child", "raise SystemExit(7)"),
            environment=os.environ,
            folder=tmp_path,
            log=log,
            lifeline=Lifeline(uses_kernel=uses_kernel),
        )
        assert child.wait(20.0)
        assert child.exit_code() == 7
        child.bury()
        log.close()


@pytest.mark.parametrize("uses_kernel", [True, False])
def test_a_child_in_the_background_gives_way(tmp_path: Path, uses_kernel: bool) -> None:
    if uses_kernel and sys.platform != "linux":
        pytest.skip("The death signal is Linux's.")
    told = tmp_path / "told"
    code = (
        "import os; from pathlib import Path; "
        "session = Path('/proc/self/autogroup'); "
        "group = ((session.exists() and session.read_text().split()) or ['none'])[-1]; "
        f"Path({str(told)!r}).write_text(f'{{os.nice(0)}} {{group}}')"
    )
    log = ChildLog(tmp_path / "child.log", prefix="child", alarm=print)
    child = Child(
        python("worker", code, niceness=3),
        environment=os.environ,
        folder=tmp_path,
        log=log,
        lifeline=Lifeline(uses_kernel=uses_kernel),
    )
    assert child.wait(20.0)
    child.bury()
    log.close()
    assert told.read_text().split()[0] == str(min(os.nice(0) + 3, 19))
    # On desktops Linux shares the processors among sessions before it looks at niceness.
    assert told.read_text().split()[1] in {"3", "none"}


def test_what_judges_risk_gives_way_to_nobody() -> None:
    assert programs.deliveries("local").niceness == programs.SENDING_NICENESS > 0
    # Nor does what writes much: while it waits for a processor, the tick would wait for its lock.
    others = {programs.terminals("local"), programs.default("local"), programs.web(8000)}
    assert {program.niceness for program in others} == {0}
