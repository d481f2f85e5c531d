"""Telling who looks at a ledger of copies that it has changed."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

from accounts.publishing import publish_many

TOPIC: Final = "copy"
SHORTEST_INTERVAL_SECONDS: Final = 0.2

Publish = Callable[[Iterable[UUID]], None]


def publish_ledgers(provider_ids: Iterable[UUID]) -> None:
    """Have the open ledgers of these providers look again; lost when Redis is away."""
    publish_many([(f"{TOPIC}.{each}", {"type": "copy.changed"}) for each in set(provider_ids)])


class LedgerBell:
    """Rings for changed ledgers from a thread of its own, each at most five times a second.

    What changes meanwhile is told together; ringing costs its caller microseconds and never fails.
    """

    def __init__(
        self,
        publish: Publish = publish_ledgers,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._publish = publish
        self._pause = pause
        self._lock = threading.Lock()
        self._due: set[UUID] = set()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, provider_ids: Iterable[UUID]) -> None:
        """Have the open ledgers of these providers look again soon; from any thread."""
        with self._lock:
            self._due.update(provider_ids)
            if not self._due:
                return
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="copy-bell", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                due, self._due = self._due, set()
            self._publish(due)
            self._pause(SHORTEST_INTERVAL_SECONDS)


_bell = LedgerBell()


def ring_ledgers(provider_ids: Iterable[UUID]) -> None:
    """Tell the open ledgers of these providers soon that they have changed."""
    _bell.ring(provider_ids)
