"""The calls of the terminals: what each one answers for the account that it is logged in to.

Faults that change an answer come in between here; those that lose or delay it, on its way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from accounts.terminals.link import LinkError, LinkTimeout

from .. import constants as mt5
from ..engine import Engine
from ..faults.disturbances import CALM, Disturbance
from ..faults.specs import FaultKind
from ..link import CODE_ALGO_TRADING_OFF, CODE_NO_CONNECTION
from ..rights import Rights, refused
from ..state import AccountState, emptied, present_state, torn
from . import rows
from .rows import Row
from .selection import in_group

# Where a row has the name of its symbol.
_POSITION_SYMBOL, _ORDER_SYMBOL, _DEAL_SYMBOL = 16, 21, 15


@dataclass(frozen=True, slots=True)
class Visit:
    """One call: which terminal it comes through, and which faults strike it."""

    terminal: str
    disturbance: Disturbance = CALM


class Terminals:
    """One terminal per account and caller. Not thread-safe: the trade server holds the lock.

    ``visit`` is the call that is being answered.
    """

    def __init__(self, engine: Engine, rights: Rights) -> None:
        self._engine = engine
        self._books = engine.books
        self._rights = rights
        self.visit = Visit("")

    def authorise(self, login: int, password: str, server: str | None) -> None:
        if self._has(FaultKind.CUT_FROM_BROKER):
            raise LinkTimeout
        self._rights.authorise(self.visit.terminal, login, password, server)

    def terminal_info(self, login: int) -> Row:
        return rows.terminal_row(self.state(login))

    def account_info(self, login: int) -> Row | None:
        if self._has(FaultKind.NONE):
            return None
        return rows.account_row(self.account_state(login), self._books)

    def positions(
        self, login: int, symbol: str | None, group: str | None, ticket: int | None
    ) -> list[Row] | None:
        if self._has(FaultKind.NONE):
            return None
        held = rows.position_rows(self.positions_state(login))
        return _chosen(held, _POSITION_SYMBOL, symbol, group, ticket)

    def orders(
        self, login: int, symbol: str | None, group: str | None, ticket: int | None
    ) -> list[Row] | None:
        if self._has(FaultKind.NONE):
            return None
        waiting = rows.order_rows(self.orders_state(login))
        return _chosen(waiting, _ORDER_SYMBOL, symbol, group, ticket)

    def history_deals(
        self,
        login: int,
        start: float,
        end: float,
        group: str | None,
        order: int | None,
        position: int | None,
    ) -> list[Row] | None:
        if self._has(FaultKind.NONE):
            return None
        state = self.state(login)
        deals = self._books.deals
        mine = self._books.deals_of(state.row)
        asked = deals["ticket"][mine] <= state.last_deal
        if order is not None:
            asked &= (deals["order"][mine] == order) & (order > 0)  # balance operations have 0
        elif position is not None:
            asked &= (deals["position"][mine] == position) & (position > 0)
        else:
            time_msc = deals["time_msc"][mine]
            asked &= (time_msc >= start * 1000) & (time_msc < (end + 1) * 1000)
        found = [rows.deal_row(deals, row, state.naming) for row in mine[asked].tolist()]
        return _of_group(found, _DEAL_SYMBOL, group)

    def history_orders(
        self,
        login: int,
        start: float,
        end: float,
        group: str | None,
        ticket: int | None,
        position: int | None,
    ) -> list[Row] | None:
        if self._has(FaultKind.NONE):
            return None
        state = self.state(login)
        orders = self._books.order_history
        mine = self._books.done_orders_of(state.row)
        tickets = orders["ticket"][mine]
        # A terminal that is cut off still takes those for waiting which have been done since.
        asked = (tickets <= state.last_order) & ~np.isin(tickets, state.orders["ticket"])
        if ticket is not None:
            asked &= tickets == ticket
        elif position is not None:
            asked &= orders["position"][mine] == position
        else:
            done = orders["time_done_msc"][mine]
            asked &= (done >= start * 1000) & (done < (end + 1) * 1000)
        found = [rows.order_row(orders, row, state.naming) for row in mine[asked].tolist()]
        return _of_group(found, _ORDER_SYMBOL, group)

    def order_send(self, login: int, request: Mapping[str, Any], server: str = "") -> Row | None:
        """Carry out an order; with a ``server`` only for the very account of that login there."""
        account, desk = self.account(login), self._engine.desk
        if server:
            self._require(account, login, server)
        if not self._books.accounts["python_api"][account]:
            raise LinkError(CODE_ALGO_TRADING_OFF)
        barred, comment = self._barred(account)
        if barred:
            return desk.refuse(request, barred, comment)
        execution = self.visit.disturbance.execution(request)
        self._engine.touch()
        return desk.send(account, request, mt5.ORDER_REASON_EXPERT, execution)

    def order_check(self, login: int, request: Mapping[str, Any]) -> Row:
        account = self.account(login)
        barred, comment = self._barred(account)
        return self._engine.desk.check(account, request, barred, comment)

    def account(self, login: int) -> int:
        """Return the row of the account that answers for a login; raise LinkError when none does.

        It is another login's where a fault has mixed the terminals up.
        """
        disturbance = self.visit.disturbance
        if disturbance.frozen is not None:
            return disturbance.frozen.row
        answering = login if disturbance.peer is None else disturbance.peer
        account = self._books.account_of.get(answering)
        if account is None or not self._books.accounts["enabled"][account]:
            raise refused()
        if answering == login and self._rights.must_log_in(self.visit.terminal, account):
            raise refused()
        return account

    def state(self, login: int) -> AccountState:
        """Return what the terminal of a login knows now; raise LinkError when it is silent."""
        frozen, engine = self.visit.disturbance.frozen, self._engine
        if frozen is not None:
            return self._as_seen(frozen)
        account = self.account(login)
        return self._as_seen(
            present_state(engine.books, engine.valuation, engine.tick_msc, account)
        )

    def account_state(self, login: int) -> AccountState:
        """Return the state that account_info shows."""
        state = self.state(login)
        if len(state.positions["ticket"]) or not self._has(FaultKind.TORN):
            return state
        return torn(state, self._engine.valuation)

    def positions_state(self, login: int) -> AccountState:
        """Return the state that the list of positions shows."""
        state = self.orders_state(login)
        return torn(state, self._engine.valuation) if self._has(FaultKind.TORN) else state

    def orders_state(self, login: int) -> AccountState:
        """Return the state that the list of orders shows."""
        state = self.state(login)
        return emptied(state) if self._has(FaultKind.EMPTY) else state

    def _as_seen(self, state: AccountState) -> AccountState:
        """Return a state with the rights that this terminal has, not those of another one."""
        may_only_watch = self._rights.may_only_watch(self.visit.terminal, state.row)
        if bool(state.account["investor"][0]) == may_only_watch:
            return state
        return replace(state, account={**state.account, "investor": np.array([may_only_watch])})

    def _require(self, account: int, login: int, server: str) -> None:
        """Raise LinkError, for an order that never left, when another account would answer."""
        if self._has(FaultKind.NONE):
            raise LinkError(CODE_NO_CONNECTION, "The terminal does not say whose it is.")
        accounts = self._books.accounts
        shown = self._books.servers[int(accounts["server"][account])]
        if (int(accounts["login"][account]), shown) != (login, server):
            raise LinkError(CODE_NO_CONNECTION, "The terminal shows another account.")

    def _barred(self, account: int) -> tuple[int, str]:
        """Return why this terminal can send no orders, as retcode and comment; 0 when it can."""
        accounts = self._books.accounts
        if not accounts["algo_trading"][account]:
            return mt5.TRADE_RETCODE_CLIENT_DISABLES_AT, "AutoTrading disabled by client"
        if not accounts["trade_expert"][account]:
            return mt5.TRADE_RETCODE_SERVER_DISABLES_AT, "AutoTrading disabled by server"
        if self._rights.may_only_watch(self.visit.terminal, account):
            return mt5.TRADE_RETCODE_TRADE_DISABLED, "Trade disabled"
        if self._has(FaultKind.CUT_FROM_BROKER):
            return mt5.TRADE_RETCODE_CONNECTION, "No connection"
        return 0, ""

    def _has(self, kind: FaultKind) -> bool:
        return self.visit.disturbance.of(kind) is not None


def _chosen(
    found: list[Row], symbol_field: int, symbol: str | None, group: str | None, ticket: int | None
) -> list[Row]:
    """Filter rows as the terminal does: by ticket, else by symbol, else by group."""
    if ticket is not None:
        return [row for row in found if row[0] == ticket]
    if symbol is not None:
        return [row for row in found if row[symbol_field] == symbol]
    return _of_group(found, symbol_field, group)


def _of_group(found: list[Row], symbol_field: int, group: str | None) -> list[Row]:
    if group is None:
        return found
    return [row for row in found if in_group(row[symbol_field], group)]
