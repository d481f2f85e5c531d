"""Copies that are open yet, though nothing of their provider's is there and nobody closes them.

No copy outlives the position that it was made of, whatever has kept its close from coming; and an
opposite pending order of a netting provider leaves no ticket of its own at a hedging follower.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from copytrade.cascade.running import falling_relationships
from copytrade.core.kinds import EventKind
from copytrade.keeping.fills import CLOSES, Fills, OrderKey, openings_of
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.replication.order_of_events import order_of

# Whoever is at it gets so long.
PATIENCE: Final = timedelta(seconds=10)
# What was closed before that is found by whoever looks thoroughly.
LATELY: Final = timedelta(seconds=30)

_Position = tuple[UUID, int]


def overlooked(followers: Any, now: datetime) -> list[CopyPosition]:
    """Return copies of followers that have outlived their provider's position."""
    open_copies = _open_copies(followers)
    stale = _outlived(open_copies, _positions(open_copies), now)
    busy = {relationship_id for relationship_id, _ in _under_way(stale)}
    falling = falling_relationships() if stale else frozenset()
    return [
        row
        for row in stale
        if row.relationship_id not in busy and row.relationship_id not in falling
    ]


def opposite(followers: Any, now: datetime, *, is_thorough: bool) -> list[CopyPosition]:
    """Return copies of pending orders that took from their provider's position when filled.

    That part is closed by a copy of its own, so the follower's own order has opened too much. It
    is closed once that one is done. Without looking thoroughly only what was closed lately counts.
    """
    open_copies = _open_copies(followers)
    keys = _all_orders(open_copies) if is_thorough else _late_orders(now)
    fills = Fills(keys)
    spent = [fills.placed(key) for key in keys if fills.is_spent(key, now)]
    if not spent:
        return []
    copies = CopyOrder.objects.filter(
        event_id__in=[event.pk for event in spent if event is not None],
        state=CopyOrder.State.DONE,
    )
    found = list(open_copies.filter(pk__in=copies.order_by().values("pk")))
    busy, falling = _under_way(found), falling_relationships()
    return [
        row
        for row in found
        if (row.relationship_id, row.symbol) not in busy and row.relationship_id not in falling
    ]


def _open_copies(followers: Any) -> QuerySet[CopyPosition]:
    return CopyPosition.objects.filter(
        state=CopyPosition.State.OPEN, follower_id__in=followers
    ).order_by()


def _positions(open_copies: QuerySet[CopyPosition]) -> set[_Position]:
    return set(open_copies.values_list("provider_id", "provider_position"))


def _outlived(
    open_copies: QuerySet[CopyPosition], positions: Collection[_Position], now: datetime
) -> list[CopyPosition]:
    """Return copies whose provider's position was closed after they were opened."""
    closes = _closes(positions, now)
    if not closes:
        return []
    held = open_copies.filter(
        provider_id__in={provider_id for provider_id, _ in closes},
        provider_position__in={ticket for _, ticket in closes},
    )
    found = {row.pk: closes.get((row.provider_id, row.provider_position)) for row in held}
    openings = openings_of(list(found))
    return [
        row
        for row in held
        if (close := found[row.pk]) is not None
        and row.pk in openings
        and order_of(openings[row.pk]) < order_of(close)
    ]


def _late_orders(now: datetime) -> set[OrderKey]:
    """Return the orders that have closed something a moment ago."""
    closes = CopyEvent.objects.filter(detected_at__gte=now - LATELY, kind__in=CLOSES)
    return _tickets(closes)


def _all_orders(open_copies: QuerySet[CopyPosition]) -> set[OrderKey]:
    """Return the orders that have closed something of what is copied, and those of copies.

    A copy that was filled before its provider's goes by the order itself.
    """
    positions = _positions(open_copies)
    closes = CopyEvent.objects.filter(
        provider_id__in={provider_id for provider_id, _ in positions},
        position_ticket__in={ticket for _, ticket in positions},
        kind__in=CLOSES,
    )
    return positions | _tickets(closes)


def _tickets(closes: QuerySet[CopyEvent]) -> set[OrderKey]:
    known = closes.filter(order_ticket__isnull=False).order_by()
    found = known.values_list("provider_id", "order_ticket")
    return {(provider_id, ticket) for provider_id, ticket in found if ticket is not None}


def _closes(positions: Collection[_Position], now: datetime) -> dict[_Position, CopyEvent]:
    """Return the newest whole close of each position, if it was planned for everybody."""
    closes = CopyEvent.objects.filter(
        kind=EventKind.CLOSE,
        planned_at__lt=now - PATIENCE,
        provider_id__in={provider_id for provider_id, _ in positions},
        position_ticket__in={ticket for _, ticket in positions},
    )
    newest: dict[_Position, CopyEvent] = {}
    for event in sorted(closes, key=order_of):
        newest[event.provider_id, event.position_ticket or 0] = event
    return newest


def _under_way(rows: Sequence[CopyPosition]) -> set[tuple[UUID, str]]:
    """Return the relationships, and symbols, that have something under way."""
    if not rows:
        return set()
    copies = CopyOrder.objects.filter(
        state__in=CopyOrder.UNFINISHED, follower_id__in={row.follower_id for row in rows}
    ).order_by()
    return set(copies.values_list("relationship_id", "symbol"))
