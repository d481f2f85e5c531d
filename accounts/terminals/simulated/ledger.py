"""Entries in the books: what a filled order, a closed position or a transfer leaves behind."""

from collections.abc import Callable
from typing import Any

from . import constants as mt5
from .books import (
    CHANGED_ACCOUNT,
    CHANGED_POSITION,
    DONE_ORDER,
    GONE_ORDER,
    GONE_POSITION,
    NEW_DEAL,
    NEW_POSITION,
    Books,
)
from .catalogue import CONTRACTS
from .contracts import CURRENCY_INDEX
from .requests import TradeOrder, subtract_lots
from .valuation import Valuation

_NO_ORDER = TradeOrder()


class Ledger:
    """Writes the order, the deal, the position and the balance that belong together."""

    def __init__(
        self, books: Books, valuation: Valuation, server_time_msc: Callable[[], int]
    ) -> None:
        self._books = books
        self._valuation = valuation
        self._now_msc = server_time_msc

    def open_position(
        self, account: int, symbol: int, request: TradeOrder, price: float, reason: int
    ) -> tuple[int, int]:
        """Book a filled opening order; return its deal and order tickets."""
        order = self._order(account, symbol, request, request.type, price, reason, 0)
        now = self._now_msc()
        digits = CONTRACTS[symbol].digits
        position = {
            "account": account, "ticket": order, "identifier": order, "symbol": symbol,
            "type": request.type, "volume": request.volume, "price_open": price,
            "sl": round(request.sl, digits), "tp": round(request.tp, digits), "swap": 0.0,
            "magic": request.magic, "reason": reason, "time_msc": now, "time_update_msc": now,
            "margin_per_lot": self._valuation.margin_per_lot(account, symbol, request.type, price),
            "comment": request.comment,
        }  # fmt: skip
        deal = self._deal(
            account,
            order=order,
            position=order,
            type=request.type,
            entry=mt5.DEAL_ENTRY_IN,
            reason=reason,
            symbol=symbol,
            volume=request.volume,
            price=price,
            magic=request.magic,
            commission=self.commission(account, request.volume),
            comment=request.comment,
        )
        self._books.write(NEW_POSITION, position)
        self._valuation.settle(account)
        return deal, order

    def close_position(
        self, row: int, lots: float, reason: int, request: TradeOrder = _NO_ORDER
    ) -> tuple[int, int, float]:
        """Book the close of a position or of a part of it.

        Returns the deal and order tickets and the price. The part keeps its share of the swap.
        """
        held = self._books.positions.row(row)
        account, symbol = held["account"], held["symbol"]
        price = float(self._valuation.closing[held["side"]])
        closing_type = 1 - held["type"]
        order = self._order(
            account, symbol, request, closing_type, price, reason, held["ticket"], lots
        )
        digits = int(self._books.accounts["currency_digits"][account])
        swap = round(held["swap"] * lots / held["volume"], digits)
        profit = self._valuation.conversion.converted(
            (price - held["price_open"]) * held["sign"] * CONTRACTS[symbol].unit_value * lots,
            CURRENCY_INDEX[CONTRACTS[symbol].quote],
            int(self._books.accounts["currency"][account]),
        )
        deal = self._deal(
            account,
            order=order,
            position=held["identifier"],
            type=closing_type,
            entry=mt5.DEAL_ENTRY_OUT,
            reason=reason,
            symbol=symbol,
            volume=lots,
            price=price,
            commission=self.commission(account, lots),
            swap=swap,
            profit=round(profit, digits),
            magic=request.magic or held["magic"],
            comment=request.comment,
        )
        left = subtract_lots(held["volume"], lots)
        if left > 0:
            changed = {
                "volume": left,
                "swap": round(held["swap"] - swap, digits),
                "time_update_msc": self._now_msc(),
            }
            self._books.write(CHANGED_POSITION, held["ticket"], changed)
        else:
            self._books.write(GONE_POSITION, held["ticket"])
        self._valuation.settle(account)
        return deal, order, price

    def move_stops(self, ticket: int, sl: float, tp: float) -> None:
        changed = {"sl": sl, "tp": tp, "time_update_msc": self._now_msc()}
        self._books.write(CHANGED_POSITION, ticket, changed)

    def finish_order(
        self,
        ticket: int,
        state: int,
        *,
        comment: str | None = None,
        volume_left: float | None = None,
    ) -> None:
        """Move a waiting order to the history in its last state (ORDER_STATE_*)."""
        row = self._books.order_row(ticket)
        if row is None:
            raise KeyError(ticket)
        order = self._books.orders.row(row)
        order |= {"state": state, "time_done_msc": self._now_msc(), "margin": 0.0, "due_msc": 0}
        if comment is not None:
            order["comment"] = comment
        if volume_left is not None:
            order["volume_current"] = volume_left
        self._books.write(GONE_ORDER, ticket)
        self._books.write(DONE_ORDER, order)
        self._valuation.settle(order["account"])

    def charge_swap(self, row: int, amount: float) -> None:
        """Add a swap to an open position; below zero it is a charge."""
        positions = self._books.positions
        ticket, account = int(positions["ticket"][row]), int(positions["account"][row])
        digits = int(self._books.accounts["currency_digits"][account])
        changed = {"swap": round(float(positions["swap"][row]) + amount, digits)}
        self._books.write(CHANGED_POSITION, ticket, changed)
        self._valuation.settle(account)

    def transfer(self, account: int, deal_type: int, amount: float, comment: str) -> int:
        """Book a balance operation; return its deal ticket. Credit goes to the credit."""
        digits = int(self._books.accounts["currency_digits"][account])
        return self._deal(
            account,
            type=deal_type,
            entry=mt5.DEAL_ENTRY_IN,
            profit=round(amount, digits),
            comment=comment,
        )

    def commission(self, account: int, lots: float) -> float:
        accounts = self._books.accounts
        charge = float(accounts["commission_per_lot"][account]) * lots
        return -round(charge, int(accounts["currency_digits"][account])) or 0.0

    def _order(
        self,
        account: int,
        symbol: int,
        request: TradeOrder,
        order_type: int,
        price: float,
        reason: int,
        position: int,
        lots: float | None = None,
    ) -> int:
        ticket = self._books.next_order
        now = self._now_msc()
        volume = request.volume if lots is None else lots
        self._books.write(DONE_ORDER, {
            "account": account, "ticket": ticket, "symbol": symbol, "type": order_type,
            "filling": request.type_filling, "type_time": request.type_time,
            "state": mt5.ORDER_STATE_FILLED, "reason": reason, "magic": request.magic,
            "position": position or ticket, "position_by": 0, "time_setup_msc": now,
            "time_done_msc": now, "time_expiration": 0, "volume_initial": volume,
            "volume_current": 0.0, "price_open": price, "price_stoplimit": 0.0,
            "sl": request.sl, "tp": request.tp, "price_current": price,
            "comment": request.comment, "due_msc": 0, "margin": 0.0,
            "deviation": request.deviation,
        })  # fmt: skip
        return ticket

    def _deal(self, account: int, **values: Any) -> int:
        ticket = self._books.next_deal
        deal = {
            "account": account, "ticket": ticket, "order": 0, "position": 0,
            "time_msc": self._now_msc(), "reason": mt5.DEAL_REASON_CLIENT, "symbol": -1,
            "volume": 0.0, "price": 0.0, "commission": 0.0, "swap": 0.0, "profit": 0.0,
            "fee": 0.0, "magic": 0, "comment": "", **values,
        }  # fmt: skip
        self._books.write(NEW_DEAL, deal)
        purse = "credit" if deal["type"] == mt5.DEAL_TYPE_CREDIT else "balance"
        accounts = self._books.accounts
        result = deal["profit"] + deal["swap"] + deal["commission"] + deal["fee"]
        total = round(
            float(accounts[purse][account]) + result, int(accounts["currency_digits"][account])
        )
        self._books.write(CHANGED_ACCOUNT, account, {purse: total})
        return ticket
