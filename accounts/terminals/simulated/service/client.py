"""A client of the broker process, for many threads at once."""

import json
import logging
import secrets
import socket
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from accounts.terminals.alike import AlikeOrders, Answered, fail_all
from accounts.terminals.link import LinkError, LinkTimeout

from ..calls import BrokerCalls
from ..link import (
    CODE_INVALID_VERSION,
    CODE_NO_CONNECTION,
    CODE_RECEIVE_FAILED,
    TerminalLink,
)
from .answers import BrokerError, result_of
from .pipelined_line import PipelinedLine
from .wire import LAYOUT, introduce, receive, send

__all__ = ["BrokerError", "RemoteBroker"]

logger = logging.getLogger(__name__)


class RemoteBroker(BrokerCalls):
    """Calls a broker process whose address file is at ``address_file``.

    Each call in flight has a connection of its own, so a hung one delays nobody. After a restart
    of the broker the next call finds its new address. No call is ever repeated: when a connection
    breaks in the middle of one (LinkError -10002) or the time is up (LinkTimeout), the broker may
    have carried it out. Sessions belong to the client that logged in; `terminal` gives out lines
    with sessions of their own.
    """

    def __init__(
        self,
        address_file: Path | str,
        *,
        timeout_seconds: float = 5.0,
        connect_seconds: float = 2.0,
    ) -> None:
        self._address_file = Path(address_file)
        self._timeout_seconds = timeout_seconds
        self._connect_seconds = connect_seconds
        self._name = _new_name()
        self._misfit: int | None = None  # the broker of another version that was told of
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._line: PipelinedLine | None = None
        self._line_lock = threading.Lock()

    def call(self, method: str, *arguments: Any) -> Any:
        return self.call_as(self._name, method, *arguments)

    def submit(self, method: str, *arguments: Any) -> "Future[Any]":
        """Send a call on the one connection that all such calls share; see `Source`."""
        try:
            return self._pipelined_line().submit(self._name, method, arguments)
        except LinkError as error:
            answer: Future[Any] = Future()
            answer.set_exception(error)
            return answer

    def submit_many(self, method: str, calls: Sequence[tuple[Any, ...]]) -> "list[Future[Any]]":
        """Send calls of one method in one piece; see `Source`."""
        try:
            return self._pipelined_line().submit_many(self._name, method, calls)
        except LinkError as error:
            answers: list[Future[Any]] = [Future() for _ in calls]
            for answer in answers:
                answer.set_exception(error)
            return answers

    def submit_alike(self, orders: AlikeOrders, answered: Answered) -> None:
        """Send orders that hardly differ, framed together; see `Source`."""
        try:
            line = self._pipelined_line()
        except LinkError as error:
            fail_all(orders, answered, error)
        else:
            line.submit_alike(self._name, orders, answered)

    def terminal(self) -> TerminalLink:
        return TerminalLink(self.call_as, _new_name())

    def call_as(self, terminal: str, method: str, *arguments: Any) -> Any:
        """Ask the broker as one of its terminals."""
        connection = self._connection()
        try:
            send(connection, (terminal, method, arguments))
            answer = receive(connection)
        except TimeoutError as error:
            connection.close()
            raise LinkTimeout from error
        except OSError as error:
            connection.close()
            raise LinkError(CODE_RECEIVE_FAILED) from error
        except BaseException:
            connection.close()  # half a frame may be left in it
            raise
        with self._lock:
            self._idle.append(connection)
        return result_of(answer)

    def is_reachable(self) -> bool:
        try:
            self.call("version")
        except LinkError:
            return False
        return True

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        with self._line_lock:
            line, self._line = self._line, None
        if line is not None:
            line.close()

    def _pipelined_line(self) -> PipelinedLine:
        with self._line_lock:
            if self._line is None or self._line.is_broken:
                self._line = PipelinedLine(self._connected(), self._timeout_seconds)
            return self._line

    def _check_layout(self, address: Mapping[str, Any]) -> None:
        """Refuse a broker of another version; after its update one of the two was not restarted."""
        if address["layout"] == LAYOUT:
            return
        if address["pid"] != self._misfit:
            self._misfit = address["pid"]
            logger.error(
                "The broker (process %s) and this program are of different versions: restart both.",
                address["pid"],
            )
        raise LinkError(CODE_INVALID_VERSION)

    def _connection(self) -> socket.socket:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._connected()
            if _is_alive(connection):
                connection.settimeout(self._timeout_seconds)
                return connection
            connection.close()

    def _connected(self) -> socket.socket:
        connection = None
        try:
            address = json.loads(self._address_file.read_text())
            self._check_layout(address)
            connection = socket.create_connection(
                (address["host"], address["port"]), self._connect_seconds
            )
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            introduce(connection, bytes.fromhex(address["key"]))
        except (OSError, ValueError, KeyError) as error:
            if connection is not None:
                connection.close()
            raise LinkError(CODE_NO_CONNECTION) from error
        connection.settimeout(self._timeout_seconds)
        return connection


def _new_name() -> str:
    # A name that is taken, or that outlives the broker, would carry another terminal's rights.
    return secrets.token_hex(8)


def _is_alive(connection: socket.socket) -> bool:
    """Tell whether the broker is still at the other end of an idle connection."""
    connection.setblocking(False)
    try:
        # Nothing is due on an idle connection: bytes would be as wrong as its end.
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
