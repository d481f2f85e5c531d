"""Recording what the tick sees, beside the tick: deals, and the equity of each minute.

A database that is away is waited for. Deals are kept in memory until then, and should the process
die, the sessions ask the terminals for them again; minutes are kept for a few hours.
"""

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from django.db import (
    Error as DatabaseError,
)
from django.db import (
    InterfaceError,
    OperationalError,
    close_old_connections,
    connections,
)

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.history.deals import NewDeals, Tell, new_deals, write_deals
from accounts.history.minutes import MINUTE_SECONDS, Minute, MinuteCollector
from accounts.history.snapshots import LATE, write_minute
from accounts.sessions.line import InlineExecutor
from accounts.sessions.poll import Poll

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
# What the database refuses, for another reason than being away, is tried so often.
MOST_ATTEMPTS = 3
_MOST_MINUTES = int(LATE.total_seconds() // MINUTE_SECONDS)
# So many writes go out together; the next tick goes on.
_WRITES_PER_JOB = 50


class HistoryRecorder:
    """Takes polls from the tick's thread, in which it writes nothing unless `is_inline`.

    `tell` gets the deals that are stored for the first time, in their transaction.
    """

    def __init__(self, host: str, *, is_inline: bool = False, tell: Tell | None = None) -> None:
        self._host = host
        self._tell = tell
        self._is_inline = is_inline
        self._executor: Executor = (
            InlineExecutor()
            if is_inline
            else ThreadPoolExecutor(1, thread_name_prefix=f"{host}-recorder")
        )
        self._collector = MinuteCollector()
        self._deals: deque[NewDeals] = deque()
        self._minutes: deque[Minute] = deque()
        self._job: Future[None] | None = None
        self._due_at = float("-inf")
        self._is_held_up = False
        self._attempts = 0

    def note(self, poll: Poll) -> None:
        """Count a poll whose deals are committed, and have what is new written."""
        deals = new_deals(poll)
        if deals is not None:
            self._deals.append(deals)
        self._add(self._collector.note(poll))
        if self._is_held_up:
            self._is_held_up = False
            self._due_at = poll.monotonic + RETRY_SECONDS
        is_idle = self._job is None or self._job.done()
        if is_idle and poll.monotonic >= self._due_at and (self._deals or self._minutes):
            self._job = self._executor.submit(self._write)

    def close(self) -> None:
        """Write what there is, the minute that has only begun included, and let go."""
        self._add(self._collector.take())
        self._executor.submit(self._write_last)
        if not self._is_inline:
            self._executor.shutdown(wait=True)

    def _add(self, minute: Minute | None) -> None:
        if minute is None:
            return
        self._minutes.append(minute)
        if len(self._minutes) > _MOST_MINUTES:
            self._minutes.popleft()
            logger.warning("A minute of equity of %s was given up: no database.", self._host)

    def _write(self) -> None:
        if not self._is_inline:
            close_old_connections()
        try:
            for _ in range(_WRITES_PER_JOB):
                if not self._is_inline:
                    RIGHT_OF_WAY.give()
                if not (self._next_deals() or self._next_minute()):
                    return
        except DatabaseError as error:
            self._is_held_up = True
            logger.warning("The history of %s waits for the database: %s", self._host, error)
        finally:
            if not self._is_inline:
                close_old_connections()

    def _next_deals(self) -> bool:
        return self._next(self._deals, lambda new: write_deals(new, self._tell))

    def _next_minute(self) -> bool:
        return self._next(self._minutes, write_minute)

    def _next(self, queue: deque[Any], write: Callable[[Any], object]) -> bool:
        """Write the first of a queue; False when it is empty. Raises when it has to wait."""
        try:
            first = queue[0]
        except IndexError:
            return False
        try:
            write(first)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            self._attempts += 1
            if self._attempts < MOST_ATTEMPTS and isinstance(error, DatabaseError):
                raise
            logger.exception("A part of the history of %s is lost.", self._host)
        self._attempts = 0
        # Minutes may have been given up meanwhile.
        if queue and queue[0] is first:
            queue.popleft()
        return True

    def _write_last(self) -> None:
        self._is_held_up = False  # once more, also when the database was away lately
        while (self._deals or self._minutes) and not self._is_held_up:
            self._write()
        if not self._is_inline:
            connections.close_all()
