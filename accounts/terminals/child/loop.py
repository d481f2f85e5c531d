"""What the child does until it is stopped: look at the terminal, and answer requests in between."""

import logging
import time
from queue import Empty
from typing import Any, Final

from accounts.terminals.child.calls import ORDER_SEND, Calls, RequestRefused, failure_of_call
from accounts.terminals.child.frames import (
    Bye,
    Farewell,
    Frame,
    FrameError,
    Kind,
    Request,
    cursor_of,
    failure_payload,
    pack,
    reading_payload,
    request_of,
    same_payload,
)
from accounts.terminals.child.package import Package
from accounts.terminals.child.pipe import Inbox, Outbox
from accounts.terminals.child.reading import Reader
from accounts.terminals.codes import INVALID_PARAMS, IPC_NO_CONNECTION

LOG_IN: Final = "log_in"
# A host that hears nothing for longer takes the child for silent; one look may still come between.
SAME_SECONDS: Final = 0.2
# Between two looks, however long one takes: the terminal and requests need time as well.
SHORTEST_PAUSE_SECONDS: Final = 0.01

logger = logging.getLogger(__name__)


class Loop:
    """Calls the package from one thread alone; times are monotonic seconds."""

    def __init__(self, package: Package, inbox: Inbox, outbox: Outbox, poll_seconds: float) -> None:
        self._package = package
        self._inbox = inbox
        self._outbox = outbox
        self._poll_seconds = poll_seconds
        self._calls = Calls(package)
        self._reader: Reader | None = None
        self._cursor: int | None = None
        self._body = b""
        self._taken_at = 0.0
        self._sent_at = 0.0
        self._look_at = 0.0

    def run(self) -> Bye:
        """Work until the host says stop, leaves or sends garbage; raises HostGone."""
        while True:
            wait = self._look_at - time.monotonic()
            if wait <= 0:
                self._look()
                continue
            try:
                if not self._take(self._inbox.frames.get(timeout=wait)):
                    return Bye(Farewell.STOPPED, "The terminal's process was asked to stop.")
            except Empty:
                continue
            except FrameError as error:
                return Bye(Farewell.GARBAGE, f"What came down the pipe is no frame: {error}.")

    def _look(self) -> None:
        now = time.monotonic()
        if self._reader is not None and self._reader.deals.has_cursor:
            taken_at = time.time()
            body = self._reader.read(now)
            self._taken_at = taken_at
            if body != self._body:
                self._body = body
                self._send(Kind.READING, reading_payload(taken_at, body))
        if now - self._sent_at >= SAME_SECONDS:
            self._send(Kind.SAME, same_payload(self._taken_at))
        finished = time.monotonic()
        self._look_at = max(now + self._poll_seconds, finished + SHORTEST_PAUSE_SECONDS)

    def _take(self, came: Frame | FrameError | None) -> bool:
        """Carry out what a frame asks for; return whether to go on. Raises FrameError."""
        if came is None:
            return False
        if isinstance(came, FrameError):
            raise came
        if came.kind is Kind.STOP:
            return False
        if came.kind is Kind.CURSOR:
            self._move_cursor(cursor_of(came.payload))
        elif came.kind is Kind.REQUEST:
            self._answer(came.request_id, request_of(came.payload))
        else:
            raise FrameError(f"a host sends no {came.kind.name}")
        return True

    def _move_cursor(self, newest_stored: int) -> None:
        self._cursor = newest_stored
        if self._reader is not None:
            self._reader.deals.move_cursor(newest_stored)

    def _answer(self, request_id: int, request: Request) -> None:
        try:
            payload = pack(self._result(request))
        except Exception as error:  # whatever the package raises, the host is told of it
            failure = failure_of_call(request.method, error)
            self._send(Kind.FAILED, failure_payload(failure), request_id)
        else:
            self._send(Kind.ANSWER, payload, request_id)
        if request.method in (ORDER_SEND, LOG_IN):
            self._look_at = time.monotonic()  # what an order did shows at once

    def _result(self, request: Request) -> Any:
        if request.method == ORDER_SEND and self._inbox.is_over:
            # Its host may have lost the right to send while the order waited here.
            raise RequestRefused(IPC_NO_CONNECTION, "The host gave the terminal up before that.")
        if request.method != LOG_IN:
            return self._calls.answer(request)
        if len(request.arguments) != 6:
            raise RequestRefused(INVALID_PARAMS, "A login needs six arguments.")
        self._reader, self._body, self._taken_at = None, b"", 0.0
        shown = self._calls.log_in(*request.arguments)
        identity = self._calls.identity
        if identity is not None:
            self._reader = Reader(self._package, identity)
            if self._cursor is not None:
                self._reader.deals.move_cursor(self._cursor)
        logger.info("Logged in to %s.", request.arguments[2])
        return shown

    def _send(self, kind: Kind, payload: bytes, request_id: int = 0) -> None:
        self._outbox.send(kind, payload, request_id)
        self._sent_at = time.monotonic()
