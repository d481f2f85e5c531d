import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import User
from accounts.tests.factories import NOW, make_user, sign_in_staff
from notifications.models import Channel, Delivery, DeliverySettings, Preference
from notifications.tests.factories import make_channel, make_delivery

TOKEN = "123456789:AAF-abcdefghijklmnopqrstuvwxyz012345"
TELEGRAM = {"bot_token": TOKEN, "chat_id": "123456"}


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    sign_in_staff(client, make_user("boss", is_staff=True, is_superuser=True))
    return client


def page(model: str, name: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:notifications_{model}_{name}", args=args)


def act(client: Client, model: str, action: str, *rows: Any) -> str:
    body = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(page(model), body, follow=True).content.decode()


def test_staff_send_again_what_has_ended(staff: Client, alice: User) -> None:
    failed = make_delivery(alice, state="failed", next_attempt_at=None, attempts=6, error="Away.")
    waiting = make_delivery(alice, attempts=2)

    text = act(staff, "delivery", "send_again", failed, waiting)

    assert "1 delivery goes out again." in text
    assert "1 was left alone" in text
    failed.refresh_from_db()
    assert (failed.state, failed.attempts, failed.error) == (Delivery.State.PENDING, 0, "")
    waiting.refresh_from_db()
    assert waiting.attempts == 2


def test_nobody_sends_again_without_the_right(alice: User) -> None:
    client = Client()
    clerk = make_user("clerk", is_staff=True)
    sign_in_staff(client, clerk)
    _allow(clerk, "view_delivery")
    failed = make_delivery(alice, state="failed", next_attempt_at=None)

    act(client, "delivery", "send_again", failed)
    failed.refresh_from_db()
    assert failed.state == Delivery.State.FAILED

    _allow(clerk, "change_delivery")
    act(client, "delivery", "send_again", failed)
    failed.refresh_from_db()
    assert failed.state == Delivery.State.PENDING


def _allow(user: User, codename: str) -> None:
    user.user_permissions.add(Permission.objects.get(codename=codename))


def test_staff_add_a_channel_and_see_no_secret(staff: Client, alice: User) -> None:
    body = {
        "user": alice.pk,
        "transport": "telegram",
        "name": "Phone",
        "secrets": json.dumps(TELEGRAM),
    }
    staff.post(page("channel", "add"), body)

    channel = Channel.objects.get()
    assert (channel.user, channel.name) == (alice, "Phone")
    assert json.loads(channel.credentials or "") == TELEGRAM
    for address in (page("channel"), page("channel", "change", channel.pk)):
        assert TOKEN not in staff.get(address).content.decode()


@pytest.mark.parametrize(
    "secrets",
    [
        "token",
        "[1]",
        '{"chat_id": "1"}',
        json.dumps({**TELEGRAM, "chat_id": "?!"}),
        json.dumps({**TELEGRAM, "\ud800": "half a sign"}),
        "[" * 100_000,
    ],
)
def test_wrong_credentials_are_told_and_not_shown_again(
    staff: Client, alice: User, secrets: str
) -> None:
    body = {"user": alice.pk, "transport": "telegram", "name": "Phone", "secrets": secrets}

    answer = staff.post(page("channel", "add"), body)

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors["secrets"]
    assert TOKEN not in answer.content.decode()
    assert not Channel.objects.exists()


def test_staff_change_a_channel_and_keep_its_credentials(staff: Client, alice: User) -> None:
    channel = make_channel(alice, "telegram", credentials=TELEGRAM)
    address = page("channel", "change", channel.pk)

    staff.post(address, {"name": "Mobile", "secrets": ""})
    channel = Channel.objects.get()
    assert (channel.name, json.loads(channel.credentials or "")) == ("Mobile", TELEGRAM)

    staff.post(address, {"name": "Mobile", "secrets": '{"chat_id": "-100777"}'})
    assert json.loads(Channel.objects.get().credentials or "")["chat_id"] == "-100777"


def test_staff_switch_channels_off_and_on(staff: Client, alice: User) -> None:
    make_channel(alice)
    channel = make_channel(alice, "telegram", credentials=TELEGRAM)

    assert "1 channel is switched off." in act(staff, "channel", "switch_off", channel)
    assert not Channel.objects.working().filter(pk=channel.pk).exists()

    assert "1 channel is switched on." in act(staff, "channel", "switch_on", channel)
    assert Channel.objects.working().filter(pk=channel.pk).exists()
    channel.refresh_from_db()
    assert json.loads(channel.credentials or "") == TELEGRAM


def test_the_channel_by_email_stays(staff: Client, alice: User) -> None:
    channel = make_channel(alice)

    answer = staff.post(page("channel", "delete", channel.pk), {"post": "yes"}, follow=True)

    assert "The channel by e-mail stays" in answer.content.decode()
    assert Channel.objects.filter(pk=channel.pk).exists()


def test_staff_set_a_preference(staff: Client, alice: User) -> None:
    body = {
        "user": alice.pk,
        "type": "cascade",
        "mode": "on",
        "minimum_priority": "high",
        "transports": ["webhook", "email"],
    }
    staff.post(page("preference", "add"), body)
    row = Preference.objects.get()
    assert (row.user, row.minimum_priority, row.transports) == (alice, "high", ["email", "webhook"])

    change = {"mode": "off", "minimum_priority": "low", "transports": []}
    staff.post(page("preference", "change", row.pk), change)
    row.refresh_from_db()
    assert (row.type, row.mode, row.transports) == ("cascade", "off", [])


def test_staff_silence_nothing_that_always_passes(staff: Client, alice: User) -> None:
    body = {"user": alice.pk, "type": "security", "mode": "off", "minimum_priority": "low"}

    answer = staff.post(page("preference", "add"), body)

    assert "always told" in answer.content.decode()
    assert not Preference.objects.exists()


def test_staff_set_quiet_hours_and_take_them_away(staff: Client, alice: User) -> None:
    body = {
        "user": alice.pk,
        "quiet_from": "22:00",
        "quiet_until": "06:00",
        "summary_at": "21:00",
        "repeat_minutes": "5",
        "storm_limit": "10",
    }
    assert (
        "both ends"
        in staff.post(page("deliverysettings", "add"), {**body, "quiet_until": ""}).content.decode()
    )
    staff.post(page("deliverysettings", "add"), body)
    row = DeliverySettings.objects.get()
    assert (row.user, f"{row.quiet_from:%H:%M}") == (alice, "22:00")
    held = make_delivery(alice, hold="quiet", next_attempt_at=NOW.replace(year=2090))

    staff.post(page("deliverysettings", "delete", row.pk), {"post": "yes"})

    assert not DeliverySettings.objects.exists()
    held.refresh_from_db()
    assert held.next_attempt_at is not None
    assert held.next_attempt_at.year < 2090
