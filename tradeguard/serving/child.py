"""One supervised process: a group of its own that dies with `serve`, however that dies."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tradeguard.serving.logs import ChildLog

LEASH = Path(__file__).with_name("leash.py")


@dataclass(frozen=True)
class Program:
    """What to run. `ready_prefix` begins the line that says it can be used, if it says that.

    `niceness` is that of Unix, from 0 to 19: the more, the more it gives way to the others.
    `stops_first`: it is told to stop before all others, since it may be in the middle of something
    that takes its time; its `stop_seconds` run from then on. `longest_restart_seconds` bounds how
    long it stays away when it ends again and again.
    """

    name: str
    command: tuple[str, ...]
    ready_prefix: str | None = None
    stop_seconds: float = 4.0
    stops_first: bool = False
    # Servers that keep books get the chance to close them when serve is killed.
    death_signal: signal.Signals = signal.SIGKILL
    niceness: int = 0
    longest_restart_seconds: float = 30.0


class Child:
    """A program that runs; must be started by the main thread.

    The kernel's death signal fires when the *thread* that started the child ends.
    """

    def __init__(
        self,
        program: Program,
        *,
        environment: Mapping[str, str],
        folder: Path,
        log: ChildLog,
        lifeline: "Lifeline",
    ) -> None:
        self.program = program
        self.log = log
        self._is_ready = threading.Event()
        self._process = subprocess.Popen(  # noqa: S603  # our own command line, no shell
            [*lifeline.leash(program.death_signal, program.niceness), *program.command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=lifeline.inherited,
        )
        self._pump = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._pump.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_ready(self) -> bool:
        return self.program.ready_prefix is None or self._is_ready.is_set()

    def exit_code(self) -> int | None:
        """Return the exit code, negative for a signal, or None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def wait(self, timeout_seconds: float) -> bool:
        """Tell whether the child has ended within this time."""
        try:
            self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def bury(self) -> None:
        """End what the child may have left in its group, and read its last words."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._pump.join(timeout=1.0)

    def _read(self, output: IO[bytes]) -> None:
        with output:
            for raw in output:
                line = raw.decode("utf-8", errors="replace").rstrip("\r\n")
                if self.program.ready_prefix and line.startswith(self.program.ready_prefix):
                    self._is_ready.set()
                self.log.add(line)


class Lifeline:
    """What ties children to this process: the kernel on Linux, elsewhere the end of a pipe."""

    def __init__(self, *, uses_kernel: bool = sys.platform == "linux") -> None:
        self._uses_kernel = uses_kernel
        # Python's descriptors are not inherited by default, so only this process holds the end
        # for writing, and the children's ends for reading see it close when this process dies.
        self._read_end, self._write_end = os.pipe()

    @property
    def inherited(self) -> tuple[int, ...]:
        return () if self._uses_kernel else (self._read_end,)

    def leash(self, death_signal: signal.Signals, niceness: int = 0) -> list[str]:
        """Return the beginning of a command line that ties the rest of it to this process."""
        python = [sys.executable, "-I", "-S", str(LEASH), str(niceness)]
        if self._uses_kernel:
            return [*python, "signal", str(os.getpid()), str(int(death_signal))]
        return [*python, "pipe", str(self._read_end)]
