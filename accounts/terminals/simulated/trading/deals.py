"""Deals, and the money that each of them moves."""

from collections.abc import Callable
from typing import Any

from .. import constants as mt5
from ..books.books import CHANGED_ACCOUNT, NEW_DEAL, Books
from .order_terms import OrderTerms


class Deals:
    """Writes deals together with the balance, or the credit, that they change."""

    def __init__(self, books: Books, server_time_msc: Callable[[], int]) -> None:
        self._books = books
        self._now_msc = server_time_msc

    def write(self, account: int, **values: Any) -> int:
        """Book a deal; return its ticket."""
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

    def of_order(
        self, terms: OrderTerms, entry: int, position: int, lots: float, price: float, **more: Any
    ) -> int:
        """Book a deal that an order has made, with its commission; return its ticket."""
        return self.write(
            terms.account, order=terms.ticket, position=position, type=terms.side, entry=entry,
            reason=terms.reason, symbol=terms.symbol, volume=lots, price=price, magic=terms.magic,
            commission=self.commission(terms.account, lots), comment=terms.comment, **more,
        )  # fmt: skip

    def commission(self, account: int, lots: float) -> float:
        """Return what a deal is charged, as the amount (0 or below) that it adds to the balance."""
        accounts = self._books.accounts
        charge = float(accounts["commission_per_lot"][account]) * lots
        return -round(charge, int(accounts["currency_digits"][account])) or 0.0
