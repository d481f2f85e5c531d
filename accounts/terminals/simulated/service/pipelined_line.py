"""A connection to the broker on which any number of calls are under way at once."""

import logging
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Final

from accounts.core.right_of_way import LONGEST_SECONDS, RIGHT_OF_WAY
from accounts.terminals.alike import AlikeOrders, Answered, fail_all, tell
from accounts.terminals.link import LinkError, LinkTimeout

from ..link import CODE_NO_CONNECTION, CODE_RECEIVE_FAILED
from .answers import result_of
from .sheaves import Sheaf, sheaves
from .wire import Framer, Unframer, WireError

logger = logging.getLogger(__name__)

_PIECE_BYTES: Final = 262_144
# What has come together leaves together: each write to a socket lets other threads in between.
_TOGETHER_BYTES: Final = 65_536
# How often those are looked for whose time is up.
_LOOK_SECONDS: Final = 0.25
# So many answers are taken in before others get their turn.
_ANSWERS_TOGETHER: Final = 50


@dataclass(slots=True)
class _Pending:
    number: int
    payload: bytes
    answer: "Future[Any]"
    deadline: float  # monotonic seconds
    has_left: bool = False


_Call = _Pending | Sheaf


class PipelinedLine:
    """Numbers calls, and gives each answer to whoever made its call. For many threads.

    ``connection`` has been introduced. When it breaks every call that has left fails with -10002,
    for the broker may have carried it out, and `is_broken` says that another line is needed.
    """

    def __init__(self, connection: socket.socket, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._next_number = 1
        # The oldest first; a sheaf is there for each of its calls.
        self._pending: dict[int, _Call] = {}
        self._lock = threading.Lock()
        self._to_send: SimpleQueue[Sequence[_Call] | None] = SimpleQueue()
        self.is_broken = False
        self._incoming, self._outgoing = connection, connection.dup()
        self._incoming.settimeout(_LOOK_SECONDS)
        self._outgoing.settimeout(timeout_seconds)
        for work in (self._read, self._write):
            threading.Thread(target=work, name=f"broker{work.__name__}", daemon=True).start()

    def submit(self, terminal: str, method: str, arguments: tuple[Any, ...]) -> "Future[Any]":
        """Send a call; its future fails with ValueError or TypeError where it cannot be written."""
        return self.submit_many(terminal, method, (arguments,))[0]

    def submit_many(
        self, terminal: str, method: str, calls: Iterable[tuple[Any, ...]]
    ) -> "list[Future[Any]]":
        """Send calls of one method that leave together, each with an answer of its own."""
        framer = Framer()
        deadline = time.monotonic() + self._timeout_seconds
        answers: list[Future[Any]] = []
        leaving: list[_Pending] = []
        wanted = list(calls)
        for number, arguments in enumerate(wanted, self._numbers(len(wanted))):
            answer: Future[Any] = Future()
            answers.append(answer)
            try:
                data = framer.frame((terminal, method, arguments, number))
            except (ValueError, TypeError, OverflowError) as error:
                answer.set_exception(error)
                continue
            leaving.append(_Pending(number, data, answer, deadline))
        if not self._send({each.number: each for each in leaving}, leaving):
            for each in leaving:
                each.answer.set_exception(LinkError(CODE_NO_CONNECTION))
        return answers

    def submit_alike(self, terminal: str, orders: AlikeOrders, answered: Answered) -> None:
        """Send orders that hardly differ; see `Source`."""
        deadline = time.monotonic() + self._timeout_seconds
        first = self._numbers(len(orders))
        try:
            leaving = list(sheaves(terminal, orders, answered, first, deadline))
        except LinkError as error:
            fail_all(orders, answered, error)
            return
        pending = {number: each for each in leaving for number in each.numbers()}
        # What a piece holds is not sent yet as long as another one is being written.
        if not self._send(pending, *([each] for each in leaving)):
            fail_all(orders, answered, LinkError(CODE_NO_CONNECTION))

    def close(self) -> None:
        """Break the line; calls under way fail."""
        self._break()

    def _numbers(self, count: int) -> int:
        """Return the first of so many numbers that no other call has."""
        with self._lock:
            first = self._next_number
            self._next_number += count
        return first

    def _send(self, pending: Mapping[int, _Call], *pieces: Sequence[_Call]) -> bool:
        """Have calls leave; False when the line is broken, and none of them is under way."""
        with self._lock:
            if self.is_broken:
                return False
            self._pending.update(pending)
        for piece in pieces:
            self._to_send.put(piece)
        return True

    def _write(self) -> None:
        with self._outgoing:
            try:
                while (first := self._to_send.get()) is not None:
                    self._outgoing.sendall(self._gathered(first))
            except OSError as error:
                logger.debug("The broker does not read any more: %s", error)
            finally:
                self._break()

    def _gathered(self, first: Sequence[_Call]) -> bytes:
        """Return the calls that are to leave now, without those that nobody wants any more."""
        data = bytearray()
        calls: Sequence[_Call] | None = first
        while calls is not None:
            for payload in self._leaving(calls):
                data += payload
            if len(data) >= _TOGETHER_BYTES:
                break
            try:
                calls = self._to_send.get_nowait()
            except Empty:
                break
            if calls is None:
                self._to_send.put(None)  # the end, after what came before it
        return bytes(data)

    def _leaving(self, calls: Sequence[_Call]) -> list[bytes]:
        """Mark calls as gone, and return them; those that were cancelled never leave."""
        leaving = []
        with self._lock:
            for call in calls:
                if isinstance(call, Sheaf):
                    if call.is_over:
                        continue
                elif call.number not in self._pending:
                    continue
                elif not call.answer.set_running_or_notify_cancel():
                    del self._pending[call.number]
                    continue
                call.has_left = True
                leaving.append(call.payload)
        return leaving

    def _read(self) -> None:
        unframer = Unframer()
        with self._incoming:
            try:
                while not self.is_broken:
                    self._take_some(unframer)
                    self._give_up_overdue()
            except OSError as error:  # a WireError as well
                logger.debug("The broker's answers ended: %s", error)
            finally:
                self._break()

    def _take_some(self, unframer: Unframer) -> None:
        try:
            data = self._incoming.recv(_PIECE_BYTES)
        except TimeoutError:
            return
        if not data:
            raise WireError("the connection was closed")
        # A crowd of answers would hold up the orders that are still to leave.
        came_at = time.monotonic()
        given_until = came_at + LONGEST_SECONDS
        RIGHT_OF_WAY.give()
        came: list[tuple[int, Any]] = []
        try:
            for value in unframer.feed(data):
                came.append(_numbered(value))
                if len(came) >= _ANSWERS_TOGETHER:
                    self._pass_on(came, came_at)
                    came = []
                    RIGHT_OF_WAY.give(max(0.0, given_until - time.monotonic()))
        finally:
            self._pass_on(came, came_at)

    def _pass_on(self, came: Sequence[tuple[int, Any]], came_at: float) -> None:
        """Give answers to whoever waits for them; some come too late for that."""
        with self._lock:
            calls = [(number, self._pending.pop(number, None)) for number, _ in came]
        _hand_over(
            (
                (number, call, _outcome(answer))
                for (number, call), (_, answer) in zip(calls, came, strict=True)
                if call is not None
            ),
            time.monotonic() - came_at,
        )

    def _give_up_overdue(self) -> None:
        """Fail the calls whose time is up; all have the same, so the oldest come first."""
        now = time.monotonic()
        overdue: dict[int, _Call] = {}
        with self._lock:
            for number, call in self._pending.items():
                if call.deadline > now:
                    break
                overdue[number] = call
            for number in overdue:
                del self._pending[number]
            _end_sheaves(overdue)
        _fail(overdue, LinkTimeout())

    def _break(self) -> None:
        with self._lock:
            self.is_broken = True
            pending, self._pending = self._pending, {}
            _end_sheaves(pending)
        self._to_send.put(None)
        _fail(pending, LinkError(CODE_RECEIVE_FAILED))


def _numbered(value: Any) -> tuple[int, Any]:
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], int):
        return value
    raise WireError("a frame is no answer")


