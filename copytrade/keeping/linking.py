"""Copies of pending orders that were filled before their provider's, under its position."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F, Max

from copytrade.core.kinds import EventKind
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyEvent, CopyPosition

# What was told before that is found by whoever looks thoroughly.
LATELY: Final = timedelta(seconds=30)


def link_filled(followers: Any, around: Surroundings, *, is_thorough: bool) -> None:
    """Let copies go by the position that their provider's order has added to, or turned round.

    A copy that filled first goes by the order's own ticket, and a netting provider gives the order
    no position of its own: without this what is done to that position passes the copy by.
    """
    rows = CopyPosition.objects.filter(state=CopyPosition.State.OPEN, follower_id__in=followers)
    found = _misplaced(rows, around, is_thorough=is_thorough)
    if not found:
        return
    with around.alone():
        for row, position in found:
            _move(row, position)


def _misplaced(
    rows: Any, around: Surroundings, *, is_thorough: bool
) -> list[tuple[CopyPosition, int]]:
    """Return copies with the positions under which they belong."""
    filled = CopyEvent.objects.filter(
        kind=EventKind.PENDING_FILLED, position_ticket__isnull=False
    ).exclude(position_ticket=F("order_ticket"))
    if is_thorough:
        held = set(rows.order_by().values_list("provider_id", "provider_position"))
        filled = filled.filter(
            provider_id__in={provider_id for provider_id, _ in held},
            order_ticket__in={ticket for _, ticket in held},
        )
    else:
        filled = filled.filter(detected_at__gte=around.now - LATELY)
    events: Sequence[CopyEvent] = list(filled.order_by())
    if not events:
        return []
    positions = {(event.provider_id, event.order_ticket): event.position_ticket for event in events}
    by_provider: dict[Any, set[int]] = defaultdict(set)
    for event in events:
        by_provider[event.provider_id].add(event.order_ticket or 0)
    return [
        (row, positions[provider_id, row.provider_position] or 0)
        for provider_id, tickets in by_provider.items()
        for row in rows.filter(provider_id=provider_id, provider_position__in=tickets)
    ]


def _move(row: CopyPosition, position: int) -> None:
    theirs = CopyPosition.objects.filter(
        provider_id=row.provider_id, provider_position=position, relationship_id=row.relationship_id
    )
    try:
        with transaction.atomic():
            last = theirs.aggregate(last=Max("turn"))["last"]
            CopyPosition.objects.filter(
                pk=row.pk, state=row.state, provider_position=row.provider_position
            ).update(provider_position=position, turn=0 if last is None else last + 1)
    except IntegrityError:
        # Another host has just written one with that turn; the next look finds this one again.
        return
