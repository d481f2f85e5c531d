"""Turns at a resource that only one may write to at a time: whoever has to go first comes first.

SQLite lets one transaction write, and whoever finds it busy sleeps and tries again, up to a tenth
of a second each time: the lock goes to whoever happens to be awake. Threads of one process can do
better: each is woken the moment that its turn comes, and of those who wait it is the turn of the
one whose patience ends first. Among the equally patient that is the order in which they came; and
nobody is passed for being patient by those who come `_PASSED_SECONDS` later.
"""

import math
import threading
import time
from bisect import insort
from collections.abc import Callable
from typing import Final

# So soon it is noticed that a thread has died in its turn.
_LOOK_SECONDS: Final = 0.1
# Who waits for longer than this is as good as the least patient who come then.
_PASSED_SECONDS: Final = 1.0


class Turn:
    """One thread's turn, or its place in the queue."""

    __slots__ = ("called", "rank", "thread")

    def __init__(self, rank: float) -> None:
        self.rank = rank
        self.thread = threading.current_thread()
        self.called = threading.Lock()
        self.called.acquire()


class WriteTurns:
    """Gives turns; for any thread. `comes_first` tells whether the present one need not queue.

    A turn is given back once, by whatever thread. That of a thread that has died goes on by itself.
    """

    def __init__(self, comes_first: Callable[[], bool] = lambda: False) -> None:
        self._comes_first = comes_first
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that was forked has to: the threads are not in it."""
        self._lock = threading.Lock()
        self._holder: Turn | None = None
        self._queue: list[Turn] = []  # the next one first

    def take(self, patience_seconds: float) -> Turn | None:
        """Wait for a turn; None when it does not come in time."""
        now = time.monotonic()
        until = now + patience_seconds
        rank = now + min(patience_seconds, _PASSED_SECONDS)
        turn = Turn(-math.inf if self._comes_first() else rank)
        with self._lock:
            if self._holder is None:
                self._holder = turn
                return turn
            insort(self._queue, turn, key=lambda one: one.rank)
        try:
            return turn if self._is_called(turn, until) else None
        except BaseException:
            if not self._leave(turn):
                self.give_back(turn)
            raise

    def give_back(self, turn: Turn) -> None:
        """Call the next one; nothing happens when the turn has ended before."""
        with self._lock:
            if self._holder is turn:
                self._call_next()

    def _is_called(self, turn: Turn, until: float) -> bool:
        while (left := until - time.monotonic()) > 0:
            if turn.called.acquire(timeout=min(left, _LOOK_SECONDS)):
                return True
            with self._lock:
                if self._holder is not None and not self._holder.thread.is_alive():
                    self._call_next()
        return not self._leave(turn)

    def _leave(self, turn: Turn) -> bool:
        """Leave the queue; False when the turn has come this very moment, and is still held."""
        with self._lock:
            try:
                self._queue.remove(turn)
            except ValueError:
                return False
            return True

    def _call_next(self) -> None:
        self._holder = self._queue.pop(0) if self._queue else None
        if self._holder is not None:
            self._holder.called.release()
