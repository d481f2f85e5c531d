"""What the current quotes trigger: the stop losses and take profits of open positions."""

import numpy as np

from . import constants as mt5
from .books import Books
from .catalogue import CONTRACTS
from .ledger import Ledger
from .opening import Opening
from .requests import TradeOrder


class Triggers:
    """Carries out what the quotes of a price round have decided, of the symbols that are open."""

    def __init__(self, books: Books, ledger: Ledger, opening: Opening) -> None:
        self._books = books
        self._ledger = ledger
        self._opening = opening

    def run(self) -> None:
        """Close the positions whose stop loss or take profit the quotes have reached."""
        positions = self._books.positions
        price = positions["price_current"] * positions["sign"]
        stopped = positions["live"] & (price <= positions["sl_edge"])
        taken = positions["live"] & (price >= positions["tp_edge"])
        due = np.flatnonzero(stopped | taken)
        # By ticket: closing a position may compact the table under the row numbers.
        hits = [(int(positions["ticket"][row]), bool(stopped[row])) for row in due]
        for ticket, is_stop in hits:
            row = self._books.position_row(ticket)
            if row is not None and self._opening.is_open(int(positions["symbol"][row])):
                self._close_at_level(row, is_stop)

    def _close_at_level(self, row: int, is_stop: bool) -> None:
        positions = self._books.positions
        digits = CONTRACTS[int(positions["symbol"][row])].digits
        name, reason = ("sl", mt5.DEAL_REASON_SL) if is_stop else ("tp", mt5.DEAL_REASON_TP)
        comment = f"[{name} {float(positions[name][row]):.{digits}f}]"
        request = TradeOrder(comment=comment, magic=int(positions["magic"][row]))
        self._ledger.close_position(row, float(positions["volume"][row]), reason, request)
