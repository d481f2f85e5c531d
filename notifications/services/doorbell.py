"""Waking the workers that bring deliveries, at no cost to whoever has something to tell."""

import logging
import os
import queue
import threading
from collections.abc import Sequence

from celery import current_app

logger = logging.getLogger(__name__)

# One task brings this many deliveries, so that a slow mail server holds up no more than these.
DELIVERIES_PER_TASK = 50
# More than this waits only while the broker is away, and then the sweep brings everything.
MOST_WAITING = 1000


class Doorbell:
    """Enqueues delivery tasks from a thread of its own, never raising.

    With Redis away one attempt takes six seconds to fail, which a tick does not have. What is lost
    here waits in the database for the sweep.
    """

    def __init__(self, *, most_waiting: int = MOST_WAITING) -> None:
        self._lock = threading.Lock()
        self._waiting: queue.Queue[Sequence[int]] = queue.Queue(maxsize=most_waiting)
        self._pid = 0

    def ring(self, delivery_ids: Sequence[int]) -> None:
        """Ask for these deliveries, and return at once."""
        self._run_once_per_process()
        for start in range(0, len(delivery_ids), DELIVERIES_PER_TASK):
            try:
                self._waiting.put_nowait(delivery_ids[start : start + DELIVERIES_PER_TASK])
            except queue.Full:
                return

    def _run_once_per_process(self) -> None:
        # A forked process inherits the object, but no thread.
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._run, name="doorbell", daemon=True).start()

    def _run(self) -> None:
        while True:
            delivery_ids = self._waiting.get()
            try:
                current_app.send_task(
                    "notifications.deliver",
                    args=[list(delivery_ids)],
                    queue="default",
                    retry=False,
                )
            except Exception as error:  # transports let errors of any type through
                logger.warning("Deliveries wait for the next sweep: %r", error)


_doorbell = Doorbell()


def wake_workers(delivery_ids: Sequence[int]) -> None:
    """Have these deliveries brought soon; lost, with a warning, when the broker is away."""
    _doorbell.ring(delivery_ids)
