"""The broker as a process of its own: a loopback port, many clients, a feed that never stops."""

import json
import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..books.journal import JournalError
from ..server import TradeServer
from .answers import answer_of, answer_of_failure
from .pipeline import Numbered, Pipeline
from .wire import LAYOUT, admit, frame, receive, send

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

ADDRESS_FILE = "broker.json"
LOCK_FILE = "broker.lock"
SECONDS_BETWEEN_STEPS = 0.1
_HANDSHAKE_SECONDS = 5.0
_JOIN_SECONDS = 5.0
_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_AFTER_REFUSED_CLIENT = 0.5
CRASH_STATUS = 70

logger = logging.getLogger(__name__)


class HomeInUse(Exception):  # noqa: N818 (says what is the case)
    """Another broker runs on this home."""


class HomeLock:
    """Holds a home for one broker; the system lets go of it when the process dies."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file: BinaryIO = (home / LOCK_FILE).open("a+b")
        try:
            if sys.platform == "win32":
                self._file.seek(0)
                msvcrt.locking(self._file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise HomeInUse(f"a broker already runs on {home}") from error

    def release(self) -> None:
        self._file.close()


class BrokerService:
    """Serves a trade server to clients on the loopback interface, a thread for each connection.

    A hung call holds up its own connection only; clients open another one meanwhile.
    """

    def __init__(self, server: TradeServer, home: Path) -> None:
        self._server = server
        self._home = home
        self._key = secrets.token_bytes(32)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._is_asked_to_stop = False
        self._stopping = threading.Event()
        self._clients: set[socket.socket] = set()
        self._clients_lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.failed = False

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Begin to feed prices and to accept clients; the address file appears last."""
        for work in (self._feed, self._accept):
            thread = threading.Thread(target=work, name=f"broker{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)
        self._publish_address()

    def wait(self) -> None:
        """Return when someone asked to stop, or the feed failed."""
        while not (self._is_asked_to_stop or self._stopping.is_set()):
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    def ask_to_stop(self) -> None:
        """Ask from anywhere, a signal handler included.

        It takes no lock: the thread that a signal interrupts may hold the one of an event.
        """
        self._is_asked_to_stop = True

    def stop(self) -> None:
        """End everything and close the books."""
        self._stopping.set()
        (self._home / ADDRESS_FILE).unlink(missing_ok=True)
        # close() alone leaves a thread in accept() where it is.
        _shut(self._listener)
        with self._clients_lock:
            for client in self._clients:
                _shut(client)
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)
        self._server.close()

    def _feed(self) -> None:
        try:
            while not self._stopping.wait(SECONDS_BETWEEN_STEPS):
                self._server.step()
        except Exception:
            # Prices that stand still would look like a quiet market: end, and be restarted.
            logger.exception("The feed failed.")
            self.failed = True
            self._stopping.set()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError as error:
                self._pause_accepting(error)
                continue
            try:
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()
            except RuntimeError as error:
                client.close()
                self._pause_accepting(error)

    def _pause_accepting(self, error: Exception) -> None:
        """Wait for files or threads to become free: nobody gets in for ever otherwise."""
        if not self._stopping.is_set():
            logger.warning("A client cannot be let in now: %s", error)
            self._stopping.wait(_SECONDS_AFTER_REFUSED_CLIENT)

    def _serve(self, client: socket.socket) -> None:
        with self._clients_lock:
            self._clients.add(client)
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.settimeout(_HANDSHAKE_SECONDS)
            admit(client, self._key)
            client.settimeout(None)
            self._serve_calls(client)
        except JournalError:
            logger.debug("A connection ended with the books.")
        except OSError as error:
            logger.debug("A connection ended: %s", error)
        finally:
            with self._clients_lock:
                self._clients.discard(client)
            client.close()

    def _serve_calls(self, client: socket.socket) -> None:
        """Answer calls: those with a number in any order, on a line that has no others."""
        pipeline: Pipeline | None = None
        try:
            while not self._stopping.is_set():
                request = receive(client)
                if not isinstance(request, tuple) or len(request) != 4:
                    send(client, self._answer(request))
                    continue
                if pipeline is None:
                    pipeline = self._pipeline(client)
                terminal, method, arguments, number = request
                pipeline.put(number, str(terminal), method, arguments)
        finally:
            if pipeline is not None:
                pipeline.close()

    def _pipeline(self, client: socket.socket) -> Pipeline:
        lock = threading.Lock()

        def answer(answers: Sequence[Numbered]) -> None:
            data = b"".join(frame(each) for each in answers)
            with lock:
                client.sendall(data)

        def broken() -> None:
            self._give_up_books()
            _shut(client)

        return Pipeline(self._server, answer, broken)

    def _answer(self, request: Any) -> Mapping[str, Any]:
        try:
            terminal, method, arguments = request
            result = self._server.call_as(str(terminal), method, *arguments)
        except JournalError:
            # No answer: the connection breaks, and nobody takes the order for accepted.
            self._give_up_books()
            raise
        except Exception as error:
            return answer_of_failure(error)
        return answer_of(result)

    def _give_up_books(self) -> None:
        if not self._stopping.is_set():
            logger.error("The books cannot be kept any more.", exc_info=True)
            self.failed = True
            self._stopping.set()

    def _publish_address(self) -> None:
        address = {"host": "127.0.0.1", "port": self.port, "key": self._key.hex(),
                   "pid": os.getpid(), "layout": LAYOUT}  # fmt: skip
        unfinished = self._home / f"{ADDRESS_FILE}.new"
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(address, file)
        unfinished.replace(self._home / ADDRESS_FILE)


def end_at_once() -> None:
    """End this process as a crash does: nothing is written, closed or told any more."""
    os._exit(CRASH_STATUS)


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        # Listening sockets of some systems refuse this; closing is then enough.
        logger.debug("A socket was shut already.")
    finally:
        sock.close()
