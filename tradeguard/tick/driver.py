"""When a tick runs: on the beat, one at a time, in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

# Beat follows the wall clock and reaches the worker through Redis. When both are silent for this
# long the driver beats by itself, at the same interval, so that a broken Redis does not switch the
# protection off.
WATCHDOG_SECONDS = 1.0


@dataclass(slots=True)
class TickCounts:
    """How the requests for a tick ended since the worker started."""

    run: int = 0
    dropped: int = 0  # the tick before was still running
    late: int = 0  # came out of a backlog, right behind another one
    self_driven: int = 0  # the beat was silent
    failed: int = 0


class TickDriver:
    """Runs `tick` when it is asked to, never twice at once and never to catch up.

    A request that comes while a tick runs is dropped; one that follows the previous start within
    half an interval is late (a queue that was held up empties itself at once): both are counted.
    `begin` runs in the same thread before the first tick, `finish` after the last.
    """

    def __init__(
        self,
        tick: Callable[[], None],
        *,
        interval_seconds: float,
        begin: Callable[[], None] = lambda: None,
        finish: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = TickCounts()
        self._tick = tick
        self._begin = begin
        self._finish = finish
        self._interval = interval_seconds
        self._monotonic = monotonic
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._is_busy = False
        self._accepted_at = float("-inf")
        self._beat_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="tick", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 5.0) -> None:
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def request(self) -> bool:
        """Ask for a tick; return whether one was started."""
        self._beat_at = self._monotonic()
        return self._accept()

    def _accept(self) -> bool:
        with self._lock:
            if self._is_busy:
                self.counts.dropped += 1
                return False
            now = self._monotonic()
            if now - self._accepted_at < self._interval / 2:
                self.counts.late += 1
                return False
            self._accepted_at = now
            self._is_busy = True
        self._wake.set()
        return True

    def _run(self) -> None:
        try:
            self._begin()
            self._run_until_stopped()
        finally:
            self._finish()

    def _run_until_stopped(self) -> None:
        while not self._stopping.is_set():
            if not self._wake.wait(WATCHDOG_SECONDS if self._hears_beat() else self._interval):
                self._beat_by_itself()
                continue
            self._wake.clear()
            if self._stopping.is_set():
                return
            self._run_once()

    def _hears_beat(self) -> bool:
        return self._monotonic() - self._beat_at < WATCHDOG_SECONDS

    def _beat_by_itself(self) -> None:
        if not self._hears_beat() and self._accept():
            self.counts.self_driven += 1

    def _run_once(self) -> None:
        try:
            self._tick()
            self.counts.run += 1
        except Exception:
            # The next tick starts from what is stored; a failed one must not end the protection.
            self.counts.failed += 1
            logger.exception("A tick failed.")
        finally:
            with self._lock:
                self._is_busy = False
