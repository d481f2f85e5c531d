"""Copies that were ordered and wait to be sent when their relationship copies no opens any more."""

from collections.abc import Collection, Mapping
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef

from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship

State = CopyRelationship.State

# What else trades towards the market gives back what netted copies held: that is a close.
_OPENING: Final = (EventKind.OPEN, EventKind.PENDING_PLACED)
_ENDED: Final = "Copying ended before the order was sent."
_SENTENCES: Final[Mapping[str, str]] = {
    State.PAUSED: "Copying was paused before the order was sent.",
    State.CLOSE_ONLY: "Only closes were to be copied before the order was sent.",
}


def opens_taken_back(order_ids: Collection[UUID]) -> dict[UUID, str]:
    """Say which of these opens belong to relationships that open nothing (risk.orders.withdrawn).

    Whoever has paused expects nothing to open after that, however long an order has been waiting,
    and still has closed what was copied, be it by trading the other way.
    """
    opens = CopyEvent.objects.filter(pk=OuterRef("event_id"), kind__in=_OPENING)
    copies = dict(
        CopyOrder.objects.filter(Exists(opens), order_id__in=order_ids)
        .order_by()
        .values_list("order_id", "relationship_id")
    )
    states = dict(
        CopyRelationship.objects.filter(pk__in=set(copies.values()))
        .order_by()
        .values_list("pk", "state")
    )
    return {
        order_id: _SENTENCES.get(states.get(relationship_id, ""), _ENDED)
        for order_id, relationship_id in copies.items()
        if order_id is not None and states.get(relationship_id) != State.ACTIVE
    }
