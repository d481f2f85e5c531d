"""Whoever has stolen a session could have everything sent elsewhere: changed channels are told."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from accounts.models import User
from accounts.origin import SYSTEM, Origin
from accounts.services.users import register_user
from accounts.tests.factories import NOW, make_user, sign_in_staff
from notifications.models import Channel, Notification
from notifications.services.channels import add_channel, delete_channel, update_channel
from notifications.services.push_subscriptions import subscribe_browser, unsubscribe_browser
from notifications.tests.browser_side import Browser
from tradeguard.tests.test_security_notices import INSTANT, NEW_PASSWORD, last, origin, told

HOOK = {"url": "https://hooks.example.com/a"}
OTHER = {"url": "https://hooks.example.com/b"}


def add(user: User, by: Origin) -> Channel:
    return add_channel(
        user=user, transport="webhook", name="Desk", credentials=HOOK, now=NOW, origin=by
    )


def test_their_life_is_told(alice: User) -> None:
    by = origin(alice)
    channel = add(alice, by)
    update_channel(channel=channel, credentials=OTHER, now=NOW + INSTANT, origin=by)
    delete_channel(channel=channel, now=NOW + 2 * INSTANT, origin=by)

    assert told(alice) == [
        "Channel added: Webhook “Desk”",
        "Channel changed: Webhook “Desk”",
        "Channel deleted: Webhook “Desk”",
    ]
    notice = last(alice)
    assert (notice.link, notice.object_type) == ("/notifications/channels", "channel")
    assert notice.object_id == str(channel.pk)
    assert "from 203.0.113.7 with Firefox on Linux" in notice.body


def test_what_leads_nowhere_else_is_not_told(alice: User) -> None:
    channel = add(alice, SYSTEM)  # as a command does
    by = origin(alice)
    update_channel(channel=channel, name="Other", now=NOW, origin=by)
    update_channel(channel=channel, credentials=HOOK, now=NOW, origin=by)

    assert told(alice) == []


def test_what_is_refused_is_not_told_as_done(alice: User) -> None:
    with pytest.raises(ValidationError):
        add_channel(
            user=alice,
            transport="webhook",
            name="",
            credentials={},
            now=NOW,
            origin=origin(alice),
        )

    assert told(alice) == []


@pytest.mark.parametrize("way", ["page", "api", "administration"])
def test_every_way_tells(alice: User, client: Client, way: str) -> None:
    staff = make_user("sam", is_staff=True, is_superuser=True)
    if way == "administration":
        sign_in_staff(client, staff)
    else:
        client.force_login(alice)
    for each in change_by(way, client, alice):
        assert each.status_code < 400

    assert sorted(title.partition(":")[0] for title in told(alice)) == [
        "Channel added",
        "Channel changed",
        "Channel deleted",
    ]
    is_by_staff = ["sam, who is staff" in row.body for row in Notification.objects.owned_by(alice)]
    assert is_by_staff == [way == "administration"] * 3
    assert told(staff) == []


def change_by(way: str, client: Client, user: User) -> Iterator[Any]:
    """Add a webhook, send it elsewhere and delete it."""
    if way == "page":
        pages = "/notifications/channels"
        yield client.post(f"{pages}/add?transport=webhook", {"name": "Desk", **HOOK})
        page = f"{pages}/{webhook()}"
        yield client.post(f"{page}/edit", {"name": "Desk", **OTHER})
        yield client.post(f"{page}/delete")
    elif way == "api":
        rows = "/api/v1/notifications/channels"
        new = {"transport": "webhook", "name": "Desk", "credentials": HOOK}
        yield client.post(rows, new, "application/json")
        row = f"{rows}/{webhook()}"
        yield client.patch(row, {"credentials": OTHER}, "application/json")
        yield client.delete(row)
    else:
        rows = "/admin/notifications/channel"
        new = {"user": str(user.pk), "transport": "webhook", "name": "Desk"}
        yield client.post(f"{rows}/add/", {**new, "secrets": json.dumps(HOOK)})
        row = f"{rows}/{webhook()}"
        changed = {"name": "Desk", "secrets": json.dumps(OTHER)}
        yield client.post(f"{row}/change/", changed)
        yield client.post(f"{row}/delete/", {"post": "yes"})


def webhook() -> UUID:
    return Channel.objects.get(transport="webhook").pk


def test_a_browser_is_told_when_it_is_new_and_not_when_it_renews_itself(alice: User) -> None:
    by = origin(alice)
    old, new = Browser("https://push.example.com/1"), Browser("https://push.example.com/2")
    for browser, previous in ((old, ""), (new, old.endpoint)):
        subscribe_browser(
            user=alice,
            subscription=browser.subscription,
            previous=previous,
            browser="Firefox on Linux",
            now=NOW,
            origin=by,
        )
    assert told(alice) == ["Channel added: Browser “Firefox on Linux”"]

    later = NOW + INSTANT
    assert unsubscribe_browser(user=alice, endpoint=new.endpoint, now=later, origin=by)
    assert told(alice)[1:] == ["Channel deleted: Browser “Firefox on Linux”"]


def test_a_new_user_is_not_told_of_the_channel_by_email(db: None) -> None:
    user = register_user(username="dora", email="dora@example.com", password=NEW_PASSWORD)

    assert Channel.objects.owned_by(user).get().transport == "email"
    assert told(user) == []
