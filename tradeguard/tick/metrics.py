"""How long each stage of a tick takes, and what became of the ticks."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

from accounts.core.right_of_way import LONGEST_SECONDS, RIGHT_OF_WAY

# For so long a tick waits, all in all, for orders that are to leave.
MOST_GIVEN_SECONDS = 2 * LONGEST_SECONDS

STAGES = ("poll", "evaluate", "latch", "store", "groups", "publish", "total")
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.5)

stage_seconds = Histogram(
    "tradeguard_tick_stage_seconds",
    "Duration of a stage of the tick.",
    ["host", "stage"],
    buckets=BUCKETS,
)
requests_total = Counter(
    "tradeguard_tick_requests_total",
    "Requests for a tick by what became of them.",
    ["host", "outcome"],
)
accounts_watched = Gauge(
    "tradeguard_accounts_watched",
    "Accounts that the host's worker evaluates.",
    ["host"],
    multiprocess_mode="livemostrecent",
)


class Stopwatch:
    """Measures the stages of one tick, in seconds, without the time that it gives others."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._left_to_give = MOST_GIVEN_SECONDS

    def give_way(self) -> None:
        """Wait a little while orders are about to leave; never between a violation and its act."""
        if self._left_to_give <= 0.0 or not RIGHT_OF_WAY.is_taken():
            return
        began = time.perf_counter()
        RIGHT_OF_WAY.give(min(LONGEST_SECONDS, self._left_to_give))
        self._left_to_give = max(0.0, self._left_to_give - (time.perf_counter() - began))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def observe(self, host: str) -> None:
        """Add this tick to the histograms of the host; the total is the sum of its stages."""
        self.seconds["total"] = sum(self.seconds.values())
        for stage, seconds in self.seconds.items():
            stage_seconds.labels(host, stage).observe(seconds)
