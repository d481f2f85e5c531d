"""The broker's books: accounts, positions, orders and deals, column by column.

Everything that has to outlive the process changes through `Books.write`, one record at a time. The
records of a command are what the journal keeps, so that reading the journal back runs the very
code that ran at first.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import CURRENCIES
from ..symbols.conversion import pair_index
from ..symbols.naming import Naming
from .columns import (
    ACCOUNT_COLUMNS,
    ACCOUNT_DEFAULTS,
    DEAL_COLUMNS,
    ORDER_COLUMNS,
    ORDER_DEFAULTS,
    POSITION_COLUMNS,
    POSITION_DEFAULTS,
)
from .tables import Table

Record = tuple[Any, ...]
RowNumbers = npt.NDArray[np.intp]

NEW_ACCOUNT, CHANGED_ACCOUNT = "A", "a"
NEW_POSITION, CHANGED_POSITION, GONE_POSITION = "P", "p", "x"
NEW_ORDER, CHANGED_ORDER, GONE_ORDER, GONE_ORDERS, DONE_ORDER = "O", "o", "y", "Y", "H"
NEW_REQUEST, GONE_REQUEST = "L", "l"
NEW_SERVER, NEW_DEAL, PRICES, ROLLED_OVER = "S", "D", "Q", "R"

FIRST_ORDER = 50_000_001
FIRST_DEAL = 30_000_001
# A reader may have seen tickets of the last, unfinished moments before a crash; they are skipped.
TICKETS_SKIPPED_AFTER_CRASH = 10_000

_UNIT_VALUES = np.array([contract.unit_value for contract in CONTRACTS])
_PROFIT_CURRENCIES = np.array([CURRENCIES.index(contract.quote) for contract in CONTRACTS])
_EQUITY_COLUMNS = ("balance", "credit", "floating", "currency_digits")
_NO_ROWS: RowNumbers = np.empty(0, dtype=np.intp)
_BASES = frozenset({"symbol", "type", "volume", "sl", "tp"})  # what derived columns follow from


class Books:
    """All tables of the trade server, and the records that are not journaled yet."""

    def __init__(self) -> None:
        self.accounts = Table(ACCOUNT_COLUMNS, ACCOUNT_DEFAULTS)
        self.positions = Table(POSITION_COLUMNS, POSITION_DEFAULTS, derived=POSITION_DEFAULTS)
        # Pending; market orders go to the history at once. By ticket, as orders come in.
        self.orders = Table(ORDER_COLUMNS, ORDER_DEFAULTS)
        self.order_history = Table(ORDER_COLUMNS, ORDER_DEFAULTS)
        self.deals = Table(DEAL_COLUMNS)
        self.servers: list[str] = []
        self.naming: list[Naming] = []
        # Requests on their way, by number: due_msc, account, reason and what is asked for.
        self.requests: dict[int, tuple[int, int, int, Mapping[str, Any]]] = {}
        self.rolled_over_day = 0  # the newest server day whose night has been charged
        self.next_order = FIRST_ORDER
        self.next_deal = FIRST_DEAL
        self.quotes: list[list[float]] = [
            [contract.start_bid, contract.start_bid + contract.spread_points * contract.point]
            for contract in CONTRACTS
        ]
        self.account_of: dict[int, int] = {}
        self.structure_version = 0  # moves whenever a position or an account comes or goes
        self._position_row: dict[int, int] = {}
        self._rows_of: dict[int, list[int]] = {}  # open positions by account, oldest first
        self._waiting_of: Counter[int] = Counter()  # how many orders wait, by account
        self._deals_of: dict[int, array[int]] = {}
        self._done_orders_of: dict[int, array[int]] = {}
        self._dead = 0
        self.written: list[Record] = []
        self._appliers = self._record_appliers()

    def write(self, *record: Any) -> None:
        """Apply a record and remember it for the journal."""
        self.apply(record)
        self.written.append(record)

    def apply(self, record: Record) -> None:
        self._appliers[record[0]](*record[1:])

    def position_row(self, ticket: int) -> int | None:
        return self._position_row.get(ticket)

    def order_row(self, ticket: int) -> int | None:
        """Return the row of an order that waits or is being executed."""
        tickets = self.orders["ticket"]
        row = int(np.searchsorted(tickets, ticket))
        return row if row < len(tickets) and tickets[row] == ticket else None

    def orders_of(self, account: int) -> RowNumbers:
        """Return the rows of an account's waiting orders, oldest first."""
        if not self._waiting_of[account]:
            return _NO_ROWS
        return np.flatnonzero(self.orders["account"] == account)

    def naming_of(self, account: int) -> Naming:
        return self.naming[int(self.accounts["server"][account])]

    def rows_of(self, account: int) -> RowNumbers:
        """Return the rows of an account's open positions, oldest first."""
        return np.array(self._rows_of.get(account, ()), dtype=np.intp)

    def deals_of(self, account: int) -> RowNumbers:
        """Return the rows of an account's deals, oldest first."""
        return np.array(self._deals_of.get(account, ()), dtype=np.intp)

    def done_orders_of(self, account: int) -> RowNumbers:
        """Return the rows of an account's orders in the history, first done first."""
        return np.array(self._done_orders_of.get(account, ()), dtype=np.intp)

    def equity(self, account: int) -> float:
        balance, credit, floating, digits = (
            self.accounts[name].item(account) for name in _EQUITY_COLUMNS
        )
        return float(round(balance + credit + floating, digits))

    def skip_tickets(self) -> None:
        self.next_order += TICKETS_SKIPPED_AFTER_CRASH
        self.next_deal += TICKETS_SKIPPED_AFTER_CRASH

    def dump(self) -> bytes:
        """Return the books as bytes: equal books give equal bytes."""
        self._compact()
        return bytes(msgpack.packb({
            "tables": {name: table.dump() for name, table in self._tables().items()},
            "servers": self.servers,
            "naming": [(naming.prefix, naming.suffix) for naming in self.naming],
            "next_order": self.next_order,
            "next_deal": self.next_deal,
            "quotes": self.quotes,
            "rolled_over_day": self.rolled_over_day,
            "requests": list(self.requests.items()),
        }))  # fmt: skip

    def load(self, dumped: bytes) -> None:
        """Take back what `dump` gave; columns and symbols that it lacks keep their defaults."""
        state = msgpack.unpackb(dumped)
        for name, table in self._tables().items():
            table.load(state["tables"][name])
        self.servers = list(state["servers"])
        self.naming = [Naming(prefix, suffix) for prefix, suffix in state["naming"]]
        self.next_order, self.next_deal = state["next_order"], state["next_deal"]
        self.rolled_over_day = state["rolled_over_day"]
        self.requests.update((number, tuple(each)) for number, each in state.get("requests", ()))
        self._set_prices(state["quotes"], None)
        self.account_of = {login: row for row, login in enumerate(self.accounts["login"].tolist())}
        self._dead = 0
        self._derive_positions()
        self._index_positions()
        self._waiting_of = Counter(self.orders["account"].tolist())
        self._deals_of = _by_account(self.deals)
        self._done_orders_of = _by_account(self.order_history)

    def fingerprint(self) -> str:
        return hashlib.sha256(self.dump()).hexdigest()

    def _record_appliers(self) -> dict[str, Callable[..., None]]:
        """Return what applies each kind of record."""
        return {
            NEW_SERVER: self._add_server,
            NEW_ACCOUNT: self._add_account,
            CHANGED_ACCOUNT: self.accounts.update,
            NEW_POSITION: self._add_position,
            CHANGED_POSITION: self._change_position,
            GONE_POSITION: self._remove_position,
            NEW_ORDER: self._add_order,
            CHANGED_ORDER: self._change_order,
            GONE_ORDER: self._remove_order,
            GONE_ORDERS: self._remove_orders,
            NEW_REQUEST: self._add_request,
            GONE_REQUEST: self._remove_request,
            DONE_ORDER: self._add_done_order,
            NEW_DEAL: self._add_deal,
            PRICES: self._set_prices,
            ROLLED_OVER: self._set_rolled_over,
        }

    def _tables(self) -> dict[str, Table]:
        return {
            "accounts": self.accounts,
            "positions": self.positions,
            "orders": self.orders,
            "order_history": self.order_history,
            "deals": self.deals,
        }

    def _add_account(self, server: str, values: Mapping[str, Any]) -> None:
        if server not in self.servers:
            self._add_server(server, "", "")
        row = self.accounts.append({**values, "server": self.servers.index(server)})
        self.account_of[values["login"]] = row
        self.structure_version += 1

    def _add_server(self, server: str, prefix: str, suffix: str) -> None:
        self.servers.append(server)
        self.naming.append(Naming(prefix, suffix))

    def _set_prices(self, quotes: Sequence[Sequence[float]], _feed_state: Any) -> None:
        # Older books know fewer symbols: new ones come at the end of the catalogue.
        self.quotes = [list(quote) for quote in quotes] + self.quotes[len(quotes) :]

    def _set_rolled_over(self, day: int) -> None:
        self.rolled_over_day = day

    def _add_request(
        self, number: int, due_msc: int, account: int, reason: int, values: Mapping[str, Any]
    ) -> None:
        self.requests[number] = (due_msc, account, reason, values)

    def _remove_request(self, number: int) -> None:
        del self.requests[number]

    def _add_deal(self, values: Mapping[str, Any]) -> None:
        account, ticket = values["account"], values["ticket"]
        self._deals_of.setdefault(account, array("q")).append(self.deals.append(values))
        self.accounts["last_deal"][account] = ticket
        self.next_deal = max(self.next_deal, ticket + 1)

    def _add_position(self, values: Mapping[str, Any]) -> None:
        account = values["account"]
        now = {"live": True, "price_current": values["price_open"], "profit": 0.0}
        row = self.positions.append({**values, **self._derived(values), **now})
        self._position_row[values["ticket"]] = row
        self._rows_of.setdefault(account, []).append(row)
        self.structure_version += 1

    def _change_position(self, ticket: int, values: Mapping[str, Any]) -> None:
        row = self._position_row[ticket]
        self.positions.update(row, values)
        if not _BASES.isdisjoint(values):
            self.positions.update(row, self._derived(self.positions.row(row)))

    def _derive_positions(self) -> None:
        positions = self.positions
        bases = {name: positions[name] for name in ("account", *sorted(_BASES))}
        for name, column in self._derived(bases).items():
            positions[name][:] = column
        positions["live"][:] = True
        positions["price_current"][:] = positions["price_open"]

    def _derived(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Work out what follows from a position, or from whole columns of them."""
        symbol, account = values["symbol"], values["account"]
        sign = 1.0 - 2.0 * values["type"]
        sl, tp = values["sl"], values["tp"]
        return {
            "sign": sign,
            "units": values["volume"] * _UNIT_VALUES[symbol] * sign,
            "pair": pair_index(_PROFIT_CURRENCIES[symbol], self.accounts["currency"][account]),
            "side": symbol * 2 + values["type"],
            "money_scale": 10.0 ** self.accounts["currency_digits"][account],
            # Where price × sign triggers: at or below for sl, at or above for tp.
            "sl_edge": np.where(sl, sl * sign, -np.inf),
            "tp_edge": np.where(tp, tp * sign, np.inf),
        }

    def _remove_position(self, ticket: int) -> None:
        row = self._position_row.pop(ticket)
        self._rows_of[int(self.positions["account"][row])].remove(row)
        gone = {"live": False, "volume": 0.0, "units": 0.0, "profit": 0.0, "swap": 0.0}
        self.positions.update(row, {**gone, "sl_edge": -np.inf, "tp_edge": np.inf})
        self._dead += 1
        self.structure_version += 1
        if self._dead > 64 and self._dead * 2 > len(self.positions):
            self._compact()

    def _add_order(self, values: Mapping[str, Any]) -> None:
        tickets = self.orders["ticket"]
        if len(tickets) and tickets[-1] >= values["ticket"]:
            raise ValueError(f"the order {values['ticket']} comes after one with a higher ticket")
        self.orders.append(values)
        self._waiting_of[values["account"]] += 1
        self.next_order = max(self.next_order, values["ticket"] + 1)

    def _change_order(self, ticket: int, values: Mapping[str, Any]) -> None:
        self.orders.update(self._row_of_order(ticket), values)

    def _remove_order(self, ticket: int) -> None:
        row = self._row_of_order(ticket)
        self._waiting_of[self.orders["account"].item(row)] -= 1
        self.orders.remove(row)

    def _remove_orders(self, tickets: Sequence[int]) -> None:
        stays = np.ones(len(self.orders), dtype=bool)
        stays[[self._row_of_order(ticket) for ticket in tickets]] = False
        self._waiting_of.subtract(self.orders["account"][~stays].tolist())
        self.orders.keep(np.flatnonzero(stays))

    def _row_of_order(self, ticket: int) -> int:
        row = self.order_row(ticket)
        if row is None:
            raise KeyError(ticket)
        return row

    def _add_done_order(self, values: Mapping[str, Any]) -> None:
        row = self.order_history.append(values)
        self._done_orders_of.setdefault(values["account"], array("q")).append(row)
        self.next_order = max(self.next_order, values["ticket"] + 1)

    def _compact(self) -> None:
        if self._dead:
            self.positions.keep(np.flatnonzero(self.positions["live"]))
            self._dead = 0
            self._index_positions()

    def _index_positions(self) -> None:
        """Number the rows anew, none of which is dead."""
        tickets: list[int] = self.positions["ticket"].tolist()
        self._position_row = {ticket: row for row, ticket in enumerate(tickets)}
        self._rows_of = {account: rows.tolist()
                         for account, rows in _by_account(self.positions).items()}  # fmt: skip
        self.structure_version += 1


def _by_account(table: Table) -> "dict[int, array[int]]":
    """Return the numbers of each account's rows, in their order."""
    rows: dict[int, array[int]] = {}
    for row, account in enumerate(table["account"].tolist()):
        rows.setdefault(account, array("q")).append(row)
    return rows
