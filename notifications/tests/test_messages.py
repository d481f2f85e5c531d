import asyncio
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.db import connection, transaction

from accounts.models import User
from accounts.task_messages import TaskMessage
from accounts.tests.factories import NOW
from notifications.models import Channel, Delivery, Notification, NotificationType
from notifications.services import messages as messages_module
from notifications.services import notify
from notifications.services.announcing import push
from notifications.tests.factories import make_message

Capture = Callable[..., Any]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[TaskMessage]:
    """What leaves for the workers."""
    out: list[TaskMessage] = []
    monkeypatch.setattr(messages_module, "enqueue", out.append)
    return out


def test_it_writes_what_the_user_reads(alice: User) -> None:
    [notification] = notify([make_message(alice)], now=NOW)

    stored = Notification.objects.get()
    assert stored == notification
    assert stored.user == alice
    assert stored.title == "Daily loss limit broken: Alpha 3"
    assert stored.created_at == NOW
    assert stored.read_at is None
    assert stored.routed_at is None


def test_it_leaves_it_to_others_how_it_goes_out(alice: User) -> None:
    notify([make_message(alice)], now=NOW)

    assert not Delivery.objects.exists()
    assert not Channel.objects.exists()


def test_it_tells_the_same_change_once(alice: User, bob: User) -> None:
    notify([make_message(alice)], now=NOW)

    again = notify(
        [make_message(alice), make_message(bob), make_message(alice, dedupe_key="breach:2")],
        now=NOW + timedelta(seconds=1),
    )

    assert [(row.user_id, row.dedupe_key) for row in again] == [
        (bob.pk, "breach:1"),
        (alice.pk, "breach:2"),
    ]
    assert Notification.objects.count() == 3
    assert Notification.objects.get(user=alice, dedupe_key="breach:1").created_at == NOW


def test_it_tells_a_change_once_that_stands_twice_in_one_call(alice: User) -> None:
    assert len(notify([make_message(alice), make_message(alice)], now=NOW)) == 1
    assert Notification.objects.count() == 1


def test_it_lists_what_was_told_of_one_moment_as_told(alice: User) -> None:
    keys = [f"breach:{number}" for number in (3, 1, 2, 9, 5, 8)]
    notify([make_message(alice, dedupe_key=key) for key in keys], now=NOW)

    newest_first = Notification.objects.values_list("dedupe_key", flat=True)
    assert list(newest_first) == keys[::-1]


def test_it_leaves_out_a_user_who_is_gone(alice: User) -> None:
    message = make_message(alice)
    User.objects.filter(pk=alice.pk).delete()

    assert notify([message], now=NOW) == []


def test_it_accepts_nothing_to_tell(db: None) -> None:
    assert notify([], now=NOW) == []


