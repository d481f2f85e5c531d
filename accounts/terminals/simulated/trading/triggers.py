"""What the current quotes trigger: stop losses, take profits and pending orders."""

from typing import Any

import numpy as np

from .. import constants as mt5
from ..books.books import Books
from ..symbols.catalogue import CONTRACTS
from ..symbols.opening import Opening
from .fulfilment import Fulfilment
from .ledger import Ledger
from .order_terms import PENDING_TYPES, STOP_LIMIT_TYPES, side_of
from .requests import TradeOrder
from .valuation import Valuation

_RISING_TYPES = (
    mt5.ORDER_TYPE_SELL_LIMIT,
    mt5.ORDER_TYPE_BUY_STOP,
    mt5.ORDER_TYPE_BUY_STOP_LIMIT,
)
_SELLS = np.arange(mt5.ORDER_TYPE_CLOSE_BY + 1) % 2 == mt5.ORDER_TYPE_SELL
_ON_RISE = np.isin(np.arange(mt5.ORDER_TYPE_CLOSE_BY + 1), _RISING_TYPES)
_IS_PENDING = np.isin(np.arange(mt5.ORDER_TYPE_CLOSE_BY + 1), list(PENDING_TYPES))


class Triggers:
    """Carries out what the quotes of a price round have decided, of the symbols that are open."""

    def __init__(
        self,
        books: Books,
        valuation: Valuation,
        ledger: Ledger,
        opening: Opening,
        fulfilment: Fulfilment,
    ) -> None:
        self._books = books
        self._valuation = valuation
        self._ledger = ledger
        self._opening = opening
        self._fulfilment = fulfilment

    def run(self) -> None:
        """Close positions at their stops, then carry out the orders whose price was reached."""
        self._close_at_stops()
        self.mark_orders()
        for ticket in self._reached():
            self._carry_out(ticket)

    def mark_orders(self) -> None:
        """Renew the current price of the waiting orders: the ask for buys, the bid for sells."""
        orders = self._books.orders
        if len(orders):
            symbols = orders["symbol"]
            ask, bid = self._valuation.ask[symbols], self._valuation.bid[symbols]
            sells = _SELLS[orders["type"]]
            orders["price_current"][:] = np.where(sells, bid, ask)

    def _reached(self) -> list[int]:
        """Return the pending orders whose price an open market has reached, oldest first."""
        orders = self._books.orders
        if not len(orders):
            return []
        kind, market, price = orders["type"], orders["price_current"], orders["price_open"]
        reached = np.where(_ON_RISE[kind], market >= price, market <= price)
        reached &= _IS_PENDING[kind]
        if reached.any():
            reached &= self._opening.dealable()[orders["symbol"]]
        tickets: list[int] = orders["ticket"][reached].tolist()
        return tickets

    def _carry_out(self, ticket: int) -> None:
        row = self._books.order_row(ticket)
        if row is None:
            return
        orders = self._books.orders
        if orders["type"].item(row) in STOP_LIMIT_TYPES:
            self._start_limit(orders.row(row))
        else:
            self._fulfilment.carry_out(ticket)

    def _start_limit(self, order: dict[str, Any]) -> None:
        """Turn a stop-limit order into its limit order, which may be reached at once."""
        is_buy = side_of(order["type"]) == mt5.ORDER_TYPE_BUY
        limit, market = order["price_stoplimit"], order["price_current"]
        self._ledger.orders.change(order, {
            "type": mt5.ORDER_TYPE_BUY_LIMIT if is_buy else mt5.ORDER_TYPE_SELL_LIMIT,
            "price_open": limit, "price_stoplimit": 0.0,
        })  # fmt: skip
        if market <= limit if is_buy else market >= limit:
            self._fulfilment.carry_out(order["ticket"])

    def _close_at_stops(self) -> None:
        positions = self._books.positions
        price = positions["price_current"] * positions["sign"]
        stopped = positions["live"] & (price <= positions["sl_edge"])
        taken = positions["live"] & (price >= positions["tp_edge"])
        due = np.flatnonzero(stopped | taken)
        if not len(due):
            return
        due = due[self._opening.dealable()[positions["symbol"][due]]]
        # By ticket: closing a position may compact the table under the row numbers.
        hits = [(int(positions["ticket"][row]), bool(stopped[row])) for row in due]
        for ticket, is_stop in hits:
            row = self._books.position_row(ticket)
            if row is not None:
                self._close_at_level(row, is_stop)

    def _close_at_level(self, row: int, is_stop: bool) -> None:
        positions = self._books.positions
        digits = CONTRACTS[int(positions["symbol"][row])].digits
        name, reason = ("sl", mt5.DEAL_REASON_SL) if is_stop else ("tp", mt5.DEAL_REASON_TP)
        comment = f"[{name} {float(positions[name][row]):.{digits}f}]"
        request = TradeOrder(comment=comment, magic=int(positions["magic"][row]))
        self._ledger.close_position(row, float(positions["volume"][row]), reason, request)
