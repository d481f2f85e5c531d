"""Copied orders that wait at the follower's broker: they would open what is not to open now."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import ConnectedAccount
from accounts.task_messages import TaskMessage, enqueue
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship
from risk.models import Order
from risk.orders.drafts import draft

_MESSAGE_SECONDS = 5.0
_SETTLED = (EventKind.PENDING_CANCELLED, EventKind.PENDING_FILLED)
# A cancel that ended so has cancelled nothing, and may be asked for again.
_IN_VAIN = (Order.State.REJECTED, Order.State.EXPIRED, Order.State.NOT_EXECUTED)


def cancel_waiting(relationship: CopyRelationship, *, now: datetime) -> list[Order]:
    """Have the follower's host cancel the copied orders that wait; return the cancels.

    One that the broker fills at this moment becomes a copied position like any other.
    """
    follower = relationship.follower
    cancels = [_cancel(follower, placed, now) for placed in _waiting(relationship.pk)]
    if cancels:
        Order.objects.bulk_create(cancels)
        host = follower.terminal_host_id
        message = TaskMessage("risk.serve", [host], f"terminals.{host}", _MESSAGE_SECONDS)
        # Robust: should the message be lost, the next tick finds the orders by itself.
        transaction.on_commit(lambda: enqueue(message), robust=True)
    return cancels


def waiting_tickets(
    provider_id: UUID, relationship_ids: Collection[UUID]
) -> Mapping[UUID, list[int]]:
    """Return, by relationship, the tickets of the copied orders that wait at followers' brokers."""
    placed = list(_placed_events().filter(provider_id=provider_id).values_list("pk", flat=True))
    if not placed:
        return {}
    copies = CopyOrder.objects.filter(
        relationship_id__in=relationship_ids, order_id__isnull=False, event_id__in=placed
    )
    pairs = copies.order_by().values_list("order_id", "relationship_id")
    relationship_of = {order_id: pk for order_id, pk in pairs if order_id is not None}
    found: dict[UUID, list[int]] = defaultdict(list)
    orders = _at_brokers().filter(pk__in=relationship_of).order_by("order_ticket")
    for order_id, ticket in orders.values_list("pk", "order_ticket"):
        if ticket:
            found[relationship_of[order_id]].append(ticket)
    return found


def is_anything_waiting(relationship_id: UUID) -> bool:
    """Tell whether cancels of a relationship's waiting orders are under way."""
    placed = _placed(relationship_id)
    follower_ids = CopyOrder.objects.filter(relationship_id=relationship_id).values("follower_id")
    cancels = Order.objects.unfinished().filter(
        kind=Order.Kind.CANCEL,
        origin=Order.Origin.COPY,
        account_id__in=follower_ids[:1],
        order_ticket__in=placed.values("order_ticket"),
    )
    return cancels.exists()


def _placed(relationship_id: UUID) -> QuerySet[Order]:
    """Return the copied orders that were placed and of which the provider's still waits."""
    copies = CopyOrder.objects.filter(
        relationship_id=relationship_id,
        order_id__isnull=False,
        event_id__in=_placed_events().values("pk"),
    )
    return _at_brokers().filter(pk__in=copies.values("order_id"))


def _placed_events() -> QuerySet[CopyEvent]:
    """Return the placing of what neither was filled nor cancelled since."""
    settled = CopyEvent.objects.filter(
        provider_id=OuterRef("provider_id"),
        order_ticket=OuterRef("order_ticket"),
        kind__in=_SETTLED,
    )
    return CopyEvent.objects.filter(kind=EventKind.PENDING_PLACED).exclude(Exists(settled))


def _at_brokers() -> QuerySet[Order]:
    return Order.objects.filter(
        kind=Order.Kind.PLACE, state=Order.State.PLACED, order_ticket__isnull=False
    )


def _waiting(relationship_id: UUID) -> Iterable[Order]:
    cancelled = Order.objects.filter(
        account_id=OuterRef("account_id"),
        order_ticket=OuterRef("order_ticket"),
        kind=Order.Kind.CANCEL,
    ).exclude(state__in=_IN_VAIN)
    return _placed(relationship_id).exclude(Exists(cancelled)).order_by("created_at", "pk")


def _cancel(follower: ConnectedAccount, placed: Order, now: datetime) -> Order:
    return draft(
        follower,
        Order.Kind.CANCEL,
        host=follower.terminal_host_id,
        origin=Order.Origin.COPY,
        now=now,
        symbol=placed.symbol,
        direction=placed.direction,
        requested_volume=placed.volume,
        volume=placed.volume,
        order_ticket=placed.order_ticket,
    )
