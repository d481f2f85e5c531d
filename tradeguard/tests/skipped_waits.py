"""A clock for the parts that wait for a terminal host, where a test has none."""

import time

import pytest

# Longer than anybody waits for an answer: the second look is the last one.
_LEAP_SECONDS = 60.0
_WAITING = ("accounts.market_terms", "risk.services.orders")


class LeapingClock:
    """Tells the time; whoever sleeps finds a minute gone, and has not waited."""

    def __init__(self) -> None:
        self._leapt_seconds = 0.0

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() + self._leapt_seconds

    def sleep(self, _seconds: float) -> None:
        self._leapt_seconds += _LEAP_SECONDS


def skip_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody wait for a host: its answer is there, or it will not come."""
    clock = LeapingClock()
    for module in _WAITING:
        monkeypatch.setattr(f"{module}.time", clock)
