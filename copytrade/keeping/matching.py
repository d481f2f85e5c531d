"""Which copied positions a copy is about."""

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Final
from uuid import UUID

from copytrade.core.kinds import EventKind
from copytrade.keeping.fills import openings_of
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.replication.holding import is_leaving
from copytrade.replication.order_of_events import order_of
from risk.models import Order

_NAMESPACE: Final = UUID("0d3c7f52-52a5-4c0c-9a53-6f1f6b6f0c11")
_OPENS: Final = (EventKind.OPEN, EventKind.PENDING_PLACED)
_Around = tuple[CopyEvent | None, CopyEvent | None]


def own_close_id(position_id: UUID) -> UUID:
    """Return what stands for an event where a position is closed without one of the provider."""
    return uuid.uuid5(_NAMESPACE, str(position_id))


def is_changed_again(event: CopyEvent) -> bool:
    """Tell whether the provider has changed the same stops, or pending order, again since."""
    alike = CopyEvent.objects.filter(
        provider_id=event.provider_id,
        kind=event.kind,
        position_ticket=event.position_ticket,
        order_ticket=event.order_ticket,
        detected_at__gte=event.detected_at,
    )
    return any(order_of(one) > order_of(event) for one in alike.exclude(pk=event.pk))


def is_closed_since(event: CopyEvent) -> bool:
    """Tell whether the provider has closed the whole position since."""
    return _closes_around(event)[1] is not None


def _closes_around(event: CopyEvent) -> _Around:
    """Return the provider's last whole close of the position before an event, and the next one."""
    if event.position_ticket is None:
        return None, None
    closes = CopyEvent.objects.filter(
        provider_id=event.provider_id,
        kind=EventKind.CLOSE,
        position_ticket=event.position_ticket,
    )
    others = list(closes.exclude(pk=event.pk))
    later = [one for one in others if order_of(one) > order_of(event)]
    earlier = [one for one in others if one not in later]
    return max(earlier, key=order_of, default=None), min(later, key=order_of, default=None)


