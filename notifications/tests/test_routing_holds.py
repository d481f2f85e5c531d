"""Quiet hours and storms hold deliveries back; see services/holding.py."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.models import Channel, Delivery, DeliverySettings, Preference
from notifications.services.holding import Planned, Traffic, let_out
from notifications.services.routing import route_due
from notifications.tests.factories import make_channel, make_delivery, make_notification

INSTANT = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
ORDINARY: dict[str, Any] = {"type": "margin_warning", "priority": "high"}
LIMIT = 3


@pytest.fixture
def calm(alice: User) -> None:
    """Alice takes three a minute."""
    DeliverySettings.objects.create(user=alice, storm_limit=LIMIT)


def tell(user: User, count: int = 1, *, at: datetime = NOW, **fields: Any) -> list[Delivery]:
    """Tell so many things at once, and have them routed."""
    told = [make_notification(user, now=at, **{**ORDINARY, **fields}) for _ in range(count)]
    route_due(clock=lambda: at)
    return list(Delivery.objects.filter(notification__in=told).order_by("pk"))


def holds(deliveries: Sequence[Delivery]) -> list[tuple[str, datetime | None]]:
    return [(row.hold, row.next_attempt_at) for row in deliveries]


def be_quiet(user: User, zone: str = "Europe/Prague", **fields: Any) -> None:
    """Let it be quiet from 13:00 to 14:00 in the user's zone: at NOW it is 13:00 in Prague."""
    User.objects.filter(pk=user.pk).update(time_zone=zone)
    times = {"quiet_from": time(13), "quiet_until": time(14)}
    DeliverySettings.objects.create(user=user, **{**times, **fields})


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (NOW - INSTANT, ("", NOW - INSTANT)),
        (NOW, ("quiet", NOW + timedelta(hours=1))),
        (NOW + timedelta(minutes=60) - INSTANT, ("quiet", NOW + timedelta(hours=1))),
        (NOW + timedelta(minutes=60), ("", NOW + timedelta(minutes=60))),
    ],
)
def test_it_holds_until_the_quiet_hours_end(
    alice: User, at: datetime, expected: tuple[str, datetime]
) -> None:
    be_quiet(alice)

    assert holds(tell(alice, at=at)) == [expected]


def test_it_goes_by_the_clock_of_each_user(alice: User, bob: User) -> None:
    be_quiet(alice)
    be_quiet(bob, zone="America/New_York")

    assert holds(tell(alice)) == [("quiet", NOW + timedelta(hours=1))]
    assert holds(tell(bob)) == [("", NOW)]


@pytest.mark.parametrize(
    "fields",
    [
        {"priority": "urgent"},
        {"type": "risk_breach", "priority": "low"},
        {"type": "liquidation", "priority": "low"},
        {"type": "security", "priority": "low"},
    ],
)
def test_it_lets_what_always_passes_through_quiet_hours(
    alice: User, fields: dict[str, Any]
) -> None:
    be_quiet(alice)
    if "type" in fields:
        Preference.objects.create(user=alice, type=fields["type"], transports=["email"])

    assert holds(tell(alice, **fields)) == [("", NOW)]


def test_it_makes_no_storm_of_what_waits_for_the_quiet_hours_to_end(alice: User) -> None:
    be_quiet(alice, storm_limit=LIMIT)

    assert {hold for hold, _ in holds(tell(alice, LIMIT + 2))} == {"quiet"}
    assert holds(tell(alice, at=NOW + SECOND, priority="urgent")) == [("", NOW + SECOND)]


@pytest.mark.parametrize("count", [LIMIT - 1, LIMIT, LIMIT + 1])
def test_it_gathers_what_is_more_than_the_limit(alice: User, calm: None, count: int) -> None:
    deliveries = tell(alice, count)

    assert [row.hold for row in deliveries].count("") == min(count, LIMIT)
    held = [row for row in deliveries if row.hold]
    assert holds(held) == [("storm", NOW + 60 * SECOND)] * (count - min(count, LIMIT))


@pytest.mark.parametrize(
    ("pause", "hold"), [(60 * SECOND - INSTANT, "storm"), (60 * SECOND, ""), (61 * SECOND, "")]
)
def test_it_counts_within_a_minute(alice: User, calm: None, pause: timedelta, hold: str) -> None:
    tell(alice, LIMIT)

    [delivery] = tell(alice, at=NOW + pause)

    assert delivery.hold == hold


