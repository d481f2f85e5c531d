"""Who comes first when an order is waiting to be sent: the threads of one process share one pace.

Python runs one thread at a time. A thread that has asked the database or a socket waits for its
turn again, and each other thread that is busy meanwhile doubles the way to the broker. So whoever
has a crowd of orders to send takes the right of way, and long work that can wait gives way to it.
"""

import gc
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# Nobody waits for longer at a time: a tick that is late turns readings stale.
LONGEST_SECONDS: Final = 0.1
# But for what nobody waits for, in threads of their own: a crowd may take longer to leave.
PATIENT_SECONDS: Final = 0.25
# How soon a thread that is back from a call gets its turn.
_TURN_SECONDS: Final = 0.0001


class RightOfWay:
    """Taken by threads with orders to send, given by all others; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._takers: Counter[int] = Counter()  # how often each thread has it
        self._is_free = threading.Event()
        self._is_free.set()
        self._turn_seconds = sys.getswitchinterval()
        self._collects = True

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Come first meanwhile, until the outermost `taken` of this thread ends.

        No garbage is collected in that time, for it would hold up every thread.
        """
        me = threading.get_ident()
        with self._lock:
            if not self._takers:
                self._turn_seconds, self._collects = sys.getswitchinterval(), gc.isenabled()
                sys.setswitchinterval(min(self._turn_seconds, _TURN_SECONDS))
                gc.disable()
                self._is_free.clear()
            self._takers[me] += 1
        try:
            yield
        finally:
            with self._lock:
                self._takers[me] -= 1
                if not self._takers[me]:
                    del self._takers[me]
                if not self._takers:
                    sys.setswitchinterval(self._turn_seconds)
                    if self._collects:
                        gc.enable()
                    self._is_free.set()

    def is_mine(self) -> bool:
        """Tell whether the present thread comes first."""
        return threading.get_ident() in self._takers

    def is_taken(self) -> bool:
        """Tell whether anybody comes first at the moment."""
        return not self._is_free.is_set()

    def give(self, seconds: float = LONGEST_SECONDS) -> None:
        """Wait while somebody else comes first, for a little at most; hold no lock meanwhile."""
        if not self._is_free.is_set() and not self.is_mine():
            self._is_free.wait(seconds)


RIGHT_OF_WAY: Final = RightOfWay()
