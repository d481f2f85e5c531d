import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.test import Client

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.consumers import TOASTS_AT_ONCE, NotificationConsumer
from notifications.models import Notification
from notifications.services import route_due
from notifications.tests.factories import make_notification

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
async def _close_connections() -> AsyncIterator[None]:
    yield
    await database_sync_to_async(connections.close_all)()


async def open_socket(user: object, query: str = "", session: object = None) -> Any:
    communicator_of: Any = WebsocketCommunicator  # the package has no types
    socket = communicator_of(NotificationConsumer.as_asgi(), f"/ws/notifications{query}")
    socket.scope["user"] = user
    if session is not None:
        socket.scope["session"] = session
    accepted, _ = await socket.connect(timeout=5)
    assert accepted
    return socket


def clock() -> datetime:
    return NOW


async def tell(user: User, *many: dict[str, Any], **fields: Any) -> None:
    """Tell a user one thing, or several at once, and have it routed."""
    for each in many or [fields]:
        await database_sync_to_async(make_notification)(user, **each)
    await database_sync_to_async(route_due)(clock=clock)


async def test_it_closes_on_whoever_is_not_signed_in() -> None:
    socket = await open_socket(AnonymousUser())
    assert (await socket.receive_output(timeout=5))["code"] == 4401


async def test_it_tells_a_program_what_the_user_is_told(alice: User, charlie: User) -> None:
    socket = await open_socket(alice)
    await tell(charlie, title="Theirs")
    await tell(alice, title="Rule violated")
    update = json.loads(await socket.receive_from(timeout=5))
    await socket.disconnect(timeout=5)

    assert update["type"] == "notification"
    assert (update["data"]["title"], update["data"]["unread"]) == ("Rule violated", 1)
    assert (update["data"]["happened_count"], update["data"]["is_silent"]) == (1, False)


async def test_it_tells_a_program_each_of_those_that_came_at_once(alice: User) -> None:
    socket = await open_socket(alice)
    await tell(alice, {"title": "Second"}, {"title": "First", "now": NOW - timedelta(seconds=1)})
    updates = [json.loads(await socket.receive_from(timeout=5))["data"] for _ in range(2)]
    await socket.disconnect(timeout=5)

    assert [update["title"] for update in updates] == ["First", "Second"]
    assert {update["unread"] for update in updates} == {2}


async def test_it_counts_on_the_bell_and_shows_a_toast(alice: User) -> None:
    await tell(alice)
    socket = await open_socket(alice, "?format=html")
    assert json.loads(await socket.receive_from(timeout=5)) == [["bell-count", "1", "some"]]

    await tell(alice, title="Broke <b>it</b>", link="/accounts/3")
    toast = await socket.receive_from(timeout=5)
    count = json.loads(await socket.receive_from(timeout=5))
    await socket.disconnect(timeout=5)

    assert 'hx-swap-oob="beforeend:#toasts"' in toast
    assert 'data-fold="' in toast
    assert "Broke &lt;b&gt;it&lt;/b&gt;" in toast
    assert 'href="/accounts/3"' in toast
    assert count == [["bell-count", "2", "some"]]


async def test_it_neither_shows_nor_counts_what_is_silent(alice: User) -> None:
    page = await open_socket(alice, "?format=html")
    await page.receive_from(timeout=5)
    await tell(alice, type="order_filled", priority="low")
    count = json.loads(await page.receive_from(timeout=5))
    await page.disconnect(timeout=5)

    assert count == [["bell-count", "", "none"]]


async def test_it_counts_what_repeats_without_a_toast(alice: User) -> None:
    await tell(alice, repeat_key="same")
    page = await open_socket(alice, "?format=html")
    program = await open_socket(alice)
    await page.receive_from(timeout=5)
    await tell(alice, repeat_key="same")
    count = json.loads(await page.receive_from(timeout=5))
    update = json.loads(await program.receive_from(timeout=5))["data"]
    await page.disconnect(timeout=5)
    await program.disconnect(timeout=5)

    assert count == [["bell-count", "1", "some"]]
    assert (update["happened_count"], update["is_silent"], update["unread"]) == (2, True, 1)


async def test_it_shows_the_foremost_of_many(alice: User) -> None:
    page = await open_socket(alice, "?format=html")
    await page.receive_from(timeout=5)
    many = [{"title": f"Low {n}", "priority": "low"} for n in range(TOASTS_AT_ONCE + 1)]
    await tell(alice, *many, {"title": "Stopped out", "priority": "urgent"})
    toasts = [await page.receive_from(timeout=5) for _ in range(TOASTS_AT_ONCE + 1)]
    count = json.loads(await page.receive_from(timeout=5))
    await page.disconnect(timeout=5)

    assert "Stopped out" in toasts[0]
    assert "2 more notifications" in toasts[-1]
    assert 'href="/notifications"' in toasts[-1]
    assert count == [["bell-count", str(TOASTS_AT_ONCE + 2), "some"]]


async def test_it_moves_the_dot_of_an_account(alice: User) -> None:
    layer = get_channel_layer()
    assert layer is not None
    connection = {"account_id": "0123456789", "name": "Alpha", "state": "error", "reason": ""}
    message = {"type": "user.account_connection", "payload": json.dumps(connection)}
    page, program = await open_socket(alice, "?format=html"), await open_socket(alice)
    await page.receive_from(timeout=5)
    await layer.group_send(f"user.{alice.pk}", message)

    assert json.loads(await page.receive_from(timeout=5)) == [
        ["a01234567-link", "Connection error", "error"]
    ]
    assert json.loads(await program.receive_from(timeout=5)) == {
        "type": "account_connection",
        "data": connection,
    }
    await page.disconnect(timeout=5)
    await program.disconnect(timeout=5)


async def test_it_tells_nothing_more_after_signing_out(alice: User, client: Client) -> None:
    await database_sync_to_async(client.force_login)(alice)
    session = client.session
    page = await open_socket(alice, "?format=html", session)
    await page.receive_from(timeout=5)
    await database_sync_to_async(session.delete)()
    layer = get_channel_layer()
    assert layer is not None
    connection = {"account_id": "0123456789", "name": "Alpha", "state": "error", "reason": ""}
    message = {"type": "user.account_connection", "payload": json.dumps(connection)}
    await layer.group_send(f"user.{alice.pk}", message)
    assert (await page.receive_output(timeout=5))["code"] == 4401


@pytest.mark.parametrize(("unread", "shown"), [(99, "99"), (100, "99+"), (101, "99+")])
async def test_the_bell_counts_no_further_than_it_shows(
    alice: User, unread: int, shown: str
) -> None:
    rows = [
        Notification(user=alice, type="security", title="A", dedupe_key=f"{n}", created_at=NOW)
        for n in range(unread)
    ]
    await database_sync_to_async(Notification.objects.bulk_create)(rows)

    socket = await open_socket(alice, "?format=html")
    count = json.loads(await socket.receive_from(timeout=5))
    await socket.disconnect(timeout=5)

    assert count == [["bell-count", shown, "some"]]
