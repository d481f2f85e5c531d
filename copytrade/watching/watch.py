"""Watching the providers of one host, much more often than the tick does."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import numpy as np
from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.utils import timezone

from accounts.sessions.host import SideJob
from accounts.terminals.link import LinkError
from accounts.terminals.readings import ReadingBatch
from accounts.terminals.registry import Source
from copytrade.models import CopyEvent
from copytrade.watching.facts import WatchedProvider
from copytrade.watching.proof import verdicts_of
from copytrade.watching.reading import BatchRows
from copytrade.watching.watched import Watched
from risk.orders.doubts import forget_connection

logger = logging.getLogger(__name__)

OnEvents = Callable[[list[CopyEvent]], None]
INTERVAL_SECONDS: Final = 0.025
# What failed is tried again, but does not fill the log.
_PAUSE_SECONDS: Final = 1.0
_CLOSE_SECONDS: Final = 5.0


class ProviderWatch:
    """Reads a host's providers and hands over what they did, each thing once.

    `on_events` gets unsaved events, those of one provider in the order in which they happened. It
    stores all of them in one transaction, or raises: then they come again. It is called in the
    watch's thread, or by `poll` when `is_inline`; `poll` is for one thread at a time.
    """

    def __init__(
        self,
        host: str,
        source: Source,
        *,
        on_events: OnEvents,
        is_inline: bool,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self.host = host
        self._source = source
        self._on_events = on_events
        self._is_inline = is_inline
        self._interval_seconds = interval_seconds
        self._job = SideJob(f"{host}-provider-history", is_inline=is_inline)
        self._wanted: tuple[WatchedProvider, ...] = ()
        self._followed: tuple[WatchedProvider, ...] = ()
        self._watched: dict[UUID, Watched] = {}
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._quiet_until = 0.0
        self._failed_at = float("-inf")

    def sync(self, providers: Sequence[WatchedProvider]) -> None:
        """Say whom to watch from the next look on; from any thread."""
        self._wanted = tuple(providers)

    def nudge(self, account_id: UUID) -> None:
        """Look at once: something was sent to this account; from any thread."""
        if any(each.account_id == account_id for each in self._wanted):
            self._wake.set()

    def poll(self, now: datetime, monotonic: float) -> None:
        """Look once at all providers, and hand over what they did."""
        self._follow_wanted()
        watched = self._loaded(monotonic)
        if not watched:
            return
        batch = self._read(watched)
        if batch is None:
            for each in watched:
                each.doubt()
            return
        verdicts = verdicts_of(batch, [each.provider for each in watched])
        rows, events = BatchRows(batch), []
        for place, each in enumerate(watched):
            try:
                events += each.look(rows, place, int(verdicts[place]), now, monotonic)
            except Exception as error:
                self._put_off([each], error, monotonic)
        self._hand_over(watched, events, monotonic)

    def start(self) -> None:
        """Begin to look by itself, unless inline."""
        if self._is_inline or self._thread is not None:
            return
        self._thread = threading.Thread(
            target=self._run, name=f"{self.host}-providers", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop looking, and wait for the last look to end."""
        self._over.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_SECONDS)
        self._job.close()

    def _run(self) -> None:
        due_at = time.monotonic()
        while not self._over.is_set():
            self._wake.wait(max(0.0, due_at - time.monotonic()))
            self._wake.clear()
            if self._over.is_set():
                break
            monotonic = time.monotonic()
            due_at = monotonic + self._interval_seconds
            close_old_connections()
            try:
                self.poll(timezone.now(), monotonic)
            except Exception:
                logger.exception("The providers of %s could not be looked at.", self.host)
                due_at = monotonic + _PAUSE_SECONDS
        connections.close_all()

    def _follow_wanted(self) -> None:
        wanted = self._wanted
        if wanted is self._followed:
            return
        self._followed = wanted
        known, self._watched = self._watched, {}
        for provider in wanted:
            watched = known.get(provider.account_id)
            if watched is None or not watched.provider.is_same_login(provider):
                watched = Watched(provider, self._source, self._job)
            watched.follow(provider)
            self._watched[provider.account_id] = watched

    def _loaded(self, monotonic: float) -> list[Watched]:
        loaded: list[Watched] = []
        for each in self._watched.values():
            if monotonic < self._quiet_until and not each.is_loaded:
                continue
            try:
                each.load()
            except (DatabaseError, InterfaceError) as error:
                self._put_off([each], error, monotonic)
            else:
                loaded.append(each)
        return loaded

    def _read(self, watched: Sequence[Watched]) -> ReadingBatch | None:
        logins = np.array([each.provider.login for each in watched], dtype=np.int64)
        cursors = np.array([each.cursor for each in watched], dtype=np.int64)
        try:
            return self._source.read_batch(logins, cursors)
        except (LinkError, OSError) as error:
            logger.debug("The providers of %s give no answer: %s", self.host, error)
            return None

    def _hand_over(
        self, watched: Sequence[Watched], events: list[CopyEvent], monotonic: float
    ) -> None:
        if events:
            try:
                self._on_events(events)
            except Exception as error:
                telling = {event.provider_id for event in events}
                failed = [each for each in watched if each.provider.account_id in telling]
                self._put_off(failed, error, monotonic)
                watched = [each for each in watched if each not in failed]
        for each in watched:
            each.commit()

    def _put_off(self, watched: Sequence[Watched], error: Exception, monotonic: float) -> None:
        """Begin anew from the database: it is not known what was stored.

        At once the first time, since a close may wait for it; after a pause when it fails again.
        """
        forget_connection()
        if 0 < monotonic - self._failed_at < 2 * _PAUSE_SECONDS:
            self._quiet_until = monotonic + _PAUSE_SECONDS
        self._failed_at = monotonic
        names = ", ".join(each.provider.name for each in watched)
        if isinstance(error, DatabaseError | InterfaceError):
            logger.warning("What %s did waits for the database: %s", names, error)
        else:
            logger.error("What %s did could not be taken in.", names, exc_info=error)
        for each in watched:
            each.reset()
