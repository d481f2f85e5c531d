"""Threads for lanes: started when there is work, gone with their connections when there is none."""

import logging
import queue
import threading
from collections.abc import Callable

from django.db import connections

logger = logging.getLogger(__name__)

# A terminal that hangs holds its thread up for some seconds; that many may do so at once.
MOST_THREADS = 32
IDLE_SECONDS = 20.0


class LanePool:
    """Runs jobs side by side; `begin` runs in each thread before its first one.

    A connection to the database lives as long as its thread, which closes it in the end.
    """

    def __init__(
        self,
        name: str,
        begin: Callable[[], None] = lambda: None,
        *,
        most_threads: int = MOST_THREADS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._name = name
        self._begin = begin
        self._most_threads = most_threads
        self._idle_seconds = idle_seconds
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._idle_count = 0
        self._waiting_count = 0
        self._is_closed = False

    def submit(self, job: Callable[[], None]) -> bool:
        """Have a job done; False when the pool is closed."""
        with self._lock:
            if self._is_closed:
                return False
            self._waiting_count += 1
            if self._waiting_count > self._idle_count and len(self._threads) < self._most_threads:
                self._start()
            self._jobs.put(job)
        return True

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Let the jobs under way end and take no new ones; waits no longer than this for them."""
        with self._lock:
            self._is_closed = True
            threads = list(self._threads)
            for _ in threads:
                self._jobs.put(None)
        for thread in threads:
            thread.join(timeout_seconds / max(len(threads), 1))

    def _start(self) -> None:
        # A daemon: a call that hangs must not keep a process alive that was told to end.
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._threads.add(thread)
        self._idle_count += 1
        thread.start()

    def _run(self) -> None:
        try:
            self._begin()
            while self._run_next():
                pass
        finally:
            connections.close_all()
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _run_next(self) -> bool:
        try:
            job = self._jobs.get(timeout=self._idle_seconds)
        except queue.Empty:
            return self._stays()
        if job is None:
            return False
        with self._lock:
            self._waiting_count -= 1
            self._idle_count -= 1
        try:
            job()
        except Exception:
            logger.exception("A job of %s failed.", self._name)
            # Its connection may be what failed: the next job takes a new one.
            connections.close_all()
        finally:
            with self._lock:
                self._idle_count += 1
        return True

    def _stays(self) -> bool:
        """Tell whether an idle thread is still needed; a job may have come this very moment."""
        with self._lock:
            if self._waiting_count:
                return True
            self._idle_count -= 1
            return False
