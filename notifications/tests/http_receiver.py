"""A real HTTP server on this machine that keeps what it was sent and answers as it is told."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = Callable[["Handler"], None]


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: tuple[str, int]


@dataclass
class Receiver:
    """Where it listens and what came; `reply` writes each answer."""

    reply: Reply
    url: str = ""
    requests: list[Received] = field(default_factory=list)
    # Set when the test is over: whoever falls silent waits for it and no longer.
    is_over: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.receiver.requests.append(
            Received(
                method=self.command,
                path=self.path,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=self.rfile.read(length),
                connection=self.client_address,
            )
        )
        self.receiver.reply(self)

    def answer(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *args: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up: that is what is tested."""


def answering(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Reply:
    return lambda handler: handler.answer(status, headers, body)


def falling_silent(handler: Handler) -> None:
    handler.receiver.is_over.wait(10)
    handler.close_connection = True


def dripping(handler: Handler) -> None:
    """Begin an answer whose head never ends, a byte now and then."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while not handler.receiver.is_over.wait(0.02):
        handler.wfile.write(b"x")
    handler.close_connection = True


def breaking_off(handler: Handler) -> None:
    """Promise a long answer and hang up in the middle."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    handler.close_connection = True


def hanging_up(handler: Handler) -> None:
    handler.close_connection = True


def pouring(handler: Handler) -> None:
    """Answer without an end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    try:
        while not handler.receiver.is_over.is_set():
            handler.wfile.write(b"x" * 8192)
    finally:
        handler.close_connection = True


ACCEPTING = answering(204)


@contextmanager
def receiving(reply: Reply = ACCEPTING, *, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver(reply)
    handler = type("OwnHandler", (Handler,), {"receiver": receiver})
    server = Server(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "http" if tls is None else "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.is_over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def wait_until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.005)
