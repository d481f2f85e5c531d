"""Whose servers take their time, so that nobody else has to wait for them."""

import threading
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Final

# So long a letter may take before its user counts as slow; most take a tenth of it.
SLOW_AFTER: Final = timedelta(seconds=3)
REMEMBERED: Final = timedelta(minutes=10)


class Pace:
    """What one process knows of slow users, by transport; for several threads.

    One sender at a time works for those who are slow: whatever they do, the others are left to
    everybody else.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slow: dict[Hashable, dict[int, datetime]] = {}
        self._busy: set[Hashable] = set()

    def note(self, transport: Hashable, user_id: int, *, took: timedelta, now: datetime) -> None:
        """Note how long a letter took, whatever became of it."""
        with self._lock:
            slow = self._slow.setdefault(transport, {})
            if took >= SLOW_AFTER or user_id in slow:
                # Also when a quick one of them came between: now it is the others' turn.
                at = now if took >= SLOW_AFTER else slow[user_id]
                slow.pop(user_id, None)
                slow[user_id] = at

    def slow(self, transport: Hashable, *, now: datetime) -> list[int]:
        """Return whose letters were slow lately, whoever had a turn longest ago first."""
        with self._lock:
            slow = self._slow.get(transport, {})
            for user_id in [known for known, at in slow.items() if now - at >= REMEMBERED]:
                del slow[user_id]
            return list(slow)

    def enter(self, transport: Hashable) -> bool:
        """Take on those who are slow, unless another sender is at it; then `leave`."""
        with self._lock:
            if transport in self._busy:
                return False
            self._busy.add(transport)
            return True

    def leave(self, transport: Hashable) -> None:
        with self._lock:
            self._busy.discard(transport)

    def forget_all(self) -> None:
        with self._lock:
            self._slow.clear()
            self._busy.clear()
