"""The sessions of one terminal host, tied to the database and to its source."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import datetime
from threading import Lock
from typing import TypeVar
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import close_old_connections, connections

from accounts.sessions.line import InlineExecutor
from accounts.sessions.logins import log_in
from accounts.sessions.poll import Attempt, AttemptResult, Poll, RosterChange
from accounts.sessions.pool import SessionPool
from accounts.sessions.roster import LoadCursors, RosterReader
from accounts.sessions.states import Reason
from accounts.sessions.store import ConnectionStore, Tell
from accounts.terminals.registry import Source

__all__ = ["HostSessions", "Poll"]

ROSTER_SECONDS = 1.0
# So many logins go out together; the rest wait for the next poll.
LOGINS_PER_BATCH = 250

logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class SideJob:
    """A thread for work that the tick does not wait for, one job at a time."""

    def __init__(self, name: str, *, is_inline: bool) -> None:
        self._is_inline = is_inline
        self.executor: Executor = (
            InlineExecutor() if is_inline else ThreadPoolExecutor(1, thread_name_prefix=name)
        )

    def start(self, work: Callable[[], _Result]) -> Future[_Result]:
        if self._is_inline:
            return self.executor.submit(work)
        return self.executor.submit(_with_fresh_connections, work)

    def close(self) -> None:
        if not self._is_inline:
            self.executor.submit(connections.close_all)
            self.executor.shutdown(wait=False)


def _with_fresh_connections(work: Callable[[], _Result]) -> _Result:
    close_old_connections()
    try:
        return work()
    finally:
        close_old_connections()


class HostSessions:
    """Polls a host's sessions, follows the database, logs in and keeps the states written.

    `poll`, `commit_cursors` and `flush` are called one at a time, `nudge` from any thread.
    """

    def __init__(
        self,
        host: str,
        source: Source,
        *,
        load_cursors: LoadCursors | None = None,
        is_inline: bool = False,
        random: Callable[[], float] | None = None,
    ) -> None:
        self.host = host
        self.source = source
        self.is_inline = is_inline
        self._jobs = {
            name: SideJob(f"{host}-{name}", is_inline=is_inline)
            for name in ("readings", "logins", "roster")
        }
        self.pool = SessionPool(
            host, source, executor=self._jobs["readings"].executor, random=random
        )
        self._roster_reader = RosterReader(host, load_cursors)
        self._store = ConnectionStore()
        self._roster: Future[tuple[RosterChange, Mapping[UUID, int]] | None] | None = None
        self._roster_due_at = 0.0
        self._logins: Future[list[AttemptResult]] | None = None
        self._attempts: Sequence[Attempt] = ()
        self._nudge_lock = Lock()
        self._nudged: set[UUID] = set()
        self._is_nudged = True
        self._asked_for: set[UUID] = set()

    def poll(self, now: datetime, monotonic: float) -> Poll:
        """Return what all accounts of the host say now; see `Poll`."""
        self._follow_database(now, monotonic)
        self._log_in(now, monotonic)
        poll = self.pool.poll(now, monotonic)
        self._store.add(poll.changes, poll.failed_retries)
        return poll

    def commit_cursors(self) -> None:
        """Say that the deals of the last poll are stored."""
        self.pool.commit_cursors()

    def flush(self, tell: Tell | None = None) -> int:
        """Write the connection changes so far; see `ConnectionStore.flush`."""
        return self._store.flush(tell)

    def nudge(self, account_id: UUID | None = None) -> None:
        """Look into the database at the next poll, and try this account without further wait."""
        with self._nudge_lock:
            self._is_nudged = True
            if account_id is not None:
                self._nudged.add(account_id)

    def close(self) -> None:
        for job in self._jobs.values():
            job.close()

    def _follow_database(self, now: datetime, monotonic: float) -> None:
        if self._roster is None:
            self._start_roster(now, monotonic)
        if self._roster is None or not self._roster.done():
            return
        finished, self._roster = self._roster, None
        self._roster_due_at = monotonic + ROSTER_SECONDS
        try:
            found = finished.result()
        except DatabaseError as error:
            logger.warning("The accounts of %s could not be read: %s", self.host, error)
            with self._nudge_lock:
                self._nudged |= self._asked_for
                self._is_nudged = True
            return
        if found is not None:
            roster, cursors = found
            self.pool.sync(roster, cursors, now, monotonic)
        self.pool.reconnect(self._asked_for, now, monotonic)

    def _start_roster(self, now: datetime, monotonic: float) -> None:
        with self._nudge_lock:
            is_forced, self._is_nudged = self._is_nudged, False
            if not is_forced and monotonic < self._roster_due_at:
                return
            self._asked_for, self._nudged = self._nudged, set()
        self._roster = self._jobs["roster"].start(
            lambda: self._roster_reader.read(now, monotonic, is_forced=is_forced)
        )

    def _log_in(self, now: datetime, monotonic: float) -> None:
        self._take_logins(now, monotonic)
        if self._logins is not None:
            return
        attempts = self.pool.due(monotonic, LOGINS_PER_BATCH)
        if attempts:
            self._attempts = attempts
            self._logins = self._jobs["logins"].start(lambda: log_in(self.source, attempts, now))
            self._take_logins(now, monotonic)

    def _take_logins(self, now: datetime, monotonic: float) -> None:
        if self._logins is None or not self._logins.done():
            return
        finished, self._logins = self._logins, None
        try:
            results = finished.result()
        except DatabaseError as error:
            logger.warning("The logins of %s could not be read: %s", self.host, error)
            results = [AttemptResult(each, Reason.CONNECT_FAILED) for each in self._attempts]
        self.pool.apply(results, now, monotonic)
