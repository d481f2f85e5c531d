"""What became of orders, for those who are not looking at them any more."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.urls import reverse

from notifications.models import NotificationType, Priority
from notifications.services import Message
from risk.core.figures import counted_text
from risk.models import Order

State = Order.State
Kind = Order.Kind

# Whoever asked for an order looks at it for so long.
LOOKED_AT: Final = timedelta(seconds=5)
# A worker that has just started tells what its predecessor may have died over.
RECENTLY: Final = timedelta(hours=1)
# Behind these is a program, which nobody looks at.
_UNATTENDED: Final = (Order.Origin.API,)
_ASKED_FOR: Final = (Order.Origin.TICKET, *_UNATTENDED)
_DONE: Final = (State.FILLED, State.PARTIAL, State.PLACED)
_FAILED: Final = (State.REJECTED, State.EXPIRED, State.NOT_EXECUTED, State.LOST)
_CLOSING: Final = (Kind.CLOSE, Kind.CLOSE_BY)

_WHAT: Final = {
    Kind.OPEN: "order",
    Kind.PLACE: "pending order",
    Kind.MODIFY_ORDER: "change of a pending order",
    Kind.CANCEL: "deletion of a pending order",
    Kind.MODIFY_POSITION: "change of stops",
    Kind.CLOSE: "close",
    Kind.CLOSE_BY: "close",
}
_HOW: Final = {
    State.FILLED: "done",
    State.PARTIAL: "partly done",
    State.PLACED: "placed",
    State.REJECTED: "rejected",
    State.EXPIRED: "came too late",
    State.NOT_EXECUTED: "was not carried out",
    State.LOST: "ended nobody knows how",
}


def order_messages(orders: Sequence[Order]) -> list[Message]:
    """Build a message for each order that has ended while nobody looked at it.

    Not for those of rules, locks and closing everything, which their enforcement tells, nor for
    copies: a trade may be copied to many accounts of one user, and is told once.
    """
    return [_message(order) for order in orders if _is_news(order)]


def recent_order_messages(host: str, now: datetime) -> list[Message]:
    """Build the messages about orders of a host that ended lately; each has the key it always had.

    Raises a database error when they cannot be read.
    """
    ended = Order.objects.filter(
        host=host, state__in=[*_DONE, *_FAILED], created_at__gt=now - RECENTLY
    )
    return order_messages(list(ended.order_by("created_at", "id")))


def _is_news(order: Order) -> bool:
    if order.origin not in _ASKED_FOR or order.state not in (*_DONE, *_FAILED):
        return False
    if order.origin in _UNATTENDED or order.reconciled_at is not None:
        return True
    ended_at = order.answered_at
    return ended_at is not None and ended_at - order.created_at > LOOKED_AT


def _message(order: Order) -> Message:
    has_failed = order.state in _FAILED
    what, how = _WHAT[Kind(order.kind)], _HOW[State(order.state)]
    key = f"order:{order.pk}:{order.state}"
    return Message(
        user_id=order.user_id,
        type=NotificationType.ORDER_REJECTED if has_failed else NotificationType.ORDER_FILLED,
        priority=_priority(order),
        title=f"{order.account_name}: {' '.join(filter(None, (order.symbol, what)))} {how}",
        body=" ".join(filter(None, (_deal_sentence(order), order.message))),
        link=reverse("account-order", args=[order.account_id, order.pk]),
        object_type="order",
        object_id=str(order.pk),
        dedupe_key=key,
        repeat_key=_repeat_key(order) or key,
    )


def _repeat_key(order: Order) -> str:
    """Name what a program is refused again and again, for the same reason; "" for anything else."""
    if order.state not in _FAILED or order.state == State.LOST:
        return ""
    return f"order:{order.account_id}:{order.kind}:{order.state}:{order.symbol}:{order.message}"


def _priority(order: Order) -> Priority:
    if order.state == State.LOST:
        return Priority.HIGH
    if order.state in _FAILED:
        return Priority.HIGH if order.kind in _CLOSING else Priority.MEDIUM
    return Priority.LOW


def _deal_sentence(order: Order) -> str:
    if order.filled_volume is None or not order.fill_price:
        return ""
    did = "Bought" if order.direction == Order.Direction.BUY else "Sold"
    lots = counted_text(order.filled_volume, "lot")
    return f"{did} {lots} of {order.symbol} at {order.fill_price:.10g}."
