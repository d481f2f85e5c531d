"""Telling what a host sees beside its tick, which hands over what it found and goes on."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from django.db import InterfaceError, OperationalError, close_old_connections, connections

from accounts.sessions.line import InlineExecutor
from notifications.services import Message, notify

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 2.0
MOST_WAITING: Final = 10_000
# After so many the next tick comes first: this thread and the tick's share a processor.
PER_TICK: Final = 200

# What is to be said of something that was seen: no database, it also runs while that is away.
Build = Callable[[], Iterable[Message]]
# Which of them are news by what the database has of them.
Choose = Callable[[Sequence[Message], datetime], Sequence[Message]]


@dataclass(slots=True)
class _Sight:
    """Something that was seen; its words are found a few at a time."""

    build: Build
    choose: Choose | None
    words: Iterator[Message] | None = None

    def next_words(self, most: int) -> list[Message]:
        if self.words is None:
            self.words = iter(self.build())
        return list(islice(self.words, most))


@dataclass(frozen=True, slots=True)
class _Said:
    messages: Sequence[Message]
    choose: Choose | None


class NoticeWriter:
    """Takes what is to be told from any thread, and writes it in a thread of its own.

    So many for each tick. A database that is away is waited for. With `is_inline` it is all done in
    the caller's thread.
    """

    def __init__(self, host: str, *, is_inline: bool = False) -> None:
        self._host = host
        self._is_inline = is_inline
        self._executor: Executor = (
            InlineExecutor()
            if is_inline
            else ThreadPoolExecutor(1, thread_name_prefix=f"{host}-notices")
        )
        self._lock = threading.Lock()
        self._sights: deque[_Sight] = deque()
        self._said: deque[_Said] = deque()  # by the one job that is under way
        self._count = 0  # of messages in `_said`
        self._job: Future[None] | None = None
        self._due_at = float("-inf")
        self._is_held_up = False

    def add(self, messages: Sequence[Message], choose: Choose | None = None) -> None:
        """Have these told soon; from any thread."""
        if messages:
            self.later(lambda: messages, choose)

    def later(self, build: Build, choose: Choose | None = None) -> None:
        """Have what `build` returns told soon, of which `choose` keeps what is news."""
        with self._lock:
            self._sights.append(_Sight(build, choose))

    def ask(self, question: Callable[[datetime], Sequence[Message]]) -> None:
        """Have told what the database answers to a question; called by the tick.

        A question that the database could not answer is asked again.
        """
        self._said.append(_Said((), lambda _, now: question(now)))

    def flush(self, now: datetime, monotonic: float) -> None:
        """Have some of what waits written, unless that is under way; called by the tick."""
        if not self._sights and not self._said:
            return
        if self._job is not None and not self._job.done():
            return
        if self._is_held_up:
            self._is_held_up = False
            self._due_at = monotonic + RETRY_SECONDS
        work = self._work if monotonic >= self._due_at else self._find_words
        self._job = self._executor.submit(work, now)

    def close(self, now: datetime) -> None:
        """Write what there is a last time, and let go."""
        self._executor.submit(self._work_last, now)
        if not self._is_inline:
            self._executor.submit(connections.close_all)
            self._executor.shutdown(wait=True)

    def _work_last(self, now: datetime) -> None:
        self._is_held_up = False
        while (self._sights or self._said) and not self._is_held_up:
            self._work(now)

    def _work(self, now: datetime) -> None:
        if not self._is_inline:
            close_old_connections()
        try:
            self._find_words(now)
            left = PER_TICK
            while self._said and left > 0:
                said = self._said[0]
                self._write(said, now)
                self._said.popleft()
                self._count -= len(said.messages)
                left -= max(len(said.messages), 1)
        except (OperationalError, InterfaceError) as error:
            self._is_held_up = True
            logger.warning("Notifications of %s wait for the database: %s", self._host, error)
        finally:
            if not self._is_inline:
                close_old_connections()

    def _find_words(self, now: datetime) -> None:
        """Put into words what was seen, which is large: it must not wait for the database."""
        del now
        left = PER_TICK
        while self._sights and left > 0:
            sight = self._sights[0]
            messages = self._words_of(sight, left)
            if len(messages) < left:
                with self._lock:
                    self._sights.popleft()
            left -= len(messages)
            if self._count + len(messages) > MOST_WAITING:
                logger.warning("%d notifications of %s were given up.", len(messages), self._host)
            elif messages:
                self._said.append(_Said(messages, sight.choose))
                self._count += len(messages)

    def _words_of(self, sight: _Sight, most: int) -> list[Message]:
        try:
            return sight.next_words(most)
        except Exception:
            logger.exception("Something that %s saw could not be told.", self._host)
            return []

    def _write(self, said: _Said, now: datetime) -> None:
        """Tell some messages; those that the database refuses are left out."""
        try:
            messages = said.messages
            if said.choose is not None:
                messages = said.choose(messages, now)
            notify(messages, now=now)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("%d notifications of %s are lost.", len(said.messages), self._host)
