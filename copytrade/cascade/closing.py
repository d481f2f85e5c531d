"""What a cascade takes over of a relationship: its positions, and the orders on their way."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from copytrade.cascade.liquidations import TOGETHER
from copytrade.core.kinds import SkipReason
from copytrade.models import CopyEvent, CopyOrder, CopyPosition, CopyRelationship
from risk.models import Order

CLOSED_BY_CASCADE: Final = "The cascade closes it."
_UNSURE: Final = (Order.State.SENT, Order.State.UNKNOWN)
# Who closes and who finds a liquidation do not look at the same moment.
_CLOCKS: Final = timedelta(seconds=2)
_LONGEST_MESSAGE: Final = 255


@dataclass(slots=True)
class Copied:
    """What a relationship holds and has under way; `lots` by the follower's ticket."""

    positions: list[CopyPosition] = field(default_factory=list)
    copies: list[tuple[CopyOrder, Order]] = field(default_factory=list)
    closed_count: int = 0  # by ordinary copied closes, since it began

    def __bool__(self) -> bool:
        return bool(self.positions)

    @property
    def lots(self) -> dict[str, str]:
        lots: dict[str, Decimal] = defaultdict(Decimal)
        for each in self.positions:
            if each.follower_position is not None:
                lots[str(each.follower_position)] += each.volume
        return {ticket: str(volume) for ticket, volume in lots.items()}

    @property
    def is_being_closed(self) -> bool:
        """Tell whether a close is in the market: how much of a shared position it takes is open."""
        return any(
            order.kind == Order.Kind.CLOSE and order.state in _UNSURE for _, order in self.copies
        )


def copied_by_relationship(
    relationships: Iterable[CopyRelationship], *, until: datetime
) -> dict[UUID, Copied]:
    """Read what was copied until a moment; locks the positions, within a transaction."""
    found: dict[UUID, Copied] = defaultdict(Copied)
    ids = [row.pk for row in relationships]
    rows = CopyPosition.objects.filter(
        relationship_id__in=ids, state__in=CopyPosition.HELD, opened_at__lte=until
    )
    for position in rows.order_by("pk").select_for_update():
        found[position.relationship_id].positions.append(position)
    closed = CopyPosition.objects.filter(
        relationship_id__in=ids,
        state=CopyPosition.State.CLOSED,
        opened_at__lte=until,
        closed_at__gte=until - _CLOCKS,
        closed_at__lt=until + TOGETHER,
    )
    for relationship_id in closed.order_by().values_list("relationship_id", flat=True):
        found[relationship_id].closed_count += 1
    copies = list(
        CopyOrder.objects.filter(
            relationship_id__in=ids,
            state__in=CopyOrder.UNFINISHED,
            order_id__isnull=False,
            planned_at__lte=until,
        )
    )
    orders = Order.objects.in_bulk([copy.order_id for copy in copies if copy.order_id])
    for copy in copies:
        order = orders.get(copy.order_id) if copy.order_id else None
        if order is not None:
            found[copy.relationship_id].copies.append((copy, order))
    return found


def take_over(copied: Mapping[UUID, Copied], sentence: str, *, now: datetime) -> None:
    """Mark what is being closed, and end the copied orders that have not left yet.

    A close that waits becomes the cascade's own, so nothing is closed twice; an open that waits
    opens nothing any more, and one that is in the market is closed as soon as it is filled.
    """
    unopened = _end_waiting(copied.values(), sentence, now)
    held = [position for each in copied.values() for position in each.positions]
    opening = [row.pk for row in held if row.state == CopyPosition.State.OPENING]
    dropped = [row.pk for row in held if row.pk in unopened]
    CopyPosition.objects.filter(pk__in=dropped).update(
        state=CopyPosition.State.CLOSED, closed_at=now, volume=0
    )
    CopyPosition.objects.filter(pk__in=set(opening) - set(dropped)).update(
        closes_on_fill=True, closes_fraction_on_fill=1
    )
    CopyPosition.objects.filter(
        pk__in=[row.pk for row in held], state=CopyPosition.State.OPEN
    ).update(state=CopyPosition.State.CLOSING)


def _end_waiting(copied: Iterable[Copied], sentence: str, now: datetime) -> set[UUID]:
    """End the orders that nobody has sent; return the positions that will not be opened."""
    unopened: set[UUID] = set()
    for each in copied:
        stopped = set()
        for copy, order in each.copies:
            is_meant = order.state == Order.State.PENDING and order.kind != Order.Kind.CANCEL
            if is_meant and _end(copy, order, sentence, now):
                stopped.add(copy.pk)
        unopened |= _unopened(each, stopped)
    return unopened


def _end(copy: CopyOrder, order: Order, sentence: str, now: datetime) -> bool:
    """End an order and its copy, unless its lane is sending it at this moment."""
    is_close = order.kind == Order.Kind.CLOSE
    message = CLOSED_BY_CASCADE if is_close else f"It was not sent: {sentence}"
    message = message[:_LONGEST_MESSAGE]
    waiting = Order.objects.filter(pk=order.pk, state=Order.State.PENDING)
    is_mine = waiting.update(
        state=Order.State.NOT_EXECUTED, message=message, answered_at=now, next_attempt_at=None
    )
    if is_mine:
        CopyOrder.objects.filter(pk=copy.pk).update(
            state=CopyOrder.State.DONE if is_close else CopyOrder.State.SKIPPED,
            reason="" if is_close else SkipReason.REFUSED.value,
            sentence=message,
            ended_at=now,
        )
    return bool(is_mine)


def _unopened(copied: Copied, stopped: Collection[UUID]) -> set[UUID]:
    """Return the positions all of whose opens were stopped."""
    opens = [copy for copy, order in copied.copies if order.kind == Order.Kind.OPEN]
    if not opens or not stopped:
        return set()
    events = CopyEvent.objects.in_bulk([copy.event_id for copy in opens])
    opened = {
        event.position_ticket
        for copy in opens
        if copy.pk not in stopped and (event := events.get(copy.event_id)) is not None
    }
    ended = {
        event.position_ticket
        for copy in opens
        if copy.pk in stopped and (event := events.get(copy.event_id)) is not None
    }
    return {
        row.pk
        for row in copied.positions
        if row.state == CopyPosition.State.OPENING and row.provider_position in ended - opened
    }
