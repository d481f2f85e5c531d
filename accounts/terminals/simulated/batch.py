"""The batch read: all accounts of a host in one answer, worked out column by column."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..readings import (
    ACCOUNT_DTYPE,
    DEAL_DTYPE,
    ORDER_DTYPE,
    POSITION_DTYPE,
    PRICE_DTYPE,
    Outcome,
    ReadingBatch,
    Rows,
)
from .books import DEAL_COLUMNS, Books
from .catalogue import CONTRACTS
from .contracts import CURRENCIES
from .state import AccountState, Columns, account_columns, position_columns
from .valuation import Valuation

Integers = npt.NDArray[np.int64]
_SUCCESS = 1
_ACCOUNT_FIELDS = (
    "login", "server", "trade_mode", "margin_mode", "leverage", "currency", "currency_digits",
    "balance", "credit", "profit", "equity", "margin", "margin_free", "margin_level",
    "stop_out_mode", "stop_out_call", "stop_out_level", "last_deal",
)  # fmt: skip
_POSITION_FIELDS = tuple(name for name in POSITION_DTYPE.names or () if name != "account")
_DEAL_FIELDS = tuple(name for name in DEAL_DTYPE.names or () if name != "account")
_DEAL_NAMES = tuple(name for name, _ in DEAL_COLUMNS if name != "comment")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one account out of the ordinary answers: an outcome, and its state when it has one."""

    outcome: Outcome
    error_code: int
    state: AccountState | None = None


class BatchReader:
    """Fills reading batches from the books."""

    def __init__(self, books: Books, valuation: Valuation, tick_msc: Integers) -> None:
        self._books = books
        self._valuation = valuation
        self._tick_msc = tick_msc
        self._sorted_version = -1
        self._sorted_rows: npt.NDArray[np.intp] = np.empty(0, dtype=np.intp)

    def read(
        self, taken_at: float, logins: Integers, cursors: Integers, special: dict[int, Answer]
    ) -> ReadingBatch:
        """Read accounts; ``special`` answers, by place in ``logins``, for those with faults."""
        numbers = self._account_numbers(logins)
        ordinary = np.ones(len(logins), dtype=bool)
        ordinary[list(special)] = False
        places = np.flatnonzero(ordinary & (numbers >= 0))
        batch_accounts = np.zeros(len(logins), dtype=ACCOUNT_DTYPE)
        batch_accounts["server"] = -1
        positions, deals = self._fill(batch_accounts, places, numbers[places], cursors)
        position_parts, deal_parts = [positions], [deals]
        for place, answer in special.items():
            extra = self._fill_special(batch_accounts, place, answer, int(cursors[place]))
            position_parts.append(extra[0])
            deal_parts.append(extra[1])
        return ReadingBatch(
            taken_at=taken_at,
            accounts=batch_accounts,
            positions=_joined(position_parts),
            orders=np.zeros(0, dtype=ORDER_DTYPE),
            deals=_joined(deal_parts),
            prices=self._prices(batch_accounts["server"]),
            symbols=tuple(contract.name for contract in CONTRACTS),
            servers=tuple(self._books.servers),
            currencies=CURRENCIES,
        )

    def _account_numbers(self, logins: Integers) -> npt.NDArray[np.intp]:
        account_of = self._books.account_of
        found: Iterable[int] = (account_of.get(login, -1) for login in logins.tolist())
        return np.fromiter(found, dtype=np.intp, count=len(logins))

    def _fill(
        self,
        target: Rows,
        places: npt.NDArray[np.intp],
        numbers: npt.NDArray[np.intp],
        cursors: Integers,
    ) -> tuple[Rows, Rows]:
        """Fill the rows of undisturbed accounts; return their positions and new deals."""
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
        counts = np.bincount(held["account"], minlength=len(target))[places]
        _fill_accounts(target, places, columns, counts, newest, connected=True)
        deals = self._deals_since(place_of, cursors, columns["last_deal"] > cursors[places], places)
        return held, deals

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
        self, target: Rows, place: int, answer: Answer, cursor: int
    ) -> tuple[Rows, Rows]:
        state = answer.state
        if state is None:
            target["outcome"][place] = answer.outcome
            target["error_code"][place] = answer.error_code
            return np.zeros(0, dtype=POSITION_DTYPE), np.zeros(0, dtype=DEAL_DTYPE)
        owner = np.full(len(state.positions["ticket"]), place, dtype=np.int32)
        held = _position_rows(state.positions, owner)
        places, counts = np.array([place]), np.array([len(held)])
        newest = int(state.tick_msc.max())
        _fill_accounts(target, places, state.account, counts, newest, connected=state.connected)
        deals = self._books.deals
        newer = np.flatnonzero(
            (deals["account"] == state.row)
            & (deals["ticket"] > cursor)
            & (deals["ticket"] <= state.last_deal)
        )
        columns = {name: deals[name][newer] for name in _DEAL_NAMES}
        return held, _deal_rows(columns, np.full(len(newer), place, dtype=np.int32))

    def _prices(self, servers: npt.NDArray[Any]) -> Rows:
        """Return every symbol's quote for each server that has an account in the batch."""
        present = np.unique(servers[servers >= 0])
        size = len(CONTRACTS)
        prices = np.zeros(len(present) * size, dtype=PRICE_DTYPE)
        prices["server"] = np.repeat(present, size)
        prices["symbol"] = np.tile(np.arange(size), len(present))
        prices["bid"] = np.tile(self._valuation.bid, len(present))
        prices["ask"] = np.tile(self._valuation.ask, len(present))
        prices["time_msc"] = np.tile(self._tick_msc, len(present))
        return prices


def _fill_accounts(
    target: Rows,
    places: npt.NDArray[np.intp],
    columns: Columns,
    position_counts: npt.NDArray[np.intp],
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
    target["algo_trading_allowed"][places] = columns["algo_trading"]
    target["position_count"][places] = position_counts
    target["tick_msc"][places] = tick_msc


def _position_rows(columns: Columns, owner: npt.NDArray[np.int32]) -> Rows:
    rows = np.empty(len(owner), dtype=POSITION_DTYPE)
    rows["account"] = owner
    for name in _POSITION_FIELDS:
        rows[name] = columns[name]
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
    rows = np.concatenate(filled)
    if bool(np.all(rows["account"][1:] >= rows["account"][:-1])):
        return rows
    return rows[np.argsort(rows["account"], kind="stable")]
