"""The broker's books: accounts, positions, orders and deals, column by column.

Everything that has to outlive the process changes through `Books.write`, one record at a time. The
records of a command are what the journal keeps, so that reading the journal back runs the very
code that ran at first.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt

from .catalogue import CONTRACTS
from .contracts import CURRENCIES
from .conversion import pair_index
from .naming import Naming
from .tables import Table

Record = tuple[Any, ...]
RowNumbers = npt.NDArray[np.intp]

NEW_ACCOUNT, CHANGED_ACCOUNT = "A", "a"
NEW_POSITION, CHANGED_POSITION, GONE_POSITION = "P", "p", "x"
NEW_ORDER, CHANGED_ORDER, GONE_ORDER, DONE_ORDER = "O", "o", "y", "H"
NEW_SERVER, NEW_DEAL, PRICES, ROLLED_OVER = "S", "D", "Q", "R"

FIRST_ORDER = 50_000_001
FIRST_DEAL = 30_000_001
# A reader may have seen tickets of the last, unfinished moments before a crash; they are skipped.
TICKETS_SKIPPED_AFTER_CRASH = 10_000

ACCOUNT_COLUMNS = (
    ("login", "<i8"), ("server", "<i4"), ("name", "O"), ("currency", "<i4"),
    ("currency_digits", "<i1"), ("leverage", "<i4"), ("trade_mode", "<i1"), ("margin_mode", "<i1"),
    ("balance", "<f8"), ("credit", "<f8"), ("floating", "<f8"), ("margin", "<f8"),
    ("stop_out_mode", "<i1"), ("stop_out_call", "<f8"), ("stop_out_level", "<f8"),
    ("margin_call", "?"), ("commission_per_lot", "<f8"), ("position_limit", "<i4"),
    ("order_limit", "<i4"), ("fifo_close", "?"), ("trade_allowed", "?"), ("trade_expert", "?"),
    ("investor", "?"), ("algo_trading", "?"), ("python_api", "?"), ("enabled", "?"),
    ("last_deal", "<i8"),
    ("password", "O"), ("investor_password", "O"), ("robot", "O"),
)  # fmt: skip
POSITION_COLUMNS = (
    ("account", "<i4"), ("ticket", "<i8"), ("identifier", "<i8"), ("symbol", "<i4"),
    ("type", "<i1"), ("volume", "<f8"), ("price_open", "<f8"), ("sl", "<f8"), ("tp", "<f8"),
    ("swap", "<f8"), ("magic", "<i8"), ("reason", "<i1"), ("time_msc", "<i8"),
    ("time_update_msc", "<i8"), ("margin_per_lot", "<f8"), ("comment", "O"),
    # From here on derived: from the columns above, or from the last prices.
    ("live", "?"), ("sign", "<f8"), ("units", "<f8"), ("pair", "<i4"), ("side", "<i4"),
    ("money_scale", "<f8"), ("sl_edge", "<f8"), ("tp_edge", "<f8"), ("price_current", "<f8"),
    ("profit", "<f8"),
)  # fmt: skip
ORDER_COLUMNS = (
    ("account", "<i4"), ("ticket", "<i8"), ("symbol", "<i4"), ("type", "<i1"),
    ("filling", "<i1"), ("type_time", "<i1"), ("state", "<i1"), ("reason", "<i1"),
    ("magic", "<i8"), ("position", "<i8"), ("position_by", "<i8"), ("time_setup_msc", "<i8"),
    ("time_done_msc", "<i8"), ("time_expiration", "<i8"), ("volume_initial", "<f8"),
    ("volume_current", "<f8"), ("price_open", "<f8"), ("price_stoplimit", "<f8"), ("sl", "<f8"),
    ("tp", "<f8"), ("price_current", "<f8"), ("comment", "O"),
    # ``due_msc``: when an accepted order is to be executed, 0 for one that waits for its price.
    # ``margin``: what a waiting order reserves, in account currency.
    ("due_msc", "<i8"), ("margin", "<f8"), ("deviation", "<i4"),
)  # fmt: skip
DEAL_COLUMNS = (
    ("account", "<i4"), ("ticket", "<i8"), ("order", "<i8"), ("position", "<i8"),
    ("time_msc", "<i8"), ("type", "<i1"), ("entry", "<i1"), ("reason", "<i1"), ("symbol", "<i4"),
    ("volume", "<f8"), ("price", "<f8"), ("commission", "<f8"), ("swap", "<f8"),
    ("profit", "<f8"), ("fee", "<f8"), ("magic", "<i8"), ("comment", "O"),
)  # fmt: skip


class Books:
    """All tables of the trade server, and the records that are not journaled yet."""

    def __init__(self) -> None:
        self.accounts = Table(ACCOUNT_COLUMNS)
        self.positions = Table(POSITION_COLUMNS)
        self.orders = Table(ORDER_COLUMNS)  # pending; market orders go to the history at once
        self.order_history = Table(ORDER_COLUMNS)
        self.deals = Table(DEAL_COLUMNS)
        self.servers: list[str] = []
        self.naming: list[Naming] = []
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
        self._order_row: dict[int, int] = {}
        self._dead = 0
        self.written: list[Record] = []
        self._appliers: dict[str, Callable[..., None]] = {
            NEW_SERVER: self._add_server,
            NEW_ACCOUNT: self._add_account,
            CHANGED_ACCOUNT: self.accounts.update,
            NEW_POSITION: self._add_position,
            CHANGED_POSITION: self._change_position,
            GONE_POSITION: self._remove_position,
            NEW_ORDER: self._add_order,
            CHANGED_ORDER: self._change_order,
            GONE_ORDER: self._remove_order,
            DONE_ORDER: self._add_done_order,
            NEW_DEAL: self._add_deal,
            PRICES: self._set_prices,
            ROLLED_OVER: self._set_rolled_over,
        }

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
        return self._order_row.get(ticket)

    def orders_of(self, account: int) -> RowNumbers:
        """Return the rows of an account's waiting orders, oldest first."""
        return np.flatnonzero(self.orders["account"] == account)

    def naming_of(self, account: int) -> Naming:
        return self.naming[int(self.accounts["server"][account])]

    def rows_of(self, account: int) -> RowNumbers:
        """Return the rows of an account's open positions, oldest first."""
        positions = self.positions
        return np.flatnonzero((positions["account"] == account) & positions["live"])

    def equity(self, account: int) -> float:
        accounts = self.accounts
        total = (
            accounts["balance"][account]
            + accounts["credit"][account]
            + accounts["floating"][account]
        )
        return round(float(total), int(accounts["currency_digits"][account]))

    def skip_tickets(self) -> None:
        self.next_order += TICKETS_SKIPPED_AFTER_CRASH
        self.next_deal += TICKETS_SKIPPED_AFTER_CRASH

    def dump(self) -> bytes:
        """Return the books as bytes: equal books give equal bytes."""
        self._compact()
        tables = {name: table.dump() for name, table in self._tables().items()}
        namings = [(naming.prefix, naming.suffix) for naming in self.naming]
        state = (tables, self.servers, namings, self.next_order, self.next_deal, self.quotes,
                 self.rolled_over_day)  # fmt: skip
        return bytes(msgpack.packb(state))

    def load(self, dumped: bytes) -> None:
        tables, servers, namings, next_order, next_deal, quotes, rolled_over_day = msgpack.unpackb(
            dumped
        )
        for name, table in self._tables().items():
            table.load(tables[name])
        self.servers, self.quotes = list(servers), [list(quote) for quote in quotes]
        self.naming = [Naming(prefix, suffix) for prefix, suffix in namings]
        self.next_order, self.next_deal = next_order, next_deal
        self.rolled_over_day = rolled_over_day
        self.account_of = {login: row for row, login in enumerate(self.accounts["login"].tolist())}
        self._dead = 0
        self._index_positions()
        self._index_orders()

    def fingerprint(self) -> str:
        return hashlib.sha256(self.dump()).hexdigest()

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
        self.quotes = [list(quote) for quote in quotes]

    def _set_rolled_over(self, day: int) -> None:
        self.rolled_over_day = day

    def _add_deal(self, values: Mapping[str, Any]) -> None:
        self.deals.append(values)
        account, ticket = values["account"], values["ticket"]
        self.accounts["last_deal"][account] = ticket
        self.next_deal = max(self.next_deal, ticket + 1)

    def _add_position(self, values: Mapping[str, Any]) -> None:
        account = values["account"]
        contract = CONTRACTS[values["symbol"]]
        sign = 1.0 if values["type"] == 0 else -1.0
        derived = {
            "live": True,
            "sign": sign,
            "units": values["volume"] * contract.unit_value * sign,
            "pair": pair_index(
                CURRENCIES.index(contract.quote), int(self.accounts["currency"][account])
            ),
            "side": values["symbol"] * 2 + values["type"],
            "money_scale": 10.0 ** int(self.accounts["currency_digits"][account]),
            "sl_edge": _edge(values["sl"], sign, -np.inf),
            "tp_edge": _edge(values["tp"], sign, np.inf),
            "price_current": values["price_open"],
            "profit": 0.0,
        }
        row = self.positions.append({**values, **derived})
        self._position_row[values["ticket"]] = row
        self.structure_version += 1

    def _change_position(self, ticket: int, values: Mapping[str, Any]) -> None:
        row = self._position_row[ticket]
        positions = self.positions
        positions.update(row, values)
        sign = float(positions["sign"][row])
        if "volume" in values:
            unit_value = CONTRACTS[int(positions["symbol"][row])].unit_value
            positions["units"][row] = values["volume"] * unit_value * sign
        if "sl" in values:
            positions["sl_edge"][row] = _edge(values["sl"], sign, -np.inf)
            positions["tp_edge"][row] = _edge(values["tp"], sign, np.inf)

    def _remove_position(self, ticket: int) -> None:
        row = self._position_row.pop(ticket)
        gone = {"live": False, "volume": 0.0, "units": 0.0, "profit": 0.0, "swap": 0.0}
        self.positions.update(row, {**gone, "sl_edge": -np.inf, "tp_edge": np.inf})
        self._dead += 1
        self.structure_version += 1
        if self._dead > 64 and self._dead * 2 > len(self.positions):
            self._compact()

    def _add_order(self, values: Mapping[str, Any]) -> None:
        self._order_row[values["ticket"]] = self.orders.append(values)
        self.next_order = max(self.next_order, values["ticket"] + 1)
        self.structure_version += 1

    def _change_order(self, ticket: int, values: Mapping[str, Any]) -> None:
        self.orders.update(self._order_row[ticket], values)

    def _add_done_order(self, values: Mapping[str, Any]) -> None:
        self.order_history.append(values)
        self.next_order = max(self.next_order, values["ticket"] + 1)

    def _remove_order(self, ticket: int) -> None:
        # Few orders wait at a time: the table is closed up at once.
        gone = self._order_row.pop(ticket)
        self.orders.keep(np.delete(np.arange(len(self.orders)), gone))
        self._index_orders()
        self.structure_version += 1

    def _index_orders(self) -> None:
        tickets: Iterable[int] = self.orders["ticket"].tolist()
        self._order_row = {ticket: row for row, ticket in enumerate(tickets)}

    def _compact(self) -> None:
        if self._dead:
            self.positions.keep(np.flatnonzero(self.positions["live"]))
            self._dead = 0
            self._index_positions()

    def _index_positions(self) -> None:
        tickets: Iterable[int] = self.positions["ticket"].tolist()
        self._position_row = {ticket: row for row, ticket in enumerate(tickets)}
        self.structure_version += 1


def _edge(level: float, sign: float, never: float) -> float:
    """Return where price × sign triggers a stop: at or below for sl, at or above for tp."""
    return level * sign if level else never
