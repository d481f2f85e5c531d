"""What is wrong with an order as somebody asks for it, said at the field."""

import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError

from accounts.symbol_terms import SymbolTerms
from risk.models import Order
from risk.orders.requests import LONGEST_TEXT

_LONGEST_KEY = 64
_MOST_DEVIATION_POINTS = 10_000
_LARGEST_TICKET = 2**63 - 1

Errors = dict[str, str]


def raise_errors(errors: Errors) -> None:
    """Raise ValidationError when there are any."""
    if errors:
        raise ValidationError(errors)


def placing_errors(fields: Mapping[str, Any], terms: SymbolTerms | None, now: datetime) -> Errors:
    errors = _choice_errors(fields)
    symbol = fields["symbol"]
    if not symbol or not symbol.strip():
        errors["symbol"] = "Name the symbol."
    elif len(symbol) > LONGEST_TEXT:
        errors["symbol"] = f"A symbol has at most {LONGEST_TEXT} characters."
    errors |= volume_errors(fields["requested_volume"], terms)
    errors |= price_errors(fields) | expiry_errors(fields, now)
    if errors:
        return errors
    errors = _type_errors(fields)
    points = fields["deviation_points"]
    if points is not None and not 0 <= points <= _MOST_DEVIATION_POINTS:
        errors["deviation_points"] = f"From 0 to {_MOST_DEVIATION_POINTS} points are possible."
    return errors or _stop_errors(fields, terms)


def _choice_errors(fields: Mapping[str, Any]) -> Errors:
    errors = {}
    if fields["direction"] not in Order.Direction.values:
        errors["direction"] = "Choose buy or sell."
    if fields["type"] not in Order.Type.values:
        errors["type"] = "Choose market, limit, stop or stop limit."
    return errors


def _type_errors(fields: Mapping[str, Any]) -> Errors:
    """Tell which prices the type of order wants, and which it has no use for."""
    kind, errors = fields["type"], {}
    if kind == Order.Type.MARKET:
        if fields["price"] is not None:
            errors["price"] = "A market order takes the price that it finds."
        if fields["valid_until_at"] is not None:
            errors["valid_until_at"] = "Only a pending order expires."
    elif fields["price"] is None:
        errors["price"] = "Give the price at which the order is to be carried out."
    if (kind == Order.Type.STOP_LIMIT) != (fields["stop_limit_price"] is not None):
        errors["stop_limit_price"] = (
            "Give the price of the limit order that follows the stop."
            if kind == Order.Type.STOP_LIMIT
            else "Only a stop limit order has this price."
        )
    return errors


def volume_errors(volume: Decimal | None, terms: SymbolTerms | None = None) -> Errors:
    if volume is None or not Decimal(volume).is_finite() or volume <= 0:
        return {"volume": "Give a volume above 0 lots."}
    if volume >= Decimal(10) ** 9 or volume != round(volume, 8):
        return {"volume": "This is no volume that a broker knows."}
    if terms is None:
        return {}
    smallest, largest = Decimal(repr(terms.volume_min)), Decimal(repr(terms.volume_max))
    if not smallest <= volume <= largest:
        return {"volume": f"From {smallest} to {largest} lots are possible for {terms.name}."}
    if terms.step > 0 and volume % terms.step:
        return {"volume": f"The volume of {terms.name} goes in steps of {terms.step} lots."}
    return {}


def price_errors(fields: Mapping[str, Any], *, may_be_zero: bool = False) -> Errors:
    errors = {}
    for name in ("price", "stop_limit_price", "stop_loss", "take_profit"):
        price = fields.get(name)
        if price is None or (price == 0 and may_be_zero and name in ("stop_loss", "take_profit")):
            continue
        if not math.isfinite(price) or price <= 0:
            errors[name] = "Give a price above 0."
    return errors


def expiry_errors(fields: Mapping[str, Any], now: datetime) -> Errors:
    until = fields.get("valid_until_at")
    if until is None or until > now:
        return {}
    return {"valid_until_at": "This moment is past already."}


def _stop_errors(fields: Mapping[str, Any], terms: SymbolTerms | None) -> Errors:
    """Tell which stops lie on the wrong side of the price at which the order would deal."""
    is_buy = fields["direction"] == Order.Direction.BUY
    entry = fields["stop_limit_price"] or fields["price"]
    if entry is None and terms is not None:
        entry = terms.price_for(is_buy)
    loss, profit = fields["stop_loss"], fields["take_profit"]
    below, above = ("stop_loss", loss), ("take_profit", profit)
    if not is_buy:
        below, above = above, below
    errors = {}
    reference = f"the price, {entry:g}" if entry is not None else ""
    if entry is not None and below[1] is not None and below[1] >= entry:
        errors[below[0]] = f"It has to lie below {reference}."
    if entry is not None and above[1] is not None and above[1] <= entry:
        errors[above[0]] = f"It has to lie above {reference}."
    if not errors and below[1] is not None and above[1] is not None and below[1] >= above[1]:
        side = "below" if is_buy else "above"
        errors["stop_loss"] = f"The stop loss has to lie {side} the take profit."
    return errors


def ticket_errors(ticket: int) -> Errors:
    return {} if 0 < ticket <= _LARGEST_TICKET else {"ticket": "This is no ticket."}


def key_errors(key: str) -> Errors:
    if key and len(key) <= _LONGEST_KEY and key.isprintable():
        return {}
    return {"idempotency_key": f"A key has 1 to {_LONGEST_KEY} printable characters."}
