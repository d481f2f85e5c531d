"""A real `manage.py serve` in a home folder of its own, as a person would start it."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

BASE_DIR = Path(__file__).resolve().parents[2]
START_SECONDS = 150.0
STOP_SECONDS = 30.0
READY = re.compile(
    r"^TradeGuard is ready: (?P<url>\S+) \(sign in as (?P<name>\S+) / (?P<password>\S+)\)$"
)
NAMES = ("redis", "broker", "terminals", "default", "beat", "web")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run_serve(home: Path, *arguments: str, port: int) -> subprocess.Popen[str]:
    """Start serve with nothing of the tests' own environment but the bare machine."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TMPDIR")}
    return subprocess.Popen(  # noqa: S603  # our own command
        [sys.executable, "-W", "error", str(BASE_DIR / "manage.py"), "serve", *arguments],
        env={**kept, "TRADEGUARD_HOME": str(home), "PORT": str(port), "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class ServedDesk:
    """The processes of one desk and the ways in."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.lines: list[str] = []
        self.start()

    def start(self) -> None:
        self.lines = []
        self.process = run_serve(self.home, port=self.port)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        wait_until(
            lambda: self._ready() is not None or self.process.poll() is not None,
            "serve is ready",
            seconds=START_SECONDS,
        )
        ready = self._ready()
        assert ready is not None, self.report()
        self.url, self.username = ready["url"], ready["name"]
        self.password = ready["password"]

    def stop(self) -> int:
        """Ask serve to stop, as Ctrl-C does, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        return code

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)

    def pid(self, name: str) -> int:
        return int((self.home / "run" / f"{name}.pid").read_text())

    def pids(self) -> list[int]:
        return [self.pid(name) for name in NAMES]

    def get(self, path: str, *, token: str = "") -> tuple[int, Any]:
        return self._ask(urllib.request.Request(self.url + path), token)  # noqa: S310

    def sign_in(self) -> str:
        """Return an access token of the demo's main user."""
        body = json.dumps({"username": self.username, "password": self.password}).encode()
        request = urllib.request.Request(  # noqa: S310  # our own address
            f"{self.url}/api/v1/auth/token",
            data=body,
            headers={"Content-Type": "application/json"},
        )
        return str(self._ask(request, "")[1]["access"])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read from the desk's database, past the desk."""
        uri = f"file:{self.home / 'tradeguard.sqlite3'}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=20)) as database:
            return database.execute(query).fetchall()

    def report(self) -> str:
        """Return what serve said and how its children's logs end."""
        logs = sorted((self.home / "logs").glob("*.log"))
        ends = [f"== {log.name}\n{log.read_text(errors='replace')[-3_000:]}" for log in logs]
        return "\n".join([*self.lines, *ends])

    def _ready(self) -> re.Match[str] | None:
        return next((match for line in list(self.lines) if (match := READY.match(line))), None)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))

    def _ask(self, request: urllib.request.Request, token: str) -> tuple[int, Any]:
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
