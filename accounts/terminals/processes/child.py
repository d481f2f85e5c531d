"""One child process as its parent sees it: what it said last, and what it was asked."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from accounts.terminals.child.frames import (
    LAYOUT,
    Bye,
    Failure,
    Frame,
    FrameError,
    FrameReader,
    Hello,
    Kind,
    Request,
    bye_of,
    cursor_payload,
    failure_of,
    frame,
    hello_of,
    request_payload,
    same_of,
    unpack,
)
from accounts.terminals.processes.failures import AnswerLostError, CallRefusedError, not_sent
from accounts.terminals.processes.orphans import Leash
from accounts.terminals.processes.sender import Sender

_PIECE_BYTES: Final = 262_144
_TAKEN_AT_BYTES: Final = 8
FENCE_SECONDS: Final = 15.0
STARTING_SECONDS: Final = 3.0
_looks = count(1)


@dataclass(frozen=True, slots=True)
class Look:
    """The newest READING of a terminal as it came, when it was found so, and its number."""

    payload: bytes
    taken_at: float  # the child's wall clock
    taken: float  # monotonic seconds of this machine
    number: int

    def age_seconds(self, now: float) -> float:
        """Return its age at a monotonic ``now``, by whichever clock makes it older.

        The wall clock may have been set back, the other one stands still while a machine sleeps.
        """
        return max(0.0, now - self.taken, time.time() - self.taken_at)


@dataclass(slots=True)
class Pending:
    """A request that waits for its answer; times are monotonic seconds."""

    method: str
    asked: float
    deadline: float
    answer: "Future[Any]"
    has_left: bool = False


class Child:
    """A process that runs; to be started by a thread that outlives it.

    On Linux the kernel ends it with the *thread* that started it. Two threads of its own read what
    it sends and write what it is sent; ``on_end`` is called on the first when nothing more will
    come. No method waits for the process but `wait`.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        working_folder: Path,
        environment: Mapping[str, str],
        on_end: Callable[["Child"], None],
    ) -> None:
        self.folder = folder  # of the terminal
        self._on_end = on_end
        self._lock = threading.Lock()
        self._pending: dict[int, Pending] = {}
        self._ids = count(1)
        self._fence: Future[Any] | None = None
        self._is_behind = False  # the newest look may have been taken with an older cursor
        self._whole_from = 0  # and holds every deal after this ticket all the same
        self.cursor: int | None = None
        self.hello: Hello | None = None
        self.bye: Bye | None = None
        self.complaint = ""
        self.look: Look | None = None
        self.has_ended = False  # its line has; the process may have to be killed yet
        self.is_given_up = False  # it hangs
        self._is_stopping = False
        self.started = self.heard = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603  # our own command line, no shell
            [*command],
            cwd=working_folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            start_new_session=sys.platform != "win32",  # Ctrl-C is for the parent alone
        )
        self._leash = Leash(self._process)
        if self._process.stdin is None or self._process.stdout is None:
            raise OSError("the process has no pipes")
        self._output = self._process.stdout
        self._sender = Sender(self._process.stdin, self._may_leave, f"to-terminal-{self.pid}")
        threading.Thread(target=self._read, name=f"terminal-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_dead(self) -> bool:
        return self._process.poll() is not None

    def request(
        self, method: str, arguments: tuple[Any, ...], limit_seconds: float
    ) -> "Future[Any]":
        """Send a request; its answer is a future that fails with a LinkError.

        Raises CallRefusedError when it cannot be sent.
        """
        answer: Future[Any] = Future()
        request = Request(method, arguments, time.time() + limit_seconds)
        number = next(self._ids)
        data = frame(Kind.REQUEST, request_payload(request), number)
        with self._lock:
            if self.has_ended or self._is_stopping:
                raise not_sent("The terminal's process is gone.")
            now = time.monotonic()
            self._pending[number] = Pending(method, now, now + limit_seconds, answer)
            self._sender.put(data, number)
        return answer

    def move_cursor(self, newest_stored: int) -> None:
        """Name the newest stored deal; readings taken with a higher one lack deals after it."""
        is_back = self.cursor is not None and newest_stored < self.cursor
        self._whole_from = max(self._whole_from, newest_stored)
        if is_back:
            # Before anything else, for a look that comes now must not end the wait for the next.
            self._fence = None
            self._is_behind = True
        self._sender.put(frame(Kind.CURSOR, cursor_payload(newest_stored)))
        self.cursor = newest_stored
        if is_back:
            try:
                # What comes after its answer was taken with the new cursor.
                self._fence = self.request("version", (), FENCE_SECONDS)
            except CallRefusedError:
                self._fence = None

    def forget(self) -> None:
        """Let go of what it said: it is about another session."""
        self.look = None

    def current(self, cursor: int) -> Look | None:
        """Return the newest look, if it holds all deals after a ticket."""
        if self._is_behind and cursor < self._whole_from:
            return None
        return self.look

    def overdue(self, now: float) -> str | None:
        """Return the method of a request whose time is up."""
        with self._lock:
            for each in self._pending.values():
                if now >= each.deadline:
                    return each.method
        return None

    def is_silent(self, now: float, seconds: float, pause_seconds: float) -> bool:
        """Tell whether it has said nothing for so long, and not for working on a request.

        One that was silent already when it was asked, for longer than `pause_seconds`, is no busier
        for being asked.
        """
        if now - self.heard <= seconds:
            return False
        with self._lock:
            return not any(
                each.asked - self.heard <= pause_seconds for each in self._pending.values()
            )

    def is_starting(self, now: float) -> bool:
        """Tell whether it keeps a core busy to get ready; one that takes so long does not."""
        is_young = now - self.started < STARTING_SECONDS
        return is_young and self.hello is None and not self.has_ended

    def stop(self) -> None:
        """Ask it to end in order; what has not left by now never does."""
        with self._lock:
            self._is_stopping = True
        self._sender.put(frame(Kind.STOP))
        self._sender.close()

    def end(self, patience_seconds: float) -> bool:
        """Kill it and wait; tell whether it is dead."""
        self._leash.end()
        return self.wait(patience_seconds)

    def wait(self, patience_seconds: float) -> bool:
        try:
            self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            return False
        self._leash.release()
        return True

    def _may_leave(self, number: int) -> bool:
        """Note that a request goes out now; False for one that nobody wants sent any more."""
        with self._lock:
            pending = self._pending.get(number)
            if pending is None or self._is_stopping or pending.answer.cancelled():
                return False
            pending.has_left = True
            return True

    def _read(self) -> None:
        reader = FrameReader()
        try:
            while data := os.read(self._output.fileno(), _PIECE_BYTES):
                self.heard = time.monotonic()
                for each in reader.feed(data):
                    self._take(each)
        except FrameError as error:
            self.complaint = f"The terminal's process sent something unreadable: {error}."
        except OSError as error:
            self.complaint = f"The pipe of the terminal's process broke: {error}."
        finally:
            self._finish()

    def _take(self, came: Frame) -> None:
        if came.kind is Kind.READING:
            self._looked(came.payload, same_of(came.payload[:_TAKEN_AT_BYTES]))
        elif came.kind is Kind.SAME:
            self._found_the_same(same_of(came.payload))
        elif came.kind in (Kind.ANSWER, Kind.FAILED):
            self._answered(came)
        elif came.kind is Kind.HELLO:
            self.hello = hello_of(came.payload)
            if self.hello.layout != LAYOUT:
                raise FrameError("it is of another version")
        elif came.kind is Kind.BYE:
            self.bye = bye_of(came.payload)
        else:
            raise FrameError(f"a child sends no {came.kind.name}")

    def _found_the_same(self, taken_at: float) -> None:
        look = self.look
        # One that has not looked again says when it last did.
        if look is not None and taken_at != look.taken_at:
            self._looked(look.payload, taken_at)

    def _looked(self, payload: bytes, taken_at: float) -> None:
        # The time in the pipe, by the clock that both share; one that was set is of no use.
        under_way = min(max(0.0, time.time() - taken_at), 60.0)
        self.look = Look(payload, taken_at, time.monotonic() - under_way, next(_looks))
        if self._is_behind and self._fence is not None and self._fence.done():
            self._is_behind = False
            self._whole_from = self.cursor or 0

    def _answered(self, came: Frame) -> None:
        with self._lock:
            pending = self._pending.pop(came.request_id, None)
        if pending is None or not pending.answer.set_running_or_notify_cancel():
            return
        try:
            result = unpack(came.payload) if came.kind is Kind.ANSWER else failure_of(came.payload)
        except FrameError:
            pending.answer.set_exception(AnswerLostError("The terminal's answer is unreadable."))
            raise
        if not isinstance(result, Failure):
            pending.answer.set_result(result)
            return
        pending.answer.set_exception(
            CallRefusedError(result.code, result.text, may_have_executed=result.may_have_executed)
        )

    def _finish(self) -> None:
        """Fail what is unanswered: nobody knows what became of it, unless it never left."""
        with self._lock:
            self.has_ended = True
            pending, self._pending = self._pending, {}
        self._sender.close()
        self._output.close()
        text = self.complaint or (self.bye.sentence if self.bye else "")
        text = text or "The terminal's process ended before it answered."
        for each in pending.values():
            if each.answer.set_running_or_notify_cancel():
                lost = AnswerLostError(text) if each.has_left else not_sent(text)
                each.answer.set_exception(lost)
        self._on_end(self)
