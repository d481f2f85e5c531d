"""Stops of copies that have several tickets: they are moved one after the other."""

from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef

from copytrade.keeping.matching import Matches, is_changed_again
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyOrder
from risk.models import Order
from risk.orders.drafts import draft


def carry_on_moves(followers: Any, around: Surroundings) -> bool:
    """Move the stops of the next tickets; tell whether orders were written."""
    moved = Order.objects.filter(pk=OuterRef("order_id"), kind=Order.Kind.MODIFY_POSITION).exclude(
        state__in=Order.UNFINISHED
    )
    copies = list(
        CopyOrder.objects.filter(
            Exists(moved),
            state=CopyOrder.State.ORDERED,
            answered_at__isnull=False,
            follower_id__in=followers,
        )
    )
    if not copies:
        return False
    orders = Order.objects.in_bulk([copy.order_id for copy in copies if copy.order_id])
    matches = Matches(copies)
    written = False
    for copy in copies:
        order = orders.get(copy.order_id) if copy.order_id else None
        if order is not None:
            written |= _move_next(copy, order, matches, around)
    return written


def _move_next(copy: CopyOrder, last: Order, matches: Matches, around: Surroundings) -> bool:
    facts = around.facts_of(copy.follower_id)
    event = matches.event_of(copy)
    is_repeated = (
        last.state == Order.State.NOT_EXECUTED and event is not None and not is_changed_again(event)
    )
    rows = matches.moved_after(copy, last)
    ticket = last.position_ticket
    if not is_repeated:
        ticket = rows[0].follower_position if rows else None
    mine = CopyOrder.objects.filter(pk=copy.pk, order_id=copy.order_id)
    if ticket is None:
        state = CopyOrder.State.FAILED if copy.sentence else CopyOrder.State.DONE
        mine.update(state=state, ended_at=around.now)
        return False
    if facts is None:
        return False
    order = draft(
        facts,
        Order.Kind.MODIFY_POSITION,
        host=around.host,
        origin=Order.Origin.COPY,
        now=around.now,
        symbol=last.symbol,
        direction=last.direction,
        position_ticket=ticket,
        stop_loss=last.stop_loss,
        take_profit=last.take_profit,
    )
    with transaction.atomic():
        if not mine.update(order_id=order.pk, answered_at=None):
            return False
        order.save(force_insert=True)
    return True
