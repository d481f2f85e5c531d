"""The way to chats and phones: Apprise makes each service's request, and its answer is kept here.

Apprise tells whether a message was taken and no more; what to do next (try again, when, or never)
stands in the answer, which it drops. So its plugins get a `requests` of ours. It sends by the
session at hand, which keeps connections, keeps what came back, never follows a redirect, and ends
a plugin's own attempt to repeat: repeating is for whoever counts attempts.

Imported by the processes that send, and by no other: Apprise and requests take their time.
"""

import contextlib
import importlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from apprise import AppriseAsset
from apprise.exception import AppriseImproperlyConfigured
from django.views.decorators.debug import sensitive_variables

from notifications.delivering.chats import Answer, ChatMessage

# Seconds to connect and to wait for the next byte of an answer.
TIMEOUTS = (5.0, 10.0)
LONGEST_ANSWER = 4096

# Apprise's plugins log the addresses that they post to, which hold tokens.
_SILENT = logging.Logger("apprise", level=logging.CRITICAL + 1)
_SILENT.addHandler(logging.NullHandler())
_ASSET = AppriseAsset(
    app_id="TradeGuard", app_desc="TradeGuard", app_url="", http_redirects=False, async_mode=False
)

Plugin = Any
MakePlugin = Callable[[Callable[..., Plugin]], Plugin]


class NoAnswer(Exception):  # noqa: N818  # it is not an error of ours
    """The service could not be reached or did not answer; the text is safe to show."""


class NotAccepted(Exception):  # noqa: N818
    """Apprise refuses what it needs to reach the channel."""


@dataclass(slots=True, repr=False)
class _Exchange:
    session: requests.Session
    extra: Mapping[str, object]
    response: requests.Response | None = None
    failure: str = ""

    def request(self, method: str, url: str, **how: Any) -> requests.Response:
        if self.extra:
            how["data"] = json.dumps({**json.loads(how["data"]), **self.extra})
        how |= {"timeout": TIMEOUTS, "allow_redirects": False}
        try:
            self.response = self.session.request(method, url, **how)
        except requests.RequestException as error:
            self.failure = _words(error)
            raise
        if not 200 <= self.response.status_code < 300:
            raise requests.RequestException
        return self.response


_exchange: ContextVar[_Exchange | None] = ContextVar("exchange", default=None)


class _Requests:
    """Stands for the module `requests` in a plugin; outside an exchange it is just that."""

    def post(self, url: str, **how: Any) -> requests.Response:
        return self.request("post", url, **how)

    def request(self, method: str, url: str, **how: Any) -> requests.Response:
        exchange = _exchange.get()
        if exchange is None:
            return requests.request(method, url, **how)  # noqa: S113  # the caller's
        return exchange.request(method, url, **how)

    def __getattr__(self, name: str) -> Any:
        return getattr(requests, name)


class Line:
    """A way to one service, over connections that are kept from message to message."""

    def __init__(self, service: str, session: requests.Session) -> None:
        self._plugin = _plugin_class(service)
        self._session = session

    @sensitive_variables()
    def say(self, make: MakePlugin, message: ChatMessage) -> Answer:
        """Send one message by a plugin of its own, which `make` builds, and return the answer.

        A plugin sleeps between two messages and would hold a worker; one that is new does not.
        Raises NoAnswer or NotAccepted.
        """
        plugin = None
        with contextlib.suppress(AppriseImproperlyConfigured, TypeError):
            plugin = make(self._plugin)
        # Raised here, and not where it was caught: Apprise's own words quote what it refuses.
        if plugin is None:
            raise NotAccepted
        exchange = _Exchange(self._session, message.extra)
        token = _exchange.set(exchange)
        try:
            was_taken = plugin.send(**message.arguments)
        finally:
            _exchange.reset(token)
        if exchange.response is None:
            raise NoAnswer(exchange.failure or "could not be reached")
        return _answer(exchange.response, was_taken=bool(was_taken))


@contextlib.contextmanager
def opened(service: str) -> Iterator[Line]:
    """Give a line to a service, named as Apprise names the plugin's module and class."""
    with requests.Session() as session:
        # Letters of several people go over it: none may bring another's cookies along.
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        yield Line(service, session)


@cache
def _plugin_class(service: str) -> Callable[..., Plugin]:
    module_name, class_name = service.split(":")
    module = importlib.import_module(f"apprise.plugins.{module_name}")
    module.requests = _Requests()  # type: ignore[attr-defined]
    plugin = getattr(module, class_name)
    quiet = type(class_name, (plugin,), {"logger": _SILENT})

    def make(**fields: object) -> Plugin:
        return quiet(asset=_ASSET, **fields)

    return make


def _answer(response: requests.Response, *, was_taken: bool) -> Answer:
    return Answer(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        text=response.content[:LONGEST_ANSWER].decode(errors="replace"),
        was_taken=was_taken,
    )


def _words(error: requests.RequestException) -> str:
    """Say what happened without the error's own words, which quote the address."""
    if isinstance(error, requests.Timeout):
        return "did not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "could not be reached safely: its certificate does not hold"
    if isinstance(error, requests.exceptions.ProxyError):
        return "could not be reached: the proxy in between refuses"
    return "could not be reached"
