"""What strangers, careless clients and a system without resources do to the broker's port."""

import errno
import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from accounts.terminals.link import LinkError
from accounts.terminals.simulated.books.journal import JournalError
from accounts.terminals.simulated.service import process
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.process import BrokerService
from accounts.terminals.simulated.service.wire import WireError, decode, introduce, receive, send
from accounts.tests.simulated_desk import Desk

GARBAGE = (
    b"",  # no value
    b"\x01\x02",  # two values
    b"\x92\x01",  # the half of one
    b"\xc1",  # no type
    b"\xd9\x02\xff\xff",  # no text
    b"\xc7\x00\x07",  # an unknown extension
    b"\xc7\x02\x01\x01\x02",  # no array in the array
    b"\xc7\x06\x01" + msgpack.packb(("<q9", (1,), b"")),  # no such type of number
    b"\x81\x80\x01",  # a key that can be none
    b"\x91" * 5000,  # too deep
)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[BrokerService]:
    service = BrokerService(Desk().server, tmp_path)
    service.start()
    yield service
    service.stop()


def _connected(home: Path) -> socket.socket:
    address = json.loads((home / "broker.json").read_text())
    connection = socket.create_connection((address["host"], address["port"]), 5.0)
    introduce(connection, bytes.fromhex(address["key"]))
    return connection


@pytest.mark.parametrize("payload", GARBAGE)
def test_it_ends_a_connection_that_talks_nonsense(
    service: BrokerService, tmp_path: Path, payload: bytes
) -> None:
    # A thread that ends by an error that nobody expected fails the test as a warning.
    connection = _connected(tmp_path)
    connection.sendall(struct.pack(">I", len(payload)) + payload)
    with pytest.raises(WireError):
        receive(connection)
    connection.close()
    client = RemoteBroker(tmp_path / "broker.json")
    assert client.server_time() > 0
    client.close()


@pytest.mark.parametrize("payload", GARBAGE)
def test_it_says_that_a_frame_is_no_value(payload: bytes) -> None:
    with pytest.raises(WireError):
        decode(payload)


def test_it_makes_no_room_for_what_has_not_come() -> None:
    class Claimant:
        """Claims the largest frame and sends one byte at a time, then nothing."""

        def __init__(self) -> None:
            self.sent = [b"\x10\x00\x00\x00", b"x", b"y", b""]
            self.asked: list[int] = []

        def recv_into(self, view: memoryview) -> int:
            self.asked.append(len(view))
            data = self.sent.pop(0)
            view[: len(data)] = data
            return len(data)

    claimant = Claimant()
    with pytest.raises(WireError):
        receive(claimant)  # type: ignore[arg-type]
    assert max(claimant.asked) <= 1024 * 1024


@pytest.mark.parametrize("size", [0, 1, 1024 * 1024 - 8, 1024 * 1024, 5 * 1024 * 1024 + 3])
def test_it_takes_large_values_whole(size: int) -> None:
    ours, theirs = socket.socketpair()
    value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    sender = threading.Thread(target=send, args=(ours, value))
    sender.start()
    assert receive(theirs) == value
    sender.join()
    ours.close()
    theirs.close()


def test_it_lets_clients_in_again_when_the_system_was_out_of_files(
    service: BrokerService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = threading.Event()
    accept = socket.socket.accept

    def out_of_files(listener: socket.socket) -> tuple[socket.socket, Any]:
        if not refused.is_set():
            refused.set()
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(listener)

    monkeypatch.setattr(process, "_SECONDS_AFTER_REFUSED_CLIENT", 0.01)
    first = RemoteBroker(tmp_path / "broker.json")
    monkeypatch.setattr(socket.socket, "accept", out_of_files)
    assert first.server_time() > 0  # by the accept that was under way
    second = RemoteBroker(tmp_path / "broker.json")
    assert second.server_time() > 0
    assert refused.is_set()
    first.close()
    second.close()


def test_it_lets_clients_in_again_when_no_thread_could_start(
    service: BrokerService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_SECONDS_AFTER_REFUSED_CLIENT", 0.01)
    start = threading.Thread.start

    def refuse(_thread: threading.Thread) -> None:
        monkeypatch.setattr(threading.Thread, "start", start)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    client = RemoteBroker(tmp_path / "broker.json")
    with pytest.raises(LinkError):
        client.server_time()
    assert client.server_time() > 0
    client.close()


def test_it_raises_no_alarm_for_a_call_that_the_end_overtakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    service = BrokerService(desk.server, tmp_path)

    def closed(*_arguments: Any) -> None:
        raise JournalError("The journal is closed.")

    monkeypatch.setattr(desk.server, "call_as", closed)
    service.stop()
    with pytest.raises(JournalError):
        service._answer(("terminal", "accounts", ()))
    assert not service.failed
    assert not caplog.records
