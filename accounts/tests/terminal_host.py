"""A simulated broker of its own and child processes beside it, for tests of real terminals."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from accounts.terminals.processes.keeper import Limits
from accounts.terminals.processes.programs import TerminalPrograms
from accounts.terminals.processes.source import ChildProcesses
from accounts.terminals.readings import ReadingBatch
from accounts.terminals.simulated.server import TradeServer
from accounts.terminals.simulated.service.process import BrokerService

SERVER = "Example-Demo"
PASSWORD = "correct horse"
PATIENT = Limits(log_in=20.0)
WAIT_SECONDS = 20.0


def wait_for(condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Return what a condition gives once it is true; fail when that takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError("It did not come about in time.")


def is_running(pid: int) -> bool:
    """Tell whether a process lives; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


class TerminalDesk:
    """A broker whose prices stand still, and the child processes of one host."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.server = TradeServer(feed=False, always_open=True)
        self.service = BrokerService(self.server, folder / "broker")
        (folder / "broker").mkdir()
        self.service.start()
        self.options = {"limits": PATIENT, "random": lambda: 0.0, **options}
        self.source = self.another_parent()

    def another_parent(self, **options: Any) -> ChildProcesses:
        return ChildProcesses(self.programs, **{**self.options, **options})

    @property
    def programs(self) -> TerminalPrograms:
        return TerminalPrograms(
            self.folder / "terminals", module="simulated", broker_home=self.folder / "broker"
        )

    def open_account(self, login: int = 1001, server: str = SERVER) -> int:
        self.server.create_account(login, PASSWORD, server, f"Account {login}", deposit=10_000.0)
        return login

    def log_in(self, *logins: int, password: str = PASSWORD, server: str = SERVER) -> list[int]:
        """Log in until nothing is under way any more; return the codes."""
        codes: dict[int, int] = {}

        def ask() -> bool:
            waiting = [login for login in logins if login not in codes]
            answers = self.source.authorise_many([(each, password, server) for each in waiting])
            codes.update({key: code for key, code in zip(waiting, answers, strict=True) if code})
            return len(codes) == len(logins)

        wait_for(ask)
        return [codes[login] for login in logins]

    def read(self, *logins: int, cursors: Sequence[int] | None = None) -> ReadingBatch:
        stored = [0] * len(logins) if cursors is None else cursors
        return self.source.read_batch(np.array(logins), np.array(stored, dtype=np.int64))

    def outcomes(self, *logins: int) -> list[int]:
        answered: list[int] = self.read(*logins).accounts["outcome"].tolist()
        return answered

    def connected(self, *logins: int) -> "TerminalDesk":
        """Open accounts, log in and wait until every one answers."""
        for login in logins:
            self.open_account(login)
        assert self.log_in(*logins) == [1] * len(logins)
        wait_for(lambda: self.outcomes(*logins) == [0] * len(logins))
        return self

    def close(self) -> None:
        self.source.close()
        self.service.stop()


@contextmanager
def terminal_desk(folder: Path, **options: Any) -> Iterator[TerminalDesk]:
    desk = TerminalDesk(folder, **options)
    try:
        yield desk
    finally:
        desk.close()


def strange_program(folder: Path, code: str) -> tuple[str, ...]:
    """Return a command that runs `code` in the place of a child."""
    program = folder / "strange.py"
    program.write_text(code)
    return (sys.executable, str(program))


def in_thread(work: Callable[[], Any]) -> "list[Any]":
    """Start work; what it returns or raises is put into the list that is returned."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    threading.Thread(target=run, daemon=True).start()
    return found
