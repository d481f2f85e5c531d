"""The batch read: all accounts of a host in one answer, worked out column by column."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...readings import (
    ACCOUNT_DTYPE,
    DEAL_DTYPE,
    ORDER_DTYPE,
    POSITION_DTYPE,
    PRICE_DTYPE,
    Outcome,
    ReadingBatch,
    Rows,
)
from ..books.books import Books
from ..books.columns import DEAL_COLUMNS
from ..books.listing import Listing, Listings
from ..state import (
    AccountState,
    Columns,
    account_columns,
    order_columns,
    position_columns,
)
from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import CURRENCIES
from ..trading.valuation import Valuation

Integers = npt.NDArray[np.int64]
_SUCCESS = 1
_ACCOUNT_FIELDS = (
    "login", "server", "trade_mode", "margin_mode", "leverage", "currency", "currency_digits",
    "balance", "credit", "profit", "equity", "margin", "margin_free", "margin_level",
    "stop_out_mode", "stop_out_call", "stop_out_level", "last_deal",
)  # fmt: skip
_POSITION_FIELDS = tuple(name for name in POSITION_DTYPE.names or () if name != "account")
_DEAL_FIELDS = tuple(name for name in DEAL_DTYPE.names or () if name != "account")
_ORDER_FIELDS = {
    "ticket": "ticket", "symbol": "symbol", "type": "type", "volume": "volume_current",
    "price_open": "price_open", "price_stoplimit": "price_stoplimit", "sl": "sl", "tp": "tp",
    "magic": "magic", "time_msc": "time_setup_msc", "type_time": "type_time",
    "time_expiration": "time_expiration",
}  # fmt: skip
_DEAL_NAMES = tuple(name for name, _ in DEAL_COLUMNS if name != "comment")


@dataclass(frozen=True, slots=True)
class SpecialAnswer:
    """What one account out of the ordinary answers: an outcome, and its state when it has one."""

    outcome: Outcome
    error_code: int
    state: AccountState | None = None


@dataclass(frozen=True, slots=True)
class Details:
    """The rows of a batch that belong to accounts, each kind sorted by account."""

    positions: Rows
    orders: Rows
    deals: Rows

    @classmethod
    def of(cls, parts: list["Details"]) -> "Details":
        return cls(
            _joined([part.positions for part in parts]),
            _joined([part.orders for part in parts]),
            _joined([part.deals for part in parts]),
        )


_NO_DETAILS = Details(
    np.zeros(0, dtype=POSITION_DTYPE),
    np.zeros(0, dtype=ORDER_DTYPE),
    np.zeros(0, dtype=DEAL_DTYPE),
)


class BatchReader:
    """Fills reading batches from the books."""

    def __init__(self, books: Books, valuation: Valuation, tick_msc: Integers) -> None:
        self._books = books
        self._valuation = valuation
        self._tick_msc = tick_msc
        self._listings = Listings(books)
        self._sorted_version = -1
        self._sorted_rows: npt.NDArray[np.intp] = np.empty(0, dtype=np.intp)

    def read(
        self,
        taken_at: float,
        numbers: npt.NDArray[np.intp],
        cursors: Integers,
        special: dict[int, SpecialAnswer],
    ) -> ReadingBatch:
        """Read the accounts in the rows ``numbers``, from their deals after ``cursors`` on.

        ``special`` answers, by place in ``numbers``, for those with faults and for unknown ones.
        """
        accounts = np.zeros(len(numbers), dtype=ACCOUNT_DTYPE)
        accounts["server"] = -1
        ordinary = np.ones(len(numbers), dtype=bool)
        ordinary[list(special)] = False
        places = np.flatnonzero(ordinary)
        parts = [self._fill(accounts, places, numbers[places], cursors)]
        for place, answer in special.items():
            parts.append(self._fill_special(accounts, place, answer, int(cursors[place])))
        details = Details.of(parts)
        servers = accounts["server"]
        listing = self._listings.of(np.unique(servers[servers >= 0]))
        for rows in (details.positions, details.orders, details.deals):
            listing.renumber(rows, servers)
        return ReadingBatch(
            taken_at=taken_at,
            accounts=accounts,
            positions=details.positions,
            orders=details.orders,
            deals=details.deals,
            prices=self._prices(listing),
            symbols=listing.names,
            servers=tuple(self._books.servers),
            currencies=CURRENCIES,
            shows_all_symbols=True,
        )

    def _fill(
        self,
        target: Rows,
        places: npt.NDArray[np.intp],
        numbers: npt.NDArray[np.intp],
        cursors: Integers,
    ) -> Details:
        """Fill the rows of undisturbed accounts; return what belongs to them."""
        books = self._books
        columns = account_columns(books, numbers)
        place_of = np.full(len(books.accounts), -1, dtype=np.int32)
        place_of[numbers] = places
        order = self._positions_by_account()
        owner = place_of[books.positions["account"][order]]
        wanted = owner >= 0
        held = _position_rows(
            position_columns(books, self._valuation, order[wanted]), owner[wanted]
        )
        newest = int(self._tick_msc.max())
        waiting = self._waiting(place_of)
        _fill_accounts(target, places, columns, newest, connected=True)
        _count(target, places, held, waiting)
        deals = self._deals_since(place_of, cursors, columns["last_deal"] > cursors[places], places)
        return Details(held, waiting, deals)

    def _waiting(self, place_of: npt.NDArray[np.int32]) -> Rows:
        orders = self._books.orders
        if not len(orders):
            return _NO_DETAILS.orders
        owner = place_of[orders["account"]]
        wanted = np.flatnonzero(owner >= 0)
        wanted = wanted[np.argsort(owner[wanted], kind="stable")]
        return _order_rows(order_columns(self._books, wanted), owner[wanted])

    def _positions_by_account(self) -> npt.NDArray[np.intp]:
        """Return the open positions' rows by account, oldest first within one."""
        books = self._books
        if self._sorted_version != books.structure_version:
            live = np.flatnonzero(books.positions["live"])
            owner = books.positions["account"][live]
            if len(books.accounts) <= np.iinfo(np.uint16).max:
                owner = owner.astype(np.uint16)  # numpy sorts 16-bit keys by radix, 5× faster
            self._sorted_rows = live[np.argsort(owner, kind="stable")]
            self._sorted_version = books.structure_version
        return self._sorted_rows

    def _deals_since(
        self,
        place_of: npt.NDArray[np.int32],
        cursors: Integers,
        has_news: npt.NDArray[np.bool_],
        places: npt.NDArray[np.intp],
    ) -> Rows:
        if not has_news.any():
            return np.zeros(0, dtype=DEAL_DTYPE)
        deals = self._books.deals
        first = int(np.searchsorted(deals["ticket"], cursors[places[has_news]].min(), "right"))
        owner = place_of[deals["account"][first:]]
        asked = np.flatnonzero(owner >= 0)
        newer = asked[deals["ticket"][first:][asked] > cursors[owner[asked]]]
        newer = newer[np.argsort(owner[newer], kind="stable")]
        columns = {name: deals[name][first:][newer] for name in _DEAL_NAMES}
        return _deal_rows(columns, owner[newer])

    def _fill_special(
        self, target: Rows, place: int, answer: SpecialAnswer, cursor: int
    ) -> Details:
        state = answer.state
        if state is None:
            target["outcome"][place] = answer.outcome
            target["error_code"][place] = answer.error_code
            return _NO_DETAILS
        held = _position_rows(state.positions, _owner(place, state.positions))
        waiting = _order_rows(state.orders, _owner(place, state.orders))
        places = np.array([place])
        newest = int(state.tick_msc.max())
        _fill_accounts(target, places, state.account, newest, connected=state.connected)
        _count(target, places, held, waiting)
        deals, mine = self._books.deals, self._books.deals_of(state.row)
        tickets = deals["ticket"][mine]
        newer = mine[(tickets > cursor) & (tickets <= state.last_deal)]
        columns = {name: deals[name][newer] for name in _DEAL_NAMES}
        return Details(held, waiting, _deal_rows(columns, _owner(place, columns)))

    def _prices(self, listing: Listing) -> Rows:
        """Return every symbol's quote, under its name there, for each server in the batch."""
        size, servers = len(CONTRACTS), len(listing.servers)
        prices = np.zeros(servers * size, dtype=PRICE_DTYPE)
        prices["server"] = np.repeat(listing.servers, size)
        prices["symbol"] = listing.codes[listing.servers, :size].ravel()
        prices["bid"] = np.tile(self._valuation.bid, servers)
        prices["ask"] = np.tile(self._valuation.ask, servers)
        prices["time_msc"] = np.tile(self._tick_msc, servers)
        return prices


