"""The calls of a client that does not wait for one before it sends the next."""

import heapq
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any, Final

from ..books.journal import JournalError
from ..server import BegunCall, TradeServer
from .answers import answer_of, answer_of_failure

logger = logging.getLogger(__name__)

# So many calls share one write to the disk, and their answers one to the socket.
MOST_TOGETHER: Final = 50
Numbered = tuple[int, Mapping[str, Any]]


@dataclass(order=True, slots=True)
class _Waiting:
    """A call that a fault delays until `due`, in monotonic seconds."""

    due: float
    place: int
    number: int = field(compare=False)
    call: BegunCall = field(compare=False)
    waits: Iterator[float] = field(compare=False)


class Pipeline:
    """Carries out numbered calls on a thread of its own, in the order in which they come.

    One that a fault delays lets the others pass; one that hangs gets another thread. ``answer``
    sends answers, from any thread; ``broken`` is called when the books cannot be kept any more.
    """

    def __init__(
        self,
        server: TradeServer,
        answer: Callable[[Sequence[Numbered]], None],
        broken: Callable[[], None],
    ) -> None:
        self._server = server
        self._answer = answer
        self._broken = broken
        self._came: SimpleQueue[tuple[int, str, str, tuple[Any, ...]] | None] = SimpleQueue()
        self._waiting: list[_Waiting] = []
        self._ready: list[tuple[int, BegunCall]] = []
        self._answers: list[Numbered] = []
        self._places = count()
        self._is_open = True
        threading.Thread(target=self._run, name="broker-pipeline", daemon=True).start()

    def put(self, number: int, terminal: str, method: str, arguments: tuple[Any, ...]) -> None:
        self._came.put((number, terminal, method, arguments))

    def close(self) -> None:
        """Carry out nothing more."""
        self._is_open = False
        self._came.put(None)

    def _run(self) -> None:
        try:
            while self._is_open:
                self._take(self._wait_seconds())
                self._wake_those_due()
                self._carry_out()
        except JournalError:
            self._broken()
        except OSError as error:
            logger.debug("Nobody reads the answers any more: %s", error)

    def _wait_seconds(self) -> float | None:
        if not self._waiting:
            return None
        return max(0.0, self._waiting[0].due - time.monotonic())

    def _take(self, wait_seconds: float | None) -> None:
        """Take in what has come; wait for it no longer than that."""
        try:
            came = self._came.get(timeout=wait_seconds)
            while came is not None:
                self._begin(*came)
                if len(self._ready) >= MOST_TOGETHER:
                    return
                came = self._came.get_nowait()
        except Empty:
            return

    def _begin(self, number: int, terminal: str, method: str, arguments: tuple[Any, ...]) -> None:
        try:
            call = self._server.begin(terminal, method, arguments)
        except Exception as error:
            self._answers.append((number, answer_of_failure(error)))
            return
        if call.may_hang:
            threading.Thread(target=self._carry_out_alone, args=(number, call), daemon=True).start()
            return
        if not call.disturbance:
            self._ready.append((number, call))
            return
        now = time.monotonic()
        self._go_on(_Waiting(now, next(self._places), number, call, self._server.waits(call)))

    def _go_on(self, waiting: _Waiting) -> None:
        """Let a delayed call come further: into its next delay, or to where it is carried out."""
        try:
            seconds = next(waiting.waits, None)
        except Exception as error:
            self._answers.append((waiting.number, answer_of_failure(error)))
            return
        if seconds is None:
            self._ready.append((waiting.number, waiting.call))
            return
        waiting.due = time.monotonic() + seconds
        heapq.heappush(self._waiting, waiting)

    def _wake_those_due(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0].due <= now:
            self._go_on(heapq.heappop(self._waiting))

    def _carry_out(self) -> None:
        """Carry out what is ready, and answer when all of it is on the disk."""
        ready, self._ready = self._ready, []
        carried, highest = [], 0
        for number, call in ready:
            try:
                result, written = self._server.carry_out(call)
            except JournalError:
                raise
            except Exception as error:
                self._answers.append((number, answer_of_failure(error)))
            else:
                carried.append((number, call, result))
                highest = max(highest, written)
        self._server.durable(highest)
        self._answers += [self._finished(*each) for each in carried]
        if self._answers:
            answers, self._answers = self._answers, []
            self._answer(answers)

    def _finished(self, number: int, call: BegunCall, result: Any) -> Numbered:
        try:
            self._server.finish(call)
        except Exception as error:
            return number, answer_of_failure(error)
        return number, answer_of(result)

    def _carry_out_alone(self, number: int, call: BegunCall) -> None:
        try:
            for seconds in self._server.waits(call):
                time.sleep(seconds)
            result, written = self._server.carry_out(call)
            self._server.durable(written)
        except JournalError:
            self._broken()
            return
        except Exception as error:
            answer = number, answer_of_failure(error)
        else:
            answer = self._finished(number, call, result)
        try:
            self._answer([answer])
        except OSError as error:
            logger.debug("Nobody reads the answer any more: %s", error)
