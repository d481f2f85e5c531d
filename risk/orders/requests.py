"""An order as a trade request, in the terms that MetaTrader 5 and the symbol ask for."""

import math
from decimal import Decimal
from typing import Any, Final

from accounts.core.zones import broker_zone, to_broker_epoch
from accounts.symbol_terms import SymbolTerms
from risk.models import Order

LONGEST_TEXT: Final = 29
DEAL, PENDING, SLTP, MODIFY, REMOVE, CLOSE_BY = 1, 5, 6, 7, 8, 10  # TRADE_ACTION_*
FOK, IOC, RETURN = 0, 1, 2  # ORDER_FILLING_*
GTC, DAY, SPECIFIED = 0, 1, 2  # ORDER_TIME_*
_FOK_FLAG, _IOC_FLAG = 1, 2  # SYMBOL_FILLING_*
_GTC_FLAG, _DAY_FLAG, _SPECIFIED_FLAG = 1, 2, 4  # SYMBOL_EXPIRATION_*
# The price that an open may slip, and a close, which matters more than its price.
DEVIATION_POINTS: Final = 20
CLOSING_DEVIATION_POINTS: Final = 200
_TYPES: Final = {
    (Order.Type.MARKET, True): 0, (Order.Type.MARKET, False): 1,
    (Order.Type.LIMIT, True): 2, (Order.Type.LIMIT, False): 3,
    (Order.Type.STOP, True): 4, (Order.Type.STOP, False): 5,
    (Order.Type.STOP_LIMIT, True): 6, (Order.Type.STOP_LIMIT, False): 7,
}  # fmt: skip


def order_type(order: Order) -> int:
    """Return the ORDER_TYPE_* of an order."""
    return _TYPES[Order.Type(order.type), order.direction == Order.Direction.BUY]


def trade_request(order: Order, terms: SymbolTerms | None, zone: str) -> dict[str, Any]:
    """Return the request for an order; `terms` with a fresh quote unless it needs none.

    `zone` is the broker's, for a time of expiry. Volumes and prices are doubles, tickets whole
    numbers, texts at most 29 characters, as the package wants them.
    """
    builders = {
        Order.Kind.OPEN: _market,
        Order.Kind.CLOSE: _market,
        Order.Kind.PLACE: _pending,
        Order.Kind.MODIFY_ORDER: _order_change,
        Order.Kind.CANCEL: _removal,
        Order.Kind.MODIFY_POSITION: _stops,
        Order.Kind.CLOSE_BY: _close_by,
    }
    request = builders[Order.Kind(order.kind)](order, terms, zone)
    comment = order.comment[:LONGEST_TEXT]
    return {"magic": int(order.tag), "comment": comment, **request}


def needs_quote(order: Order) -> bool:
    """Tell whether the request of an order depends on the symbol's terms or price."""
    return order.kind not in (Order.Kind.CANCEL, Order.Kind.CLOSE_BY)


def market_price(order: Order, terms: SymbolTerms) -> float:
    """Return the price that a market order would deal at, 0 without a quote."""
    return terms.price_for(order.direction == Order.Direction.BUY) or 0.0


def deviation_points(order: Order) -> int:
    if order.deviation_points is not None:
        return order.deviation_points
    return CLOSING_DEVIATION_POINTS if order.kind == Order.Kind.CLOSE else DEVIATION_POINTS


def _market(order: Order, terms: SymbolTerms | None, _zone: str) -> dict[str, Any]:
    quoted = _required(terms)
    request: dict[str, Any] = {
        "action": DEAL,
        "symbol": order.symbol[:LONGEST_TEXT],
        "volume": _lots(order.volume),
        "type": order_type(order),
        "price": float(market_price(order, quoted)),
        "deviation": int(deviation_points(order)),
        "type_filling": filling_mode(quoted, is_close=order.kind == Order.Kind.CLOSE),
    }
    if order.kind == Order.Kind.CLOSE:
        return request | {"position": int(order.position_ticket or 0)}
    return request | _levels(order, quoted)


def _pending(order: Order, terms: SymbolTerms | None, zone: str) -> dict[str, Any]:
    quoted = _required(terms)
    return {
        "action": PENDING,
        "symbol": order.symbol[:LONGEST_TEXT],
        "volume": _lots(order.volume),
        "type": order_type(order),
        "price": _price(order.price, quoted),
        "type_filling": RETURN,
        **_levels(order, quoted),
        **_stop_limit(order, quoted),
        **_lifetime(order, quoted, zone),
    }


def _order_change(order: Order, terms: SymbolTerms | None, zone: str) -> dict[str, Any]:
    quoted = _required(terms)
    return {
        "action": MODIFY,
        "order": int(order.order_ticket or 0),
        "price": _price(order.price, quoted),
        **_levels(order, quoted),
        **_stop_limit(order, quoted),
        **_lifetime(order, quoted, zone),
    }


def _removal(order: Order, _terms: SymbolTerms | None, _zone: str) -> dict[str, Any]:
    return {"action": REMOVE, "order": int(order.order_ticket or 0)}


def _stops(order: Order, terms: SymbolTerms | None, _zone: str) -> dict[str, Any]:
    # A request that leaves one of them out removes it, so both are always said.
    request = {"action": SLTP, "position": int(order.position_ticket or 0)}
    return {**request, "symbol": order.symbol[:LONGEST_TEXT], **_levels(order, terms)}


def _close_by(order: Order, _terms: SymbolTerms | None, _zone: str) -> dict[str, Any]:
    return {
        "action": CLOSE_BY,
        "position": int(order.position_ticket or 0),
        "position_by": int(order.opposite_ticket or 0),
    }


def filling_mode(terms: SymbolTerms, *, is_close: bool) -> int:
    """Return an ORDER_FILLING_* that the symbol offers for a market order.

    Opens are filled as a whole or not at all; of a close, each part is welcome.
    """
    preferred = ((_IOC_FLAG, IOC), (_FOK_FLAG, FOK))
    for flag, mode in preferred if is_close else reversed(preferred):
        if terms.filling_mode & flag:
            return mode
    return RETURN


def _levels(order: Order, terms: SymbolTerms | None) -> dict[str, float]:
    return {"sl": _price(order.stop_loss, terms), "tp": _price(order.take_profit, terms)}


def _stop_limit(order: Order, terms: SymbolTerms) -> dict[str, float]:
    if order.stop_limit_price is None:
        return {}
    return {"stoplimit": _price(order.stop_limit_price, terms)}


def _lifetime(order: Order, terms: SymbolTerms, zone: str) -> dict[str, int]:
    if order.valid_until_at is not None:
        expiry = to_broker_epoch(order.valid_until_at.timestamp(), broker_zone(zone))
        return {"type_time": SPECIFIED, "expiration": math.floor(expiry)}
    is_for_today = not terms.expiration_mode & _GTC_FLAG and terms.expiration_mode & _DAY_FLAG
    return {"type_time": DAY if is_for_today else GTC}


def _price(price: float | None, terms: SymbolTerms | None) -> float:
    if price is None:
        return 0.0
    return float(price) if terms is None else round(float(price), terms.digits)


def _lots(volume: Decimal | None) -> float:
    if volume is None:
        raise ValueError("an order for the market needs a volume")
    return float(volume)


def _required(terms: SymbolTerms | None) -> SymbolTerms:
    if terms is None:
        raise ValueError("an order for the market needs the symbol's terms")
    return terms
