"""What providers' pending orders did when they were filled: they opened, or took from a position.

On a netting account an opposite order takes from the position that is there. Its deal closes that
part for all who copy the position, so that a follower's own order is for nothing any more.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder
from copytrade.replication.order_of_events import order_of

# Deals of an order that has ended may be told so much later than its end.
PATIENCE: Final = timedelta(seconds=10)

OrderKey = tuple[UUID, int]
"""A provider and the ticket of its order: each broker counts for itself."""

_NONE: Final = Decimal(0)
CLOSES: Final = (EventKind.PARTIAL_CLOSE, EventKind.CLOSE)
_ENDS: Final = (EventKind.PENDING_FILLED, EventKind.PENDING_CANCELLED)
_KINDS: Final = (EventKind.PENDING_PLACED, EventKind.OPEN, *CLOSES, *_ENDS)


class Fills:
    """What is known of some orders; all are read in two queries."""

    def __init__(self, keys: Collection[OrderKey]) -> None:
        self._events: dict[OrderKey, list[CopyEvent]] = defaultdict(list)
        self._closes: dict[OrderKey, list[CopyEvent]] = defaultdict(list)
        if not keys:
            return
        mine = CopyEvent.objects.filter(provider_id__in={provider_id for provider_id, _ in keys})
        events = mine.filter(order_ticket__in={ticket for _, ticket in keys}, kind__in=_KINDS)
        for event in sorted(events.order_by(), key=order_of):
            self._events[event.provider_id, event.order_ticket or 0].append(event)
        positions = {self.position(key) for key in keys}
        closes = mine.filter(position_ticket__in=positions, kind=EventKind.CLOSE)
        for event in closes.order_by():
            self._closes[event.provider_id, event.position_ticket or 0].append(event)

    def placed(self, key: OrderKey) -> CopyEvent | None:
        return self._last(key, EventKind.PENDING_PLACED)

    def position(self, key: OrderKey) -> int:
        """Return the provider's position that an order becomes, or adds to.

        While it is not filled that is the order's own ticket, which its position will have.
        """
        for kind in (EventKind.PENDING_FILLED, EventKind.OPEN):
            event = self._last(key, kind)
            if event is not None and event.position_ticket is not None:
                return event.position_ticket
        return key[1]

    def opened_by(self, key: OrderKey) -> CopyEvent | None:
        """Return the event that a filled copy stands for: what the order opened, else the order."""
        return self._last(key, EventKind.OPEN) or self.placed(key)

    def is_cancelled(self, key: OrderKey) -> bool:
        return self._last(key, EventKind.PENDING_CANCELLED) is not None

    def is_filled(self, key: OrderKey) -> bool:
        return self._last(key, EventKind.PENDING_FILLED) is not None

    def is_closed(self, key: OrderKey) -> bool:
        """Tell whether the position was closed after the order had opened it."""
        opened = self.opened_by(key)
        closes = self._closes.get((key[0], self.position(key)), ())
        return opened is not None and any(order_of(one) > order_of(opened) for one in closes)

    def is_spent(self, key: OrderKey, now: datetime) -> bool:
        """Tell whether all that was filled of an order has taken from a position.

        It has once closes of its whole volume were copied. Of an order that has ended before that
        a last deal, which may have opened something, is given its time.
        """
        placed, events = self.placed(key), self._events.get(key, ())
        closes = [event for event in events if event.kind in CLOSES]
        if placed is None or not closes or any(event.kind == EventKind.OPEN for event in events):
            return False
        planned = [event.planned_at for event in closes if event.planned_at is not None]
        if len(planned) < len(closes):
            return False
        if sum((event.volume or _NONE for event in closes), _NONE) >= (placed.volume or _NONE):
            return True
        has_ended = any(event.kind in _ENDS for event in events)
        return has_ended and max(planned) < now - PATIENCE

    def _last(self, key: OrderKey, kind: EventKind) -> CopyEvent | None:
        events = self._events.get(key, ())
        return next((event for event in reversed(events) if event.kind == kind), None)


def openings_of(positions: Collection[UUID]) -> dict[UUID, CopyEvent]:
    """Return the events that opened copied positions; each goes by its copy's id.

    A copied pending order stands for what the provider's has opened, which may be long after it
    was placed: the deal that turns a position round closes it and opens it anew.
    """
    copies = CopyOrder.objects.filter(pk__in=positions).order_by()
    event_ids = dict(copies.values_list("pk", "event_id"))
    events = CopyEvent.objects.in_bulk(set(event_ids.values()))
    pendings = {
        (event.provider_id, event.order_ticket or 0)
        for event in events.values()
        if event.kind == EventKind.PENDING_PLACED
    }
    fills = Fills(pendings)
    found = {}
    for pk, event_id in event_ids.items():
        event = events.get(event_id)
        if event is not None:
            key = event.provider_id, event.order_ticket or 0
            found[pk] = (fills.opened_by(key) if key in pendings else None) or event
    return found