def test_it_gathers_until_a_minute_after_the_first(alice: User, calm: None) -> None:
    tell(alice, LIMIT + 1)

    assert holds(tell(alice, at=NOW + 50 * SECOND)) == [("storm", NOW + 60 * SECOND)]


def test_it_makes_one_letter_a_minute_as_long_as_a_storm_lasts(alice: User, calm: None) -> None:
    due = set()
    for second in range(0, 180, 5):
        at = NOW + second * SECOND
        waiting = Delivery.objects.filter(hold="storm", letter_id=None, next_attempt_at__lte=at)
        waiting.update(state="sent", next_attempt_at=None)
        due |= {end for hold, end in holds(tell(alice, at=at)) if hold == "storm"}

    # The fourth, after 15 seconds, is the first that is held.
    assert due == {NOW + seconds * SECOND for seconds in (75, 135, 195)}


def test_it_begins_another_letter_when_one_is_on_its_way(alice: User, calm: None) -> None:
    [*_, held] = tell(alice, LIMIT + 1)
    Delivery.objects.filter(pk=held.pk).update(
        letter_id=held.notification_id, next_attempt_at=NOW + timedelta(minutes=10)
    )

    assert holds(tell(alice, at=NOW + 30 * SECOND)) == [("storm", NOW + 90 * SECOND)]


def test_it_has_what_always_passes_wait_ten_seconds_at_most(alice: User, calm: None) -> None:
    tell(alice, LIMIT + 1)

    first = tell(alice, at=NOW + 20 * SECOND, priority="urgent")
    second = tell(alice, at=NOW + 25 * SECOND, priority="urgent")
    third = tell(alice, at=NOW + 26 * SECOND)

    assert holds([*first, *second, *third]) == [("storm", NOW + 30 * SECOND)] * 3


def test_it_keeps_to_an_end_that_is_near(alice: User, calm: None) -> None:
    tell(alice, LIMIT + 1)

    delivery = tell(alice, at=NOW + 55 * SECOND, priority="urgent")

    assert holds(delivery) == [("storm", NOW + 60 * SECOND)]


def test_it_lets_out_first_what_always_passes(alice: User, calm: None) -> None:
    for _ in range(LIMIT + 2):
        make_notification(alice, now=NOW - SECOND, **ORDINARY)
    urgent = make_notification(alice, now=NOW, priority="urgent")

    route_due(clock=lambda: NOW)

    assert holds(list(urgent.deliveries.all())) == [("", NOW)]
    assert Delivery.objects.filter(hold="").count() == LIMIT


def test_it_counts_each_channel_by_itself(alice: User, bob: User, calm: None) -> None:
    make_channel(alice)
    make_channel(alice, "telegram", name="Chat")
    Preference.objects.create(user=alice, type=ORDINARY["type"], transports=["email"])
    tell(alice, LIMIT)
    Preference.objects.update(transports=["email", "telegram"])

    deliveries = tell(alice)

    assert {row.transport: row.hold for row in deliveries} == {"email": "storm", "telegram": ""}
    assert [row.hold for row in tell(bob)] == [""]


@pytest.mark.parametrize("state", ["sent", "failed", "pending"])
def test_it_counts_what_went_out_whatever_came_of_it(alice: User, calm: None, state: str) -> None:
    for _ in range(LIMIT):
        make_delivery(alice, state=state)

    assert [row.hold for row in tell(alice)] == ["storm"]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=40),
    st.integers(1, 10),
)
def test_it_lets_out_no_more_than_the_limit_and_holds_none_for_long(
    told: list[tuple[int, bool]], limit: int
) -> None:
    channel = Channel(user=User(pk=1), transport="email")
    traffic = Traffic()
    start = datetime(2026, 11, 20, tzinfo=UTC)
    held: list[Delivery] = []
    for seconds, passes in sorted(told, key=lambda each: each[0]):
        now = start + timedelta(seconds=seconds)
        if traffic.due_at is not None and traffic.due_at <= now:
            traffic.due_at = None  # went out, and what comes is gathered anew
        delivery = Delivery(created_at=now)
        let_out(Planned(delivery, channel, passes), traffic, limit, now=now)
        assert delivery.next_attempt_at is not None
        wait = delivery.next_attempt_at - now
        if delivery.hold:
            held.append(delivery)
            assert timedelta(0) < wait <= timedelta(seconds=10 if passes else 60)
            assert traffic.due_at == delivery.next_attempt_at
        else:
            assert not wait

    assert len(told) - len(held) == min(limit, len(told))
