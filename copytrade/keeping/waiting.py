"""Copies that wait for the fill of another: what came before an open was filled."""

from collections import defaultdict
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction

from copytrade.core.kinds import EventKind, SkipReason
from copytrade.core.plans import Planned
from copytrade.core.sentences import no_mode, terminated, unchanged
from copytrade.keeping.fairness import in_turn
from copytrade.keeping.matching import Matches, is_closed_since
from copytrade.keeping.planning import Planner
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.replication.followers import Follower
from copytrade.replication.order_of_events import order_of
from copytrade.replication.patience import is_guessed, may_be_known_soon
from copytrade.replication.rows import Copy, copy_of
from copytrade.replication.untaken import Untaken, may_join_yet, untaken_fills
from copytrade.replication.writing import begin_closes

_Key = tuple[Any, ...]


def carry_out_waiting(followers: Any, around: Surroundings, planner: Planner) -> bool:
    """Plan again what waited, in the order in which it came; tell whether orders were written.

    Of one position one thing at a time: the next one is planned with what the first has left. The
    whole closes of what is held go on with the others of their kind: see `closing`.
    """
    rows = CopyOrder.objects.filter(state=CopyOrder.State.PLANNED, follower_id__in=followers)
    copies = list(rows.filter(order_id=None).order_by("planned_at", "pk"))
    if not copies:
        return False
    matches = Matches(copies)
    waiting: dict[_Key, list[tuple[CopyOrder, CopyEvent]]] = defaultdict(list)
    for copy in sorted(copies, key=lambda one: _moment(matches.event_of(one), one)):
        event = matches.event_of(copy)
        if event is not None:
            key = (copy.relationship_id, event.position_ticket, event.order_ticket)
            waiting[key if event.position_ticket is None else key[:2]].append((copy, event))
    written = False
    joining: dict[UUID, Untaken] = {}
    events = {copy.pk: event for (copy, event), *_ in waiting.values()}
    for copy in in_turn([copy for (copy, _), *_ in waiting.values()]):
        event = events[copy.pk]
        if event.kind == EventKind.CLOSE and matches.to_close(copy, None):
            continue
        if matches.is_closed_since(event):
            _skip(copy, around, SkipReason.UNCHANGED, unchanged("trade was closed"))
            continue
        if event.pk not in joining:
            joining[event.pk] = untaken_fills(event)
        tickets = joining[event.pk].get(copy.relationship_id)
        if tickets and may_join_yet(event, tickets, copy.follower_id, around.scene):
            continue
        written |= _carry_out(copy, event, around, planner)
    return written


def _carry_out(copy: CopyOrder, event: CopyEvent, around: Surroundings, planner: Planner) -> bool:
    follower = planner.follower_of(event.provider_id, copy.relationship_id, event.detected_at)
    if follower is None:
        _skip(copy, around, SkipReason.TERMINATED, terminated("trade was closed"))
        return False
    if not around.scene.is_netting(copy.follower_id):
        return _plan(copy, event, follower, around, planner)
    plan, _ = planner.plan(event, follower, around)
    if may_be_known_soon(event, follower, plan, around.scene, around.now, has_waited=True):
        return False
    # A netted position lives on with the parts of other copies: what is copied at the same moment
    # changes what is there for this one.
    with around.alone() as alone:
        if not is_closed_since(event):
            return _plan(copy, event, follower, alone, planner)
    _skip(copy, around, SkipReason.UNCHANGED, unchanged("trade was closed"))
    return False


def _plan(
    copy: CopyOrder, event: CopyEvent, follower: Follower, around: Surroundings, planner: Planner
) -> bool:
    """Write what becomes of a copy by what is known now; tell whether an order was written."""
    plan, ledger = planner.plan(event, follower, around)
    if may_be_known_soon(event, follower, plan, around.scene, around.now, has_waited=True):
        return False
    newest = ledger.newest(copy.relationship_id)
    if is_guessed(plan, follower, around.scene):
        plan = replace(plan, reason=SkipReason.NO_READING, sentence=no_mode())
    if not isinstance(plan, Planned):
        if plan.reason is SkipReason.NOT_HELD and _was_held(newest):
            plan = replace(plan, reason=SkipReason.UNCHANGED, sentence=unchanged("copy was closed"))
        _skip(copy, around, plan.reason, plan.sentence)
        return False
    return _write(copy, event, copy_of(event, follower, plan, newest, around.now))


def _was_held(newest: CopyPosition | None) -> bool:
    """Tell whether a copy was filled, and closed by what came before."""
    if newest is None or newest.state != CopyPosition.State.CLOSED:
        return False
    return newest.follower_position is not None


def _write(copy: CopyOrder, event: CopyEvent, new: Copy) -> bool:
    if new.order is None:
        return False
    with transaction.atomic():
        mine = CopyOrder.objects.filter(pk=copy.pk, state=CopyOrder.State.PLANNED, order_id=None)
        if not mine.update(
            state=CopyOrder.State.ORDERED,
            order_id=new.order.pk,
            symbol=new.row.symbol,
            volume=new.row.volume,
            sentence=new.row.sentence,
            follower_position=new.row.follower_position,
        ):
            return False
        new.order.save(force_insert=True)
        if new.position is not None:
            new.position.pk = copy.pk
            new.position.save(force_insert=True)
        if event.kind == EventKind.CLOSE:
            begin_closes(event, [(copy.relationship_id, new.order.pk, CopyOrder.State.ORDERED)])
        if event.kind == EventKind.PARTIAL_CLOSE and event.position_ticket is not None:
            CopyPosition.objects.filter(
                relationship_id=copy.relationship_id, provider_position=event.position_ticket
            ).exclude(closes_fraction_on_fill=0).update(closes_fraction_on_fill=0)
    return True


def _skip(copy: CopyOrder, around: Surroundings, reason: SkipReason, sentence: str) -> None:
    CopyOrder.objects.filter(pk=copy.pk, state=CopyOrder.State.PLANNED, order_id=None).update(
        state=CopyOrder.State.SKIPPED,
        reason=reason.value,
        sentence=sentence[:255],
        ended_at=around.now,
    )


def _moment(event: CopyEvent | None, copy: CopyOrder) -> Any:
    """Return what puts events in their order; those seen together go by their deals."""
    if event is None:
        return copy.planned_at, copy.planned_at, 0, False
    return order_of(event)
