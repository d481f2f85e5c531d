"""The requests of a crowd: alike but for the lots, the tag and the ticket."""

from collections.abc import Hashable, Mapping
from typing import Any, Final

from accounts.symbol_terms import SymbolTerms
from risk.models import Order
from risk.orders.requests import trade_request

# What their requests are made of beside lots, tag and ticket is what `shared` looks at.
_ALIKE: Final = frozenset({Order.Kind.OPEN, Order.Kind.CLOSE})


class Requests:
    """Words the first of orders that are alike, and lets the others differ in what they do.

    For deals at the market; the last few kinds of them are remembered with the quote they go by.
    """

    _MOST = 64

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[SymbolTerms | None, Mapping[str, Any]]] = {}

    def request(self, order: Order, terms: SymbolTerms | None, zone: str) -> dict[str, Any]:
        """Return what `trade_request` would; raises what it raises."""
        shared = self.shared(order, terms, zone)
        if shared is None or order.volume is None:
            return trade_request(order, terms, zone)
        request = {**shared, "volume": float(order.volume), "magic": int(order.tag)}
        if order.kind == Order.Kind.CLOSE:
            request["position"] = int(order.position_ticket or 0)
        return request

    def shared(
        self, order: Order, terms: SymbolTerms | None, zone: str
    ) -> Mapping[str, Any] | None:
        """Return one and the same request for all that differ in lots, tag and ticket alone.

        None for what has to be worded by itself; raises what `trade_request` raises.
        """
        if order.kind not in _ALIKE or order.volume is None:
            return None
        key = (
            id(terms),
            order.kind,
            order.symbol,
            order.direction,
            order.stop_loss,
            order.take_profit,
            order.deviation_points,
            order.comment,
        )
        known = self._known.get(key)
        # The terms are kept beside it: an id alone could be that of others by now.
        if known is None or known[0] is not terms:
            if len(self._known) >= self._MOST:
                self._known.clear()
            known = self._known[key] = terms, trade_request(order, terms, zone)
        return known[1]
