"""What goes down to a child process, on a thread of its own."""

import logging
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO

logger = logging.getLogger(__name__)


class Sender:
    """Writes frames in their order; a process that does not read holds up this thread alone.

    ``may_leave`` is asked right before each request is written, with its number: one that it
    refuses is dropped, one that it lets go may have reached the process from then on.
    """

    def __init__(self, pipe: IO[bytes], may_leave: Callable[[int], bool], name: str) -> None:
        self._pipe = pipe
        self._may_leave = may_leave
        self._frames: SimpleQueue[tuple[bytes, int | None] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def put(self, data: bytes, request_id: int | None = None) -> None:
        self._frames.put((data, request_id))

    def close(self) -> None:
        """Close the pipe after what was put before; the process reads its end then."""
        self._frames.put(None)

    def _run(self) -> None:
        with self._pipe:
            try:
                while (item := self._frames.get()) is not None:
                    data, request_id = item
                    if request_id is None or self._may_leave(request_id):
                        self._write(data)
            except OSError as error:
                logger.debug("A terminal's process does not read any more: %s.", error)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._pipe.fileno(), view) :]
