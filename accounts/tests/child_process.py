"""The program beside a terminal, run for real against the simulated broker, and its host's side."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self

from accounts.terminals.child.frames import (
    Bye,
    Frame,
    FrameReader,
    Kind,
    Reading,
    Request,
    bye_of,
    cursor_payload,
    failure_of,
    frame,
    reading_of,
    request_payload,
    same_of,
    unpack,
)
from accounts.tests.simulated_desk import PASSWORD, SERVER

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "accounts" / "terminals" / "mt5.py"
PATH = "C:\\Terminals\\Northwind-Demo-1001\\terminal64.exe"
PATIENCE_SECONDS = 20.0


def against_broker(home: Path) -> list[str]:
    """Return the command that runs the child with the simulated broker as its MetaTrader5."""
    launcher = [sys.executable, "-m", "accounts.terminals.simulated.package", "--home", str(home)]
    return [*launcher, str(PROGRAM), "--poll-ms", "20"]


class Child:
    """A child process and everything that it has sent."""

    def __init__(self, command: Sequence[str], **environment: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603 (our own program)
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
        )
        self.frames: list[Frame] = []
        self.log = b""
        self._came: SimpleQueue[Frame | None] = SimpleQueue()
        self._next_id = 1
        self._threads = [
            threading.Thread(target=self._read_frames), threading.Thread(target=self._read_log)
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def move_cursor(self, newest_stored_deal: int) -> None:
        self.send(frame(Kind.CURSOR, cursor_payload(newest_stored_deal)))

    def ask(self, method: str, *arguments: Any, send_by: float = 0.0) -> int:
        request_id, self._next_id = self._next_id, self._next_id + 1
        payload = request_payload(Request(method, arguments, send_by))
        self.send(frame(Kind.REQUEST, payload, request_id))
        return request_id

    def call(self, method: str, *arguments: Any, send_by: float = 0.0) -> Any:
        """Return the value of an ANSWER, or the `Failure` of a FAILED."""
        request_id = self.ask(method, *arguments, send_by=send_by)
        kinds = (Kind.ANSWER, Kind.FAILED)
        answer = self.wait_for(lambda each: each.kind in kinds and each.request_id == request_id)
        return failure_of(answer.payload) if answer.kind is Kind.FAILED else unpack(answer.payload)

    def log_in(self, login: int = 1001, password: str = PASSWORD, server: str = SERVER) -> Any:
        return self.call("log_in", PATH, True, login, password, server, 5_000)

    def wait_for(self, is_it: Callable[[Frame], bool]) -> Frame:
        """Return the next frame that came, or comes, of this kind; those before it are passed."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                came = self._came.get(timeout=max(until - time.monotonic(), 0.0))
            except Empty:
                raise AssertionError("the child sent nothing of the kind in time") from None
            if came is None:
                raise AssertionError(f"the child has left: {self.log.decode()}")
            if is_it(came):
                return came

    def reading(self, is_it: Callable[[Reading], bool] = lambda reading: True) -> Reading:
        return reading_of(
            self.wait_for(
                lambda each: each.kind is Kind.READING and is_it(reading_of(each.payload))
            ).payload
        )

    def fresh_reading(self) -> Reading:
        """Return the reading that holds now: a later look found that nothing has changed since."""
        since, until = time.time(), time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            came = self.wait_for(lambda each: each.kind in (Kind.READING, Kind.SAME))
            if came.kind is Kind.SAME and same_of(came.payload) > since:
                last = [each for each in self.frames if each.kind is Kind.READING][-1]
                return reading_of(last.payload)
        raise AssertionError("what the child reads does not come to rest")

    def farewell(self) -> Bye:
        return bye_of(self.wait_for(lambda each: each.kind is Kind.BYE).payload)

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def _read_frames(self) -> None:
        reader = FrameReader()
        assert self.process.stdout is not None
        while data := os.read(self.process.stdout.fileno(), 65_536):
            for each in reader.feed(data):
                self.frames.append(each)
                self._came.put(each)
        self._came.put(None)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        while data := os.read(self.process.stderr.fileno(), 65_536):
            self.log += data
