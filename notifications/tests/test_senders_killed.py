"""What becomes of letters when their sender gets SIGKILL: none is lost, one at most comes twice.

Real processes, a database file and a mail server on a socket.
"""

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from email import message_from_bytes
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.conf import settings

from notifications.services.claiming import CLAIM_LASTS
from notifications.services.outcomes import MAX_ATTEMPTS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and fork need POSIX")

REPOSITORY = Path(__file__).parents[2]
SECONDS = 60.0
LAPSED = f"send {CLAIM_LASTS.total_seconds() + 1}"


class Gate:
    """A mail server that stops and tells: at a step of the letter with this number or subject."""

    def __init__(self) -> None:
        self.arrived: list[tuple[str, str]] = []
        self.stopped = threading.Event()
        self._stops_at: tuple[str, int | str] | None = None
        self._steps: Counter[str] = Counter()

    def stop_at(self, step: str, letter: int | str) -> None:
        self._steps.clear()
        self.stopped.clear()
        self._stops_at = (step, letter)

    def stop_no_more(self) -> None:
        self._stops_at = None

    async def handle_MAIL(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        await self._pass("MAIL")
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content)
        subject = message["Subject"].removeprefix("TradeGuard: ")
        self.arrived.append((subject, message["Message-ID"]))
        await self._pass("DATA", subject)
        return "250 OK"

    async def _pass(self, step: str, subject: str = "") -> None:
        self._steps[step] += 1
        if self._stops_at in ((step, self._steps[step]), (step, subject)):
            self.stopped.set()
            await asyncio.sleep(SECONDS)


class Desk:
    """Does commands of `killed_sender` in processes that may be killed."""

    def __init__(self, home: Path, port: int) -> None:
        self._database = home / "tradeguard.sqlite3"
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._process = subprocess.Popen(  # our own program
            [sys.executable, "-m", "notifications.tests.killed_sender"],
            cwd=REPOSITORY,
            env={
                **kept,
                "TRADEGUARD_HOME": str(home),
                "REDIS_URL": settings.REDIS_URL,
                "EMAIL_URL": f"smtp://127.0.0.1:{port}",
                "DJANGO_SETTINGS_MODULE": "tradeguard.settings",
                "PYTHONPATH": str(REPOSITORY),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._read() == "ready"

    def do(self, command: str) -> None:
        self._begin(command)
        assert self._read() == "0"

    def kill_when(self, stopped: threading.Event, command: str) -> None:
        pid = self._begin(command)
        assert stopped.wait(SECONDS), self.deliveries()
        os.kill(pid, signal.SIGKILL)
        assert self._read() == str(-signal.SIGKILL)

    def deliveries(self) -> list[tuple[str, int]]:
        query = "SELECT state, attempts FROM notifications_delivery ORDER BY id"
        with closing(sqlite3.connect(self._database)) as database:
            return database.execute(query).fetchall()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _begin(self, command: str) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return int(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def server() -> Gate:
    return Gate()


@pytest.fixture
def gate(server: Gate) -> Gate:
    server.arrived.clear()
    return server


@pytest.fixture(scope="module")
def desk(server: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    controller = Controller(server, hostname="127.0.0.1", port=port, server_hostname="localhost")
    controller.start()
    sender = Desk(tmp_path_factory.mktemp("sender"), port)
    yield sender
    sender.end()
    controller.stop()


def subjects(gate: Gate) -> list[str]:
    return [subject for subject, _ in gate.arrived]


def test_killed_before_it_sent_loses_and_repeats_nothing(desk: Desk, gate: Gate) -> None:
    desk.do("fill 4")
    gate.stop_at("MAIL", 3)
    desk.kill_when(gate.stopped, "send 0")
    gate.stop_no_more()

    assert subjects(gate) == ["Letter 1", "Letter 2"]
    assert desk.deliveries() == [("sent", 1), ("sent", 1), ("pending", 1), ("pending", 1)]
    # The claims hold: it could still be sending.
    desk.do("send 0")
    assert len(gate.arrived) == 2

    desk.do(LAPSED)
    assert sorted(subjects(gate)) == [f"Letter {number}" for number in range(1, 5)]
    assert desk.deliveries() == [("sent", 1), ("sent", 1), ("sent", 2), ("sent", 2)]


def test_killed_while_it_sent_repeats_that_letter_alone_with_its_id(desk: Desk, gate: Gate) -> None:
    desk.do("fill 4")
    gate.stop_at("DATA", 3)
    desk.kill_when(gate.stopped, "send 0")
    gate.stop_no_more()

    assert [state for state, _ in desk.deliveries()] == ["sent", "sent", "pending", "pending"]
    desk.do(LAPSED)

    assert Counter(subjects(gate)) == {
        "Letter 1": 1,
        "Letter 2": 1,
        "Letter 3": 2,
        "Letter 4": 1,
    }
    # Mail programs may show it once.
    assert len({message_id for _, message_id in gate.arrived}) == 4
    assert {state for state, _ in desk.deliveries()} == {"sent"}


def test_killed_after_it_wrote_repeats_nothing(desk: Desk, gate: Gate) -> None:
    desk.do("fill 2")
    gate.stop_at("MAIL", 2)
    desk.kill_when(gate.stopped, "send 0")
    gate.stop_no_more()
    desk.do(LAPSED)
    desk.do(LAPSED)
    assert Counter(subjects(gate)) == {"Letter 1": 1, "Letter 2": 1}


def test_killed_with_a_digest_sends_the_same_digest_later(desk: Desk, gate: Gate) -> None:
    desk.do("fill 3 storm")
    gate.stop_at("DATA", 1)
    desk.kill_when(gate.stopped, "send 0")
    gate.stop_no_more()

    assert desk.deliveries() == [("pending", 1)] * 3
    desk.do("send 0")
    assert len(gate.arrived) == 1
    desk.do(LAPSED)

    assert len(gate.arrived) == 2
    assert len(set(gate.arrived)) == 1
    assert desk.deliveries() == [("sent", 2)] * 3


def test_a_letter_that_kills_every_sender_is_given_up_and_the_others_go(
    desk: Desk, gate: Gate
) -> None:
    desk.do("fill 3")
    for attempt in range(MAX_ATTEMPTS):
        gate.stop_at("DATA", "Letter 1")
        desk.kill_when(gate.stopped, f"send {attempt * 301}")
    gate.stop_no_more()
    desk.do(f"send {MAX_ATTEMPTS * 301}")

    assert desk.deliveries() == [("failed", MAX_ATTEMPTS + 1), ("sent", 2), ("sent", 2)]
    assert Counter(subjects(gate)) == {"Letter 1": MAX_ATTEMPTS, "Letter 2": 1, "Letter 3": 1}
