"""The order in which a provider's events are copied to one follower.

What cannot be planned yet holds back what came later of the same position or order: an open that
was copied after its own close would stay for ever.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent
from copytrade.replication.writing import copied_to

_Key = tuple[datetime, datetime, int, bool]


def order_of(event: CopyEvent) -> _Key:
    """Return what sorts events; of one deal that turns a position round the close comes first."""
    is_close = event.kind in (EventKind.CLOSE, EventKind.PARTIAL_CLOSE)
    return event.detected_at, event.happened_at, event.deal_ticket or 0, not is_close


def is_opened_after(opening: CopyEvent, event: CopyEvent) -> bool:
    """Tell whether what an event opened came after another one; not where nobody can tell."""
    mine, other = order_of(opening), order_of(event)
    return mine > other and (opening.deal_ticket is not None or mine[:2] > other[:2])


def held_back(event: CopyEvent, relationship_ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these relationships that have something earlier to be planned first."""
    earlier = [
        one
        for one in _alike(event).filter(planned_at=None, detected_at__lte=event.detected_at)
        if order_of(one) < order_of(event)
    ]
    behind: set[UUID] = set()
    for one in earlier:
        behind |= set(relationship_ids) - copied_to(one)
    return behind


def is_overtaken(event: CopyEvent) -> bool:
    """Tell whether the provider has closed a position, or ended an order, since it opened it."""
    over = (EventKind.CLOSE, EventKind.PENDING_CANCELLED, EventKind.PENDING_FILLED)
    later = _alike(event).filter(kind__in=over, detected_at__gte=event.detected_at)
    return any(order_of(one) > order_of(event) for one in later)


def mark_planned(event: CopyEvent, relationship_ids: Sequence[UUID], now: datetime) -> bool:
    """Write that an event is planned, once it is for all of these; tell whether it is."""
    if not set(relationship_ids) <= copied_to(event):
        return False
    CopyEvent.objects.filter(pk=event.pk, planned_at=None).update(planned_at=now)
    return True


def _alike(event: CopyEvent) -> Any:
    """Return the other events of the same position or order."""
    same = Q(pk__in=())
    if event.position_ticket is not None:
        same |= Q(position_ticket=event.position_ticket)
    if event.order_ticket is not None:
        same |= Q(order_ticket=event.order_ticket)
    return CopyEvent.objects.filter(same, provider_id=event.provider_id).exclude(pk=event.pk)
