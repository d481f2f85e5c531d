"""What a request about a position or a pending order leaves open, filled in from the terminal."""

from datetime import UTC, datetime
from decimal import Decimal

from accounts.core.zones import broker_zone, from_broker_epoch
from accounts.symbol_terms import SymbolTerms
from risk.models import Order
from risk.orders.outcomes import Outcome, refused
from risk.orders.requests import SPECIFIED
from risk.orders.terminal import AccountTerminal, PendingOrder, Position

_GONE_POSITION = "There is no such position any more."
_TURNED_POSITION = "The position has turned round: closing it that way would add to it."
_GONE_ORDER = "There is no such pending order any more."


def closing_volume(held: Decimal, wanted: Decimal | None, terms: SymbolTerms) -> Decimal:
    """Return how much of a position to close: whole steps, and all when a crumb would be left.

    0 when `wanted` is below the smallest volume.
    """
    if wanted is None or wanted >= held:
        return held
    closed = terms.floored(wanted)
    left = held - closed
    return held if closed and left < Decimal(repr(terms.volume_min)) else closed


Changed = Position | PendingOrder


def complete(
    order: Order, terminal: AccountTerminal, zone: str, now: datetime
) -> Outcome | Changed | None:
    """Fill in what the order leaves open; return how it ends when there is nothing to send.

    For a person's change, returns what it would change as it is now. Raises LinkError when the
    terminal does not say.
    """
    if order.kind == Order.Kind.CLOSE and order.enforcement_id is None:
        return _complete_close(order, terminal, now)
    if order.kind == Order.Kind.MODIFY_POSITION:
        return _complete_stops(order, terminal, now)
    if order.kind in (Order.Kind.MODIFY_ORDER, Order.Kind.CANCEL) and order.enforcement_id is None:
        return _complete_pending(order, terminal, zone, now)
    return None


def _complete_close(order: Order, terminal: AccountTerminal, now: datetime) -> Outcome | None:
    position = _position(order, terminal)
    if position is None:
        return refused(_GONE_POSITION, Order.RefusedBy.GATE, now)
    direction = Order.Direction.SELL if position.is_buy else Order.Direction.BUY
    if order.direction and order.direction != direction:
        return refused(_TURNED_POSITION, Order.RefusedBy.GATE, now)
    order.symbol, order.direction = position.symbol, direction
    if order.requested_volume is None:
        order.volume = position.volume
        return None
    terms = terminal.symbol(position.symbol)
    order.volume = closing_volume(position.volume, order.requested_volume, terms)
    if order.volume:
        return None
    return refused(
        f"{order.requested_volume.normalize():f} lots are less than the smallest volume of"
        f" {position.symbol}, {terms.volume_min:g} lots.",
        Order.RefusedBy.GATE,
        now,
    )


def _complete_stops(order: Order, terminal: AccountTerminal, now: datetime) -> Outcome | Position:
    position = _position(order, terminal)
    if position is None:
        return refused(_GONE_POSITION, Order.RefusedBy.GATE, now)
    order.symbol = position.symbol
    order.direction = Order.Direction.BUY if position.is_buy else Order.Direction.SELL
    if order.stop_loss is None:
        order.stop_loss = position.stop_loss
    if order.take_profit is None:
        order.take_profit = position.take_profit
    return position


def _complete_pending(
    order: Order, terminal: AccountTerminal, zone: str, now: datetime
) -> Outcome | PendingOrder | None:
    found = next((o for o in terminal.pending_orders() if o.ticket == order.order_ticket), None)
    if found is None:
        return refused(_GONE_ORDER, Order.RefusedBy.GATE, now)
    if order.kind != Order.Kind.MODIFY_ORDER:
        _name(order, found)
        return None
    complete_change(order, found, zone)
    return found


def complete_change(order: Order, found: PendingOrder, zone: str) -> None:
    """Fill in what a change leaves as it is of the pending order that it is about.

    `zone` is the broker's. Raises OverflowError or ValueError for an expiry that is no date.
    """
    _name(order, found)
    if order.price is None:
        order.price = found.price_open
    if order.stop_limit_price is None and found.stop_limit_price:
        order.stop_limit_price = found.stop_limit_price
    if order.stop_loss is None:
        order.stop_loss = found.stop_loss
    if order.take_profit is None:
        order.take_profit = found.take_profit
    if order.valid_until_at is None and found.lifetime == SPECIFIED and found.expires_at:
        epoch = from_broker_epoch(float(found.expires_at), broker_zone(zone))
        order.valid_until_at = datetime.fromtimestamp(epoch, UTC)


def _name(order: Order, found: PendingOrder) -> None:
    order.symbol = found.symbol
    order.direction = Order.Direction.SELL if found.type % 2 else Order.Direction.BUY
    order.volume = order.requested_volume = found.volume_left


def _position(order: Order, terminal: AccountTerminal) -> Position | None:
    return next((p for p in terminal.positions() if p.ticket == order.position_ticket), None)