class Matches:
    """The events of copies and the positions that they are about, in a few queries.

    With `locks` the positions are locked, in the order of everybody; within a transaction.
    """

    def __init__(self, copies: Sequence[CopyOrder], *, locks: bool = False) -> None:
        self.events = CopyEvent.objects.in_bulk({copy.event_id for copy in copies})
        known = (event.position_ticket for event in self.events.values())
        tickets = {ticket for ticket in known if ticket is not None}
        rows = CopyPosition.objects.order_by("pk")
        if locks:
            rows = rows.select_for_update()
        relationships = {copy.relationship_id for copy in copies}
        own = {copy.relationship_id for copy in copies if copy.event_id not in self.events}
        held = rows.filter(relationship_id__in=own, state__in=CopyPosition.HELD)
        found = {row.pk: row for row in held} if own else {}
        if tickets:
            # The provider as well: positions are found by it, see the model's constraint.
            provided = rows.filter(
                provider_id__in={copy.provider_id for copy in copies},
                provider_position__in=tickets,
                relationship_id__in=relationships,
            )
            found = {row.pk: row for row in provided} | found
        self.positions = sorted(found.values(), key=lambda one: one.turn)
        self._by_id = {row.pk: row for row in self.positions}
        self._of_position: dict[tuple[UUID, int], list[CopyPosition]] = defaultdict(list)
        for row in self.positions:
            self._of_position[row.relationship_id, row.provider_position].append(row)
        self._own = {own_close_id(row.pk): row for row in self.positions}
        self._around: dict[UUID, _Around] = {}

    def event_of(self, copy: CopyOrder) -> CopyEvent | None:
        return self.events.get(copy.event_id)

    def is_closed_since(self, event: CopyEvent) -> bool:
        """Tell whether the position was closed after an event; asked once for all its copies."""
        return self._closes_around(event)[1] is not None

    def opened_by(self, copy: CopyOrder) -> CopyPosition | None:
        """Return the position that an open makes; it goes by the copy's id."""
        return self._by_id.get(copy.pk)

    def closed_by(self, copy: CopyOrder, order: Order | None) -> list[CopyPosition]:
        """Return the positions that a close is about and that are held yet.

        Those of the order's ticket come first, then the oldest. A whole close may have been ordered
        for what an earlier one has left: that comes last. A part takes nothing of it.
        """
        rows = self._concerned(copy)
        if not self.is_whole_close(copy):
            rows = [row for row in rows if not self._is_left_over(copy, row)]
        else:
            rows = sorted(rows, key=lambda row: self._is_left_over(copy, row))
        held = [row for row in rows if row.state in CopyPosition.HELD]
        if order is None:
            return held
        held = [row for row in held if row.direction != order.direction]
        return sorted(held, key=lambda row: row.follower_position != order.position_ticket)

    def to_close(self, copy: CopyOrder, order: Order | None) -> list[CopyPosition]:
        """Return those of them that are closed for no earlier close of the provider."""
        return [row for row in self.closed_by(copy, order) if not self._is_left_over(copy, row)]

    def _concerned(self, copy: CopyOrder) -> list[CopyPosition]:
        """Leave out what was opened once the position had been closed, or is not to be closed."""
        own, event = self._own.get(copy.event_id), self.events.get(copy.event_id)
        rows = [] if own is None else [own]
        if event is None:
            return rows
        if event.position_ticket is not None:
            rows = self._of_position.get((copy.relationship_id, event.position_ticket), [])
        if self.is_whole_close(copy):
            end: CopyEvent | None = event
            rows = [row for row in rows if is_leaving(row)]
        else:
            end = self._closes_around(event)[1]
        return [row for row in rows if end is None or self._is_older(row, end) is not False]

    def _is_left_over(self, copy: CopyOrder, row: CopyPosition) -> bool:
        """Tell whether a copy was opened before the last whole close that came before another."""
        event = self.events.get(copy.event_id)
        before = None if event is None else self._closes_around(event)[0]
        return before is not None and self._is_older(row, before) is True

    def _closes_around(self, event: CopyEvent) -> _Around:
        if event.pk not in self._around:
            self._around[event.pk] = _closes_around(event)
        return self._around[event.pk]

    def _is_older(self, row: CopyPosition, close: CopyEvent) -> bool | None:
        """Tell whether a copy was opened before a close; None where nobody knows by what."""
        by = self._openings.get(row.pk)
        return None if by is None else order_of(by) < order_of(close)

    @cached_property
    def _openings(self) -> dict[UUID, CopyEvent]:
        """The events that opened the positions."""
        return openings_of([row.pk for row in self.positions])

    def moved_after(self, copy: CopyOrder, order: Order) -> list[CopyPosition]:
        """Return the positions whose stops come after that of an order; each has its own ticket.

        Netted ones share a ticket, and their stops are left alone.
        """
        event = self.events.get(copy.event_id)
        if event is None or event.position_ticket is None:
            return []
        rows = self._of_position.get((copy.relationship_id, event.position_ticket), [])
        moved = [row for row in rows if row.follower_position == order.position_ticket]
        return [
            row
            for row in rows
            if moved
            and row.turn > moved[-1].turn
            and row.state == CopyPosition.State.OPEN
            and row.direction == moved[-1].direction
        ]

    def closes(self, copy: CopyOrder, order: Order) -> bool:
        """Tell whether an order takes from a copy; on netting accounts one may open to do so."""
        event = self.events.get(copy.event_id)
        is_opening = event is not None and event.kind in _OPENS
        return order.kind == Order.Kind.CLOSE or (order.opens and not is_opening)

    def is_close_of_provider(self, copy: CopyOrder) -> bool:
        """Tell whether a copy follows the whole close of a provider."""
        event = self.events.get(copy.event_id)
        return event is not None and event.kind == EventKind.CLOSE

    def is_whole_close(self, copy: CopyOrder) -> bool:
        """Tell whether a close is to leave nothing of its position."""
        event = self.events.get(copy.event_id)
        return event is None or event.kind != EventKind.PARTIAL_CLOSE


def being_closed(rows: Collection[CopyPosition]) -> set[UUID]:
    """Return the positions of the same relationships that copies under way are to close whole.

    Copies under way are found by their followers.
    """
    relationships = {row.relationship_id for row in rows}
    followers = {row.follower_id for row in rows}
    unfinished = CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED, follower_id__in=followers)
    under_way = [copy for copy in unfinished if copy.relationship_id in relationships]
    matches = Matches(under_way)
    return {
        row.pk
        for copy in under_way
        if matches.event_of(copy) is None or matches.is_close_of_provider(copy)
        for row in matches.to_close(copy, None)
    }
