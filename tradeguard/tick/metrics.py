"""How long each stage of a tick takes, and what became of the ticks."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

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
    """Measures the stages of one tick, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

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
