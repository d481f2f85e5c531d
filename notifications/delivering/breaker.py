"""Letting a server be that does not answer, so that it costs time once and not for each letter."""

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

FAILURES_IN_A_ROW: Final = 3
SHORTEST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(minutes=5)
# Longer than any transport takes to give up: a trial that is not over by then never will be.
TRIAL_LASTS: Final = timedelta(minutes=1)


class Passage(Enum):
    """Whether letters may go to a server now; a trial is one letter, which decides for the rest."""

    OPEN = auto()
    TRIAL = auto()
    CLOSED = auto()


@dataclass(slots=True)
class _Server:
    failures: int = 0
    closed_until: datetime | None = None
    trial_until: datetime | None = None
    known_by: set[Hashable] = field(default_factory=set)


class Breaker:
    """What one process knows of the servers it sends to; for several threads.

    After three failures in a row nothing goes to a server for half a minute, then a single letter
    tries; each time that fails the pause doubles, up to five minutes. One success forgets it all.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[Hashable, _Server] = {}

    def passage(self, server: Hashable, *, now: datetime) -> Passage:
        """Tell whether letters may go; TRIAL is told to one caller, which must report back."""
        with self._lock:
            known = self._servers.get(server)
            if known is None or known.closed_until is None:
                return Passage.OPEN
            if now < known.closed_until or (known.trial_until and now < known.trial_until):
                return Passage.CLOSED
            known.trial_until = now + TRIAL_LASTS
            return Passage.TRIAL

    def closed_until(self, server: Hashable) -> datetime | None:
        with self._lock:
            known = self._servers.get(server)
            return None if known is None else known.closed_until

    def is_closed(self, server: Hashable, *, now: datetime) -> bool:
        until = self.closed_until(server)
        return until is not None and now < until

    def forget_trial(self, server: Hashable) -> None:
        """Let another caller try: nothing was sent after all."""
        with self._lock:
            known = self._servers.get(server)
            if known is not None:
                known.trial_until = None

    def note_answer(self, server: Hashable) -> None:
        with self._lock:
            self._servers.pop(server, None)

    def note_failure(self, server: Hashable, *, now: datetime, by: Hashable = None) -> None:
        """Note that a server did not answer; except at a trial, once `by` the same one."""
        with self._lock:
            known = self._servers.setdefault(server, _Server())
            was_trial, known.trial_until = known.trial_until is not None, None
            if by is not None and by in known.known_by and not was_trial:
                return
            known.known_by.add(by)
            known.failures += 1
            doublings = known.failures - FAILURES_IN_A_ROW
            if doublings >= 0:
                pause = min(SHORTEST_PAUSE * 2 ** min(doublings, 10), LONGEST_PAUSE)
                known.closed_until = now + pause

    def close(self, server: Hashable, *, until: datetime) -> None:
        """Let nothing go to a server until then, as it asked."""
        with self._lock:
            self._servers.setdefault(server, _Server()).closed_until = until

    def forget_all(self) -> None:
        with self._lock:
            self._servers.clear()
