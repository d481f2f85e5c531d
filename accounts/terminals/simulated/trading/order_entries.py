"""Orders in the books: entered, changed, finished."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import constants as mt5
from ..books.books import (
    CHANGED_ORDER,
    DONE_ORDER,
    GONE_ORDER,
    GONE_ORDERS,
    NEW_ORDER,
    Books,
)
from .order_terms import order_row
from .requests import TradeOrder
from .valuation import Valuation


class OrderEntries:
    """Writes orders, and revalues the accounts whose margin they reserve."""

    def __init__(
        self, books: Books, valuation: Valuation, server_time_msc: Callable[[], int]
    ) -> None:
        self._books = books
        self._valuation = valuation
        self._now_msc = server_time_msc

    def add(self, account: int, symbol: int, request: TradeOrder, **more: Any) -> int:
        """Enter an order that waits, for its price or its turn; return its ticket."""
        ticket = self._books.next_order
        more = {"ticket": ticket, **more}
        self._books.write(NEW_ORDER, order_row(account, symbol, request, self._now_msc(), **more))
        if more.get("margin"):
            self._valuation.settle(account)
        return ticket

    def add_done(self, account: int, symbol: int, request: TradeOrder, **more: Any) -> int:
        """Enter an order that was carried out at once; return its ticket."""
        ticket, now = self._books.next_order, self._now_msc()
        defaults = {"ticket": ticket, "state": mt5.ORDER_STATE_FILLED, "time_done_msc": now,
                    "volume_current": 0.0, "position": request.position or ticket}  # fmt: skip
        values = order_row(account, symbol, request, now, **{**defaults, **more})
        self._books.write(DONE_ORDER, values)
        return ticket

    def change(self, order: Mapping[str, Any], changed: Mapping[str, Any]) -> None:
        """Change columns of a waiting order, given as its row was."""
        self._books.write(CHANGED_ORDER, order["ticket"], dict(changed))
        if changed.get("margin", order["margin"]) != order["margin"]:
            self._valuation.settle(order["account"])

    def finish(
        self,
        ticket: int,
        state: int,
        *,
        comment: str | None = None,
        volume_left: float | None = None,
        **more: Any,
    ) -> None:
        """Move a waiting order to the history in its last state (ORDER_STATE_*).

        Raises KeyError when no such order waits.
        """
        waiting = self._waiting(ticket)
        order = self._finished(waiting, state) | more
        if comment is not None:
            order["comment"] = comment
        if volume_left is not None:
            order["volume_current"] = volume_left
        self._books.write(GONE_ORDER, ticket)
        self._books.write(DONE_ORDER, order)
        if waiting["margin"]:
            self._valuation.settle(order["account"])

    def expire(self, tickets: Sequence[int]) -> None:
        """Move waiting orders to the history as expired, all at once: there may be thousands.

        Raises KeyError when one of them does not wait.
        """
        if not tickets:
            return
        waiting = [self._waiting(ticket) for ticket in tickets]
        self._books.write(GONE_ORDERS, list(tickets))
        for order in waiting:
            self._books.write(DONE_ORDER, self._finished(order, mt5.ORDER_STATE_EXPIRED))
        for account in dict.fromkeys(order["account"] for order in waiting if order["margin"]):
            self._valuation.settle(account)

    def _waiting(self, ticket: int) -> dict[str, Any]:
        row = self._books.order_row(ticket)
        if row is None:
            raise KeyError(ticket)
        return self._books.orders.row(row)

    def _finished(self, order: Mapping[str, Any], state: int) -> dict[str, Any]:
        """Return a waiting order as the history is to have it."""
        return {**order, "state": state, "time_done_msc": self._now_msc(), "margin": 0.0,
                "due_msc": 0}  # fmt: skip
