"""What copies under way will change that the ledger's positions do not show yet."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from decimal import Decimal
from itertools import takewhile
from uuid import UUID

from django.db.models import Q

from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder
from copytrade.replication.order_of_events import order_of

_CLOSES = (EventKind.CLOSE, EventKind.PARTIAL_CLOSE)
_NONE = Decimal(0)
# Copies with their relationships and the lots that they will take yet.
Parts = frozenset[tuple[UUID, UUID, Decimal]]


def closing_lots(
    provider_id: UUID,
    ticket: int | None,
    *,
    but_event: UUID | None = None,
    own_closes: Collection[UUID] = (),
    only_sent: bool = False,
) -> Mapping[UUID, Decimal]:
    """Return by relationship what closes under way will take of its copy of a position.

    A close that has ended counts until its end is taken in, for only then the position has less,
    and one of which a part failed until that was done again, unless `only_sent`. `own_closes` stand
    for the events of closes that are none of the provider's.
    """
    found: dict[UUID, Decimal] = defaultdict(Decimal)
    if ticket is None:
        return found
    events = CopyEvent.objects.filter(
        provider_id=provider_id, position_ticket=ticket, kind__in=_CLOSES
    ).exclude(pk__in=[but_event] if but_event else [])
    copies = CopyOrder.objects.filter(
        Q(event_id__in=events.values("pk")) | Q(event_id__in=list(own_closes)),
        state=CopyOrder.State.ORDERED,
    )
    if only_sent:
        copies = copies.filter(answered_at=None)
    for relationship_id, volume, filled in copies.order_by().values_list(
        "relationship_id", "volume", "filled_volume"
    ):
        found[relationship_id] += max((volume or _NONE) - (filled or _NONE), _NONE)
    return found


def earlier_parts(event: CopyEvent) -> list[UUID]:
    """Return the earlier partial closes of an event's position.

    Those from before an earlier close are over with it.
    """
    if event.position_ticket is None:
        return []
    closes = CopyEvent.objects.filter(
        provider_id=event.provider_id, position_ticket=event.position_ticket, kind__in=_CLOSES
    )
    earlier = sorted(
        (one for one in closes if order_of(one) < order_of(event)), key=order_of, reverse=True
    )
    partial = takewhile(lambda one: one.kind == EventKind.PARTIAL_CLOSE, earlier)
    return [one.pk for one in partial]


def parts_under_way(event_ids: Collection[UUID]) -> Parts:
    """Return the copies of partial closes that are yet to take what is left of their volume."""
    if not event_ids:
        return frozenset()
    copies = CopyOrder.objects.filter(event_id__in=event_ids, state=CopyOrder.State.ORDERED)
    told = copies.order_by().values_list("pk", "relationship_id", "volume", "filled_volume")
    return frozenset(
        (pk, relationship_id, max((volume or _NONE) - (filled or _NONE), _NONE))
        for pk, relationship_id, volume, filled in told
    )


def by_relationship(parts: Parts) -> Mapping[UUID, Decimal]:
    """Return what such copies will take together."""
    found: dict[UUID, Decimal] = defaultdict(Decimal)
    for _, relationship_id, lots in parts:
        found[relationship_id] += lots
    return found


def waiting_relationships(provider_id: UUID, ticket: int | None) -> set[UUID]:
    """Return whose copies of a position wait to be carried out once an open is filled."""
    # Few wait at any time, of whatever position, and their state finds them.
    copies = CopyOrder.objects.filter(state=CopyOrder.State.PLANNED, provider_id=provider_id)
    waiting: dict[UUID, set[UUID]] = defaultdict(set)
    for event_id, relationship_id, order_id in copies.order_by().values_list(
        "event_id", "relationship_id", "order_id"
    ):
        if order_id is None:
            waiting[event_id].add(relationship_id)
    if not waiting:
        return set()
    events = CopyEvent.objects.filter(pk__in=list(waiting), position_ticket=ticket)
    found = events.order_by().values_list("pk", flat=True)
    return set().union(*(waiting[event_id] for event_id in found))


def unsettled_symbols(follower_ids: Collection[UUID]) -> set[tuple[UUID, str]]:
    """Return the symbols, by follower, in which an order of a copy is not taken in yet.

    What such a follower's terminal shows of a netted position cannot be compared with the ledger.
    """
    if not follower_ids:
        return set()
    copies = CopyOrder.objects.filter(
        follower_id__in=follower_ids, state=CopyOrder.State.ORDERED, answered_at=None
    )
    return set(copies.order_by().values_list("follower_id", "symbol"))
