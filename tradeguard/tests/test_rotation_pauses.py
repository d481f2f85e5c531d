"""A rotation lets the ticks of a running desk write between its batches."""

import pytest
from django.db import connection

from tradeguard.management.commands import rotate_master_key


class Clock:
    """A clock that goes on only by what is done."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


@pytest.mark.parametrize(("engine", "pauses"), [("sqlite", [0.25, 0.5]), ("postgresql", [])])
def test_it_pauses_as_long_as_a_batch_held_the_only_writer(
    engine: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(rotate_master_key, "time", clock)
    monkeypatch.setattr(connection, "vendor", engine)
    told: list[int] = []
    after_batch = rotate_master_key.considerate(told.append)
    for seconds, rows in ((0.25, 100), (0.5, 7)):
        clock.now += seconds
        after_batch(rows)
    assert clock.slept == pauses
    assert told == [100, 7]
