"""Deleting notifications while others are at work on them; see services/discarding.py."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from accounts.tests.factories import NOW, make_user
from notifications.models import Delivery, Notification
from notifications.services import delete_notification, discarding, folding
from notifications.services import routing as routing_module
from notifications.services.discarding import discard
from notifications.services.routing import route_due
from notifications.tests.factories import make_delivery, make_notification

needs_two_writers = pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite lets one transaction write at a time"
)


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Run something in a thread of its own; gives what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    yield raised
    thread.join(30)
    assert not thread.is_alive()


def wait_for_lock() -> None:
    """Wait until somebody waits for a lock that somebody else holds."""
    with connection.cursor() as cursor:
        for _ in range(10_000):
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            if cursor.fetchone():
                return
            cursor.execute("SELECT pg_sleep(0.001)")
    raise AssertionError("Nobody waited.")


@needs_two_writers
@pytest.mark.django_db(transaction=True)
def test_it_deletes_what_a_router_is_just_deciding_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alice = make_user("alice")
    notification = make_notification(alice)
    decided, may_write = threading.Event(), threading.Event()

    def pause(firsts: Any) -> None:
        decided.set()
        assert may_write.wait(30)
        folding.write_counts(firsts)

    monkeypatch.setattr(routing_module, "write_counts", pause)
    with beside(lambda: route_due(clock=lambda: NOW)) as routers_errors:
        assert decided.wait(30)
        with beside(lambda: delete_notification(notification=notification)) as errors:
            wait_for_lock()
            may_write.set()

    assert routers_errors == errors == []
    assert not Notification.objects.exists()
    assert not Delivery.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_it_deletes_in_batches_all_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(discarding, "BATCH_SIZE", 2)
    alice, bob = make_user("alice"), make_user("bob")
    for _ in range(count):
        make_delivery(alice)
    kept = make_delivery(bob)

    assert discard(Notification.objects.owned_by(alice)) == count
    assert list(Delivery.objects.all()) == [kept]
