import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from channels.db import database_sync_to_async
from channels.testing import ApplicationCommunicator
from django.conf import settings
from django.db import connections
from django.test import Client
from django.utils import timezone

from accounts.consumers import is_still_signed_in
from accounts.models import User
from accounts.models.session import ProgramSession
from accounts.origin import SYSTEM
from accounts.services.browser_sessions import end_browser_sessions
from accounts.services.program_sessions import Tokens, start_session
from accounts.sockets import SUBPROTOCOL, SocketAuthentication
from accounts.tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


OWN_PAGE = {"Host": "testserver:8000", "Origin": "http://testserver:8000"}


class Inner:
    """An application behind the authentication; accepts, and keeps the scope that it saw."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        await send({"type": "websocket.accept", "subprotocol": None})


async def connect(
    *, headers: dict[str, str] | None = None, subprotocols: list[str] | None = None, query: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scope that the consumer sees and the acceptance that the client gets."""
    offered = subprotocols or []
    given = {**OWN_PAGE, **(headers or {})}
    pairs = [(name.lower().encode(), text.encode()) for name, text in given.items() if text]
    if offered:
        pairs.append((b"sec-websocket-protocol", ", ".join(offered).encode()))
    scope = {
        "type": "websocket",
        "path": "/ws/notifications",
        "query_string": query.encode(),
        "headers": pairs,
        "subprotocols": offered,
    }
    inner = Inner()
    communicator_of: Any = ApplicationCommunicator  # the package has no types
    communicator = communicator_of(SocketAuthentication(inner), scope)
    accepted = await communicator.receive_output(timeout=5)
    await communicator.wait(timeout=5)
    return inner.scope, accepted


@pytest.fixture(autouse=True)
async def _close_connections() -> AsyncIterator[None]:
    """Close the connections of the threads that asked the database, or PostgreSQL counts them."""
    yield
    await database_sync_to_async(connections.close_all)()


@pytest.fixture
def user() -> User:
    return make_user("alice")


@pytest.fixture
def tokens(user: User) -> Tokens:
    return start_session(user=user, origin=SYSTEM, now=timezone.now())


@pytest.fixture
def token(tokens: Tokens) -> str:
    return tokens.access


async def test_it_knows_a_browser_by_its_session(user: User) -> None:
    browser = Client()
    await database_sync_to_async(browser.force_login)(user)
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    scope, _ = await connect(headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"})
    assert scope["user"] == user


async def test_it_knows_a_program_by_its_header(user: User, token: str) -> None:
    scope, accepted = await connect(headers={"Authorization": f"Bearer {token}"})
    assert scope["user"] == user
    assert accepted["subprotocol"] is None


async def test_it_knows_a_program_by_its_subprotocol(user: User, token: str) -> None:
    scope, accepted = await connect(subprotocols=[SUBPROTOCOL, token])
    assert scope["user"] == user
    assert accepted["subprotocol"] == SUBPROTOCOL


@pytest.mark.parametrize("way", ["header", "subprotocol"])
async def test_it_hides_the_token_from_all_behind_it(
    user: User, token: str, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    if way == "header":
        scope, _ = await connect(headers={"Authorization": f"Bearer {token}"})
    else:
        scope, _ = await connect(subprotocols=[SUBPROTOCOL, token])
    assert token not in repr(scope)
    assert token not in caplog.text


async def test_it_takes_no_token_from_the_address(user: User, token: str) -> None:
    scope, _ = await connect(query=f"token={token}")
    assert not scope["user"].is_authenticated


@pytest.mark.parametrize(
    "kind", ["none", "garbage", "empty", "refresh", "inactive", "password", "ended"]
)
async def test_it_knows_nobody_by_a_wrong_token(
    user: User, tokens: Tokens, token: str, kind: str
) -> None:
    if kind == "ended":
        await ProgramSession.objects.aupdate(revoked_at=timezone.now())
    if kind == "inactive":
        await User.objects.aupdate(is_active=False)
    if kind == "password":
        user.set_password("another long one")
        await user.asave()
    shown = {"garbage": "x.y.\x80", "empty": "", "refresh": tokens.refresh}.get(kind, token)
    if kind == "none":
        scope, _ = await connect()
        assert not scope["user"].is_authenticated
        return
    scope, _ = await connect(headers={"Authorization": f"Bearer {shown}"})
    assert not scope["user"].is_authenticated
    scope, _ = await connect(subprotocols=[SUBPROTOCOL, *([shown] if shown else [])])
    assert not scope["user"].is_authenticated


async def test_a_wrong_token_is_not_mended_by_a_session(user: User) -> None:
    browser = Client()
    await database_sync_to_async(browser.force_login)(user)
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    headers = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}", "Authorization": "Bearer x"}
    scope, _ = await connect(headers=headers)
    assert not scope["user"].is_authenticated


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://evil.example", "testserver:8000"),
        ("http://testserver:9000", "testserver:8000"),  # what else runs on this machine
        ("https://testserver", "testserver:8000"),
        ("http://evil.example:8000", "evil.example:8000"),  # its name made to point at us
        ("http://testserver:8000.evil.example", "testserver:8000"),
        ("null", "testserver:8000"),
        ("", "testserver:8000"),
        ("file://testserver:8000", "testserver:8000"),
        ("http://[", "testserver:8000"),
    ],
)
async def test_it_takes_a_session_from_no_page_but_our_own(
    user: User, token: str, origin: str, host: str
) -> None:
    browser = Client()
    await database_sync_to_async(browser.force_login)(user)
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    page = {"Origin": origin, "Host": host}
    cookies = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"}
    scope, answer = await connect(headers={**page, **cookies})
    assert (scope, answer["type"]) == ({}, "websocket.close")
    # A program has no page, and a token comes from who has it.
    scope, _ = await connect(headers={**page, "Authorization": f"Bearer {token}"})
    assert scope["user"] == user


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://testserver", "testserver"),
        ("https://testserver:443", "testserver"),
        ("http://TestServer", "testserver:80"),
        ("https://desk.example", "testserver:8000"),
    ],
)
async def test_it_takes_a_session_from_our_own_pages(
    user: User, settings: Any, origin: str, host: str
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://desk.example"]
    _, answer = await connect(headers={"Origin": origin, "Host": host})
    assert answer["type"] == "websocket.accept"


@pytest.mark.parametrize("end", ["inactive", "password", "deleted", "ended"])
async def test_it_notices_when_a_programs_user_may_look_no_more(
    user: User, token: str, end: str
) -> None:
    scope, _ = await connect(headers={"Authorization": f"Bearer {token}"})
    consumer: Any = SimpleNamespace(scope=scope)
    assert await is_still_signed_in(consumer)
    if end == "inactive":
        await User.objects.aupdate(is_active=False)
    elif end == "password":
        user.set_password("another long one")
        await user.asave()
    elif end == "ended":
        await ProgramSession.objects.aupdate(revoked_at=timezone.now())
    else:
        await user.adelete()
    assert not await is_still_signed_in(consumer)


async def test_it_notices_that_a_browsers_session_was_ended_from_the_list(user: User) -> None:
    browser = Client()
    await database_sync_to_async(browser.force_login)(user)
    await database_sync_to_async(browser.get)("/settings")
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME].value
    scope, _ = await connect(headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={cookie}"})
    consumer: Any = SimpleNamespace(scope=scope)
    assert await is_still_signed_in(consumer)
    assert await database_sync_to_async(end_browser_sessions)(user=user) == 1
    assert not await is_still_signed_in(consumer)
