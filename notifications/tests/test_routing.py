import threading
from collections.abc import Callable
from datetime import time, timedelta
from typing import Any

import pytest
from django.db import connection

from accounts.models import User
from accounts.tests.factories import NOW, make_user
from notifications import tasks
from notifications.defaults import ALWAYS_PASSING
from notifications.models import Delivery, DeliverySettings, Notification, Preference
from notifications.selectors import count_unread, list_notifications
from notifications.services import routing as routing_module
from notifications.services import waking
from notifications.services.routing import BATCH_SIZE, plan_test, route_due
from notifications.tests.factories import make_channel, make_notification

Capture = Callable[..., Any]
ORDINARY: dict[str, Any] = {"type": "margin_warning", "priority": "high"}


def route(seconds: float = 0) -> int:
    return route_due(clock=lambda: NOW + timedelta(seconds=seconds))


def prefer(user: User, transports: list[str], **fields: Any) -> None:
    kind = fields.pop("type", ORDINARY["type"])
    Preference.objects.create(user=user, type=kind, transports=transports, **fields)


def sent_by(notification: Notification) -> set[str]:
    return set(notification.deliveries.values_list("channel_name", flat=True))


@pytest.fixture
def phones(alice: User) -> None:
    """Alice has e-mail, two chats by Telegram and one by Slack."""
    make_channel(alice)
    make_channel(alice, "telegram", name="Chat 1")
    make_channel(alice, "telegram", name="Chat 2")
    make_channel(alice, "slack", name="Team")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What leaves for the open pages and for the senders."""
    out: dict[str, list[Any]] = {"pushed": [], "silent": [], "woken": []}

    def push(notifications: list[Notification], *, silent: set[object]) -> None:
        out["pushed"] += [row.pk for row in notifications]
        out["silent"] += [row.pk for row in notifications if row.pk in silent]

    monkeypatch.setattr(routing_module, "push", push)
    monkeypatch.setattr(
        waking,
        "wake_sender",
        lambda transport, after_seconds=0: out["woken"].append((transport, after_seconds)),
    )
    return out


def test_it_writes_a_delivery_for_each_channel_of_the_chosen_transports(
    alice: User, phones: None
) -> None:
    prefer(alice, ["telegram", "email"])
    notification = make_notification(alice, **ORDINARY)

    assert route(seconds=1) == 1

    assert sent_by(notification) == {"E-mail", "Chat 1", "Chat 2"}
    for delivery in Delivery.objects.all():
        assert (delivery.state, delivery.hold, delivery.attempts) == ("pending", "", 0)
        assert delivery.next_attempt_at == delivery.created_at == NOW + timedelta(seconds=1)
        assert delivery.channel is not None
        assert delivery.transport == delivery.channel.transport
    notification.refresh_from_db()
    assert notification.routed_at == NOW + timedelta(seconds=1)


def test_it_decides_once(alice: User) -> None:
    make_notification(alice)

    assert (route(), route()) == (1, 0)
    assert Delivery.objects.count() == 1


def test_it_gives_everybody_a_channel_by_e_mail(alice: User, bob: User) -> None:
    make_channel(bob)
    for user in (alice, bob):
        make_notification(user)

    route()

    assert [row.transport for row in alice.channels.all()] == ["email"]
    assert Delivery.objects.filter(channel__user=alice, transport="email").count() == 1
    assert bob.channels.count() == 1


def test_it_keeps_to_each_users_own_channels(alice: User, bob: User, phones: None) -> None:
    prefer(alice, ["slack"])
    prefer(bob, ["slack", "email"])
    mine, theirs = make_notification(alice, **ORDINARY), make_notification(bob, **ORDINARY)

    route()

    assert (sent_by(mine), sent_by(theirs)) == ({"Team"}, {"E-mail"})


@pytest.mark.parametrize(
    ("priority", "channels"),
    [("low", set()), ("medium", set()), ("high", {"E-mail"}), ("urgent", {"E-mail"})],
)
def test_it_keeps_what_is_minor_on_the_pages(
    alice: User,
    sent: dict[str, list[Any]],
    priority: str,
    channels: set[str],
    django_capture_on_commit_callbacks: Capture,
) -> None:
    prefer(alice, ["email"], minimum_priority="high")
    notification = make_notification(alice, type=ORDINARY["type"], priority=priority)

    with django_capture_on_commit_callbacks(execute=True):
        route()

    notification.refresh_from_db()
    assert sent_by(notification) == channels
    assert not notification.is_hidden
    assert sent["pushed"] == [notification.pk]
    assert sent["silent"] == ([notification.pk] if priority == "low" else [])


def test_it_keeps_a_silent_type_in_the_centre(
    alice: User, sent: dict[str, list[Any]], django_capture_on_commit_callbacks: Capture
) -> None:
    prefer(alice, ["email"], mode="silent")
    notification = make_notification(alice, **ORDINARY)

    with django_capture_on_commit_callbacks(execute=True):
        route()

    assert sent_by(notification) == set()
    assert Notification.objects.shown().count() == 1
    assert (sent["pushed"], sent["silent"]) == ([notification.pk], [notification.pk])


def test_it_shows_a_type_nowhere_that_is_off(
    alice: User, sent: dict[str, list[Any]], django_capture_on_commit_callbacks: Capture
) -> None:
    prefer(alice, ["email"], mode="off")
    make_notification(alice, **ORDINARY)

    with django_capture_on_commit_callbacks(execute=True):
        assert route() == 1

    assert not Notification.objects.shown().exists()
    assert not Delivery.objects.exists()
    assert sent["pushed"] == []


@pytest.mark.parametrize("mode", ["on", "silent", "off"])
@pytest.mark.parametrize(
    ("kind", "priority"),
    [*((kind, "low") for kind in sorted(ALWAYS_PASSING)), (ORDINARY["type"], "urgent")],
)
def test_it_lets_what_matters_pass(
    alice: User, phones: None, kind: str, priority: str, mode: str
) -> None:
    prefer(alice, ["slack"], type=kind, mode=mode, minimum_priority="urgent")
    notification = make_notification(alice, type=kind, priority=priority)

    route()

    assert sent_by(notification) == {"Team"}
    assert Notification.objects.unread().get() == notification


def test_it_mails_what_must_pass_when_nothing_that_was_chosen_works(
    alice: User, phones: None
) -> None:
    alice.channels.filter(transport="slack").update(switched_off_at=NOW)
    prefer(alice, ["slack", "sms"])
    urgent = make_notification(alice, type=ORDINARY["type"], priority="urgent")
    other = make_notification(alice, **ORDINARY)

    route()

    assert (sent_by(urgent), sent_by(other)) == ({"E-mail"}, set())


def test_it_uses_no_channel_that_is_switched_off(alice: User, phones: None) -> None:
    alice.channels.filter(name="Chat 1").update(switched_off_at=NOW)
    prefer(alice, ["telegram"])
    notification = make_notification(alice, **ORDINARY)

    route()

    assert sent_by(notification) == {"Chat 2"}


def test_it_leaves_out_the_way_by_which_the_user_hears_of_it_anyway(
    alice: User, phones: None
) -> None:
    prefer(alice, ["email", "slack"], type="security")
    told = make_notification(alice, type="security", told_by="email")
    prefer(alice, ["email"], type="liquidation")
    mailed = make_notification(alice, type="liquidation", told_by="email")

    route()

    assert sent_by(told) == {"Team"}
    assert sent_by(mailed) == set()


def test_it_sends_nothing_to_a_user_who_is_switched_off(alice: User, bob: User) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    make_notification(alice)
    theirs = make_notification(bob)

    assert route() == 1
    User.objects.filter(pk=alice.pk).update(is_active=True)
    assert route() == 0

    assert [row.notification for row in Delivery.objects.all()] == [theirs]


def test_it_decides_on_a_type_that_it_does_not_know(alice: User) -> None:
    notification = make_notification(alice, type="of_tomorrow", priority="low")
    other = make_notification(alice)

    assert route() == 2
    assert sent_by(notification) == sent_by(other) == {"E-mail"}


def test_it_shows_and_sends_after_the_commit(
    alice: User,
    phones: None,
    sent: dict[str, list[Any]],
    django_capture_on_commit_callbacks: Capture,
) -> None:
    prefer(alice, ["telegram", "slack"])
    notification = make_notification(alice, **ORDINARY)

    with django_capture_on_commit_callbacks(execute=True):
        route()
        assert sent == {"pushed": [], "silent": [], "woken": []}

    assert (sent["pushed"], sent["silent"]) == ([notification.pk], [])
    assert sent["woken"] == [("slack", 0), ("telegram", 0)]


def test_it_wakes_nobody_for_what_quiet_hours_hold(
    alice: User, sent: dict[str, list[Any]], django_capture_on_commit_callbacks: Capture
) -> None:
    DeliverySettings.objects.create(user=alice, quiet_from=time(0), quiet_until=time(23, 59))
    make_notification(alice, **ORDINARY)

    with django_capture_on_commit_callbacks(execute=True):
        route()

    assert (Delivery.objects.get().hold, sent["woken"]) == ("quiet", [])


def test_it_has_what_is_gathered_sent_the_moment_that_it_is_due(
    alice: User, bob: User, sent: dict[str, list[Any]], django_capture_on_commit_callbacks: Capture
) -> None:
    for user in (alice, bob):
        DeliverySettings.objects.create(user=user, storm_limit=1)

    def woken_by(seconds: float, users: list[User], **fields: Any) -> list[Any]:
        sent["woken"].clear()
        for user in users * 3:
            make_notification(user, now=NOW + timedelta(seconds=seconds), **fields)
        with django_capture_on_commit_callbacks(execute=True):
            route(seconds)
        return sent["woken"]

    assert woken_by(0, [alice, bob], **ORDINARY) == [("email", 0), ("email", 60)]
    # They join what the sender is woken for already; what always passes makes it go sooner.
    assert woken_by(10, [alice], **ORDINARY) == []
    assert woken_by(20, [alice], priority="urgent") == [("email", 10)]
    assert woken_by(25, [alice], priority="urgent") == []


def test_it_decides_on_more_than_a_batch(alice: User, bob: User) -> None:
    DeliverySettings.objects.create(user=alice, storm_limit=7)
    for number in range(2 * BATCH_SIZE + 1):
        make_notification(alice, dedupe_key=str(number))
    make_notification(bob, now=NOW + timedelta(seconds=1))

    assert route(seconds=2) == 2 * BATCH_SIZE + 2

    held = Delivery.objects.filter(channel__user=alice)
    assert held.filter(hold="").count() == 7
    assert held.filter(hold="storm").count() == 2 * BATCH_SIZE - 6
    assert Delivery.objects.filter(channel__user=bob, hold="").count() == 1


def test_it_needs_as_many_queries_for_many_as_for_two(
    django_assert_num_queries: Any, db: None
) -> None:
    few = [make_user(f"few{n}") for n in range(2)]
    many = [make_user(f"many{n}") for n in range(12)]
    for users in (few, many):
        for user in users:
            for number in range(3):
                make_notification(user, dedupe_key=f"{number}", repeat_key="same")
        with django_assert_num_queries(21):
            assert route() == 3 * len(users)
        for user in users:
            make_notification(user, dedupe_key="later", repeat_key="same")
        with django_assert_num_queries(13):
            assert route() == len(users)


def test_it_costs_two_queries_when_nothing_waits(django_assert_num_queries: Any, db: None) -> None:
    with django_assert_num_queries(2):
        assert route() == 0


def test_it_tests_one_channel_whatever_the_preferences_and_the_hour(
    alice: User,
    phones: None,
    sent: dict[str, list[Any]],
    django_capture_on_commit_callbacks: Capture,
) -> None:
    prefer(alice, [], type="system_alert", mode="off")
    for _ in range(12):
        make_notification(alice)
    route()
    channel = alice.channels.get(name="Chat 2")

    with django_capture_on_commit_callbacks(execute=True):
        delivery = plan_test(channel=channel, now=NOW)

    delivery.refresh_from_db()
    assert (delivery.channel, delivery.hold, delivery.next_attempt_at) == (channel, "", NOW)
    assert sent["woken"] == [(channel.transport, 0)]
    test = delivery.notification
    assert (test.title, test.type, test.priority) == (
        "A test from TradeGuard",
        "system_alert",
        "low",
    )
    assert sent_by(test) == {"Chat 2"}
    test.full_clean()
    assert route() == 0


def test_it_sends_each_test_apart(alice: User) -> None:
    channel = make_channel(alice)
    first, second = (plan_test(channel=channel, now=NOW) for _ in range(2))

    assert first.notification != second.notification
    assert Notification.objects.unread().count() == 0


def test_it_routes_through_its_task(alice: User) -> None:
    make_notification(alice)

    tasks.route()

    assert Delivery.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_decides_again_on_what_a_worker_left_in_the_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_notification(make_user("alice"))

    def die(*_: Any, **__: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(routing_module, "write_counts", die)
        with pytest.raises(SystemExit):
            route()
    assert not Delivery.objects.exists()

    assert route() == 1
    assert Delivery.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_it_keeps_what_it_decided_when_nobody_can_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("Redis is away")

    make_notification(make_user("alice"))
    monkeypatch.setattr(routing_module, "push", unreachable)
    monkeypatch.setattr(waking, "wake_sender", unreachable)

    assert route() == 1
    assert Delivery.objects.get().state == "pending"


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite lets one transaction write at a time"
)
@pytest.mark.django_db(transaction=True)
def test_it_counts_right_when_two_workers_decide_at_the_same_moment() -> None:
    users = [make_user(f"user{n}") for n in range(4)]
    for number in range(120):
        for user in users:
            key = "same" if number % 2 else f"{number}"
            make_notification(user, dedupe_key=f"{number}", repeat_key=key)
    start = threading.Barrier(2)
    routed: list[int] = []

    def work() -> None:
        try:
            start.wait()
            routed.append(route())
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    routed.append(route())  # what both left to each other

    assert sum(routed) == 480
    for user in users:
        own = Delivery.objects.filter(channel__user=user)
        assert (own.filter(hold="").count(), own.filter(hold="storm").count()) == (10, 51)
        counts = Notification.objects.owned_by(user).shown().order_by("happened_count")
        assert [row.happened_count for row in counts] == [1] * 60 + [60]


def test_it_counts_what_is_silent_as_read(alice: User) -> None:
    prefer(alice, ["email"], mode="silent")
    for number in range(2):
        make_notification(alice, **ORDINARY, repeat_key="margin", dedupe_key=f"margin:{number}")

    route()

    assert count_unread(user=alice) == 0
    [shown] = list_notifications(user=alice)
    assert (shown.happened_count, shown.read_at) == (2, NOW)