def _outcome(answer: Any) -> Any:
    """Return what an answer holds, or the exception that it stands for."""
    try:
        return result_of(answer)
    except (LinkError, ValueError) as error:
        return error
    except (LookupError, TypeError):  # carried out or not, it says nothing that can be read
        return LinkError(CODE_RECEIVE_FAILED)


def _end_sheaves(calls: Mapping[int, _Call]) -> None:
    """Keep those from leaving that have not left; a sheaf ends as a whole until then."""
    for call in calls.values():
        if isinstance(call, Sheaf):
            call.is_over = True


def _fail(calls: Mapping[int, _Call], error: LinkError) -> None:
    """Fail calls, as such that were never sent when they have not left."""
    unsent = LinkError(CODE_NO_CONNECTION)
    failed = []
    for number, call in calls.items():
        if call.has_left or isinstance(call, Sheaf) or call.answer.set_running_or_notify_cancel():
            failed.append((number, call, error if call.has_left else unsent))
    _hand_over(failed)


def _hand_over(answers: Iterable[tuple[int, _Call, Any]], waited_seconds: float = 0.0) -> None:
    """Give each answer to its future, and those to alike orders together."""
    together: dict[int, tuple[Answered, list[tuple[int, Any]]]] = {}
    for number, call, outcome in answers:
        if isinstance(call, Sheaf):
            _, places = together.setdefault(id(call.answered), (call.answered, []))
            places.append((call.place_of(number), outcome))
        elif isinstance(outcome, Exception):
            call.answer.set_exception(outcome)
        else:
            call.answer.set_result(outcome)
    for answered, places in together.values():
        tell(answered, places, waited_seconds)
