"""Telling open ledgers of changes: together, seldom, and never at the cost of who changes them."""

import queue
import threading
from collections.abc import Iterable
from uuid import UUID, uuid4

from copytrade.publishing import SHORTEST_INTERVAL_SECONDS, LedgerBell

PATIENCE_SECONDS = 5.0


class Listener:
    """Hears what a bell publishes, and lets it go on after a pause only when told."""

    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[set[UUID]] = queue.SimpleQueue()
        self.pauses: list[float] = []
        self.goes_on = threading.Semaphore(0)
        self.bell = LedgerBell(self.publish, self.pause)

    def publish(self, provider_ids: Iterable[UUID]) -> None:
        self.heard.put(set(provider_ids))

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.goes_on.acquire()

    def next(self) -> set[UUID]:
        return self.heard.get(timeout=PATIENCE_SECONDS)


def test_it_rings_at_once_and_then_for_all_that_came_meanwhile() -> None:
    listener = Listener()
    first, second, third = (uuid4() for _ in range(3))
    listener.bell.ring([first])
    assert listener.next() == {first}
    for ids in ([second], [third, second], [first]):
        listener.bell.ring(ids)
    assert listener.heard.empty()  # it pauses
    listener.goes_on.release()
    assert listener.next() == {first, second, third}
    assert set(listener.pauses) == {SHORTEST_INTERVAL_SECONDS}


def test_it_does_not_ring_for_nothing() -> None:
    listener = Listener()
    listener.bell.ring([])
    one = uuid4()
    listener.bell.ring([one])
    assert listener.next() == {one}
    listener.goes_on.release()
    assert listener.heard.empty()
