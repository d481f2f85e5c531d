"""Faults on request: what goes wrong between a terminal, its broker and whoever asks it."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from .link import CODE_NO_CONNECTION, LinkError, LinkTimeout
from .state import AccountState

DEFAULT_HANG_SECONDS = 60.0


class FaultKind(StrEnum):
    DISCONNECT_TERMINAL = "DISCONNECT_TERMINAL"  # the pipe to the terminal is gone
    CUT_FROM_BROKER = "CUT_FROM_BROKER"  # the terminal answers from its cache
    NONE = "NONE"  # account, position, order and history calls give None
    EMPTY = "EMPTY"  # no positions and orders, as before synchronisation
    TORN = "TORN"  # positions and account of different moments
    HANG = "HANG"  # the call blocks
    WRONG_ACCOUNT = "WRONG_ACCOUNT"  # another login's terminal answers
    REJECT = "REJECT"  # the server rejects orders (10006)


@dataclass(slots=True)
class Fault:
    """One account's fault. ``until`` is an epoch of the server's clock, None for ever."""

    kind: FaultKind
    until: float | None = None
    once: bool = False
    peer: int | None = None
    hang_seconds: float = DEFAULT_HANG_SECONDS
    frozen: AccountState | None = None
    cleared: threading.Event = field(default_factory=threading.Event)

    def hang(self, now: float) -> None:
        """Block until the fault is over; raise LinkTimeout when that takes too long."""
        left = math.inf if self.until is None else max(0.0, self.until - now)
        ended = self.cleared.wait(min(left, self.hang_seconds))
        if not ended and left >= self.hang_seconds:
            raise LinkTimeout


class Faults:
    """The faults of all accounts, by login."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._by_login: dict[int, Fault] = {}

    def __bool__(self) -> bool:
        return bool(self._by_login)

    def put(self, login: int, fault: Fault) -> None:
        self.clear(login)
        self._by_login[login] = fault

    def clear(self, login: int) -> None:
        fault = self._by_login.pop(login, None)
        if fault is not None:
            fault.cleared.set()

    def clear_all(self) -> None:
        for login in list(self._by_login):
            self.clear(login)

    def of(self, login: int) -> Fault | None:
        """Return the fault that acts on an account now."""
        fault = self._by_login.get(login)
        if fault is not None and fault.until is not None and self._clock() >= fault.until:
            self.clear(login)
            return None
        return fault

    def use_up(self, login: int, fault: Fault) -> None:
        """End a fault that was asked for once and has now been met."""
        if fault.once and self._by_login.get(login) is fault:
            self.clear(login)

    def logins(self) -> list[int]:
        return [login for login in list(self._by_login) if self.of(login) is not None]


def no_connection() -> LinkError:
    return LinkError(CODE_NO_CONNECTION, "No IPC connection")
