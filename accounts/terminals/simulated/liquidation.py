"""The broker's stop-out of accounts whose equity no longer covers their margin."""

import numpy as np

from . import constants as mt5
from .books import Books
from .ledger import Ledger
from .requests import TradeOrder
from .valuation import Valuation


class Liquidation:
    """Closes what an account can no longer carry at the current quotes."""

    def __init__(self, books: Books, valuation: Valuation, ledger: Ledger) -> None:
        self._books = books
        self._valuation = valuation
        self._ledger = ledger

    def run(self) -> None:
        """Stop out the accounts that the quotes have left without cover."""
        for account in self._accounts_to_stop_out():
            self._stop_out(account)

    def _accounts_to_stop_out(self) -> list[int]:
        accounts = self._books.accounts
        margin = accounts["margin"]
        used = margin > 0
        if not used.any():
            return []
        equity = accounts["balance"] + accounts["credit"] + accounts["floating"]
        in_percent = accounts["stop_out_mode"] == mt5.ACCOUNT_STOPOUT_MODE_PERCENT
        limit = accounts["stop_out_level"]
        # Compared in money: equity ≤ margin × level is the percentage without a division.
        floor = np.where(in_percent, margin * limit / 100.0, limit)
        due: list[int] = np.flatnonzero(used & (equity <= floor + 1e-9)).tolist()
        return due

    def _is_due(self, account: int) -> bool:
        accounts = self._books.accounts
        margin = float(accounts["margin"][account])
        if margin <= 0:
            return False
        limit = float(accounts["stop_out_level"][account])
        in_percent = accounts["stop_out_mode"][account] == mt5.ACCOUNT_STOPOUT_MODE_PERCENT
        floor = margin * limit / 100.0 if in_percent else limit
        return self._books.equity(account) <= floor + 1e-9

    def _stop_out(self, account: int) -> None:
        while self._is_due(account):
            rows = self._books.rows_of(account)
            if not len(rows):
                return
            positions = self._books.positions
            result = positions["profit"][rows] + positions["swap"][rows]
            row = int(rows[np.argmin(result)])
            comment = self._comment(account)
            lots = float(positions["volume"][row])
            self._ledger.close_position(row, lots, mt5.DEAL_REASON_SO, TradeOrder(comment=comment))

    def _comment(self, account: int) -> str:
        equity = self._books.equity(account)
        margin = float(self._books.accounts["margin"][account])
        return f"so: {equity / margin * 100:.2f}%/{equity:.2f}/{margin:.2f}"
