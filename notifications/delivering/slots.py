"""How many senders of one transport may work at a time, so that none takes every thread."""

import threading
from collections import Counter


class Slots:
    """Counts the senders of each transport in one process.

    A sender that finds no slot goes away; one that is inside looks once more before it leaves, so
    that what the other was called for is not left lying.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._inside: Counter[str] = Counter()
        self._called: set[str] = set()

    def enter(self, name: str) -> bool:
        with self._lock:
            if self._inside[name] >= self._most:
                self._called.add(name)
                return False
            self._inside[name] += 1
            return True

    def leave(self, name: str) -> bool:
        """Leave, unless somebody called meanwhile: then False, and the sender looks again."""
        with self._lock:
            if name in self._called:
                self._called.discard(name)
                return False
            self._inside[name] -= 1
            return True

    def abandon(self, name: str) -> None:
        """Leave whatever waits, as after an error."""
        with self._lock:
            self._inside[name] -= 1
            self._called.discard(name)
