"""The broker's clock, which goes on when the machine's is set back."""

import logging
import threading
from collections.abc import Callable
from typing import Final

# Time servers correct a clock by less all the time: until it has caught up the broker's stands.
LARGEST_CORRECTION_SECONDS: Final = 1.0
# The broker looks at its clock many times a second: a longer leap is no time that passed.
LONGEST_LEAP_SECONDS: Final = 60.0

logger = logging.getLogger(__name__)


class SteadyClock:
    """A clock (UTC epoch seconds) that follows its source, but never runs backwards.

    When the source is set back, the clock goes on from where it is at the source's pace, ahead of
    it. It is never behind. A leap of the source brings the two together again: the clock stands
    still as far as that reaches. A machine that slept looks the same from here. ``not_before`` is
    the earliest moment that it may show. Threads may share one.
    """

    def __init__(self, source: Callable[[], float], not_before: float = 0.0) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._ahead_seconds = 0.0
        self._seen = source()
        self._shown = not_before

    def __call__(self) -> float:
        with self._lock:
            now = self._source()
            self._follow_forward(now)
            lag = self._shown - (now + self._ahead_seconds)
            if lag > LARGEST_CORRECTION_SECONDS:
                self._ahead_seconds += lag
                logger.warning(
                    "The machine's clock was set back: the broker's goes on, %.0f s ahead of it.",
                    self._ahead_seconds,
                )
            self._seen, self._shown = now, max(self._shown, now + self._ahead_seconds)
            return self._shown

    def _follow_forward(self, now: float) -> None:
        leap = now - self._seen
        if now >= self._shown:
            self._ahead_seconds = 0.0
        elif leap > LONGEST_LEAP_SECONDS:
            self._ahead_seconds = max(0.0, self._ahead_seconds - leap)
