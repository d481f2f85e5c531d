"""Copied pending orders that opened with their provider's, before anybody has taken that in.

They are about to be copies of the position: what its provider does to it meanwhile is for them too.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery

from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.replication.scene import Scene
from risk.gate.intents import SETTLING_SECONDS
from risk.models import Order

# What changes a part of a copy, or its stops; a whole close finds what is filled late by itself.
CHANGES: Final = (EventKind.PARTIAL_CLOSE, EventKind.STOPS)

Untaken = Mapping[UUID, set[int | None]]
"""The tickets of such orders at the followers' brokers by relationship; None while not known."""


def untaken_fills(event: CopyEvent) -> Untaken:
    """Return what copies of pending orders the event's position has yet to be joined by."""
    if event.kind not in CHANGES or event.position_ticket is None:
        return {}
    theirs = CopyEvent.objects.filter(provider_id=event.provider_id)
    opens = theirs.filter(
        kind=EventKind.OPEN,
        position_ticket=event.position_ticket,
        order_ticket__isnull=False,
        detected_at__lte=event.detected_at,
    )
    placed = theirs.filter(
        kind=EventKind.PENDING_PLACED, order_ticket__in=opens.order_by().values("order_ticket")
    )
    orders = dict(placed.order_by().values_list("pk", "order_ticket"))
    if not orders:
        return {}
    found: dict[UUID, set[int | None]] = defaultdict(set)
    waiting = Order.objects.filter(pk=OuterRef("order_id")).order_by().values("order_ticket")
    copies = CopyOrder.objects.filter(
        Q(is_waiting=True) | Q(state__in=CopyOrder.UNFINISHED),
        event_id__in=list(orders),
        filled_volume=None,
    )
    told = copies.order_by().values_list("relationship_id", Subquery(waiting))
    for relationship_id, order_ticket in told:
        found[relationship_id].add(order_ticket)
    # Filled before the provider's, and under the order's own ticket yet: see `keeping.linking`.
    moving = theirs.filter(
        kind=EventKind.PENDING_FILLED,
        position_ticket=event.position_ticket,
        order_ticket__in=list(orders.values()),
    ).exclude(order_ticket=event.position_ticket)
    elsewhere = CopyPosition.objects.filter(
        provider_id=event.provider_id,
        provider_position__in=moving.order_by().values("order_ticket"),
        state=CopyPosition.State.OPEN,
    )
    for relationship_id in elsewhere.order_by().values_list("relationship_id", flat=True):
        found[relationship_id].add(None)
    return found


def may_join_yet(
    event: CopyEvent, tickets: set[int | None], follower_id: UUID, scene: Scene
) -> bool:
    """Tell whether such orders of a follower may have been filled before an event.

    One that a later reading shows to wait was not.
    """
    read_at = scene.read_at(follower_id)
    if read_at is None:
        return True
    is_later = read_at > event.detected_at.timestamp() + SETTLING_SECONDS
    return not (is_later and tickets <= scene.waiting_at(follower_id))
