"""A lock that goes round: whoever has asked first is next."""

import threading
from collections import deque


class Queue:
    """Lets one thread in at a time, in the order in which they came; not to be taken twice.

    A `threading.Lock` goes to whoever asks when it is free. A thread that takes it again and again,
    with nothing in between, would keep it as long as it has work.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def acquire(self, timeout_seconds: float = -1.0) -> bool:
        """Wait for one's turn; below 0 without an end. Return whether it has come."""
        turn = threading.Lock()
        turn.acquire()
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return True
            self._waiting.append(turn)
        if turn.acquire(timeout=timeout_seconds):
            return True
        with self._lock:
            if turn not in self._waiting:
                return True  # it came in this very moment
            self._waiting.remove(turn)
            return False

    def release(self) -> None:
        """Let the next one in."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False

    @property
    def is_taken(self) -> bool:
        return self._is_taken

    @property
    def is_waited_for(self) -> bool:
        return bool(self._waiting)
