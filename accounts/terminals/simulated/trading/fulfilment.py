"""Orders in the books meeting the market: when their price or their turn has come."""

from typing import Any

from .. import constants as mt5
from ..books.books import Books
from ..symbols.catalogue import CONTRACTS
from .admission import Admission
from .execution import Execution
from .ledger import Ledger
from .matching import Match, check_price, matched
from .netting import opened_lots
from .order_terms import LIMIT_TYPES, PENDING_TYPES, OrderTerms
from .requests import Refusal
from .valuation import Valuation

# The filling modes of orders whose rest waits on.
_KEEPING = (mt5.ORDER_FILLING_RETURN, mt5.ORDER_FILLING_BOC)


class Fulfilment:
    """Carries out orders that waited. One that cannot be carried out any more says why."""

    def __init__(
        self, books: Books, valuation: Valuation, ledger: Ledger, admission: Admission
    ) -> None:
        self._books = books
        self._valuation = valuation
        self._ledger = ledger
        self._admission = admission

    def carry_out(self, ticket: int) -> None:
        """Fill an order as far as the book allows; what its filling mode keeps waits on.

        An order that the account can no longer carry is REJECTED, or CANCELED when a part of it
        was filled before, its comment saying why.
        """
        row = self._books.order_row(ticket)
        if row is None:
            return
        order = self._books.orders.row(row)
        terms = OrderTerms.of(order)
        try:
            self._check(order, terms)
        except Refusal as refusal:
            was_filled = order["state"] == mt5.ORDER_STATE_PARTIAL
            state = mt5.ORDER_STATE_CANCELED if was_filled else mt5.ORDER_STATE_REJECTED
            self._ledger.orders.finish(ticket, state, comment=f"[{refusal.comment}]")
            return
        match = self._match(order, terms)
        if match.left_lots and order["filling"] == mt5.ORDER_FILLING_FOK:
            self._ledger.orders.finish(ticket, mt5.ORDER_STATE_CANCELED, comment="[No volume]")
            return
        position = self._ledger.position_id(terms)
        for price, lots in match.deals:
            self._ledger.fill(terms, lots, price)
        if match.left_lots and order["filling"] in _KEEPING:
            self._keep(order, match)
        else:
            self._finish(order, match, position)

    def _finish(self, order: dict[str, Any], match: Match, position: int) -> None:
        state = mt5.ORDER_STATE_CANCELED
        traded: dict[str, Any] = {}
        if match.deals:
            state = mt5.ORDER_STATE_PARTIAL if match.left_lots else mt5.ORDER_STATE_FILLED
            traded = {"position": position, "price_current": match.price}
            if order["type"] not in PENDING_TYPES:
                traded["price_open"] = match.price
        self._ledger.orders.finish(order["ticket"], state, volume_left=match.left_lots, **traded)

    def _keep(self, order: dict[str, Any], match: Match) -> None:
        """Let the rest of an order wait: a market order for its turn, another for its price."""
        changed: dict[str, Any] = {}
        if match.deals:
            digits = int(self._books.accounts["currency_digits"][order["account"]])
            left = match.left_lots
            changed = {
                "state": mt5.ORDER_STATE_PARTIAL, "volume_current": left, "fill_fraction": 1.0,
                "margin": round(order["margin"] * left / order["volume_current"], digits),
            }  # fmt: skip
        if order["due_msc"] and order["type"] in PENDING_TYPES:
            changed["due_msc"] = 0
        if changed:
            self._ledger.orders.change(order, changed)

    def _check(self, order: dict[str, Any], terms: OrderTerms) -> None:
        """Check again what may have changed since the order was accepted."""
        account, symbol, lots = terms.account, terms.symbol, order["volume_current"]
        admission = self._admission
        admission.check_market(symbol)
        quote = self._valuation.quoted(symbol)
        if order["type"] not in PENDING_TYPES:
            price, deviation_points = order["price_open"], order["deviation"]
            check_price(CONTRACTS[symbol], terms.side, quote, price, deviation_points)
        if terms.position:
            row = admission.position_row(account, terms.position)
            if lots > float(self._books.positions["volume"][row]):
                raise Refusal(mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME, "Invalid close volume")
            return
        if opened_lots(self._books, account, symbol, terms.side, lots):
            admission.check_trade_mode(symbol, terms.side)
            if self._ledger.target_row(terms) is None:
                admission.check_position_limit(account, symbol, counting_orders=False)
        price = self._valuation.opening_price(symbol, terms.side)
        admission.check_money(account, symbol, terms.side, lots, price, order["margin"])

    def _match(self, order: dict[str, Any], terms: OrderTerms) -> Match:
        execution = Execution(
            slippage_points=order["slippage_points"], fill_fraction=order["fill_fraction"]
        )
        limit = order["price_open"] if order["type"] in LIMIT_TYPES else 0.0
        return matched(
            CONTRACTS[terms.symbol], terms.side, self._valuation.quoted(terms.symbol),
            order["volume_current"], limit=limit, execution=execution,
        )  # fmt: skip
