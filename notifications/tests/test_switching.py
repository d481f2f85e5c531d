"""Channels that fail for good are switched off, and what matters goes by e-mail."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts.models import User
from accounts.task_messages import TaskMessage
from accounts.tests.factories import NOW, make_user
from notifications.delivering.transport import TransportError
from notifications.models import Channel, Delivery, Notification
from notifications.services import email_channels, switching, waking
from notifications.services.channels import delete_channel
from notifications.services.deliveries import cancel_stranded, deliver_due
from notifications.services.outcomes import FAILURES_IN_A_ROW, MAX_ATTEMPTS
from notifications.services.switching import fall_back, switch_off, switch_on
from notifications.tests.carrier import Carrier
from notifications.tests.factories import make_channel, make_delivery

CALM: dict[str, Any] = {"type": "order_rejected", "priority": "medium"}
NO_SUCH_CHAT = TransportError("There is no such chat.", permanent=True)


def clock_at(now: datetime) -> Callable[[], datetime]:
    return lambda: now


def make_hook(user: User) -> Channel:
    return make_channel(user, "webhook", name="My server", credentials={"host": "h.example"})


def emails() -> list[Delivery]:
    return list(Delivery.objects.filter(transport="email").order_by("pk"))


def told() -> list[Notification]:
    return list(Notification.objects.filter(object_type="channel"))


def test_a_channel_that_fails_for_good_again_and_again_is_switched_off(
    alice: User, hook: Carrier
) -> None:
    channel = make_hook(alice)
    hook.error = NO_SUCH_CHAT
    for number in range(1, FAILURES_IN_A_ROW + 1):
        assert channel.switched_off_at is None
        make_delivery(alice, channel=channel, **CALM)
        deliver_due(clock=clock_at(NOW), transport="webhook")
        channel.refresh_from_db()
        assert channel.failures_in_a_row == number

    assert channel.switched_off_at == NOW
    assert channel.switched_off_because == "There is no such chat."
    [notice] = told()
    assert (notice.priority, notice.told_by) == ("high", "webhook")
    assert notice.link == "/notifications/channels"
    assert "My server" in notice.title
    assert "There is no such chat." in notice.body


@pytest.mark.parametrize("because", ["It said 404: Unknown Webhook", "There is no such chat."])
def test_the_reason_ends_as_a_sentence(alice: User, because: str) -> None:
    switch_off(make_hook(alice), because, NOW)

    [notice] = told()
    assert f": {because.rstrip('.')}. Put that right" in notice.body


def test_a_letter_that_arrives_ends_the_row_of_failures(alice: User, hook: Carrier) -> None:
    channel = make_hook(alice)
    for error in (NO_SUCH_CHAT, NO_SUCH_CHAT, None, NO_SUCH_CHAT):
        hook.error = error
        make_delivery(alice, channel=channel, **CALM)
        deliver_due(clock=clock_at(NOW), transport="webhook")
    channel.refresh_from_db()
    assert (channel.failures_in_a_row, channel.switched_off_at) == (1, None)


def test_a_letter_that_arrived_in_the_same_batch_counts_before_the_next_failure(
    alice: User, hook: Carrier
) -> None:
    channel = make_hook(alice)
    Channel.objects.filter(pk=channel.pk).update(failures_in_a_row=FAILURES_IN_A_ROW - 1)
    for title in ("Sound", "Broken"):
        make_delivery(alice, channel=channel, title=title, **CALM)

    def refuse(letter: Any, _credentials: object) -> None:
        if letter.title == "Broken":
            raise NO_SUCH_CHAT

    hook.on_send = refuse
    deliver_due(clock=clock_at(NOW), transport="webhook")
    channel.refresh_from_db()
    assert (channel.failures_in_a_row, channel.switched_off_at) == (1, None)


def test_a_channel_that_is_gone_is_switched_off_at_once(alice: User, hook: Carrier) -> None:
    channel = make_hook(alice)
    waiting = make_delivery(
        alice, channel=channel, next_attempt_at=NOW + timedelta(hours=1), **CALM
    )
    make_delivery(alice, channel=channel, **CALM)
    hook.error = TransportError("The browser is gone.", permanent=True, is_gone=True)

    deliver_due(clock=clock_at(NOW), transport="webhook")

    channel.refresh_from_db()
    assert channel.switched_off_at == NOW
    waiting.refresh_from_db()
    assert (waiting.state, waiting.next_attempt_at) == ("cancelled", None)
    assert waiting.error == "My server was switched off."
    assert emails() == []


@pytest.mark.parametrize(
    ("credentials", "counted"), [({"host": "own.example"}, 1), ({"token": "t"}, 0)]
)
def test_a_shared_server_that_stays_away_is_no_fault_of_the_channel(
    alice: User, hook: Carrier, credentials: dict[str, str], counted: int
) -> None:
    channel = make_channel(alice, "webhook", credentials=credentials)
    delivery = make_delivery(alice, channel=channel, attempts=MAX_ATTEMPTS - 1, error="Away.")
    hook.error = TransportError("Away.", permanent=False)

    deliver_due(clock=clock_at(NOW), transport="webhook")

    delivery.refresh_from_db()
    channel.refresh_from_db()
    assert (delivery.state, channel.failures_in_a_row) == ("failed", counted)


def test_what_always_passes_goes_by_email_when_its_channel_fails(
    alice: User, hook: Carrier, carrier: Carrier
) -> None:
    channel = make_hook(alice)
    make_delivery(alice, channel=channel, title="Liquidated", type="liquidation")
    make_delivery(alice, channel=channel, title="Calm", **CALM)
    hook.error = NO_SUCH_CHAT

    deliver_due(clock=clock_at(NOW), transport="webhook")
    deliver_due(clock=clock_at(NOW), transport="email")

    assert carrier.titles == ["Liquidated"]


def test_it_goes_by_email_only_once_and_only_when_it_went_nowhere_else(
    alice: User, hook: Carrier
) -> None:
    channel = make_hook(alice)
    reached = make_delivery(alice, channel=channel)
    Delivery.objects.create(
        notification=reached.notification,
        channel=make_hook_again(alice),
        transport="webhook",
        state="sent",
    )
    by_itself = make_delivery(alice, channel=channel, told_by="email", type="security")
    lost = make_delivery(alice, channel=channel, type="security", priority="low")

    rows = channel.deliveries.all()
    assert fall_back(rows, now=NOW) == 1
    fall_back(rows, now=NOW)

    [email] = emails()
    assert email.notification_id == lost.notification_id
    assert (email.state, email.hold, email.next_attempt_at) == ("pending", "", NOW)
    assert by_itself.notification_id != email.notification_id


def make_hook_again(user: User) -> Channel:
    return make_channel(user, "webhook", credentials={"host": "other.example"})


def test_many_that_fall_back_at_once_are_one_email(
    alice: User, hook: Carrier, carrier: Carrier
) -> None:
    channel = make_hook(alice)
    for _ in range(5):
        make_delivery(alice, channel=channel)

    assert switch_off(channel, "Told to.", NOW)
    deliver_due(clock=clock_at(NOW), transport="email")

    assert [letter.total for letter in carrier.sent] == [5]
    assert set(Delivery.objects.filter(transport="webhook").values_list("state")) == {
        ("cancelled",)
    }


def test_email_itself_is_switched_off_and_nothing_falls_back_to_it(
    alice: User, hook: Carrier, carrier: Carrier
) -> None:
    email = make_channel(alice)
    make_delivery(alice)
    assert switch_off(email, "No such mailbox.", NOW)
    channel = make_hook(alice)
    make_delivery(alice, channel=channel)
    hook.error = NO_SUCH_CHAT

    deliver_due(clock=clock_at(NOW))

    assert carrier.tried == []
    assert [row.state for row in emails()] == ["cancelled"]


def test_switching_off_twice_tells_once(alice: User) -> None:
    channel = make_hook(alice)
    assert switch_off(channel, "First.", NOW) is True
    assert switch_off(channel, "Second.", NOW + timedelta(days=1)) is False
    channel.refresh_from_db()
    assert channel.switched_off_because == "First."
    assert len(told()) == 1


def test_switching_on_forgets_what_was(alice: User) -> None:
    channel = make_hook(alice)
    assert switch_on(channel, NOW) is False
    Channel.objects.filter(pk=channel.pk).update(failures_in_a_row=3, last_error="Old.")
    switch_off(channel, "Broken.", NOW)

    assert switch_on(channel, NOW) is True

    for row in (channel, Channel.objects.get(pk=channel.pk)):
        assert (row.switched_off_at, row.switched_off_because) == (None, "")
        assert (row.failures_in_a_row, row.last_error) == (0, "")
    assert channel.credentials == '{"host": "h.example"}'


@pytest.mark.django_db(transaction=True)
def test_falling_back_wakes_the_sender_of_email(monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[TaskMessage] = []
    monkeypatch.setattr(waking, "enqueue", woken.append)
    alice = make_user("alice")
    channel = make_hook(alice)
    make_delivery(alice, channel=channel)
    switch_off(channel, "Broken.", NOW)
    assert woken == [TaskMessage("notifications.deliver_by", ["email"], "deliveries")]


@pytest.mark.django_db(transaction=True)
def test_what_its_user_just_deletes_stops_nobody(
    hook: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_user("alice")
    channel = make_hook(alice)
    deleted, kept = make_delivery(alice, channel=channel), make_delivery(alice, channel=channel)
    ensure = email_channels.ensure_email_channels

    def delete_meanwhile(user_ids: Any) -> None:
        Notification.objects.filter(pk=deleted.notification_id).delete()
        ensure(user_ids)

    monkeypatch.setattr(switching, "ensure_email_channels", delete_meanwhile)
    assert fall_back(channel.deliveries.all(), now=NOW) == 1
    assert [email.notification_id for email in emails()] == [kept.notification_id]


@pytest.mark.parametrize("hold", ["", "storm"])
def test_what_is_in_the_air_when_its_channel_is_deleted_arrives_once(
    alice: User, hook: Carrier, carrier: Carrier, hold: str
) -> None:
    channel = make_hook(alice)
    in_the_air = make_delivery(alice, channel=channel, hold=hold)
    waiting = make_delivery(alice, channel=channel, next_attempt_at=NOW + timedelta(hours=1))
    hook.on_send = lambda _letter, _credentials: delete_channel(channel=channel, now=NOW)

    deliver_due(clock=clock_at(NOW), transport="webhook")

    in_the_air.refresh_from_db()
    waiting.refresh_from_db()
    assert (in_the_air.state, in_the_air.channel_id) == ("sent", None)
    assert waiting.state == "cancelled"
    assert [email.notification_id for email in emails()] == [waiting.notification_id]


def test_what_was_in_the_air_and_did_not_arrive_goes_by_email(alice: User, hook: Carrier) -> None:
    channel = make_hook(alice)
    make_delivery(alice, channel=channel)

    def fail(_letter: Any, _credentials: object) -> None:
        delete_channel(channel=channel, now=NOW)
        raise NO_SUCH_CHAT

    hook.on_send = fail
    deliver_due(clock=clock_at(NOW), transport="webhook")
    assert len(emails()) == 1


def test_what_was_claimed_for_a_channel_that_is_gone_becomes_one_email(
    alice: User, hook: Carrier, carrier: Carrier
) -> None:
    channel = make_hook(alice)
    for _ in range(4):
        make_delivery(alice, channel=channel)
    hook.error = TransportError("The browser is gone.", permanent=True, is_gone=True)

    deliver_due(clock=clock_at(NOW), transport="webhook")
    cancel_stranded(now=NOW)
    deliver_due(clock=clock_at(NOW), transport="email")

    assert len(hook.tried) == 1
    assert sorted(letter.total for letter in carrier.sent) == [1, 3]
