"""Closes that are not done yet: of what was left, and of what is to be closed by itself."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q

from copytrade.cascade.running import falling_relationships
from copytrade.core.closes import closable
from copytrade.core.facts import HeldCopy
from copytrade.core.kinds import HeldState
from copytrade.keeping.fairness import in_turn
from copytrade.keeping.linking import link_filled
from copytrade.keeping.matching import Matches, being_closed, own_close_id
from copytrade.keeping.netted import Netted
from copytrade.keeping.overlooked import opposite, overlooked
from copytrade.keeping.surroundings import Surroundings
from copytrade.keeping.truth import end_position, is_gone, unchanged_rows
from copytrade.models import CopyBatch, CopyOrder, CopyPosition, CopyRelationship
from copytrade.replication.holding import is_leaving
from copytrade.replication.rows import NETTED_DEADLINE
from copytrade.replication.unsettled import closing_lots
from risk.models import Order
from risk.orders.drafts import draft

State = CopyPosition.State
# What a broker has refused to close is not refused less by asking more often.
RETRY: Final = timedelta(seconds=3)
# So long a close waits for a reading of a position that it shares.
PATIENCE: Final = timedelta(seconds=10)
# What cannot be unfolded keeps nobody from closing.
SOON_UNFOLDED: Final = timedelta(seconds=10)
_NONE: Final = Decimal(0)
_DEALT: Final = (Order.State.FILLED, Order.State.PARTIAL)


def carry_on_closes(followers: Any, around: Surroundings) -> bool:
    """Order again what of a close was not done; tell whether orders were written.

    A whole close that waited for a fill goes on here as well, once there is something to close.
    """
    has_ended = Q(state=CopyOrder.State.ORDERED, answered_at__isnull=False)
    waits = Q(state=CopyOrder.State.PLANNED, order_id=None)
    waiting = CopyOrder.objects.filter(has_ended | waits, follower_id__in=followers)
    copies = list(waiting.order_by("planned_at", "pk"))
    if not copies:
        return False
    orders = Order.objects.in_bulk([copy.order_id for copy in copies if copy.order_id])
    matches = Matches(copies)
    written, netted = False, Netted()
    for copy in in_turn(copies):
        order = orders.get(copy.order_id) if copy.order_id else None
        if copy.state == CopyOrder.State.PLANNED:
            rows = matches.to_close(copy, None) if matches.is_close_of_provider(copy) else []
            is_new = copy.planned_at + PATIENCE > around.now
            written |= bool(rows) and _go_on(copy, rows, around, netted, looks_first=is_new)
        elif order is not None and order.state not in Order.UNFINISHED:
            if order.kind == Order.Kind.MODIFY_POSITION:
                continue
            rows = matches.to_close(copy, order)
            left = (copy.volume or _NONE) - (copy.filled_volume or _NONE)
            most = None if matches.is_whole_close(copy) else left
            event = matches.event_of(copy)
            if most is not None and event is not None and matches.is_closed_since(event):
                rows = [row for row in rows if not is_leaving(row)]
            if not rows or _is_due(order, around.now):
                is_new = (_ended_at(order) or around.now) + PATIENCE > around.now
                written |= _go_on(copy, rows, around, netted, most, looks_first=is_new)
    return written


def _go_on(
    copy: CopyOrder,
    rows: Sequence[CopyPosition],
    around: Surroundings,
    netted: Netted,
    most: Decimal | None = None,
    *,
    looks_first: bool,
) -> bool:
    """Close the next of a copy's positions, one order at a time; end it when none is left.

    Whoever `looks_first` orders nothing of a netted position that nobody can tell for the moment:
    of many closes of one position all but the first would be refused.
    """
    is_left = False
    for row in rows:
        has_ordered = netted.has_ordered(row)
        if row.state != State.OPENING and not has_ordered and _is_away(row, around, netted):
            end_position(row, around)
            continue
        is_left = True
        if row.state == State.OPENING or has_ordered:
            continue
        with _ordered(row, around, netted, most, looks_first=looks_first) as order:
            if order is not None and _order_again(copy, order, around.now):
                netted.note(row, order, around)
                return True
    if not is_left:
        _end(copy, around.now)
    return False


def begin_closing(followers: Any, around: Surroundings, *, is_thorough: bool = True) -> bool:
    """Close what relationships that close everything hold; tell whether orders were written.

    A copy that was being closed without anybody ordering that any more is among them, and, where
    one looks thoroughly, whatever a provider's close has left.
    """
    relationships = CopyRelationship.objects
    closing = relationships.copying().exclude(closing_since_at=None)
    # Such an end leaves nothing but what was planned, and not written, when it came.
    ended = relationships.filter(
        state__in=CopyRelationship.ENDED, ending=CopyRelationship.Ending.CLOSE_NOW
    )
    rows = CopyPosition.objects.filter(follower_id__in=followers)
    is_closing = Q(relationship_id__in=closing.values("pk"))
    is_closing |= Q(relationship_id__in=ended.values("pk"))
    # By their relationships: all that followers hold is far more.
    leaving = CopyPosition.objects.filter(is_closing, state=State.OPEN).order_by()
    due = list(rows.filter(pk__in=leaving.values("pk")))
    due += _forgotten(rows)
    link_filled(followers, around, is_thorough=is_thorough)
    if is_thorough:
        due += overlooked(followers, around.now)
    written, netted = False, Netted()
    for row in due:
        written |= close_by_itself(row, around, netted)
    spent = opposite(followers, around.now, is_thorough=is_thorough)
    return close_spent(spent, around, netted) or written


def close_by_itself(
    row: CopyPosition,
    around: Surroundings,
    netted: Netted | None = None,
    *,
    looks_first: bool = False,
) -> bool:
    """Order the close of a copy that its provider did not close; tell whether that was written.

    `netted` is what the same look has ordered before.
    """
    netted = netted or Netted()
    with _ordered(row, around, netted, looks_first=looks_first) as order:
        if order is None or not _close(row, order, around.now):
            return False
        netted.note(row, order, around)
        return True


def close_spent(
    rows: Sequence[CopyPosition], around: Surroundings, netted: Netted | None = None
) -> bool:
    """Close copies of pending orders that have opened nothing at their provider.

    Where copies share a position it has to be known what that holds: the next look comes soon.
    """
    netted, written = netted or Netted(), False
    for row in rows:
        written |= close_by_itself(row, around, netted, looks_first=True)
    return written


def _close(row: CopyPosition, order: Order, now: datetime) -> bool:
    event_id = own_close_id(row.pk)
    with transaction.atomic():
        if _is_being_sent(row.provider_id, now):
            return False
        mine = CopyPosition.objects.filter(pk=row.pk, state=row.state)
        if not mine.update(state=State.CLOSING):
            return False
        copy = CopyOrder.objects.filter(
            relationship_id=row.relationship_id, event_id=event_id
        ).first() or CopyOrder(
            id=uuid4(),
            event_id=event_id,
            relationship_id=row.relationship_id,
            provider_id=row.provider_id,
            follower_id=row.follower_id,
            planned_at=now,
        )
        copy.state, copy.order_id, copy.symbol = CopyOrder.State.ORDERED, order.pk, row.symbol
        copy.volume, copy.follower_position = order.volume, row.follower_position
        copy.answered_at = copy.ended_at = copy.filled_volume = None
        copy.save()
        order.save(force_insert=True)
    return True


def _forgotten(rows: Any) -> list[CopyPosition]:
    """Return copies that are being closed by nobody."""
    falling = falling_relationships()
    closing = [
        row for row in rows.filter(state=State.CLOSING) if row.relationship_id not in falling
    ]
    if not closing:
        return []
    known = being_closed(closing)
    return [row for row in closing if row.pk not in known]


def _is_away(row: CopyPosition, around: Surroundings, netted: Netted) -> bool:
    # The ticket of a netted position says nothing: an opposite copy may have netted it away.
    if not around.scene.is_netting(row.follower_id):
        return is_gone(row, around)
    net = netted.holding(row, around)
    return net.lots is not None and closable(_held(row, None, around), net).lots <= 0


def _is_being_sent(provider_id: UUID, now: datetime) -> bool:
    """Tell whether what is in no row yet may be a close of the same position; it soon will be."""
    written = CopyBatch.objects.filter(provider_id=provider_id, unfolded_at=None)
    return written.filter(created_at__gte=now - SOON_UNFOLDED).exists()


def _order_again(copy: CopyOrder, order: Order, now: datetime) -> bool:
    with transaction.atomic():
        if _is_being_sent(copy.provider_id, now):
            return False
        mine = CopyOrder.objects.filter(pk=copy.pk, state=copy.state, order_id=copy.order_id)
        state = CopyOrder.State.ORDERED
        if not mine.update(state=state, order_id=order.pk, answered_at=None):
            return False
        order.save(force_insert=True)
    return True


@contextmanager
def _ordered(
    row: CopyPosition,
    around: Surroundings,
    netted: Netted,
    most: Decimal | None = None,
    *,
    looks_first: bool,
) -> Iterator[Order | None]:
    """Give the order that closes a copy, for as long as that is to be written.

    A netted ticket lives on with the parts of other copies: what its provider closes at the same
    moment would be closed twice. So nothing is copied between a last look and the writing. Whoever
    `looks_first` gets none while nobody can tell what is held.
    """
    if looks_first and not netted.is_told(row, around):
        yield None
        return
    order = _order(row, around, netted, most)
    if order is None or not around.scene.is_netting(row.follower_id):
        yield order
        return
    with around.alone() as now:
        is_sure = not looks_first or netted.is_told(row, now)
        is_sure = is_sure and unchanged_rows(row).exists()
        yield _order(row, now, netted, most) if is_sure else None


def _order(
    row: CopyPosition, around: Surroundings, netted: Netted, most: Decimal | None
) -> Order | None:
    """Return the order that closes a copy, or at most so many lots of it; None while none can.

    A copy that is netted away by opposite ones is given back by trading the other way.
    """
    facts, ticket = around.facts_of(row.follower_id), around.ticket_of(row)
    if facts is None:
        return None
    if not around.scene.knows_mode(row.follower_id):
        return None
    is_netting = around.scene.is_netting(row.follower_id)
    net = netted.holding(row, around) if is_netting else None
    found = closable(_held(row, ticket, around), net)
    ticketed = found.lots - found.netted_lots
    is_opposite = ticketed <= 0 or ticket is None
    lots = found.lots if is_opposite else ticketed
    lots = lots if most is None else min(lots, most)
    if lots <= 0 or (ticket is None and not found.netted_lots):
        return None
    if is_netting and not is_opposite and not netted.keeps_ticket(row, around):
        return None
    is_all = most is None and net is None
    return draft(
        facts,
        Order.Kind.OPEN if is_opposite else Order.Kind.CLOSE,
        host=around.host,
        origin=Order.Origin.COPY,
        # Lanes send what waits in the order in which it was made.
        now=around.now + timedelta(microseconds=netted.count(row)),
        symbol=row.symbol,
        direction=Order.Direction.SELL if row.direction == "buy" else Order.Direction.BUY,
        requested_volume=None if is_all else lots,
        volume=lots,
        position_ticket=None if is_opposite else ticket,
        send_by_at=around.now + NETTED_DEADLINE if is_opposite else None,
    )


def _held(row: CopyPosition, ticket: int | None, around: Surroundings) -> HeldCopy:
    scene = around.scene
    is_netting = scene.is_netting(row.follower_id)
    known = None if is_netting or ticket is None else scene.lots_of(row.follower_id, ticket)
    return HeldCopy(
        symbol=row.symbol,
        is_buy=row.direction == "buy",
        lots=row.volume,
        state=HeldState(row.state),
        ticket=ticket,
        position_lots=known,
        closing_lots=(
            _sent_lots(row) if is_netting else scene.flights.closing_lots(row.follower_id, ticket)
        ),
    )


def _sent_lots(row: CopyPosition) -> Decimal:
    """Return what other closes of the same copy, which is a part of its ticket, will take."""
    sent = closing_lots(row.provider_id, row.provider_position, only_sent=True)
    return sent.get(row.relationship_id, _NONE)


def _is_due(order: Order, now: datetime) -> bool:
    ended_at = _ended_at(order)
    return order.state in _DEALT or ended_at is None or ended_at + RETRY <= now


def _ended_at(order: Order) -> datetime | None:
    return order.reconciled_at or order.answered_at


def _end(copy: CopyOrder, now: datetime) -> None:
    has_filled = bool(copy.filled_volume)
    CopyOrder.objects.filter(pk=copy.pk, state=copy.state).update(
        state=CopyOrder.State.DONE,
        ended_at=now,
        **({} if has_filled else {"sentence": "The position was closed already."}),
    )
