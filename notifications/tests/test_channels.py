import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.models import User
from accounts.refusals import Refusal
from accounts.services.users import register_user
from accounts.tests.factories import NOW, make_user
from notifications.models import Channel, Delivery, NotificationType, Preference, Priority
from notifications.services import channels
from notifications.services.channels import add_channel, delete_channel, update_channel
from notifications.services.email_channels import ensure_email_channels
from notifications.services.inbox import clear_all
from notifications.tests.factories import make_channel, make_delivery

URL = "https://hooks.example.com/tradeguard"
TOKEN = "123456789:AAF-abcdefghijklmnopqrstuvwxyz012345"
TELEGRAM = {"bot_token": TOKEN, "chat_id": "123456"}
LATER = NOW + timedelta(minutes=5)


def add(user: User, transport: str = "telegram", name: str = "", **more: Any) -> Channel:
    credentials = {"telegram": TELEGRAM, "webhook": {"url": URL}}.get(transport, {})
    return add_channel(
        user=user, transport=transport, name=name, now=NOW, **{"credentials": credentials, **more}
    )


def stored(channel: Channel) -> dict[str, str]:
    opened: dict[str, str] = json.loads(Channel.objects.get(pk=channel.pk).credentials or "{}")
    return opened


def test_it_seals_what_a_channel_needs(alice: User) -> None:
    channel = add(alice)

    assert stored(channel) == TELEGRAM
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM notifications_channel")
        [row] = cursor.fetchall()
    assert TOKEN.encode() not in b"".join(
        bytes(each) if isinstance(each, bytes | memoryview) else str(each).encode() for each in row
    )
    assert TOKEN not in channel.hint
    assert channel.hint


def test_it_names_a_channel_after_its_transport(alice: User) -> None:
    names = [add(alice).name for _ in range(3)]

    assert names == ["Telegram", "Telegram 2", "Telegram 3"]


def test_it_takes_a_name_once(alice: User, bob: User) -> None:
    add(alice, name="Phone")
    add(bob, name="Phone")

    with pytest.raises(ValidationError) as raised:
        add(alice, name="Phone")

    assert set(raised.value.error_dict) == {"name"}


