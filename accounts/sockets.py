"""Who is at the other end of a WebSocket: a browser with its session, or a program with a token.

A program sends the access token of `POST /api/v1/auth/token` as `Authorization: Bearer <token>` or,
where headers cannot be set, as the subprotocols `tradeguard.jwt, <token>`. Never in the address:
addresses end up in logs.

A browser sends its cookies from whatever page opens a socket, so a session counts only from pages
of our own. A token is sent by nobody but who has it, and programs have no page: no origin is asked.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http.request import split_domain_port, validate_host
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.tokens import Token

from accounts.api.authentication import ProgramAuthentication
from accounts.models import User

SUBPROTOCOL = "tradeguard.jwt"
_CARRIERS = frozenset({b"authorization", b"sec-websocket-protocol"})

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class SocketAuthentication:
    """Set `scope["user"]`; a token that is not valid gives nobody, not the session's user.

    With a token there is `scope["recheck"]`, too: it tells whether the user may still look.
    """

    def __init__(self, inner: Application) -> None:
        self.inner = inner
        # The types of channels and ours describe the same calls, in words that do not match.
        stack: Any = AuthMiddlewareStack
        self.with_session: Application = stack(inner)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        header = _bearer(scope["headers"])
        offered = _offered(scope.get("subprotocols", ()))
        shown = header or offered
        if shown is None:
            if _is_own_page(scope):
                await self.with_session(scope, receive, send)
            else:
                await send({"type": "websocket.close"})  # before it is open: a 403
            return
        known: Scope = {"user": AnonymousUser()}
        token = _validated(shown)
        if token is not None:
            known["user"] = await database_sync_to_async(_user_of)(token)
            known["recheck"] = lambda: _user_of(token).is_authenticated
        answer = _with_subprotocol(send) if offered else send
        await self.inner({**_without_token(scope), **known}, receive, answer)


def _is_own_page(scope: Scope) -> bool:
    """Tell whether a page of this very site, host and port, opens the socket."""
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    origin, host = headers.get(b"origin", ""), headers.get(b"host", "").lower()
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    scheme, _, page = origin.lower().partition("://")
    default_port = {"http": ":80", "https": ":443"}.get(scheme)
    if default_port is None or not validate_host(
        split_domain_port(host)[0], settings.ALLOWED_HOSTS
    ):
        return False
    return bool(page.removesuffix(default_port) == host.removesuffix(default_port))


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        scheme, _, token = value.strip().partition(b" ")
        if name == b"authorization" and scheme.lower() == b"bearer":
            return token.strip().decode("latin-1")
    return None


def _offered(subprotocols: Iterable[str]) -> str | None:
    """Return the token offered after our subprotocol; "" when there is none, which is not valid."""
    offered = list(subprotocols)
    if SUBPROTOCOL not in offered:
        return None
    return next((each for each in offered if each != SUBPROTOCOL), "")


def _validated(shown: str) -> Token | None:
    try:
        return ProgramAuthentication().get_validated_token(shown.encode())
    except InvalidToken:
        return None


def _user_of(token: Token) -> User | AnonymousUser:
    """Return the user, unless the session was ended, or its user got another password."""
    try:
        return ProgramAuthentication().get_user(token)
    except InvalidToken:
        return AnonymousUser()


def _without_token(scope: Scope) -> Scope:
    """Return the scope as everything behind sees it, and as it may show up in a traceback."""
    offered = SUBPROTOCOL in scope.get("subprotocols", ())
    return {
        **scope,
        "headers": [pair for pair in scope["headers"] if pair[0] not in _CARRIERS],
        "subprotocols": [SUBPROTOCOL] if offered else [],
    }


def _with_subprotocol(send: Send) -> Send:
    """A browser drops a connection whose answer names none of the subprotocols it offered."""

    async def accept_ours(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.accept":
            message = {**message, "subprotocol": SUBPROTOCOL}
        await send(message)

    return accept_ours
