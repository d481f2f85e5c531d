"""The copies of a provider's pending order, as the ledger and the followers' readings know them."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import OuterRef, Subquery

from copytrade.core.facts import HeldPending
from copytrade.core.kinds import EventKind, OrderType
from copytrade.models import CopyEvent, CopyOrder
from risk.models import Order

_GONE = (
    Order.State.REJECTED,
    Order.State.EXPIRED,
    Order.State.NOT_EXECUTED,
    Order.State.LOST,
)
_MOST_IDS: Final = 500


def held_pendings(
    event: CopyEvent, positions_of: Callable[[UUID], Mapping[int, Any] | None]
) -> dict[UUID, HeldPending]:
    """Return the copies of an event's pending order by relationship.

    One counts as filled once the follower's reading shows a position that carries its tag.
    """
    placed = CopyEvent.objects.filter(
        provider_id=event.provider_id,
        kind=EventKind.PENDING_PLACED,
        order_ticket__in=_order_tickets(event),
    ).values_list("pk", flat=True)
    # What is known to be gone without a fill neither stands for an open nor is there to cancel.
    rows = CopyOrder.objects.filter(event_id__in=list(placed)).exclude(filled_volume=0)
    copies = dict(rows.exclude(order_id=None).values_list("order_id", "relationship_id"))
    if not copies:
        return {}
    orders = Order.objects.filter(pk__in=rows.values("order_id")).exclude(state__in=_GONE)
    was_moved = _was_moved(event)
    return {
        copies[order.pk]: _pending(order, positions_of(order.account_id), was_moved=was_moved)
        for order in orders
        if order.pk in copies
    }


def waiting_copies(follower_ids: Sequence[UUID]) -> list[tuple[UUID, str, int | None]]:
    """Return copied orders that wait at these followers' brokers: follower, symbol and ticket."""
    tickets = Order.objects.filter(pk=OuterRef("order_id")).values("order_ticket")
    copies = CopyOrder.objects.filter(is_waiting=True, filled_volume=None).order_by()
    found: list[tuple[UUID, str, int | None]] = []
    for first in range(0, len(follower_ids), _MOST_IDS):
        some = copies.filter(follower_id__in=follower_ids[first : first + _MOST_IDS])
        found += some.values_list("follower_id", "symbol", Subquery(tickets))
    return found


def _order_tickets(event: CopyEvent) -> set[int]:
    """Return the pending orders that an event is about: for a close those that had opened it."""
    if event.kind != EventKind.CLOSE:
        return set() if event.order_ticket is None else {event.order_ticket}
    filled = CopyEvent.objects.filter(
        provider_id=event.provider_id,
        kind=EventKind.PENDING_FILLED,
        position_ticket=event.position_ticket,
    )
    tickets = {event.position_ticket, *filled.values_list("order_ticket", flat=True)}
    return {ticket for ticket in tickets if ticket is not None}


def _was_moved(event: CopyEvent) -> bool:
    """Tell whether the order that is moved was moved before: its copies may wait anywhere then."""
    moves = CopyEvent.objects.filter(
        provider_id=event.provider_id,
        kind=EventKind.PENDING_MODIFIED,
        order_ticket=event.order_ticket,
    )
    return event.kind == EventKind.PENDING_MODIFIED and moves.exclude(pk=event.pk).exists()


def _pending(order: Order, positions: Mapping[int, Any] | None, *, was_moved: bool) -> HeldPending:
    is_filled = positions is not None and any(
        int(one["magic"]) == order.tag for one in positions.values()
    )
    return HeldPending(
        symbol=order.symbol,
        is_buy=order.direction == Order.Direction.BUY,
        order_type=OrderType(order.type),
        lots=order.volume or order.requested_volume or Decimal(0),
        ticket=order.order_ticket,
        is_filled=is_filled,
        # As it was placed; where that may not be so any more, a change is never needless.
        price=None if was_moved else order.price,
        stop_limit_price=order.stop_limit_price,
        stop_loss=order.stop_loss,
        take_profit=order.take_profit,
    )
