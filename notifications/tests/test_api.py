from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import Q
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.models import Notification, NotificationType, Priority
from notifications.selectors import (
    RECENT,
    count_unread,
    describe,
    get_statistics,
    latest_notifications,
    list_notifications,
)
from notifications.tests.factories import make_notification

URL = "/api/v1/notifications"


@pytest.fixture
def client(alice: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(alice)
    return client


def test_it_shows_a_notification_as_the_sockets_do(client: APIClient, alice: User) -> None:
    notification = make_notification(alice, read_at=NOW + timedelta(microseconds=5))

    answer = client.get(f"{URL}/{notification.pk}")

    assert answer.status_code == 200
    assert answer.json().items() >= describe(notification).items()
    assert (answer.json()["happened_count"], answer.json()["last_happened_at"]) == (1, None)
    assert answer.json()["created_at"] == "2026-11-20T12:00:00Z"


def test_it_lists_the_newest_first_in_pages(client: APIClient, alice: User) -> None:
    rows = [make_notification(alice, now=NOW + timedelta(seconds=n)) for n in range(3)]

    answer = client.get(URL, {"page_size": 2}).json()

    assert answer["count"] == 3
    assert answer["next"]
    assert [row["id"] for row in answer["results"]] == [str(rows[2].pk), str(rows[1].pk)]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, {"a", "b", "c"}),
        ({"type": "connection_lost"}, {"b"}),
        ({"priority": "urgent"}, {"a", "c"}),
        ({"unread": "true"}, {"a", "b"}),
        ({"unread": "false"}, {"c"}),
        ({"unread": "true", "priority": "urgent"}, {"a"}),
        ({"object_type": "account"}, {"c"}),
        ({"object_type": "breach", "object_id": "7"}, {"b"}),
        ({"since": "2026-11-20T12:00:01Z"}, {"b", "c"}),
        ({"until": "2026-11-20T13:00:01+01:00"}, {"a", "b"}),
        ({"since": "2026-11-20T12:00:01Z", "until": "2026-11-20T12:00:01Z"}, {"b"}),
        ({"search": "restored"}, {"b"}),
    ],
)
def test_it_filters(client: APIClient, alice: User, query: dict[str, str], found: set[str]) -> None:
    make_notification(alice, title="a")
    make_notification(
        alice,
        title="b",
        body="It was restored.",
        type=NotificationType.CONNECTION_LOST,
        priority=Priority.HIGH,
        object_id="7",
        now=NOW + timedelta(seconds=1),
    )
    make_notification(
        alice, title="c", read_at=NOW, object_type="account", now=NOW + timedelta(seconds=2)
    )

    assert {row["title"] for row in client.get(URL, query).json()["results"]} == found


@pytest.mark.parametrize("field", ["type", "priority", "unread", "since", "until", "ordering"])
def test_it_names_a_filter_that_makes_no_sense(client: APIClient, field: str) -> None:
    answer = client.get(URL, {field: "sometimes"})

    assert answer.status_code == 400
    assert list(answer.json()["error"]["fields"]) == [field]


def test_it_needs_as_many_queries_for_twenty_as_for_two(
    client: APIClient, alice: User, django_assert_num_queries: Any
) -> None:
    for count in (2, 18):
        for _ in range(count):
            make_notification(alice)
        with django_assert_num_queries(2):
            client.get(URL)


def test_it_marks_one_as_read_and_keeps_the_first_reading(client: APIClient, alice: User) -> None:
    notification = make_notification(alice)
    other = make_notification(alice)

    first = client.put(f"{URL}/{notification.pk}/read").json()["read_at"]
    second = client.put(f"{URL}/{notification.pk}/read").json()["read_at"]

    assert first is not None
    assert second == first
    other.refresh_from_db()
    assert other.read_at is None


def test_it_marks_all_as_read(client: APIClient, alice: User, bob: User) -> None:
    make_notification(alice)
    make_notification(alice, read_at=NOW)
    make_notification(bob)

    assert client.put(f"{URL}/mark-all-read").json() == {"updated": 1}

    assert count_unread(user=alice) == 0
    assert count_unread(user=bob) == 1
    assert Notification.objects.filter(user=alice, read_at=NOW).count() == 1


def test_it_deletes_one(client: APIClient, alice: User) -> None:
    notification, other = make_notification(alice), make_notification(alice)

    assert client.delete(f"{URL}/{notification.pk}").status_code == 204
    assert list(Notification.objects.all()) == [other]


def test_it_clears_all_of_the_user(client: APIClient, alice: User, bob: User) -> None:
    make_notification(alice, routed_at=NOW)
    make_notification(alice, read_at=NOW, routed_at=NOW)
    kept = make_notification(bob, routed_at=NOW)

    answer = client.delete(f"{URL}/clear-all")

    assert (answer.status_code, answer.json()) == (200, {"deleted": 2})
    assert list(Notification.objects.all()) == [kept]


