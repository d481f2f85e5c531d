"""Copied orders that wait at a follower's broker for nothing any more, cancelled until they go."""

from datetime import timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from copytrade.core.kinds import EventKind, SkipReason
from copytrade.keeping.fills import Fills, OrderKey
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship
from risk.models import Order
from risk.orders.drafts import draft

# A cancel of the provider's event, or of whoever paused it, is given its time first.
RETRY: Final = timedelta(seconds=3)


def cancel_needless(followers: Any, around: Surroundings) -> bool:
    """Cancel what waits although the provider's order is gone, or nothing may open any more.

    So is what waits at a price of before: the provider's order was moved and filled, and its copy
    could not be moved. Tells whether orders were written.
    """
    waiting = CopyOrder.objects.filter(
        is_waiting=True, filled_volume=None, follower_id__in=followers
    ).order_by()
    events = CopyEvent.objects.filter(
        pk__in=waiting.values("event_id"), kind=EventKind.PENDING_PLACED
    )
    keys = {(event.provider_id, event.order_ticket or 0): event.pk for event in events}
    if not keys:
        return False
    fills = Fills(keys)
    over = [pk for key, pk in keys.items() if _is_over(fills, key, around)]
    active = CopyRelationship.objects.filter(
        pk=OuterRef("relationship_id"), state=CopyRelationship.State.ACTIVE
    )
    placed = Order.objects.filter(
        pk=OuterRef("order_id"),
        kind=Order.Kind.PLACE,
        state=Order.State.PLACED,
        order_ticket__isnull=False,
    )
    needless = waiting.filter(
        Q(event_id__in=over) | ~Exists(active) | Exists(_filled_elsewhere()),
        Exists(placed),
        event_id__in=list(keys.values()),
    )
    orders = Order.objects.in_bulk(list(needless.values_list("order_id", flat=True)))
    cancels = [
        cancel for order in orders.values() if (cancel := _cancel(order, around)) is not None
    ]
    Order.objects.bulk_create(cancels)
    return bool(cancels)


def _is_over(fills: Fills, key: OrderKey, around: Surroundings) -> bool:
    """Tell whether a provider's order has left nothing that a copy of it could still open."""
    is_closed = fills.is_filled(key) and fills.is_closed(key)
    return fills.is_cancelled(key) or is_closed or fills.is_spent(key, around.now)


def _filled_elsewhere() -> QuerySet[CopyEvent]:
    """Return the provider's order of a copy, if it was filled after a last change that failed here.

    One that is under way still may come about.
    """
    theirs = CopyEvent.objects.filter(
        provider_id=OuterRef("provider_id"), order_ticket=OuterRef("order_ticket")
    )
    changes = theirs.filter(kind=EventKind.PENDING_MODIFIED)
    skipped = Q(state=CopyOrder.State.SKIPPED) & ~Q(reason=SkipReason.UNCHANGED)
    failed = CopyOrder.objects.filter(
        skipped | Q(state=CopyOrder.State.FAILED),
        event_id=OuterRef("last_change"),
        relationship_id=OuterRef(OuterRef("relationship_id")),
    )
    newest = changes.order_by("-happened_at", "-detected_at").values("pk")[:1]
    return (
        CopyEvent.objects.filter(pk=OuterRef("event_id"))
        .annotate(last_change=Subquery(newest))
        .filter(Exists(theirs.filter(kind=EventKind.PENDING_FILLED)), Exists(failed))
    )


def _cancel(placed: Order, around: Surroundings) -> Order | None:
    """Return the cancel of an order that the follower's reading shows to wait."""
    row, facts = around.view.row_of(placed.account_id), around.facts_of(placed.account_id)
    if row is None or facts is None or placed.account_id not in around.scene.figures:
        return None
    waiting = around.view.poll.batch.orders
    mine = waiting[waiting["account"] == row]
    if placed.order_ticket not in mine["ticket"].tolist():
        return None
    tried = Order.objects.filter(
        account_id=placed.account_id,
        kind=Order.Kind.CANCEL,
        order_ticket=placed.order_ticket,
        # Those of an account are found by when they were made.
        created_at__gte=placed.created_at,
    )
    lately = Q(created_at__gt=around.now - RETRY) | Q(answered_at__gt=around.now - RETRY)
    if tried.filter(lately | Q(state__in=Order.UNFINISHED)).exists():
        return None
    return draft(
        facts,
        Order.Kind.CANCEL,
        host=around.host,
        origin=Order.Origin.COPY,
        now=around.now,
        symbol=placed.symbol,
        direction=placed.direction,
        requested_volume=placed.volume,
        volume=placed.volume,
        order_ticket=placed.order_ticket,
    )
