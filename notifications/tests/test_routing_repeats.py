"""What repeats itself within minutes is counted; see services/folding.py."""

import threading
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import User
from accounts.tests.factories import NOW, make_user
from notifications.models import Delivery, DeliverySettings, Notification, Preference, Priority
from notifications.services.folding import fold
from notifications.services.routing import route_due
from notifications.tests.factories import make_notification

INSTANT = timedelta(microseconds=1)
WINDOW = timedelta(minutes=5)


def tell(user: User, at: datetime = NOW, **fields: Any) -> Notification:
    """Tell the same thing, and have it routed at once."""
    notification = make_notification(user, now=at, **{"repeat_key": "same", **fields})
    route_due(clock=lambda: at)
    return reload(notification)


def reload(notification: Notification) -> Notification:
    return Notification.objects.get(pk=notification.pk)


@pytest.mark.parametrize(
    ("pause", "is_counted"),
    [(timedelta(0), True), (WINDOW - INSTANT, True), (WINDOW, False), (WINDOW + INSTANT, False)],
)
def test_it_counts_what_repeats_within_minutes_of_the_first(
    alice: User, pause: timedelta, is_counted: bool
) -> None:
    first = tell(alice)
    Notification.objects.update(read_at=NOW)

    again = tell(alice, NOW + pause)

    first = reload(first)
    assert again.is_hidden == is_counted
    assert again.routed_at == NOW + pause
    assert Delivery.objects.count() == (1 if is_counted else 2)
    assert first.happened_count == (2 if is_counted else 1)
    assert first.last_happened_at == (NOW + pause if is_counted else None)
    assert (first.read_at is None) == is_counted
    assert Notification.objects.unread().count() == 1


def test_it_counts_from_the_first_and_not_from_the_last(alice: User) -> None:
    rows = [tell(alice, NOW + minutes * timedelta(minutes=1)) for minutes in (0, 4, 8, 12)]

    assert [row.is_hidden for row in rows] == [False, True, False, True]
    assert [reload(row).happened_count for row in rows] == [2, 1, 2, 1]


def test_it_counts_within_a_batch(alice: User) -> None:
    for second in range(5):
        at = NOW + timedelta(seconds=second)
        make_notification(alice, now=at, repeat_key="same")

    route_due(clock=lambda: NOW + timedelta(seconds=9))

    shown = Notification.objects.shown().get()
    assert (shown.happened_count, shown.created_at) == (5, NOW)
    assert shown.last_happened_at == NOW + timedelta(seconds=4)
    assert Delivery.objects.get().notification == shown


def test_it_counts_what_was_written_late(alice: User) -> None:
    first = tell(alice)

    assert tell(alice, NOW - timedelta(seconds=1)).is_hidden
    assert reload(first).last_happened_at == NOW - timedelta(seconds=1)
    tell(alice, NOW + timedelta(seconds=2))
    tell(alice, NOW + timedelta(seconds=1))
    assert reload(first).last_happened_at == NOW + timedelta(seconds=2)


@pytest.mark.parametrize("minutes", [0, 1, 120])
def test_it_counts_within_as_many_minutes_as_the_user_says(alice: User, minutes: int) -> None:
    DeliverySettings.objects.create(user=alice, repeat_minutes=minutes)
    span = timedelta(minutes=minutes)
    tell(alice)

    assert tell(alice, NOW + max(span - INSTANT, timedelta(0))).is_hidden == (minutes > 0)
    assert not tell(alice, NOW + span).is_hidden


def test_it_counts_what_is_the_same_and_of_the_same_user(alice: User, bob: User) -> None:
    tell(alice)

    assert not tell(bob).is_hidden
    assert not tell(alice, repeat_key="other").is_hidden
    assert not tell(alice, type="liquidation").is_hidden
    assert tell(alice).is_hidden


