"""The calls of the terminals: what each one answers for the account that it is logged in to.

Faults come in between here, for single calls and for the batch read alike.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..readings import Outcome, ReadingBatch
from . import constants as mt5
from . import rows
from .administration import Administration, password_digest
from .batch import Answer, BatchReader, Integers
from .books import CHANGED_ACCOUNT
from .engine import Engine
from .faults import Fault, FaultKind, Faults, no_connection
from .link import (
    CODE_ALGO_TRADING_OFF,
    CODE_AUTHORIZATION_FAILED,
    CODE_CALL_FAILED,
    CODE_NO_CONNECTION,
    CODE_TIMEOUT,
    LinkError,
    LinkTimeout,
)
from .rows import Row
from .selection import in_group
from .state import AccountState, emptied, torn

SUCCESS = 1


class Terminals:
    """One terminal per account. Not thread-safe: the trade server holds the lock."""

    def __init__(self, engine: Engine, faults: Faults, office: Administration) -> None:
        self._engine = engine
        self._books = engine.books
        self._faults = faults
        self._office = office
        self._reader = BatchReader(engine.books, engine.valuation, engine.tick_msc)

    def authorise(self, login: int, password: str, server: str | None) -> None:
        fault = self._fault(login)
        if fault is not None and fault.kind is FaultKind.CUT_FROM_BROKER:
            raise LinkTimeout
        number = self._books.account_of.get(login)
        if number is None or not self._may_log_in(number, server):
            raise _refused()
        accounts = self._books.accounts
        given = password_digest(login, password)
        is_master = hmac.compare_digest(given, accounts["password"][number])
        investor_password = accounts["investor_password"][number]
        is_investor = not is_master and hmac.compare_digest(given, investor_password)
        if not is_master and not is_investor:
            raise _refused()
        if bool(accounts["investor"][number]) != is_investor:
            self._books.write(CHANGED_ACCOUNT, number, {"investor": is_investor})

    def authorise_many(self, credentials: Sequence[tuple[int, str, str]]) -> list[int]:
        codes = []
        for login, password, server in credentials:
            try:
                fault = self._faults.of(login)
                if fault is not None and fault.kind is FaultKind.HANG:
                    raise LinkTimeout
                self.authorise(login, password, server)
                codes.append(SUCCESS)
            except LinkError as error:
                codes.append(error.code)
        return codes

    def terminal_info(self, login: int) -> Row:
        return rows.terminal_row(self.state(login))

    def account_info(self, login: int) -> Row | None:
        if self._answers_none(login):
            return None
        state = self.state(login)
        if self._is(login, FaultKind.TORN) and not len(self._office_positions(login)):
            state = torn(state, self._engine.valuation)
        return rows.account_row(state, self._books)

    def positions(
        self, login: int, symbol: str | None, group: str | None, ticket: int | None
    ) -> list[Row] | None:
        if self._answers_none(login):
            return None
        state = self.state(login)
        fault = self._faults.of(login)
        if fault is not None and fault.kind is FaultKind.EMPTY:
            return []
        if fault is not None and fault.kind is FaultKind.TORN:
            state = torn(state, self._engine.valuation)
            self._faults.use_up(login, fault)
        return _chosen(rows.position_rows(state), 16, symbol, group, ticket)

    def orders(
        self, login: int, symbol: str | None, group: str | None, ticket: int | None
    ) -> list[Row] | None:
        if self._answers_none(login):
            return None
        if self._is(login, FaultKind.EMPTY):
            return []
        return _chosen(rows.order_rows(self.state(login)), 21, symbol, group, ticket)

    def history_deals(
        self,
        login: int,
        start: float,
        end: float,
        group: str | None,
        order: int | None,
        position: int | None,
    ) -> list[Row] | None:
        if self._answers_none(login):
            return None
        state = self.state(login)
        deals = self._books.deals
        mine = (deals["account"] == state.row) & (deals["ticket"] <= state.last_deal)
        if order is not None:
            mine &= (deals["order"] == order) & (deals["order"] > 0)  # balance operations have 0
        elif position is not None:
            mine &= (deals["position"] == position) & (deals["position"] > 0)
        else:
            mine &= (deals["time_msc"] >= start * 1000) & (deals["time_msc"] < (end + 1) * 1000)
        found = [rows.deal_row(deals, row, state.naming) for row in np.flatnonzero(mine).tolist()]
        return found if group is None else [row for row in found if in_group(row[15], group)]

    def history_orders(
        self,
        login: int,
        start: float,
        end: float,
        group: str | None,
        ticket: int | None,
        position: int | None,
    ) -> list[Row] | None:
        if self._answers_none(login):
            return None
        state = self.state(login)
        orders = self._books.order_history
        mine = (orders["account"] == state.row) & (orders["ticket"] <= state.last_order)
        # A terminal that is cut off still takes those for waiting which have been done since.
        mine &= ~np.isin(orders["ticket"], state.orders["ticket"])
        if ticket is not None:
            mine &= orders["ticket"] == ticket
        elif position is not None:
            mine &= orders["position"] == position
        else:
            done = orders["time_done_msc"]
            mine &= (done >= start * 1000) & (done < (end + 1) * 1000)
        found = [rows.order_row(orders, row, state.naming) for row in np.flatnonzero(mine).tolist()]
        return found if group is None else [row for row in found if in_group(row[21], group)]

    def order_send(self, login: int, request: Mapping[str, Any]) -> Row | None:
        number = self.state(login).row
        fault = self._faults.of(login)
        if not self._books.accounts["algo_trading"][number]:
            raise LinkError(
                CODE_ALGO_TRADING_OFF, "Auto-Trading using Python API disabled in Terminal"
            )
        if fault is not None and fault.kind is FaultKind.CUT_FROM_BROKER:
            return self._engine.desk.refuse(
                number, request, mt5.TRADE_RETCODE_CONNECTION, "No connection"
            )
        if fault is not None and fault.kind is FaultKind.REJECT:
            self._faults.use_up(login, fault)
            return self._engine.desk.refuse(
                number, request, mt5.TRADE_RETCODE_REJECT, "Request rejected"
            )
        if self._books.accounts["investor"][number]:
            return self._engine.desk.refuse(
                number, request, mt5.TRADE_RETCODE_TRADE_DISABLED, "Trade disabled"
            )
        self._engine.touch()
        return self._engine.desk.send(number, request, mt5.ORDER_REASON_EXPERT)

    def order_check(self, login: int, request: Mapping[str, Any]) -> Row:
        number = self.state(login).row
        accounts, barred = self._books.accounts, 0
        if not accounts["algo_trading"][number]:
            barred = mt5.TRADE_RETCODE_CLIENT_DISABLES_AT
        elif accounts["investor"][number]:
            barred = mt5.TRADE_RETCODE_TRADE_DISABLED
        return self._engine.desk.check(number, request, barred)

    def read_batch(self, logins: Integers, deal_cursors: Integers) -> dict[str, Any]:
        batch = self._batch(logins, deal_cursors)
        return {name: getattr(batch, name) for name in ReadingBatch.__slots__}

    def _batch(self, logins: Integers, cursors: Integers) -> ReadingBatch:
        if len(logins) != len(cursors):
            raise ValueError("a batch needs one cursor for each login")
        special = self._special_answers(logins)
        return self._reader.read(self._engine.clock(), logins, cursors, special)

    def _special_answers(self, logins: Integers) -> dict[int, Answer]:
        """Return the answers of the accounts that cannot be read like the others."""
        special: dict[int, Answer] = {}
        faulty = set(self._faults.logins())
        account_of, enabled = self._books.account_of, self._books.accounts["enabled"]
        seen: set[int] = set()
        for place, login in enumerate(logins.tolist()):
            number = account_of.get(login)
            if login in faulty:
                special[place] = self._faulty_answer(login)
            elif number is None or not enabled[number]:
                special[place] = Answer(Outcome.REFUSED, CODE_AUTHORIZATION_FAILED)
            elif login in seen:
                state = self._office.present_state(number)
                special[place] = Answer(Outcome.ANSWERED, SUCCESS, state)
            seen.add(login)
        return special

    def _faulty_answer(self, login: int) -> Answer:
        fault = self._faults.of(login)
        kind = fault.kind if fault is not None else None
        if kind is FaultKind.DISCONNECT_TERMINAL:
            return Answer(Outcome.NO_TERMINAL, CODE_NO_CONNECTION)
        if kind is FaultKind.HANG:
            return Answer(Outcome.SILENT, CODE_TIMEOUT)
        if kind is FaultKind.NONE:
            return Answer(Outcome.NONE, CODE_CALL_FAILED)
        try:
            state = self.state(login)
        except LinkError as error:
            return Answer(Outcome.REFUSED, error.code)
        if kind is FaultKind.EMPTY:
            state = emptied(state)
        if kind is FaultKind.TORN and fault is not None:
            state = torn(state, self._engine.valuation)
            self._faults.use_up(login, fault)
        return Answer(Outcome.ANSWERED, SUCCESS, state)

    def state(self, login: int) -> AccountState:
        """Return what the terminal of a login knows now; raise LinkError when it is silent."""
        fault = self._fault(login)
        if fault is not None and fault.frozen is not None:
            return fault.frozen
        answering = fault.peer if fault is not None and fault.peer is not None else login
        number = self._books.account_of.get(answering)
        if number is None or not self._books.accounts["enabled"][number]:
            raise _refused()
        return self._office.present_state(number)

    def _fault(self, login: int) -> Fault | None:
        fault = self._faults.of(login)
        if fault is not None and fault.kind is FaultKind.DISCONNECT_TERMINAL:
            raise no_connection()
        return fault

    def _answers_none(self, login: int) -> bool:
        return self._is(login, FaultKind.NONE)

    def _is(self, login: int, kind: FaultKind) -> bool:
        fault = self._faults.of(login)
        return fault is not None and fault.kind is kind

    def _office_positions(self, login: int) -> Any:
        return self._books.rows_of(self._books.account_of[login])

    def _may_log_in(self, number: int, server: str | None) -> bool:
        accounts = self._books.accounts
        name = self._books.servers[int(accounts["server"][number])]
        return bool(accounts["enabled"][number]) and server in (None, "", name)


def _refused() -> LinkError:
    return LinkError(CODE_AUTHORIZATION_FAILED, "Terminal: Authorization failed")


def _chosen(
    found: list[Row], symbol_field: int, symbol: str | None, group: str | None, ticket: int | None
) -> list[Row]:
    """Filter rows as the terminal does: by ticket, else by symbol, else by group."""
    if ticket is not None:
        return [row for row in found if row[0] == ticket]
    if symbol is not None:
        return [row for row in found if row[symbol_field] == symbol]
    return found if group is None else [row for row in found if in_group(row[symbol_field], group)]
