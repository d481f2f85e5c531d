"""What positions and waiting orders are that changes are about, by the host's last readings.

A lane asks the terminal before it sends a change: whether it is there, and what of it the change
leaves as it is. Here a reading says that, if it is new enough. Whatever it leaves open is for the
lanes.
"""

from collections.abc import Iterable
from typing import Any, Final

from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from risk.gate.intents import SETTLING_SECONDS
from risk.models import Order
from risk.orders.completion import complete_change
from risk.orders.requests import SPECIFIED, order_type
from risk.orders.terminal import BUY, PendingOrder, lots

# An older reading is not asked: the next one is there a moment later.
NEWEST_SECONDS: Final = 0.5
CHANGES: Final = frozenset({Order.Kind.MODIFY_ORDER, Order.Kind.MODIFY_POSITION})
# A later expiry may be no date that could be sent again.
_LATEST_EXPIRY: Final = 2**37
_PLACED: Final = 1  # ORDER_STATE_PLACED


def position_of(order: Order, scene: Scene) -> Any:
    """Return the row of the position that a change of stops is about; None where nobody can tell.

    That is also so where it is not what it was when the change was planned.
    """
    account_id, ticket = order.account_id, order.position_ticket
    if ticket is None or not is_read(order, scene):
        return None
    positions = scene.positions_of(account_id)
    there = None if positions is None else positions.get(ticket)
    if there is None or scene.symbol_of(account_id, there) != order.symbol:
        return None
    is_buy = order.direction == Order.Direction.BUY
    return there if (int(there["type"]) == BUY) is is_buy else None


def pending_of(order: Order, scene: Scene) -> PendingOrder | None:
    """Return the waiting order that a change is about; None where nobody can tell.

    That is also so where it is not what it was when the change was planned. What the reading does
    not say of it, nobody asks.
    """
    account_id, ticket = order.account_id, order.order_ticket
    if ticket is None or not is_read(order, scene):
        return None
    there = scene.pending_of(account_id, ticket)
    if there is None or scene.symbol_of(account_id, there) != order.symbol:
        return None
    if int(there["type"]) != order_type(order):
        return None
    lifetime, expires_at = int(there["type_time"]), int(there["time_expiration"])
    if lifetime == SPECIFIED and not 0 <= expires_at < _LATEST_EXPIRY:
        return None
    return PendingOrder(
        ticket=ticket,
        symbol=order.symbol,
        type=int(there["type"]),
        state=_PLACED,
        volume=lots(float(there["volume"])),
        volume_left=lots(float(there["volume"])),
        price_open=float(there["price_open"]),
        stop_limit_price=float(there["price_stoplimit"]),
        stop_loss=float(there["sl"]),
        take_profit=float(there["tp"]),
        magic=int(there["magic"]),
        position_id=0,
        comment="",
        lifetime=lifetime,
        expires_at=expires_at,
    )


def is_read(order: Order, scene: Scene) -> bool:
    """Tell whether a reading is new, and younger than all that was sent to the account."""
    account_id = order.account_id
    read_at = scene.read_at(account_id) if account_id in scene.rows else None
    if read_at is None or scene.now.timestamp() - read_at > NEWEST_SECONDS:
        return False
    # What is left as it is is sent as well: it must not be what it was before it was moved.
    settling = SETTLING_SECONDS if _leaves_something(order, scene) else 0.0
    return scene.flights.are_shown_by(account_id, read_at, settling)


def complete(copies: Iterable[Copy], scene: Scene) -> None:
    """Fill in what changes, right before they are written as sent, leave as it is."""
    for copy in copies:
        order = copy.order
        if order is None:
            continue
        if order.kind == Order.Kind.MODIFY_ORDER:
            before = pending_of(order, scene)
            if before is not None:
                complete_change(order, before, copy.follower.account.broker_zone)
        elif order.kind == Order.Kind.MODIFY_POSITION and None in _levels(order):
            there = position_of(order, scene)
            if there is not None:
                order.stop_loss, order.take_profit = stops_of(order, there)


def stops_of(order: Order, there: Any) -> tuple[float, float]:
    """Return both stops of a position as a change of them lets them be, 0 for none."""
    stop_loss, take_profit = _levels(order)
    return (
        float(there["sl"]) if stop_loss is None else stop_loss,
        float(there["tp"]) if take_profit is None else take_profit,
    )


def _levels(order: Order) -> tuple[float | None, float | None]:
    return order.stop_loss, order.take_profit


def _leaves_something(order: Order, scene: Scene) -> bool:
    """Tell whether a change leaves anything as it is that was just sent, and may not show yet."""
    if None in _levels(order):
        return True
    if order.kind != Order.Kind.MODIFY_ORDER:
        return False
    is_limited = order.type == Order.Type.STOP_LIMIT
    if order.price is None or (is_limited and order.stop_limit_price is None):
        return True
    # No copy says when an order expires: what somebody has just set stays.
    lately = scene.flights.of(order.account_id)
    return any(other.valid_until_at is not None for other in lately)
