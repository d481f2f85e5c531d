"""Finding a known secret in whatever the system emits, in every form that it may take there."""

import json
import logging
import socket
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus, urlparse

from django.conf import settings
from django.db import connection


def forms_of(secret: str) -> dict[str, bytes]:
    """Return what a secret looks like written out in the ways that programs have."""
    raw = secret.encode()
    found = {
        "plain": raw,
        "backwards": secret[::-1].encode(),
        "lower case": secret.lower().encode(),
        "upper case": secret.upper().encode(),
        "UTF-16": secret.encode("utf-16-le"),
        "hex": raw.hex().encode(),
        "upper hex": raw.hex().upper().encode(),
        "spaced hex": raw.hex(" ").encode(),
        "escaped hex": "".join(f"\\x{byte:02x}" for byte in raw).encode(),
        "numbers": ", ".join(str(byte) for byte in raw).encode(),
        "URL": quote(secret, safe="").encode(),
        "form": quote_plus(secret).encode(),
        "JSON": json.dumps(secret)[1:-1].encode(),
        "JSON twice": json.dumps(json.dumps(secret))[3:-3].encode(),
        "HTML": escape(secret).encode(),
        "repr": repr(secret)[1:-1].encode(),
        "ASCII": ascii(secret)[1:-1].encode(),
    }
    for shift in range(3):
        # Inside a longer text: without the signs that its neighbours share.
        encoded = b64encode(b"\0" * shift + raw)
        whole = encoded[(0, 2, 3)[shift] :].rstrip(b"=")[:-1]
        found[f"base64 at {shift}"] = whole
        found[f"URL-safe base64 at {shift}"] = whole.translate(bytes.maketrans(b"+/", b"-_"))
    return found


class Emitted:
    """Everything that was caught, by where it came from."""

    def __init__(self, *secrets: str) -> None:
        self._forms = [(secret, forms_of(secret)) for secret in secrets]
        self.sources: dict[str, int] = {}
        self.answers: Counter[int] = Counter()
        self.leaks: list[str] = []

    def take(self, source: str, *parts: object) -> None:
        data = b"\n".join(as_bytes(part) for part in parts)
        self.sources[source] = self.sources.get(source, 0) + len(data)
        for secret, forms in self._forms:
            for form, needle in forms.items():
                at = data.find(needle)
                if at >= 0:
                    around = data[max(0, at - 60) : at + len(needle) + 30]
                    self.leaks.append(f"{source}: {secret[:4]}… as {form}: {around!r}")

    def take_answer(self, source: str, answer: Any) -> None:
        self.answers[answer.status_code] += 1
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        headers = [f"{name}: {value}" for name, value in answer.items()]
        self.take(source, str(answer.status_code), *headers, str(answer.cookies), body)


def as_bytes(part: object) -> bytes:
    if isinstance(part, (bytes, bytearray, memoryview)):
        return bytes(part)
    return str(part).encode(errors="backslashreplace")


class LogCatcher(logging.Handler):
    """Formats what is logged as the console would, and looks into what else the record holds."""

    def __init__(self, emitted: Emitted) -> None:
        super().__init__(logging.DEBUG)
        self._emitted = emitted
        formatters: Any = settings.LOGGING["formatters"]
        self.setFormatter(logging.Formatter(formatters["line"]["format"]))

    def emit(self, record: logging.LogRecord) -> None:
        known = {key: value for key, value in vars(record).items() if key != "exc_info"}
        self._emitted.take(f"log {record.name}", self.format(record), repr(known))


@contextmanager
def all_logs(emitted: Emitted) -> Iterator[None]:
    """Catch what every logger says at DEBUG, SQL with its parameters included."""
    loggers = [
        logger
        for logger in [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
        if isinstance(logger, logging.Logger)
    ]
    before = [(logger, logger.level, logger.propagate, logger.disabled) for logger in loggers]
    catcher = LogCatcher(emitted)
    logging.getLogger().addHandler(catcher)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.propagate, logger.disabled = True, False
    connection.force_debug_cursor = True
    try:
        yield
    finally:
        connection.force_debug_cursor = False
        logging.getLogger().removeHandler(catcher)
        for logger, level, propagates, is_disabled in before:
            logger.setLevel(level)
            logger.propagate, logger.disabled = propagates, is_disabled


@contextmanager
def all_redis_commands(emitted: Emitted) -> Iterator[None]:
    """Catch every command that Redis gets: messages, caches, sockets' groups, hot state."""
    address = urlparse(settings.REDIS_URL)
    heard: list[bytes] = []
    with closing(socket.create_connection((address.hostname, address.port or 6379))) as monitor:
        if address.password:
            monitor.sendall(f"AUTH {address.password}\r\n".encode())
            monitor.recv(64)
        monitor.sendall(b"MONITOR\r\n")
        assert monitor.recv(64).startswith(b"+OK")

        def listen() -> None:
            with suppress(OSError):
                while part := monitor.recv(65_536):
                    heard.append(part)

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield
        finally:
            monitor.shutdown(socket.SHUT_RDWR)
            listener.join(5.0)
            emitted.take("Redis commands", b"".join(heard))


def redis_contents(client: Any) -> Iterator[object]:
    """Give every key of Redis and what it holds; `client` decodes nothing."""
    readers = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"stream": client.xrange,
    }
    for key in client.scan_iter(count=1_000):
        held = readers[client.type(key)](key)
        yield from (key, *_flat(held))


def _flat(held: Any) -> Iterator[object]:
    if isinstance(held, dict):
        for key, value in held.items():
            yield from (*_flat(key), *_flat(value))
    elif isinstance(held, (list, set, tuple)):
        for each in held:
            yield from _flat(each)
    else:
        yield held


def database_contents() -> Iterator[object]:
    """Give every value of every table; of SQLite the bytes of the file as well."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608
            for row in cursor.fetchall():
                yield from _flat(tuple(row))
    if connection.vendor == "sqlite":
        yield connection.connection.serialize()
