"""What one terminal knows of its account at one moment, as columns.

Single calls and the batch read both draw on these columns, so that they cannot disagree. A fault
hands out another state than the present one: an older one, an emptied one, a torn one.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .books.books import Books
from .books.columns import ACCOUNT_COLUMNS, ORDER_COLUMNS, POSITION_COLUMNS
from .books.tables import Column, Table
from .symbols.catalogue import CONTRACTS
from .symbols.naming import Naming
from .trading.valuation import Valuation

Columns = dict[str, Column]
_KEPT_TO_THE_BROKER = {"password", "investor_password", "robot"}
_READ_ACCOUNT_COLUMNS = tuple(
    name for name, _ in ACCOUNT_COLUMNS if name not in _KEPT_TO_THE_BROKER
)
_READ_POSITION_COLUMNS = tuple(name for name, _ in POSITION_COLUMNS)
_READ_ORDER_COLUMNS = tuple(name for name, _ in ORDER_COLUMNS)
_POINTS = np.array([contract.point for contract in CONTRACTS])
_DIGITS = np.array([contract.digits for contract in CONTRACTS])
_TORN_POINTS = 20.0
_TORN_WITHOUT_POSITIONS = 10.0


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account with its open positions and waiting orders, and each symbol's last quote."""

    account: Columns
    positions: Columns
    orders: Columns
    bid: npt.NDArray[np.float64]
    ask: npt.NDArray[np.float64]
    tick_msc: npt.NDArray[np.int64]
    last_order: int
    naming: Naming
    connected: bool = True

    @property
    def row(self) -> int:
        return int(self.account["row"][0])

    @property
    def last_deal(self) -> int:
        return int(self.account["last_deal"][0])


def account_columns(books: Books, rows: npt.NDArray[np.intp]) -> Columns:
    """Return the accounts in ``rows`` with the figures that follow from their books."""
    columns = _taken(books.accounts, _READ_ACCOUNT_COLUMNS, rows)
    columns["row"] = rows
    return with_figures(columns)


def with_figures(columns: Columns) -> Columns:
    """Add profit, equity, free margin and margin level (percent, 0 without margin)."""
    scale = 10.0 ** columns["currency_digits"]
    margin = columns["margin"]
    profit = np.rint(columns["floating"] * scale) / scale
    equity = np.rint((columns["balance"] + columns["credit"] + profit) * scale) / scale
    level = np.zeros(len(margin))
    np.divide(equity * 100.0, margin, out=level, where=margin > 0)
    free = np.rint((equity - margin) * scale) / scale
    figures = {"profit": profit, "equity": equity, "margin_free": free, "margin_level": level}
    return {**columns, **figures}


def position_columns(books: Books, valuation: Valuation, rows: npt.NDArray[np.intp]) -> Columns:
    """Return the positions in ``rows``: notional value in account currency, digits of prices."""
    columns = _taken(books.positions, _READ_POSITION_COLUMNS, rows)
    value = np.abs(columns["units"]) * columns["price_current"]
    scale = columns["money_scale"]
    notional = value * valuation.conversion.mid[columns["pair"]]
    columns["notional"] = np.rint(notional * scale) / scale
    columns["price_digits"] = _DIGITS[columns["symbol"]]
    return columns


def order_columns(books: Books, rows: npt.NDArray[np.intp]) -> Columns:
    """Return the waiting orders in ``rows``."""
    return _taken(books.orders, _READ_ORDER_COLUMNS, rows)


def present_state(
    books: Books, valuation: Valuation, tick_msc: npt.NDArray[np.int64], account: int
) -> AccountState:
    return AccountState(
        account=account_columns(books, np.array([account])),
        positions=position_columns(books, valuation, books.rows_of(account)),
        orders=order_columns(books, books.orders_of(account)),
        bid=valuation.bid.copy(),
        ask=valuation.ask.copy(),
        tick_msc=tick_msc.copy(),
        last_order=books.next_order - 1,
        naming=books.naming_of(account),
    )


def emptied(state: AccountState) -> AccountState:
    """Return the state of a terminal that has not synchronised its trades yet."""
    return replace(state, positions=_none_of(state.positions), orders=_none_of(state.orders))


def torn(state: AccountState, valuation: Valuation) -> AccountState:
    """Return a state whose positions are of another moment than its account.

    The positions stand 20 points better; without any, the account still carries a loss that its
    last position had.
    """
    positions = dict(state.positions)
    if not len(positions["ticket"]):
        account = dict(state.account)
        account["floating"] = account["floating"] - _TORN_WITHOUT_POSITIONS
        return replace(state, account=with_figures(account))
    step = _TORN_POINTS * _POINTS[positions["symbol"]]
    rate = valuation.conversion.gain[positions["pair"]]
    scale = positions["money_scale"]
    better = np.maximum(step * np.abs(positions["units"]) * rate, 1.0)
    positions["profit"] = np.rint((positions["profit"] + better) * scale) / scale
    positions["price_current"] = positions["price_current"] + step * positions["sign"]
    return replace(state, positions=positions)


def _none_of(columns: Columns) -> Columns:
    return {name: column[:0] for name, column in columns.items()}


def _taken(table: Table, names: tuple[str, ...], rows: npt.NDArray[Any]) -> Columns:
    return {name: table[name][rows] for name in names}