def test_it_asks_for_a_router_after_the_commit(
    alice: User, sent: list[TaskMessage], django_capture_on_commit_callbacks: Capture
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        notify([make_message(alice), make_message(alice, dedupe_key="breach:2")], now=NOW)
        assert sent == []

    assert sent == [TaskMessage("notifications.route", [], "default")]


def test_it_asks_for_nothing_when_it_was_told_before(
    alice: User, django_capture_on_commit_callbacks: Capture
) -> None:
    notify([make_message(alice)], now=NOW)

    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        notify([make_message(alice)], now=NOW)

    assert callbacks == []


@pytest.mark.django_db(transaction=True)
def test_it_tells_nothing_of_a_change_that_was_taken_back(sent: list[TaskMessage]) -> None:
    user = User.objects.create(username="alice", email="alice@example.com")
    with transaction.atomic():
        notify([make_message(user)], now=NOW)
        transaction.set_rollback(True)

    assert not Notification.objects.exists()
    assert sent == []


@pytest.mark.django_db(transaction=True)
def test_it_keeps_the_rows_when_no_router_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User.objects.create(username="alice", email="alice@example.com")

    def unreachable(_: TaskMessage) -> bool:
        raise ConnectionError("Redis is away")

    monkeypatch.setattr(messages_module, "enqueue", unreachable)
    with transaction.atomic():
        [notification] = notify([make_message(user)], now=NOW)

    assert Notification.objects.unrouted().get() == notification


def test_it_names_what_is_the_same_for_a_reader(alice: User) -> None:
    told = notify(
        [
            make_message(alice, dedupe_key="1"),
            make_message(alice, dedupe_key="2", body="It lost more.", link="", priority="high"),
            make_message(alice, dedupe_key="3", object_id="2"),
            make_message(alice, dedupe_key="4", title="Another rule broken"),
            make_message(alice, dedupe_key="5", type=NotificationType.ENFORCEMENT),
            make_message(alice, dedupe_key="6", repeat_key="named"),
            make_message(alice, dedupe_key="7", repeat_key="named", title="And another"),
            make_message(alice, dedupe_key="8", repeat_key="named", type="enforcement"),
        ],
        now=NOW,
    )

    keys = [row.repeat_key for row in told]
    assert keys[0] == keys[1]
    assert keys[5] == keys[6]
    assert len(set(keys)) == 6
    for row in told:
        row.full_clean()


def test_it_needs_as_many_queries_for_many_as_for_two(
    alice: User, bob: User, django_assert_num_queries: Any
) -> None:
    few = [make_message(alice, dedupe_key=f"few:{n}") for n in range(2)]
    many = [make_message(user, dedupe_key=f"many:{n}") for n in range(10) for user in (alice, bob)]

    with django_assert_num_queries(5):
        notify(few, now=NOW)
    with django_assert_num_queries(5):
        notify(many, now=NOW)


@pytest.mark.django_db(transaction=True)
def test_it_lets_other_writers_in_between_when_it_tells_many(
    sent: list[TaskMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = User.objects.create(username="alice", email="alice@example.com")
    many = [make_message(user, dedupe_key=f"{n % 5}") for n in range(7)]
    monkeypatch.setattr(messages_module, "BATCH_SIZE", 2)
    written: list[tuple[bool, int]] = []

    def pause(_seconds: float) -> None:
        written.append((connection.in_atomic_block, Notification.objects.count()))

    monkeypatch.setattr("notifications.services.messages.time.sleep", pause)

    told = notify(many, now=NOW)

    assert [row.dedupe_key for row in told] == ["0", "1", "2", "3", "4"]
    if connection.vendor == "sqlite":
        assert written == [(False, 2), (False, 4), (False, 5)]


@pytest.mark.django_db(transaction=True)
def test_it_tells_many_as_one_within_somebodys_transaction(
    sent: list[TaskMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    user = User.objects.create(username="alice", email="alice@example.com")
    monkeypatch.setattr(messages_module, "BATCH_SIZE", 2)

    with transaction.atomic():
        notify([make_message(user, dedupe_key=f"{n}") for n in range(7)], now=NOW)

    assert sent == [TaskMessage("notifications.route", [], "default")]


def test_it_lets_no_line_break_into_a_title(alice: User) -> None:
    message = make_message(alice, title="Lost: Alpha\r\nBcc: eve@example.com")

    [notification] = notify([message], now=NOW)

    assert notification.title == "Lost: Alpha Bcc: eve@example.com"


@pytest.mark.parametrize("length", [159, 160, 161])
def test_it_fits_titles_and_keys_to_their_columns(alice: User, length: int) -> None:
    [notification] = notify(
        [make_message(alice, title="x" * length, dedupe_key="k" * length)], now=NOW
    )

    notification.full_clean()
    assert notification.title.endswith("…") == (length > 160)
    assert len(notification.title) == min(length, 160)


def test_it_keeps_long_keys_apart(alice: User) -> None:
    keys = [f"{'k' * 200}{n}" for n in range(2)]

    assert len(notify([make_message(alice, dedupe_key=key) for key in keys], now=NOW)) == 2


@pytest.mark.parametrize("link", ["https://evil.example", "//evil.example", "javascript:alert(1)"])
def test_it_links_to_this_site_alone(alice: User, link: str) -> None:
    [notification] = notify([make_message(alice, link=link)], now=NOW)

    assert notification.link == ""


@pytest.mark.skipif(
    connection.vendor == "sqlite", reason="SQLite lets one transaction write at a time"
)
@pytest.mark.django_db(transaction=True)
def test_it_tells_once_when_many_workers_tell_at_the_same_moment(
    sent: list[TaskMessage],
) -> None:
    user = User.objects.create(username="alice", email="alice@example.com")
    told: list[Notification] = []
    start = threading.Barrier(4)

    def work(order: int) -> None:
        try:
            messages = [make_message(user, dedupe_key=f"breach:{n}") for n in range(20)]
            start.wait()
            told.extend(notify(messages[:: -1 if order % 2 else 1], now=NOW))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(order,)) for order in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(row.dedupe_key for row in told) == sorted(f"breach:{n}" for n in range(20))
    assert {row.pk for row in told} == set(Notification.objects.values_list("pk", flat=True))


def test_it_knows_every_type_and_priority(alice: User) -> None:
    notify(
        [make_message(alice, type=type_, dedupe_key=type_) for type_ in NotificationType.values],
        now=NOW,
    )
    for notification in Notification.objects.all():
        notification.full_clean()


async def test_it_reaches_the_sockets_of_the_user_and_of_no_other() -> None:
    layer = get_channel_layer()
    assert layer is not None
    channels = {user_id: await layer.new_channel() for user_id in (7, 8)}
    for user_id, channel in channels.items():
        await layer.group_add(f"user.{user_id}", channel)
    told = Notification(user_id=8, title="For 8", created_at=NOW)
    told_first = Notification(user_id=7, title="For 7", created_at=NOW)

    push([told_first, told])

    for user_id, channel in channels.items():
        message = await asyncio.wait_for(layer.receive(channel), timeout=10)
        assert message["type"] == "user.notifications"
        [notification] = json.loads(message["payload"])
        assert notification["title"] == f"For {user_id}"
    await layer.flush()
