"""Entries in the books: what orders, their deals and transfers leave behind."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from .. import constants as mt5
from ..books.books import (
    CHANGED_POSITION,
    GONE_POSITION,
    NEW_POSITION,
    Books,
)
from .deals import Deals
from .netting import is_netting, netted_row
from .order_entries import OrderEntries
from .order_terms import OrderTerms
from .requests import TradeOrder, add_lots, subtract_lots
from .valuation import Valuation

_NO_REQUEST = TradeOrder()


class Ledger:
    """Writes the orders, deals, positions and balances that belong together."""

    def __init__(
        self, books: Books, valuation: Valuation, server_time_msc: Callable[[], int]
    ) -> None:
        self._books = books
        self._valuation = valuation
        self._now_msc = server_time_msc
        self._deals = Deals(books, server_time_msc)
        self.orders = OrderEntries(books, valuation, server_time_msc)
        self.commission = self._deals.commission

    def now_msc(self) -> int:
        return self._now_msc()

    def fill(self, terms: OrderTerms, lots: float, price: float) -> int:
        """Book one deal of an order and what it does to the positions; return its ticket.

        On netting accounts a deal adds to the symbol's position, reduces it or turns it round; on
        hedging accounts it opens one of its own, unless the order names one that it closes.
        """
        row = self.target_row(terms)
        if row is None:
            deal = self._open(terms, terms.ticket, lots, price, mt5.DEAL_ENTRY_IN)
        else:
            deal = self._change(self._books.positions.row(row), terms, lots, price)
        self._valuation.settle(terms.account)
        return deal

    def target_row(self, terms: OrderTerms) -> int | None:
        """Return the row of the position that an order's next deal will change, if there is one."""
        if is_netting(self._books, terms.account):
            return netted_row(self._books, terms.account, terms.symbol)
        return self._books.position_row(terms.position or terms.ticket)

    def position_id(self, terms: OrderTerms) -> int:
        """Return the identifier of the position that an order's next deal belongs to."""
        row = self.target_row(terms)
        return terms.ticket if row is None else int(self._books.positions["identifier"][row])

    def close_position(
        self, row: int, lots: float, reason: int, request: TradeOrder = _NO_REQUEST
    ) -> tuple[int, int, float]:
        """Close a position or a part of it at the market.

        Returns the deal and order tickets and the price. The part takes its share of the swap.
        """
        held = self._books.positions.row(row)
        account, symbol = held["account"], held["symbol"]
        price = float(self._valuation.closing[held["side"]])
        terms = OrderTerms(
            account=account, symbol=symbol, side=1 - held["type"], ticket=self._books.next_order,
            reason=reason, magic=request.magic, comment=request.comment, position=held["ticket"],
        )  # fmt: skip
        self.orders.add_done(
            account, symbol, request, type=terms.side, reason=reason, volume_initial=lots,
            position=held["identifier"], price_open=price, price_current=price,
        )  # fmt: skip
        deal = self._reduce(held, terms, lots, price, mt5.DEAL_ENTRY_OUT)
        self._valuation.settle(account)
        return deal, terms.ticket, price

    def close_by(self, row: int, by_row: int, request: TradeOrder, reason: int) -> tuple[int, int]:
        """Close a position by an opposite one; return the first deal's and the order's ticket.

        Both deals are at the opposite position's opening price: the first has the profit, the
        second none. What is left stays on the larger position's ticket.
        """
        held, other = self._books.positions.row(row), self._books.positions.row(by_row)
        account, symbol, price = held["account"], held["symbol"], other["price_open"]
        lots = min(held["volume"], other["volume"])
        comment = request.comment or f"close #{held['ticket']} by #{other['ticket']}"
        request = replace(request, comment=comment)
        order = self.orders.add_done(
            account, symbol, request, type=mt5.ORDER_TYPE_CLOSE_BY, reason=reason,
            position=held["identifier"], position_by=other["identifier"], volume_initial=lots,
            price_open=price, price_current=price,
        )  # fmt: skip
        tickets = []
        for position in (held, other):
            terms = OrderTerms(
                account=account, symbol=symbol, side=1 - position["type"], ticket=order,
                reason=reason, magic=request.magic, comment=request.comment,
            )  # fmt: skip
            entry = mt5.DEAL_ENTRY_OUT_BY
            tickets.append(self._reduce(position, terms, lots, price, entry))
        self._valuation.settle(account)
        return tickets[0], order

    def reopen_position(self, row: int, closing_price: float, opening_price: float) -> None:
        """Book a position's overnight close and its opening at another price.

        The position stays the same one, with its ticket, its stops and the time of its opening;
        its result so far goes into the balance. There is no order, and no commission.
        """
        held = self._books.positions.row(row)
        account, symbol, side = held["account"], held["symbol"], held["type"]
        terms = {
            "position": held["identifier"], "reason": mt5.DEAL_REASON_ROLLOVER, "symbol": symbol,
            "volume": held["volume"], "magic": held["magic"], "comment": held["comment"],
        }  # fmt: skip
        profit = self._valuation.profit(
            account, symbol, side, held["volume"], held["price_open"], closing_price
        )
        self._deals.write(account, type=1 - side, entry=mt5.DEAL_ENTRY_OUT, price=closing_price,
                          swap=held["swap"], profit=profit, **terms)  # fmt: skip
        self._deals.write(account, type=side, entry=mt5.DEAL_ENTRY_IN, price=opening_price, **terms)
        changed = {
            "price_open": opening_price, "swap": 0.0, "time_update_msc": self._now_msc(),
            "margin_per_lot": self._valuation.margin_per_lot(account, symbol, side, opening_price),
        }  # fmt: skip
        self._write_changed(held["ticket"], changed)
        self._valuation.settle(account)

    def move_stops(self, ticket: int, sl: float, tp: float) -> None:
        changed = {"sl": sl, "tp": tp, "time_update_msc": self._now_msc()}
        self._books.write(CHANGED_POSITION, ticket, changed)

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
        return self._deals.write(
            account,
            type=deal_type,
            entry=mt5.DEAL_ENTRY_IN,
            profit=round(amount, digits),
            comment=comment,
        )

    def _write_changed(self, ticket: int, changed: dict[str, Any]) -> None:
        """Change an open position in ways that its result depends on."""
        self._books.write(CHANGED_POSITION, ticket, changed)
        self._valuation.mark_position(ticket)

    def _open(
        self,
        terms: OrderTerms,
        identifier: int,
        lots: float,
        price: float,
        entry: int,
        *,
        deal_lots: float | None = None,
        **closed: float,
    ) -> int:
        """Open a position under the order's ticket; ``deal_lots`` differs when it turns one."""
        now = self._now_msc()
        deal = self._deals.of_order(
            terms, entry, identifier, lots if deal_lots is None else deal_lots, price, **closed
        )
        per_lot = self._valuation.margin_per_lot(terms.account, terms.symbol, terms.side, price)
        self._books.write(NEW_POSITION, {
            "account": terms.account, "ticket": terms.ticket, "identifier": identifier,
            "symbol": terms.symbol, "type": terms.side, "volume": lots, "price_open": price,
            "sl": terms.sl, "tp": terms.tp, "swap": 0.0, "magic": terms.magic,
            "reason": terms.reason, "time_msc": now, "time_update_msc": now,
            "margin_per_lot": per_lot, "comment": terms.comment,
        })  # fmt: skip
        self._valuation.mark_position(terms.ticket)
        return deal

    def _change(self, held: Mapping[str, Any], terms: OrderTerms, lots: float, price: float) -> int:
        if held["type"] == terms.side:
            return self._increase(held, terms, lots, price)
        if lots <= held["volume"]:
            return self._reduce(held, terms, lots, price, mt5.DEAL_ENTRY_OUT)
        return self._reverse(held, terms, lots, price)

    def _increase(
        self, held: Mapping[str, Any], terms: OrderTerms, lots: float, price: float
    ) -> int:
        """Add to a position at the volume-weighted price.

        The latest order's stops are the position's, none included; not so with the further deals
        of the order that opened it.
        """
        total = add_lots(held["volume"], lots)
        per_lot = self._valuation.margin_per_lot(terms.account, terms.symbol, terms.side, price)
        changed = {
            "volume": total,
            "price_open": _weighted(held["price_open"], held["volume"], price, lots),
            "margin_per_lot": _weighted(held["margin_per_lot"], held["volume"], per_lot, lots),
            "time_update_msc": self._now_msc(),
        }
        if held["ticket"] != terms.ticket:
            changed |= {"sl": terms.sl, "tp": terms.tp}
        deal = self._deals.of_order(terms, mt5.DEAL_ENTRY_IN, held["identifier"], lots, price)
        self._write_changed(held["ticket"], changed)
        return deal

    def _reduce(
        self, held: Mapping[str, Any], terms: OrderTerms, lots: float, price: float, entry: int
    ) -> int:
        result = self._result(held, lots, price)
        deal = self._deals.of_order(terms, entry, held["identifier"], lots, price, **result)
        left = subtract_lots(held["volume"], lots)
        if left <= 0:
            self._books.write(GONE_POSITION, held["ticket"])
            return deal
        digits = int(self._books.accounts["currency_digits"][terms.account])
        changed = {
            "volume": left,
            "swap": round(held["swap"] - result["swap"], digits),
            "time_update_msc": self._now_msc(),
        }
        self._write_changed(held["ticket"], changed)
        return deal

    def _reverse(
        self, held: Mapping[str, Any], terms: OrderTerms, lots: float, price: float
    ) -> int:
        """Close a position and open the rest the other way with one deal, for the closed profit.

        The ticket is the order's from now on, the identifier stays.
        """
        result = self._result(held, held["volume"], price)
        self._books.write(GONE_POSITION, held["ticket"])
        rest = subtract_lots(lots, held["volume"])
        inout = mt5.DEAL_ENTRY_INOUT
        return self._open(terms, held["identifier"], rest, price, inout, deal_lots=lots, **result)

    def _result(self, held: Mapping[str, Any], lots: float, price: float) -> dict[str, float]:
        """Return profit and swap of closing some lots of a position at a price."""
        account = held["account"]
        digits = int(self._books.accounts["currency_digits"][account])
        profit = self._valuation.profit(
            account, held["symbol"], held["type"], lots, held["price_open"], price
        )
        return {"profit": profit, "swap": round(held["swap"] * lots / held["volume"], digits)}


def _weighted(value: float, weight: float, other: float, other_weight: float) -> float:
    return (value * weight + other * other_weight) / (weight + other_weight)
