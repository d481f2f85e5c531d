from datetime import timedelta

import pytest

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.models import Notification
from notifications.selectors import RECENT, get_statistics
from notifications.services import clear_all, clear_read, mark_all_read
from notifications.tests.factories import make_notification


def test_it_clears_what_was_read_and_nothing_else(alice: User, bob: User) -> None:
    unread = make_notification(alice)
    make_notification(alice, read_at=NOW)
    of_bob = make_notification(bob, read_at=NOW)

    assert clear_read(user=alice) == 1
    assert set(Notification.objects.all()) == {unread, of_bob}


def test_it_clears_nothing_that_is_not_on_its_way_yet(alice: User) -> None:
    make_notification(alice, routed_at=NOW)
    new = make_notification(alice)

    assert clear_all(user=alice) == 1
    assert list(Notification.objects.all()) == [new]


@pytest.mark.parametrize(("late", "updated"), [(-1, 1), (0, 1), (1, 0)])
def test_it_leaves_unread_what_arrived_after_the_click(
    alice: User, late: int, updated: int
) -> None:
    make_notification(alice, now=NOW + timedelta(microseconds=late))

    assert mark_all_read(user=alice, now=NOW) == updated


@pytest.mark.parametrize(("late", "recent"), [(-1, 0), (0, 0), (1, 1)])
def test_it_counts_the_last_day_as_recent(alice: User, late: int, recent: int) -> None:
    make_notification(alice, now=NOW - RECENT + timedelta(microseconds=late))

    assert get_statistics(user=alice, now=NOW).recent_count == recent


@pytest.mark.parametrize(("late", "updated"), [(-1, 1), (0, 1), (1, 0)])
def test_it_leaves_unread_what_happened_again_after_the_click(
    alice: User, late: int, updated: int
) -> None:
    make_notification(alice)
    clicked_at = NOW + timedelta(minutes=2)
    again_at = clicked_at + timedelta(microseconds=late)
    Notification.objects.update(happened_count=2, last_happened_at=again_at)

    assert mark_all_read(user=alice, now=clicked_at) == updated