@pytest.mark.parametrize(
    ("transport", "credentials", "field"),
    [
        ("pigeon", {}, "transport"),
        ("telegram", {"chat_id": "123456"}, "bot_token"),
        ("telegram", {**TELEGRAM, "bot_token": "   "}, "bot_token"),
        ("telegram", {**TELEGRAM, "bot_token": TOKEN + "x" * 2048}, "bot_token"),
        ("telegram", {**TELEGRAM, "bot_token": 7}, "bot_token"),
        ("telegram", {**TELEGRAM, "chat_id": "1\x00"}, "chat_id"),
        ("telegram", {**TELEGRAM, "chat_id": "\ud800"}, "chat_id"),
        ("telegram", {**TELEGRAM, "colour": "red"}, "colour"),
        ("webhook", {"url": "ftp://example.com"}, "url"),
    ],
)
def test_it_names_what_a_transport_does_not_take(
    alice: User, transport: str, credentials: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as raised:
        add(alice, transport, credentials=credentials)

    assert set(raised.value.error_dict) == {field}
    assert TOKEN not in str(raised.value)
    assert not Channel.objects.exists()


def test_it_stops_at_the_most_channels(alice: User) -> None:
    for _ in range(channels.MOST_CHANNELS):
        add(alice)

    with pytest.raises(Refusal) as raised:
        add(alice)

    assert raised.value.code == "too_many_channels"
    assert Channel.objects.count() == channels.MOST_CHANNELS


def test_it_shows_what_a_transport_made_up_once(alice: User) -> None:
    made = add(alice, "webhook")
    given = stored(made)["secret"]
    own = add(alice, "webhook", credentials={"url": URL, "secret": given})

    assert channels.generated_credentials(channel=made, given={"url": URL}) == {"secret": given}
    assert channels.generated_credentials(channel=own, given={"url": URL, "secret": given}) == {}


def test_it_keeps_the_credentials_that_are_left_out(alice: User) -> None:
    channel = add(alice)

    changed = update_channel(
        channel=channel, credentials={"bot_token": "", "chat_id": "-100777"}, now=LATER
    )

    assert stored(channel) == {"bot_token": TOKEN, "chat_id": "-100777"}
    assert changed.hint != channel.hint
    assert changed.name == "Telegram"


def test_it_renames_and_leaves_the_rest(alice: User) -> None:
    channel = add(alice)
    Channel.objects.update(switched_off_at=NOW, switched_off_because="Blocked.")

    changed = update_channel(channel=channel, name="Phone", now=LATER)

    assert changed.name == "Phone"
    assert changed.switched_off_at == NOW
    assert stored(channel) == TELEGRAM


def test_it_tries_a_channel_that_is_reached_otherwise(alice: User) -> None:
    channel = add(alice)
    Channel.objects.update(
        switched_off_at=NOW,
        switched_off_because="Blocked.",
        failures_in_a_row=3,
        last_error="Blocked.",
    )
    same = update_channel(channel=channel, credentials=dict(TELEGRAM), now=LATER)
    assert same.switched_off_at == NOW

    changed = update_channel(channel=channel, credentials={"chat_id": "-100777"}, now=LATER)

    assert (changed.switched_off_at, changed.failures_in_a_row) == (None, 0)
    assert (changed.switched_off_because, changed.last_error) == ("", "")


def test_it_changes_nothing_when_the_change_is_wrong(alice: User) -> None:
    channel = add(alice)

    with pytest.raises(ValidationError) as raised:
        update_channel(channel=channel, name="Phone", credentials={"chat_id": "?!"}, now=LATER)

    assert set(raised.value.error_dict) == {"chat_id"}
    channel.refresh_from_db()
    assert (channel.name, stored(channel)) == ("Telegram", TELEGRAM)


def test_it_cancels_what_waits_for_a_deleted_channel(alice: User) -> None:
    channel = add(alice)
    kind, low = NotificationType.ORDER_FILLED, Priority.LOW
    waiting = make_delivery(alice, channel=channel, type=kind, priority=low)
    sent = make_delivery(
        alice, channel=channel, type=kind, priority=low, state="sent", next_attempt_at=None
    )

    delete_channel(channel=channel, now=LATER)

    assert not Channel.objects.filter(pk=channel.pk).exists()
    waiting.refresh_from_db()
    assert (waiting.state, waiting.next_attempt_at) == (Delivery.State.CANCELLED, None)
    assert (waiting.channel_id, waiting.channel_name) == (None, "Telegram")
    assert "deleted" in waiting.error
    sent.refresh_from_db()
    assert sent.state == Delivery.State.SENT


def test_it_mails_what_always_passes_and_waits_for_a_deleted_channel(alice: User) -> None:
    channel = add(alice)
    urgent = make_delivery(alice, channel=channel)

    delete_channel(channel=channel, now=LATER)

    states = dict(urgent.notification.deliveries.values_list("transport", "state"))
    assert states == {"telegram": Delivery.State.CANCELLED, "email": Delivery.State.PENDING}


def test_it_keeps_the_channel_by_email(alice: User) -> None:
    channel = make_channel(alice)

    with pytest.raises(Refusal):
        delete_channel(channel=channel, now=NOW)
    with pytest.raises(ValidationError):
        add(alice, "email")

    assert list(Channel.objects.all()) == [channel]


def test_it_tests_one_channel_alone(alice: User) -> None:
    make_channel(alice)
    channel = add(alice)

    delivery = channels.test_channel(channel=channel, now=NOW)

    assert delivery.channel == channel
    assert list(Delivery.objects.all()) == [delivery]
    assert (delivery.state, delivery.next_attempt_at) == (Delivery.State.PENDING, NOW)


def test_it_tests_so_often_a_minute_and_no_more(alice: User, bob: User) -> None:
    channel, other = add(alice), add(alice)
    for _ in range(channels.MOST_TESTS):
        channels.test_channel(channel=channel, now=NOW)

    for seconds in (0, 59):
        with pytest.raises(Refusal) as raised:
            channels.test_channel(channel=other, now=NOW + timedelta(seconds=seconds))
        assert (raised.value.code, raised.value.wait_seconds) == ("throttled", 60 - seconds)
    assert Delivery.objects.count() == channels.MOST_TESTS

    channels.test_channel(channel=add(bob), now=NOW)
    channels.test_channel(channel=other, now=NOW + timedelta(seconds=60))


def test_who_deletes_their_tests_sends_no_more_of_them(alice: User) -> None:
    """A channel can be anybody's address: tests without end would be an attack on it."""
    channel = add(alice)
    for _ in range(channels.MOST_TESTS):
        channels.test_channel(channel=channel, now=NOW)
        clear_all(user=alice)

    with pytest.raises(Refusal, match="You sent 5 tests"):
        channels.test_channel(channel=channel, now=NOW + timedelta(seconds=59))
    assert not Delivery.objects.exists()

    channels.test_channel(channel=channel, now=NOW + timedelta(seconds=60))


def test_a_secret_of_blanks_is_made_up_and_shown(alice: User) -> None:
    given = {"url": URL, "secret": "  "}
    channel = add(alice, "webhook", credentials=given)

    shown = channels.generated_credentials(channel=channel, given=given)

    assert shown == {"secret": stored(channel)["secret"]}


def test_it_tests_no_channel_that_is_switched_off(alice: User) -> None:
    channel = add(alice)
    Channel.objects.update(switched_off_at=NOW)

    with pytest.raises(Refusal) as raised:
        channels.test_channel(channel=channel, now=NOW)

    assert raised.value.code == "switched_off"
    assert not Delivery.objects.exists()


def test_everybody_gets_the_channel_by_email_once(alice: User, bob: User) -> None:
    add(bob, name="E-mail")

    for _ in range(2):
        ensure_email_channels([alice.pk, bob.pk])

    names = Channel.objects.filter(transport="email").values_list("user__username", "name")
    assert sorted(names) == [("alice", "E-mail"), ("bob", "E-mail 2")]


def test_a_new_user_starts_with_defaults_and_email(db: None) -> None:
    user = register_user(
        username="dora", email="dora@example.com", password="correct horse battery"
    )

    assert [channel.transport for channel in Channel.objects.filter(user=user)] == ["email"]
    assert Preference.objects.filter(user=user).count() == len(NotificationType)


def test_a_user_made_otherwise_has_no_rows_and_needs_none(db: None) -> None:
    user = make_user("dora")

    assert not Channel.objects.filter(user=user).exists()
    assert not Preference.objects.filter(user=user).exists()
