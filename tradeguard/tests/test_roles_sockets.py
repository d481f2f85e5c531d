"""Every live address with everybody: its owner, another user, staff and nobody."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.db import connections

from accounts.models import User
from accounts.tests.factories import make_user
from tradeguard.routing import websocket_urlpatterns
from tradeguard.tests.api_routes import Desk, make_desk, walk_routes

pytestmark = pytest.mark.django_db(transaction=True)

SOCKETS = sorted(
    template for template, _ in walk_routes(websocket_urlpatterns, "/") if template != "/"
)
OF_A_ROW = [template for template in SOCKETS if "{" in template]
MARKS = ("Alpha of alice", "Desk of alice", "Rule of alice")
QUERIES = ("", "?format=html")


@pytest.fixture(autouse=True)
async def _close_connections() -> AsyncIterator[None]:
    """Close the connections of the threads that asked the database, or PostgreSQL counts them."""
    yield
    await database_sync_to_async(connections.close_all)()


@pytest.fixture
def desk() -> Desk:
    desk = make_desk(make_user("alice"))
    rows: list[Any] = [desk.account, desk.group, desk.rule]
    for row, name in zip(rows, MARKS, strict=True):
        row.name = name
        row.save(update_fields=["name"])
    return desk


def address(template: str, desk: Desk) -> str:
    return template.format(account_id=desk.ids["accounts"], group_id=desk.ids["groups"])


async def heard(path: str, user: object) -> str | None:
    """Return what an address says at first; None when it does not let this user in."""
    communicator_of: Any = WebsocketCommunicator  # the package has no types
    communicator = communicator_of(URLRouter(websocket_urlpatterns), path)
    communicator.scope["user"] = user
    is_in, _ = await communicator.connect(timeout=5)
    if not is_in:
        return None
    said = []
    while not await communicator.receive_nothing(timeout=0.2):
        message = await communicator.receive_output(timeout=5)
        if message["type"] == "websocket.close":
            return None
        said.append(message.get("text") or "")
    await communicator.disconnect()
    return "\n".join(said)


def test_it_knows_the_sockets() -> None:
    assert {"/ws/dashboard", "/ws/groups", "/ws/notifications"} <= set(SOCKETS)
    assert len(OF_A_ROW) >= 2


@pytest.mark.parametrize("template", SOCKETS)
async def test_its_owner_is_let_in(template: str, desk: Desk) -> None:
    for query in QUERIES:
        said = await heard(address(template, desk) + query, desk.account.user)
        assert said is not None
        if template in OF_A_ROW and not query:
            assert str(json.loads(said.splitlines()[0]))


@pytest.mark.parametrize("template", SOCKETS)
async def test_nobody_is_let_in(template: str, desk: Desk) -> None:
    for query in QUERIES:
        assert await heard(address(template, desk) + query, AnonymousUser()) is None


@pytest.mark.parametrize("is_staff", [False, True])
@pytest.mark.parametrize("template", SOCKETS)
async def test_a_stranger_hears_nothing_of_others(
    template: str, desk: Desk, is_staff: bool
) -> None:
    stranger = await database_sync_to_async(_stranger)(is_staff)
    ids = [str(pk) for pk in desk.ids.values()]
    for query in QUERIES:
        said = await heard(address(template, desk) + query, stranger)
        if template in OF_A_ROW:
            assert said is None
        else:
            assert said is not None
            assert not any(mark in said for mark in [*MARKS, *ids])


def _stranger(is_staff: bool) -> User:
    return make_user("charlie", is_staff=is_staff, is_superuser=is_staff)
