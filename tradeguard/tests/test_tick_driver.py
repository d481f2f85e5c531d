import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tradeguard.tick import driver as drivers
from tradeguard.tick.driver import TickDriver

PATIENCE_SECONDS = 10.0


class Tick:
    """A tick that can be held up, and that fails when told to."""

    def __init__(self) -> None:
        self.started = threading.Semaphore(0)
        self.may_end = threading.Event()
        self.may_end.set()
        self.fails_on = 0
        self.count = 0
        self.threads: set[int] = set()

    def __call__(self) -> None:
        self.count += 1
        self.threads.add(threading.get_ident())
        self.started.release()
        assert self.may_end.wait(PATIENCE_SECONDS)
        if self.count == self.fails_on:
            raise ValueError("a tick that fails")


@pytest.fixture
def tick() -> Tick:
    return Tick()


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def driver(tick: Tick, clock: list[float]) -> Iterator[TickDriver]:
    """A driver that is asked by the test alone: its interval is longer than the test."""
    driver = TickDriver(tick, interval_seconds=60.0, monotonic=lambda: clock[0])
    driver.start()
    yield driver
    tick.may_end.set()
    driver.stop()


def await_that(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_it_drops_a_request_while_a_tick_runs(driver: TickDriver, tick: Tick) -> None:
    tick.may_end.clear()
    assert driver.request()
    assert tick.started.acquire(timeout=PATIENCE_SECONDS)
    assert not driver.request()
    tick.may_end.set()
    await_that(lambda: driver.counts.run == 1)
    assert (driver.counts.dropped, driver.counts.late, tick.count) == (1, 0, 1)


@pytest.mark.parametrize(("seconds", "is_late"), [(29.999, True), (30.0, False), (30.001, False)])
def test_it_leaves_out_what_comes_out_of_a_backlog(
    driver: TickDriver, clock: list[float], seconds: float, is_late: bool
) -> None:
    driver.request()
    await_that(lambda: driver.counts.run == 1)
    await_that(lambda: not driver._is_busy)
    clock[0] += seconds
    assert driver.request() is not is_late
    await_that(lambda: driver.counts.run + driver.counts.late == 2)
    assert driver.counts.late == int(is_late)


def test_it_goes_on_after_a_tick_that_failed(
    driver: TickDriver, tick: Tick, clock: list[float]
) -> None:
    tick.fails_on = 1
    driver.request()
    await_that(lambda: driver.counts.failed == 1 and not driver._is_busy)
    clock[0] += 60
    assert driver.request()
    await_that(lambda: driver.counts.run == 1)
    assert len(tick.threads) == 1


def test_it_keeps_the_interval_by_itself_when_the_beat_is_silent(
    tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "WATCHDOG_SECONDS", 0.5)
    driver = TickDriver(tick, interval_seconds=0.005)
    driver.start()
    driver.request()
    # One tick per silent watchdog period would take four times as long as there is patience.
    await_that(lambda: driver.counts.self_driven >= 80)
    driver.stop()
    assert driver.counts.run == tick.count


def test_it_finishes_in_the_thread_of_its_ticks(tick: Tick) -> None:
    finished: list[int] = []
    driver = TickDriver(
        tick, interval_seconds=60.0, finish=lambda: finished.append(threading.get_ident())
    )
    driver.start()
    driver.request()
    await_that(lambda: driver.counts.run == 1)
    driver.stop()
    assert finished == list(tick.threads)
    assert finished != [threading.get_ident()]