def _owner(place: int, columns: Columns) -> npt.NDArray[np.int32]:
    return np.full(len(columns["ticket"]), place, dtype=np.int32)


def _count(target: Rows, places: npt.NDArray[np.intp], held: Rows, waiting: Rows) -> None:
    for name, rows in (("position_count", held), ("order_count", waiting)):
        if len(rows):
            target[name][places] = np.bincount(rows["account"], minlength=len(target))[places]


def _fill_accounts(
    target: Rows,
    places: npt.NDArray[np.intp],
    columns: Columns,
    tick_msc: int,
    *,
    connected: bool,
) -> None:
    for name in _ACCOUNT_FIELDS:
        target[name][places] = columns[name]
    target["outcome"][places] = Outcome.ANSWERED
    target["error_code"][places] = _SUCCESS
    target["connected"][places] = connected
    target["trade_allowed"][places] = columns["trade_allowed"] & ~columns["investor"]
    # Each of the three alone keeps a program from trading; an investor may not at all.
    target["algo_trading_allowed"][places] = (
        columns["algo_trading"] & columns["python_api"] & columns["trade_expert"]
    )
    target["tick_msc"][places] = tick_msc


def _position_rows(columns: Columns, owner: npt.NDArray[np.int32]) -> Rows:
    rows = np.empty(len(owner), dtype=POSITION_DTYPE)
    rows["account"] = owner
    for name in _POSITION_FIELDS:
        rows[name] = columns[name]
    return rows


def _order_rows(columns: Columns, owner: npt.NDArray[np.int32]) -> Rows:
    rows = np.empty(len(owner), dtype=ORDER_DTYPE)
    rows["account"] = owner
    for name, kept_as in _ORDER_FIELDS.items():
        rows[name] = columns[kept_as]
    return rows


def _deal_rows(columns: Columns, owner: npt.NDArray[np.int32]) -> Rows:
    rows = np.empty(len(owner), dtype=DEAL_DTYPE)
    rows["account"] = owner
    for name in _DEAL_FIELDS:
        rows[name] = columns[name]
    return rows


def _joined(parts: list[Rows]) -> Rows:
    """Join rows of several accounts and put them in the order of the accounts."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return parts[0]
    rows = filled[0] if len(filled) == 1 else np.concatenate(filled)
    if bool(np.all(rows["account"][1:] >= rows["account"][:-1])):
        return rows
    return rows[np.argsort(rows["account"], kind="stable")]
