"""Requests to addresses that users give: to nobody but the open internet, and never for long.

Where a name leads is looked up once, checked, and connected to by that very address; so a name that
leads elsewhere the next moment (DNS rebinding) leads nowhere. Redirects are not followed, proxies
and passwords of the environment are not used, and the whole of a request has a deadline which a
server that answers one byte at a time does not move.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, TypeVar

import requests
from django.views.decorators.debug import sensitive_variables
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from notifications.delivering.addresses import is_public
from notifications.delivering.transport import TransportError

CONNECT_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 10.0
# Little more than silence may take: who answers drop by drop holds a sender for so long.
WHOLE_SECONDS: Final = 12.0
LONGEST_ANSWER: Final = 64 * 1024  # bytes
LONGEST_WAIT_SECONDS: Final = 24 * 3600.0
# A name may have dozens of addresses; trying each would take minutes.
_MOST_TRIED: Final = 3

Answer = TypeVar("Answer")

# Worth another attempt besides the 5xx: a time-out, too early, too many.
_TEMPORARY: Final = frozenset({408, 425, 429})


class _Call:
    """What the connections of one request must keep to."""

    def __init__(self, *, private_addresses: bool) -> None:
        self.private_addresses = private_addresses
        self.is_over = False
        self._ends = time.monotonic() + WHOLE_SECONDS
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def left_seconds(self) -> float:
        return max(self._ends - time.monotonic(), 0.01)

    def watch(self, sock: socket.socket) -> None:
        """Hang up on this connection when the time is over.

        A second handle, since wrapping a socket in TLS takes the first one away.
        """
        twin = socket.fromfd(sock.fileno(), sock.family, sock.type, sock.proto)
        with self._lock:
            self._sockets.append(twin)

    @contextmanager
    def running(self) -> Iterator[None]:
        timer = threading.Timer(WHOLE_SECONDS, self._hang_up)
        timer.daemon = True
        timer.start()
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)
            timer.cancel()
            with self._lock:
                for sock in self._sockets:
                    sock.close()
                self._sockets.clear()

    def _hang_up(self) -> None:
        with self._lock:
            self.is_over = True
            for sock in self._sockets:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


_current: ContextVar[_Call] = ContextVar("_current")


class _GuardedConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connect(_current.get(), self._dns_host, self.port or self.default_port)

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:  # kept from the request before
            _current.get().watch(self.sock)
        super().request(*args, **kwargs)


class _GuardedTLSConnection(_GuardedConnection, HTTPSConnection):
    pass


class _GuardedPool(HTTPConnectionPool):
    ConnectionCls = _GuardedConnection


class _GuardedTLSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTLSConnection


class _GuardedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _GuardedPool, "https": _GuardedTLSPool}


class GuardedSession(requests.Session):
    """A session that keeps to the rules above, whoever uses it and however."""

    def __init__(self, *, private_addresses: bool) -> None:
        super().__init__()
        self.private_addresses = private_addresses
        self.trust_env = False
        self.headers["User-Agent"] = "TradeGuard"
        # Nothing to unpack: what a small answer becomes cannot be larger than it.
        self.headers["Accept-Encoding"] = "identity"
        # What one receiver sets, another behind the same name would get.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.adapters.clear()
        self.mount("https://", _GuardedAdapter(max_retries=0))
        if private_addresses:
            self.mount("http://", _GuardedAdapter(max_retries=0))

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002  # never follow
        return None

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        kwargs |= {"stream": True, "timeout": (CONNECT_SECONDS, SILENCE_SECONDS), "proxies": {}}
        call = _Call(private_addresses=self.private_addresses)
        with call.running():
            try:
                response = super().send(request, **kwargs)
            except requests.RequestException:
                if not call.is_over:
                    raise
            if call.is_over:  # what was heard by then may be half an answer
                raise requests.Timeout("The whole took too long.")
            _read(response)
        return response


def guarded_session(*, private_addresses: bool) -> GuardedSession:
    """Open a session for addresses that users gave; close it."""
    return GuardedSession(private_addresses=private_addresses)


@sensitive_variables()
def post(
    session: requests.Session,
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    whom: str,
    gone: frozenset[int] = frozenset({410}),
) -> None:
    """Send a body to an address and return once it was taken, or raise TransportError.

    `whom` begins the sentence that says what went wrong; `gone` are the answers after which there
    is no use in ever asking again.
    """
    response = ask(lambda: session.post(url, data=body, headers=dict(headers)), whom=whom)
    require_taken(response, whom=whom, gone=gone)


@sensitive_variables()
def ask(request: Callable[[], Answer], *, whom: str) -> Answer:
    """Make a request; what can go wrong on its way is raised as a TransportError.

    It is raised outside of the handlers, since their errors name the address, which may be secret.
    """
    try:
        return request()
    except requests.exceptions.SSLError:
        failure = TransportError(f"{whom} has no valid certificate.", permanent=False)
    except requests.Timeout:
        failure = TransportError(f"{whom} did not answer in time.", permanent=False)
    except (
        requests.exceptions.InvalidURL,
        requests.exceptions.InvalidSchema,
        requests.exceptions.MissingSchema,
    ):
        failure = TransportError("The address cannot be used.", permanent=True)
    except requests.RequestException:
        failure = TransportError(f"{whom} ended the connection.", permanent=False)
    raise failure


def require_taken(
    response: requests.Response, *, whom: str, gone: frozenset[int] = frozenset({410})
) -> None:
    """Raise TransportError unless the answer says that the message was taken."""
    status = response.status_code
    if 200 <= status < 300:
        return
    if status in gone:
        raise TransportError(
            f"{whom} answered {status}: it wants no more.", permanent=True, is_gone=True
        )
    if 300 <= status < 400:
        raise TransportError(
            f"{whom} answered {status}, a redirect, which is not followed.", permanent=True
        )
    raise TransportError(
        f"{whom} answered {status}.",
        permanent=status < 500 and status not in _TEMPORARY,
        retry_after_seconds=_retry_after(response.headers.get("Retry-After", "")),
        was_answered=True,
    )


def _connect(call: _Call, host: str, port: int) -> socket.socket:
    """Connect to the first address of a name that is allowed and answers."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise TransportError("The server's name is not known.", permanent=False) from None
    allowed = [entry for entry in found if call.private_addresses or is_public(str(entry[4][0]))]
    if not allowed:
        raise TransportError(
            "The address leads into a private network, where TradeGuard sends nothing.",
            permanent=True,
        )
    for family, kind, protocol, _, address in allowed[:_MOST_TRIED]:
        with ExitStack() as undo:
            sock = undo.enter_context(socket.socket(family, kind, protocol))
            sock.settimeout(min(CONNECT_SECONDS, call.left_seconds()))
            try:
                sock.connect(address)
                _require_peer(sock, call)
            except OSError:
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            call.watch(sock)
            undo.pop_all()
            return sock
    raise TransportError("The server cannot be reached.", permanent=False)


def _require_peer(sock: socket.socket, call: _Call) -> None:
    """Look once more at whom the connection is with, before anything is said."""
    if not call.private_addresses and not is_public(str(sock.getpeername()[0])):
        raise TransportError(
            "The address leads into a private network, where TradeGuard sends nothing.",
            permanent=True,
        )


def _read(response: requests.Response) -> None:
    """Take up to LONGEST_ANSWER of the answer, so that the connection can serve again.

    The status has said it all: an answer that breaks off or is too long changes nothing.
    """
    body = b""
    try:
        body = response.raw.read(LONGEST_ANSWER + 1, decode_content=False) or b""
    except (HTTPError, OSError):
        body = b""
    if len(body) > LONGEST_ANSWER or not response.raw.isclosed():
        response.close()
    response._content = body[:LONGEST_ANSWER]
    response._content_consumed = True


def _retry_after(header: str) -> float | None:
    """Return the seconds that a Retry-After asks for, a number or a date (RFC 9110, 10.2.3)."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT_SECONDS)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(until - time.time(), 0.0), LONGEST_WAIT_SECONDS)
