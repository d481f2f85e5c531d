"""Calls for many accounts at once: logging them in, and the batch read with its faults.

One account's trouble delays no other: where a single call would block, the batch goes on without
that account, which is then silent.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from accounts.terminals.link import LinkError, LinkTimeout

from ...readings import Outcome, ReadingBatch
from ..engine import Engine
from ..faults.disturbances import Disturbance
from ..faults.interference import Interference, crashed_terminal
from ..faults.register import Faults
from ..faults.specs import READING_CALLS, FaultKind
from ..link import (
    CODE_AUTHORIZATION_FAILED,
    CODE_CALL_FAILED,
    CODE_NO_CONNECTION,
    CODE_NOT_FOUND,
    CODE_TIMEOUT,
)
from ..rights import Rights
from ..state import AccountState
from .batch import BatchReader, Integers, SpecialAnswer
from .terminals import Terminals, Visit

SUCCESS: Final = 1
# How long the batch waits for an account's terminal.
PATIENCE_SECONDS: Final = 0.1
_SILENT: Final = SpecialAnswer(Outcome.SILENT, CODE_TIMEOUT)
_TIMEOUTS: Final = (FaultKind.HANG, FaultKind.TIMEOUT_BEFORE, FaultKind.TIMEOUT_AFTER)


class BatchDesk:
    """Serves all accounts of a host. Not thread-safe: the trade server holds the lock."""

    def __init__(
        self,
        engine: Engine,
        faults: Faults,
        rights: Rights,
        terminals: Terminals,
        interference: Interference,
    ) -> None:
        self._engine = engine
        self._books = engine.books
        self._faults = faults
        self._rights = rights
        self._terminals = terminals
        self._interference = interference
        self._reader = BatchReader(engine.books, engine.valuation, engine.tick_msc)

    def authorise_many(self, credentials: Sequence[tuple[int, str, str]]) -> list[int]:
        return [self._authorised(*each) for each in credentials]

    def read_batch(self, logins: Integers, deal_cursors: Integers) -> dict[str, Any]:
        if len(logins) != len(deal_cursors):
            raise ValueError("a batch needs one cursor for each login")
        numbers = self._account_numbers(logins)
        special = self._special_answers(logins, numbers)
        batch = self._reader.read(self._engine.machine_clock(), numbers, deal_cursors, special)
        self._let_traders_trade(batch, numbers, special)
        return {name: getattr(batch, name) for name in ReadingBatch.__slots__}

    def _authorised(self, login: int, password: str, server: str) -> int:
        terminal = self._terminals.visit.terminal
        disturbance = self._faults.meet(login, ("authorise",))
        try:
            if self._is_silent(disturbance):
                raise LinkTimeout
            self._interference.before(_without_waiting(disturbance), terminal, login)
            self._terminals.visit = Visit(terminal, disturbance)
            if server not in self._books.servers:
                # The broker knows its servers, where a terminal only says that it was refused.
                return CODE_NOT_FOUND
            self._terminals.authorise(login, password, server)
            self._interference.after(disturbance, terminal, login)
        except LinkError as error:
            return error.code
        finally:
            self._terminals.visit = Visit(terminal)
        return SUCCESS

    def _account_numbers(self, logins: Integers) -> npt.NDArray[np.intp]:
        """Return the row of each login's account, -1 for an unknown one."""
        account_of = self._books.account_of
        return np.array([account_of.get(login, -1) for login in logins.tolist()], dtype=np.intp)

    def _special_answers(
        self, logins: Integers, numbers: npt.NDArray[np.intp]
    ) -> dict[int, SpecialAnswer]:
        """Return the answers of the accounts that cannot be read like the others."""
        is_open = numbers >= 0
        is_open[is_open] = self._books.accounts["enabled"][numbers[is_open]]
        terminal = self._terminals.visit.terminal
        for place in self._watched(numbers):
            is_open[place] &= not self._rights.must_log_in(terminal, int(numbers[place]))
        refused = SpecialAnswer(Outcome.REFUSED, CODE_AUTHORIZATION_FAILED)
        special = dict.fromkeys(np.flatnonzero(~is_open).tolist(), refused)
        for place in _repeated(logins):
            if is_open[place]:
                special[place] = self._disturbed_answer(int(logins[place]), Disturbance())
        self._add_faulty(special, logins)
        return special

    def _add_faulty(self, special: dict[int, SpecialAnswer], logins: Integers) -> None:
        """Put the answers of accounts with faults and of crashed terminals to the others."""
        crashed = self._rights.crashed_logins(self._terminals.visit.terminal)
        if not self._faults and not crashed:
            return
        listed = logins.tolist()
        faulty = self._faults.faulty(listed)
        for place, login in enumerate(listed):
            if login in crashed:
                special[place] = SpecialAnswer(Outcome.NO_TERMINAL, CODE_NO_CONNECTION)
            elif login in faulty:
                disturbance = self._faults.meet(login, READING_CALLS)
                if disturbance:
                    special[place] = self._disturbed_answer(login, disturbance)

    def _disturbed_answer(self, login: int, disturbance: Disturbance) -> SpecialAnswer:
        silence = self._silence(login, disturbance)
        if silence is not None:
            return silence
        try:
            state = self._reading(login, disturbance)
        except LinkError as error:
            return SpecialAnswer(Outcome.REFUSED, error.code)
        return SpecialAnswer(Outcome.ANSWERED, SUCCESS, state)

    def _reading(self, login: int, disturbance: Disturbance) -> AccountState:
        """Put a reading together of what each of its calls would show, struck as it is."""
        terminals = self._terminals
        visit = terminals.visit

        def shown(call: str, state_of: Callable[[int], AccountState]) -> AccountState:
            terminals.visit = replace(visit, disturbance=disturbance.on(call))
            return state_of(login)

        try:
            account = shown("account_info", terminals.account_state)
            positions = shown("positions", terminals.positions_state).positions
            orders = shown("orders", terminals.orders_state).orders
        finally:
            terminals.visit = visit
        return replace(account, positions=positions, orders=orders)

    def _silence(self, login: int, disturbance: Disturbance) -> SpecialAnswer | None:
        """Return the answer of a terminal that gives no reading; None when it gives one."""
        if self._is_silent(disturbance):
            return _SILENT
        for fault in disturbance.faults:
            kind = fault.spec.kind
            if kind is FaultKind.DISCONNECT_TERMINAL:
                return SpecialAnswer(Outcome.NO_TERMINAL, fault.spec.code)
            if kind is FaultKind.CRASH_TERMINAL:
                self._rights.crash(self._terminals.visit.terminal, login)
                return SpecialAnswer(Outcome.NO_TERMINAL, crashed_terminal(fault).code)
            if kind is FaultKind.CRASH_BROKER:
                self._interference.crash_broker()
            if kind is FaultKind.NONE:
                return SpecialAnswer(Outcome.NONE, CODE_CALL_FAILED)
        return None

    def _is_silent(self, disturbance: Disturbance) -> bool:
        return any(
            fault.spec.kind in _TIMEOUTS
            or (fault.spec.kind is FaultKind.LATENCY and fault.latency_seconds() > PATIENCE_SECONDS)
            for fault in disturbance.faults
        )

    def _let_traders_trade(
        self, batch: ReadingBatch, numbers: npt.NDArray[np.intp], special: Collection[int]
    ) -> None:
        """Lift the bar on accounts that an investor watches for the terminals of their traders."""
        accounts, terminal = self._books.accounts, self._terminals.visit.terminal
        for place in self._watched(numbers):
            number = int(numbers[place])
            if place not in special and not self._rights.may_only_watch(terminal, number):
                batch.accounts["trade_allowed"][place] = accounts["trade_allowed"][number]

    def _watched(self, numbers: npt.NDArray[np.intp]) -> list[int]:
        """Return the places of accounts whose investor password has been used."""
        investor = self._books.accounts["investor"]
        if not investor.any():
            return []
        places: list[int] = np.flatnonzero((numbers >= 0) & investor[numbers]).tolist()
        return places


def _repeated(logins: Integers) -> list[int]:
    """Return the places of logins that stand earlier in the list already."""
    _, first = np.unique(logins, return_index=True)
    if len(first) == len(logins):
        return []
    places: list[int] = np.setdiff1d(np.arange(len(logins)), first).tolist()
    return places


def _without_waiting(disturbance: Disturbance) -> Disturbance:
    return Disturbance(
        tuple(fault for fault in disturbance.faults if fault.spec.kind is not FaultKind.LATENCY)
    )