def test_it_counts_nothing_with_what_the_user_has_deleted(alice: User) -> None:
    tell(alice).delete()

    assert not tell(alice, NOW + INSTANT).is_hidden


@pytest.mark.parametrize("first", Priority)
@pytest.mark.parametrize("second", Priority)
def test_it_never_counts_what_matters_more_with_what_matters_less(
    alice: User, first: Priority, second: Priority
) -> None:
    tell(alice, type="margin_warning", priority=first)

    again = tell(alice, NOW + INSTANT, type="margin_warning", priority=second)

    assert again.is_hidden == (second.rank <= first.rank)


def test_it_tells_what_matters_more_and_counts_with_that_from_then_on(alice: User) -> None:
    kind: dict[str, Any] = {"type": "margin_warning"}
    medium = tell(alice, priority="medium", **kind)
    urgent = tell(alice, NOW + INSTANT, priority="urgent", **kind)
    again = tell(alice, NOW + 2 * INSTANT, priority="medium", **kind)

    assert again.is_hidden
    assert [reload(row).happened_count for row in (medium, urgent)] == [1, 2]
    assert Delivery.objects.filter(notification=urgent).count() == 1


def test_it_tells_again_what_was_silent_before(alice: User) -> None:
    Preference.objects.create(
        user=alice, type="margin_warning", transports=["email"], minimum_priority="high"
    )
    tell(alice, type="margin_warning", priority="medium")
    assert not Delivery.objects.exists()

    again = tell(alice, NOW + INSTANT, type="margin_warning", priority="high")

    assert Delivery.objects.get().notification == again


def test_it_counts_nothing_of_a_type_that_is_off(alice: User) -> None:
    Preference.objects.create(user=alice, type="margin_warning", mode="off")
    rows = [tell(alice, NOW + n * INSTANT, type="margin_warning", priority="low") for n in (0, 1)]

    assert [reload(row).happened_count for row in rows] == [1, 1]


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite lets one transaction write at a time"
)
@pytest.mark.django_db(transaction=True)
def test_it_waits_for_nobody_who_is_writing_the_first() -> None:
    alice = make_user("alice")
    first = tell(alice)
    make_notification(alice, now=NOW + INSTANT, repeat_key="same")
    routed: list[int] = []

    def work() -> None:
        try:
            routed.append(route_due(clock=lambda: NOW + INSTANT))
        finally:
            connection.close()

    with transaction.atomic():
        Notification.objects.select_for_update().get(pk=first.pk)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(timeout=30)
        assert routed == [1]

    assert Notification.objects.shown().count() == 2
    assert reload(first).happened_count == 1


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 600), st.sampled_from(["a", "b"]), st.sampled_from(Priority.values)
        ),
        min_size=1,
        max_size=25,
    ),
    st.integers(0, 6),
)
def test_it_loses_none_and_tells_each_group_once(
    told: list[tuple[int, str, str]], minutes: int
) -> None:
    waiting = [
        Notification(
            user_id=1,
            repeat_key=key,
            priority=priority,
            created_at=NOW + timedelta(seconds=seconds),
        )
        for seconds, key, priority in sorted(told)
    ]
    folded = fold(waiting, {}, {1: DeliverySettings(repeat_minutes=minutes)})

    assert len(folded.fresh) + len(folded.repeated) == len(waiting)
    assert sum(row.happened_count for row in folded.fresh) == len(waiting)
    for repetition in folded.repeated:
        assert any(
            first.repeat_key == repetition.repeat_key
            and Priority(first.priority).rank >= Priority(repetition.priority).rank
            and repetition.created_at - first.created_at < timedelta(minutes=minutes)
            for first in folded.firsts.values()
        )
    for key in ("a", "b"):
        for rank in Priority:
            own = [row for row in folded.fresh if (row.repeat_key, row.priority) == (key, rank)]
            for first, second in pairwise(own):
                assert second.created_at - first.created_at >= timedelta(minutes=minutes)
