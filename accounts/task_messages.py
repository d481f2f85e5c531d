"""Messages to workers, at no cost to whoever has something for them to do.

With Redis away one attempt takes six seconds to fail, which neither a tick nor a page has. So
messages go out from a thread of their own and may be lost: whatever they ask for also stands in the
database, where the worker finds it by itself.
"""

import logging
import os
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from celery import current_app

logger = logging.getLogger(__name__)

# More than this waits only while Redis is away.
MOST_WAITING = 1000


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """A task by its name, for the workers of a queue; worth nothing after `expires` seconds.

    With a `countdown` it is done so many seconds later.
    """

    task: str
    arguments: Sequence[Any]
    queue: str
    expires: float | None = None
    countdown: float | None = None


class Outbox:
    """Sends task messages in their order from a daemon thread, never raising."""

    def __init__(self, *, most_waiting: int = MOST_WAITING) -> None:
        self._lock = threading.Lock()
        self._waiting: queue.Queue[TaskMessage] = queue.Queue(maxsize=most_waiting)
        self._pid = 0

    def put(self, message: TaskMessage) -> bool:
        """Have a message sent soon and return at once; False when too many wait already."""
        self._start_once_per_process()
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            return False
        return True

    def _start_once_per_process(self) -> None:
        # A forked process inherits the object, but no thread.
        with self._lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._run, name="task-messages", daemon=True).start()

    def _run(self) -> None:
        while True:
            message = self._waiting.get()
            try:
                current_app.send_task(
                    message.task,
                    args=list(message.arguments),
                    queue=message.queue,
                    expires=message.expires,
                    countdown=message.countdown,
                    retry=False,
                )
            except Exception as error:  # transports let errors of any type through
                logger.warning("%s was not sent, and waits for a sweep: %r", message.task, error)


_outbox = Outbox()


def enqueue(message: TaskMessage) -> bool:
    """Have a task done soon; lost, with a warning, when Redis is away."""
    return _outbox.put(message)
