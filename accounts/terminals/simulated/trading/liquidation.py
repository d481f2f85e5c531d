"""The broker's margin call, and its stop-out of accounts that no longer cover their margin.

An account without margin is never stopped out, whatever its equity. In a stop-out the orders that
reserve margin go first, the largest reserve before the others, then the position with the largest
loss, until the level has recovered; below an equity of zero everything goes. Positions of symbols
that are closed or without quotes stay until they can be closed.
"""

import numpy as np
import numpy.typing as npt

from .. import constants as mt5
from ..books.books import CHANGED_ACCOUNT, Books, RowNumbers
from ..symbols.opening import Opening
from .ledger import Ledger
from .requests import TradeOrder

Flags = npt.NDArray[np.bool_]

# A level is met when equity is within this of it: far less than a cent, more than float dust.
_DUST = 1e-6
_COMMENT_CHARACTERS = 31
_LEVEL_COLUMNS = ("balance", "credit", "floating", "margin", "stop_out_level", "stop_out_mode")


class Liquidation:
    """Watches the levels of all accounts at the current quotes."""

    def __init__(self, books: Books, ledger: Ledger, opening: Opening) -> None:
        self._books = books
        self._ledger = ledger
        self._opening = opening

    def run(self) -> None:
        """Stop out the accounts without cover, then set or lift the margin calls."""
        due = np.flatnonzero(self._are_below("stop_out_level"))
        if len(due):
            can_close = self._opening.dealable()
            for account in due[self._can_give_way(due, can_close)].tolist():
                self._stop_out(account, can_close)
        self._call_margin()

    def _call_margin(self) -> None:
        called = self._are_below("stop_out_call")
        changed = np.flatnonzero(called != self._books.accounts["margin_call"])
        for account in changed.tolist():
            self._books.write(CHANGED_ACCOUNT, account, {"margin_call": bool(called[account])})

    def _are_below(self, level: str) -> Flags:
        """Tell which accounts have margin, and equity at or below a level of theirs."""
        accounts = self._books.accounts
        margin, limit = accounts["margin"], accounts[level]
        equity = accounts["balance"] + accounts["credit"] + accounts["floating"]
        in_percent = accounts["stop_out_mode"] == mt5.ACCOUNT_STOPOUT_MODE_PERCENT
        # Compared in money: equity ≤ margin × level is the percentage without a division.
        floor = np.where(in_percent, margin * limit / 100.0, limit)
        below: Flags = (margin > 0) & (equity <= floor + _DUST)
        return below

    def _is_below(self, account: int) -> bool:
        """Tell of one account whether it is to be stopped out, as `_are_below` does of all.

        In Python's own numbers: a mass stop-out asks this before each of its closes.
        """
        balance, credit, floating, margin, limit, mode = (
            self._books.accounts[name].item(account) for name in _LEVEL_COLUMNS
        )
        floor = margin * limit / 100.0 if mode == mt5.ACCOUNT_STOPOUT_MODE_PERCENT else limit
        return bool(margin > 0 and balance + credit + floating <= floor + _DUST)

    def _can_give_way(self, accounts: RowNumbers, can_close: Flags) -> Flags:
        """Tell which accounts have something that a stop-out can take from them now.

        Whoever is stuck in closed markets costs no more than this on each tick.
        """
        books = self._books
        positions, orders = books.positions, books.orders
        able = np.zeros(len(books.accounts), dtype=bool)
        able[positions["account"][positions["live"] & can_close[positions["symbol"]]]] = True
        able[orders["account"][orders["margin"] > 0]] = True
        able_here: Flags = able[accounts]
        return able_here

    def _stop_out(self, account: int, can_close: Flags) -> None:
        while self._is_below(account):
            if not self._cancel_largest_reserve(account):
                break
        for ticket in self._largest_losses(account, can_close):
            if not self._is_below(account) and self._books.equity(account) >= 0:
                return
            self._close(ticket)

    def _cancel_largest_reserve(self, account: int) -> bool:
        rows, orders = self._books.orders_of(account), self._books.orders
        reserving = rows[orders["margin"][rows] > 0]
        if not len(reserving):
            return False
        row = int(reserving[np.argmax(orders["margin"][reserving])])
        ticket = int(orders["ticket"][row])
        comment = self._comment(account)
        self._ledger.orders.finish(ticket, mt5.ORDER_STATE_CANCELED, comment=comment)
        return True

    def _largest_losses(self, account: int, can_close: Flags) -> list[int]:
        """Return the tickets that can be closed, the largest loss first, the older of equals.

        Closing one changes the result of no other: the quotes are those of one moment.
        """
        positions, rows = self._books.positions, self._books.rows_of(account)
        rows = rows[can_close[positions["symbol"][rows]]]
        result = positions["profit"][rows] + positions["swap"][rows]
        tickets: list[int] = positions["ticket"][rows[result.argsort(kind="stable")]].tolist()
        return tickets

    def _close(self, ticket: int) -> None:
        row = self._books.position_row(ticket)
        if row is None:
            raise KeyError(ticket)
        positions = self._books.positions
        account, lots = positions["account"].item(row), positions["volume"].item(row)
        request = TradeOrder(comment=self._comment(account), magic=positions["magic"].item(row))
        self._ledger.close_position(row, lots, mt5.DEAL_REASON_SO, request)

    def _comment(self, account: int) -> str:
        equity = self._books.equity(account)
        margin = float(self._books.accounts["margin"][account])
        level = equity / margin * 100 if margin else 0.0
        return f"[so {level:.2f}%/{equity:.2f}/{margin:.2f}]"[:_COMMENT_CHARACTERS]
