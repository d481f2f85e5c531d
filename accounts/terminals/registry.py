"""Who answers for the accounts of a terminal host."""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from accounts.terminals.alike import AlikeOrders, Answered, fail_all
from accounts.terminals.codes import IPC_NOT_STARTED
from accounts.terminals.link import LinkError
from accounts.terminals.processes.programs import TerminalPrograms
from accounts.terminals.processes.source import ChildProcesses
from accounts.terminals.readings import ReadingBatch
from accounts.terminals.simulated.service.client import RemoteBroker

SIMULATED = "simulated"
METATRADER5 = "metatrader5"
NO_TERMINALS = "This worker has no MetaTrader 5 terminals."
_ADDRESS_FILE = "broker.json"


class Source(Protocol):
    """The terminals of one host: all accounts at once, and single calls by login.

    ``authorise_many`` takes (login, password, server) and gives a ``last_error()`` code for each, 1
    for success and LOGIN_UNDER_WAY for one to ask after again; a code may be a `LoginAnswer`, which
    has a sentence. ``call`` answers the methods of the simulated broker's link: history_deals,
    rates, symbol_info, symbol_tick and so on. Each raises LinkError when nobody answers.

    ``submit`` is a call that nobody waits for: a thousand may be under way at once, and one that
    hangs holds up no other. It never raises; its future fails with what ``call`` would raise, at
    the latest when the time of such a call is up, and gives rows as they came, lists perhaps as
    tuples. Cancelled before it has left, it is never sent. ``submit("order_send", login, request,
    server)`` looks at the account once more where the order is sent, and fails with a LinkError
    whose `may_have_executed` is False when it is not this login of this server. ``submit_many``
    is that for the arguments of many calls, which leave in one piece where there is one line for
    all. ``submit_alike`` is the same for orders that hardly differ: ``answered`` is told of each of
    them exactly once, however it ends, perhaps before the call returns; there is no cancelling.
    """

    def authorise_many(self, credentials: Sequence[tuple[int, str, str]]) -> Sequence[int]: ...

    def read_batch(
        self, logins: npt.NDArray[np.int64], deal_cursors: npt.NDArray[np.int64]
    ) -> ReadingBatch: ...

    def call(self, method: str, *arguments: Any) -> Any: ...

    def submit(self, method: str, *arguments: Any) -> "Future[Any]": ...

    def submit_many(self, method: str, calls: Sequence[tuple[Any, ...]]) -> "list[Future[Any]]": ...

    def submit_alike(self, orders: AlikeOrders, answered: Answered) -> None: ...


class NoTerminals:
    """A host whose worker has no terminals: nothing connects, and each account says why."""

    def authorise_many(self, credentials: Sequence[tuple[int, str, str]]) -> Sequence[int]:
        return list(self.call("authorise_many", len(credentials)))

    def read_batch(
        self, logins: npt.NDArray[np.int64], deal_cursors: npt.NDArray[np.int64]
    ) -> ReadingBatch:
        batch: ReadingBatch = self.call("read_batch", logins, deal_cursors)
        return batch

    def call(self, method: str, *arguments: Any) -> Any:
        del method, arguments  # whatever is asked, nobody answers
        raise LinkError(IPC_NOT_STARTED, NO_TERMINALS)

    def submit(self, method: str, *arguments: Any) -> "Future[Any]":
        del method, arguments
        answer: Future[Any] = Future()
        answer.set_exception(LinkError(IPC_NOT_STARTED, NO_TERMINALS))
        return answer

    def submit_many(self, method: str, calls: Sequence[tuple[Any, ...]]) -> "list[Future[Any]]":
        return [self.submit(method, *arguments) for arguments in calls]

    def submit_alike(self, orders: AlikeOrders, answered: Answered) -> None:
        fail_all(orders, answered, LinkError(IPC_NOT_STARTED, NO_TERMINALS))


_registered: dict[str, Source] = {}
_processes: dict[str, ChildProcesses] = {}
_lock = Lock()


def register(host: str, source: Source) -> None:
    """Let a source in this process, such as a `TradeServer`, answer for a host."""
    with _lock:
        _registered[host] = source


def unregister(host: str) -> None:
    with _lock:
        _registered.pop(host, None)


def source_of(
    host: str, kind: str, broker_home: Path, programs: TerminalPrograms | None = None
) -> Source:
    """Return the source of a host by its kind; a simulated broker is found by its address file.

    ``programs`` are the real terminals of this machine, whose processes all users of a host share
    until `release`.
    """
    with _lock:
        registered = _registered.get(host)
        if registered is not None:
            return registered
        if kind == METATRADER5 and programs is not None:
            if host not in _processes:
                _processes[host] = ChildProcesses(programs)
            return _processes[host]
    if kind == SIMULATED:
        return RemoteBroker(broker_home / _ADDRESS_FILE)
    return NoTerminals()


def release(host: str) -> None:
    """End the processes of a host that this process has started, and wait for it."""
    with _lock:
        processes = _processes.pop(host, None)
    if processes is not None:
        processes.close()
