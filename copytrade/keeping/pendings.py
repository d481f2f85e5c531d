"""Copied pending orders: what became of them at the followers' brokers."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, Max, OuterRef

from accounts.terminals.link import LinkError
from copytrade.core.kinds import EventKind
from copytrade.keeping.changes import Changes
from copytrade.keeping.closing import close_by_itself, close_spent
from copytrade.keeping.fills import Fills
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from risk.models import Order
from risk.orders.reconciling import Evidence

State = CopyPosition.State
_NONE: Final = Decimal(0)
_OVER: Final = frozenset({2, 5, 6})  # ORDER_STATE_CANCELED, _REJECTED, _EXPIRED


@dataclass(frozen=True, slots=True)
class _Fill:
    lots: Decimal
    position: int | None = None


def heed_pendings(
    followers: Any,
    around: Surroundings,
    changes: Changes,
    cancelled_since: datetime | None = None,
) -> bool:
    """Take in copied pending orders that filled or are gone; tell whether orders were written.

    What was filled is compared with the readings next: the follower may have closed it by itself
    before. Where nothing was filled, and no provider has cancelled an order since then, nothing is
    looked for that was filled of cancelled ones.
    """
    written = False
    placed = CopyEvent.objects.filter(pk=OuterRef("event_id"), kind=EventKind.PENDING_PLACED)
    copies = list(
        CopyOrder.objects.filter(
            Exists(placed),
            # Found by this alone: what was done once is kept for ever.
            is_waiting=True,
            filled_volume=None,
            follower_id__in=followers,
        )
    )
    orders = Order.objects.in_bulk([copy.order_id for copy in copies])
    for copy in copies:
        order = orders.get(copy.order_id) if copy.order_id else None
        fill = None if order is None else _fill_of(order, around)
        if order is not None and fill is not None:
            cancelled_since = None
            row = _take_in(copy, order, fill, around)
            changes.look_again([copy.follower_id])
            if row is not None and row.state == State.CLOSING:
                written |= close_by_itself(row, around)
            elif row is not None:
                written |= close_spent([row], around)
    cancelled = CopyEvent.objects.filter(kind=EventKind.PENDING_CANCELLED)
    is_news = cancelled_since is None or cancelled.filter(detected_at__gte=cancelled_since).exists()
    return (is_news and _close_cancelled(followers, around)) or written


def _fill_of(order: Order, around: Surroundings) -> _Fill | None:
    """Return what was filled of an order that is there no more; None while nobody can tell."""
    row, facts = around.view.row_of(order.account_id), around.facts_of(order.account_id)
    if row is None or facts is None or order.account_id not in around.scene.figures:
        return None
    if not around.scene.flights.are_shown_by(
        order.account_id, float(around.view.poll.read_at[row])
    ):
        return None
    waiting = around.view.poll.batch.orders
    mine = waiting[waiting["account"] == row]
    if order.order_ticket in mine["ticket"].tolist():
        return None
    evidence = Evidence(
        around.terminal_of(facts), facts.terms.broker_zone, order.created_at, around.now
    )
    try:
        evidence.read()
    except (LinkError, OSError):
        return None
    if any(one.ticket == order.order_ticket for one in evidence.pending):
        return None
    # On a netting account it may have taken from what other copies hold: that is its part as well.
    deals = [deal for deal in evidence.deals if deal.order == order.order_ticket]
    if deals:
        return _Fill(sum((deal.volume for deal in deals), _NONE), deals[0].position)
    past = next((one for one in evidence.done if one.ticket == order.order_ticket), None)
    return _Fill(_NONE) if past is not None and past.state in _OVER else None


@transaction.atomic
def _take_in(
    copy: CopyOrder, order: Order, fill: _Fill, around: Surroundings
) -> CopyPosition | None:
    """Write what a fill has made; return the position when it is for nothing any more.

    It is being closed already where its provider's was filled and closed meanwhile.
    """
    mine = CopyOrder.objects.filter(pk=copy.pk, filled_volume=None)
    if not mine.update(filled_volume=fill.lots, follower_position=fill.position, is_waiting=False):
        return None
    event = CopyEvent.objects.filter(pk=copy.event_id).first()
    if fill.lots <= 0 or event is None:
        return None
    key = event.provider_id, event.order_ticket or 0
    fills = Fills([key])
    ticket = fills.position(key)
    is_spent = fills.is_spent(key, around.now)
    is_over = fills.is_closed(key) and not is_spent
    rows = CopyPosition.objects.select_for_update().filter(
        relationship_id=copy.relationship_id, provider_position=ticket
    )
    last = rows.aggregate(last=Max("turn"))["last"]
    row = CopyPosition.objects.create(
        id=copy.pk,
        relationship_id=copy.relationship_id,
        provider_id=copy.provider_id,
        follower_id=copy.follower_id,
        provider_position=ticket,
        turn=0 if last is None else last + 1,
        provider_volume=event.volume or _NONE,
        follower_position=fill.position,
        symbol=order.symbol,
        direction=order.direction,
        volume=fill.lots,
        state=State.CLOSING if is_over else State.OPEN,
        opened_at=around.now,
    )
    return row if is_over or is_spent else None


def _close_cancelled(followers: Any, around: Surroundings) -> bool:
    """Close what the follower's broker filled of orders that the provider has cancelled."""
    events = CopyEvent.objects.filter(provider_id=OuterRef("provider_id"))
    rows = CopyPosition.objects.filter(
        Exists(
            events.filter(
                kind=EventKind.PENDING_CANCELLED, order_ticket=OuterRef("provider_position")
            )
        ),
        ~Exists(events.filter(kind=EventKind.OPEN, position_ticket=OuterRef("provider_position"))),
        state=State.OPEN,
        follower_id__in=followers,
    )
    written = False
    for row in rows:
        written |= close_by_itself(row, around)
    return written
