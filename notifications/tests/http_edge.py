"""The outermost edge of `requests`: what would go over the wire is kept, and answered from here."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

Reply = Callable[[requests.PreparedRequest], requests.Response]


@contextmanager
def answered_by(reply: Reply) -> Iterator[list[requests.PreparedRequest]]:
    """Answer every request with `reply` and give the list of those that were made."""
    made: list[requests.PreparedRequest] = []

    def send(_: HTTPAdapter, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        assert how["timeout"] is not None
        made.append(request)
        return reply(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", send)
        yield made


def answer(status: int, body: str | bytes = b"", headers: dict[str, str] | None = None) -> Reply:
    """Return a reply that is always the same."""

    def reply(request: requests.PreparedRequest) -> requests.Response:
        response = requests.Response()
        response.status_code = status
        response._content = body.encode() if isinstance(body, str) else body
        response.headers.update(headers or {})
        response.raw = _Raw(headers or {})
        response.request = request
        response.url = request.url or ""
        return response

    return reply


class _Raw:
    """As much of what lies below a response as a session reads cookies from."""

    def __init__(self, headers: dict[str, str]) -> None:
        message = Message()
        for name, value in headers.items():
            message[name] = value
        self._original_response = SimpleNamespace(msg=message)

    def release_conn(self) -> None:
        pass

    def close(self) -> None:
        pass


def fail(kind: type[requests.RequestException]) -> Reply:
    """Return a reply that never comes; the error quotes the address, as the real ones do."""

    def reply(request: requests.PreparedRequest) -> requests.Response:
        raise kind(f"HTTPSConnectionPool: Max retries exceeded with url: {request.url}")

    return reply
