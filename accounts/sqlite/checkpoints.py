"""What SQLite has written ahead is brought home by a thread of its own, outside of any turn.

Otherwise a commit does that, every so many pages, while all that want to write wait for its turn:
for a tenth of a second after a crowd of orders. A passive checkpoint blocks nobody.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from accounts.core.right_of_way import PATIENT_SECONDS, RIGHT_OF_WAY, RightOfWay

logger = logging.getLogger(__name__)

# So long after something was written more of it has come.
TOGETHER_SECONDS: Final = 1.0
# Orders that never stop leaving must not let the file grow for ever.
LONGEST_WAIT_SECONDS: Final = 5.0


class Checkpoints:
    """Brings home what is written to databases of this process; for any thread."""

    def __init__(
        self,
        way: RightOfWay = RIGHT_OF_WAY,
        together_seconds: float = TOGETHER_SECONDS,
        bring_home: Callable[[str], None] | None = None,
    ) -> None:
        self._way = way
        self._together_seconds = together_seconds
        self._bring_home = bring_home or bring_home_pages
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that was forked has to: its parent's thread is not in it."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._names: set[str] = set()
        self._thread: threading.Thread | None = None

    def note(self, name: str) -> None:
        """Have what was written to a database's file brought home soon."""
        if name in self._names:
            return
        with self._lock:
            self._names.add(name)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._run, name="sqlite-checkpoints", daemon=True
                )
                self._thread.start()
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(self._together_seconds)
            self._give_way()
            with self._lock:
                self._wake.clear()
                names, self._names = self._names, set()
            for name in names:
                try:
                    self._bring_home(name)
                except (sqlite3.Error, OSError) as error:
                    logger.debug("The pages of %s stay where they are for now: %s", name, error)

    def _give_way(self) -> None:
        """Wait until no order is about to leave."""
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while self._way.is_taken() and time.monotonic() < until:
            self._way.give(PATIENT_SECONDS)


def bring_home_pages(name: str) -> None:
    """Copy pages written ahead into the database's file, as far as no reader needs them there."""
    # Never makes a file where there is none any more.
    connection = sqlite3.connect(
        f"{Path(name).absolute().as_uri()}?mode=rw", uri=True, timeout=0.0, isolation_level=None
    )
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        connection.close()


CHECKPOINTS: Final = Checkpoints()