def test_it_clears_what_was_read(client: APIClient, alice: User, bob: User) -> None:
    unread = make_notification(alice)
    make_notification(alice, read_at=NOW)
    of_bob = make_notification(bob, read_at=NOW)

    answer = client.delete(f"{URL}/clear-read")

    assert (answer.status_code, answer.json()) == (200, {"deleted": 1})
    assert set(Notification.objects.all()) == {unread, of_bob}


def test_it_hides_what_was_counted_with_another(client: APIClient, alice: User) -> None:
    shown = make_notification(alice, routed_at=NOW)
    hidden = make_notification(alice, is_hidden=True, routed_at=NOW)

    assert [row["id"] for row in client.get(URL).json()["results"]] == [str(shown.pk)]
    assert client.get(f"{URL}/{hidden.pk}").status_code == 404
    assert client.get(f"{URL}/stats").json()["total_unread"] == 1
    assert client.delete(f"{URL}/clear-all").json() == {"deleted": 1}
    assert not Notification.objects.exists()


def test_it_counts(client: APIClient, alice: User, bob: User) -> None:
    make_notification(alice)
    make_notification(alice, type=NotificationType.CONNECTION_LOST, priority=Priority.HIGH)
    make_notification(alice, read_at=NOW)
    make_notification(bob)

    counts = client.get(f"{URL}/stats").json()

    assert counts["total_unread"] == 2
    assert counts["by_type"]["risk_breach"] == 2
    assert counts["by_type"]["connection_restored"] == 0
    assert counts["by_priority"] == {"low": 0, "medium": 0, "high": 1, "urgent": 2}


def test_it_counts_what_is_recent(alice: User) -> None:
    for ago in (RECENT - timedelta(seconds=1), RECENT, RECENT + timedelta(seconds=1)):
        make_notification(alice, now=NOW - ago)
    make_notification(alice, now=NOW, is_hidden=True)

    counts = get_statistics(user=alice, now=NOW)

    assert (counts.recent_count, counts.total_unread) == (1, 3)
    assert set(counts.by_type) == set(NotificationType.values)


def test_it_counts_at_one_look(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number, kind in enumerate(NotificationType.values):
        make_notification(alice, type=kind, priority=Priority.values[number % 4])

    with django_assert_num_queries(1):
        counts = get_statistics(user=alice, now=NOW)

    assert set(counts.by_type.values()) == {1}
    assert sum(counts.by_priority.values()) == counts.total_unread == len(NotificationType)


@pytest.mark.parametrize(("at_most", "count"), [(2, 2), (3, 3), (4, 3), (None, 3)])
def test_it_counts_what_is_unread_no_further_than_asked(
    alice: User, at_most: int | None, count: int
) -> None:
    for _ in range(3):
        make_notification(alice)
    make_notification(alice, read_at=NOW)

    assert count_unread(user=alice, at_most=at_most) == count


def test_what_is_unread_is_found_without_what_is_hidden(alice: User) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")  # else it reads such a small table
    [index] = [each for each in Notification._meta.indexes if each.name == "notifications_unread"]
    assert index.condition == Q(read_at=None, is_hidden=False)

    unread = Notification.objects.owned_by(alice).unread()
    for found in (unread, unread.order_by()[:100], list_notifications(user=alice, unread=True)):
        assert "notifications_unread" in found.explain()


def test_it_offers_the_latest_for_the_bell(alice: User, bob: User) -> None:
    rows = [make_notification(alice, now=NOW + timedelta(seconds=n)) for n in range(12)]
    make_notification(bob, now=NOW + timedelta(minutes=1))

    assert latest_notifications(user=alice) == rows[:1:-1]


@pytest.mark.parametrize(("method", "path"), [("get", ""), ("delete", ""), ("put", "/read")])
def test_it_hides_a_strangers_notification(
    client: APIClient, bob: User, method: str, path: str
) -> None:
    notification = make_notification(bob)

    foreign = getattr(client, method)(f"{URL}/{notification.pk}{path}")
    missing = getattr(client, method)(f"{URL}/{uuid4()}{path}")

    assert foreign.status_code == missing.status_code == 404
    assert foreign.json() == missing.json()
    notification.refresh_from_db()
    assert notification.read_at is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", ""),
        ("get", "/stats"),
        ("put", "/mark-all-read"),
        ("delete", "/clear-all"),
        ("delete", "/clear-read"),
        ("get", "/settings"),
        ("get", "/preferences"),
        ("get", "/channels"),
        ("get", "/transports"),
    ],
)
def test_it_asks_strangers_to_sign_in(db: None, method: str, path: str) -> None:
    assert getattr(APIClient(), method)(f"{URL}{path}").status_code == 401
