"""What the database says was told of a provider, which is where a watch goes on after a restart."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Case, F, Max, QuerySet, Sum, When

from accounts.models import Deal
from copytrade.core.kinds import EventKind, OrderType
from copytrade.models import CopyEvent
from copytrade.watching.baseline import ToldStops
from copytrade.watching.facts import KnownOrder, WaitingOrder, WatchedProvider
from copytrade.watching.ids import event_id
from risk.models import Order
from risk.orders.drafts import is_our_tag

# The login may have been another one: the newest event that belongs to it is among these, or none.
_NEWEST_EVENTS: Final = 20
_QUERY_IDS: Final = 500
_LOTS_DIGITS: Final = 8
_ENDINGS: Final = (EventKind.PENDING_CANCELLED, EventKind.PENDING_FILLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told of one provider: up to which deal, when last, which orders wait, the lots."""

    cursor: int = 0
    detected_at: datetime | None = None
    orders: dict[int, KnownOrder] = field(default_factory=dict)
    lots: dict[int, Decimal] = field(default_factory=dict)


def load_told(provider: WatchedProvider) -> Told:
    return Told(
        cursor=_cursor(provider),
        detected_at=_events(provider).aggregate(newest=Max("detected_at"))["newest"],
        orders=_orders(provider),
        lots=_open_lots(provider),
    )


def told_stops(account_id: UUID, identifiers: Iterable[int]) -> dict[int, ToldStops]:
    """Return the stops that were told last of those positions whose open was told."""
    told: dict[int, ToldStops] = {}
    for part in _parts(identifiers):
        rows = CopyEvent.objects.filter(
            provider_id=account_id,
            position_ticket__in=part,
            kind__in=(EventKind.OPEN, EventKind.STOPS),
        ).order_by("detected_at", "kind")  # of one moment, the stops after the open
        for identifier, kind, *stops in rows.values_list(
            "position_ticket", "kind", "stop_loss", "take_profit"
        ):
            if identifier is None:
                continue
            moves = told[identifier].moves if identifier in told else 0
            told[identifier] = ToldStops(
                stop_loss=stops[0] or 0.0,
                take_profit=stops[1] or 0.0,
                moves=moves + (kind == EventKind.STOPS),
            )
    return told


def own_tags(account_id: UUID, magics: Iterable[int]) -> set[int]:
    """Return those magic numbers that copies carry which TradeGuard sent to this account."""
    tags = {magic for magic in magics if is_our_tag(magic)}
    own: set[int] = set()
    for part in _parts(tags):
        rows = Order.objects.filter(
            tag__in=part, account_id=account_id, origin=Order.Origin.COPY
        ).order_by()
        own.update(rows.values_list("tag", flat=True))
    return own


def stored_ids(ids: Iterable[UUID]) -> set[UUID]:
    stored: set[UUID] = set()
    for part in _parts(ids):
        stored.update(CopyEvent.objects.filter(pk__in=part).values_list("pk", flat=True))
    return stored


def _cursor(provider: WatchedProvider) -> int:
    """Return the newest deal of which all is told, or the newest before there was a follower."""
    newest = (
        _events(provider)
        .exclude(deal_ticket=None)
        .order_by("-detected_at", "-deal_ticket")
        .values_list("pk", "kind", "deal_ticket")[:_NEWEST_EVENTS]
    )
    tickets = [
        ticket
        for pk, kind, ticket in newest
        if ticket is not None and pk == _id_of(provider, kind, ticket)
    ]
    if tickets:
        return max(tickets)
    earlier = Deal.objects.filter(
        account_id=provider.account_id,
        server=provider.server,
        login=provider.login,
        time__lt=provider.started_at,
    )
    return earlier.aggregate(newest=Max("ticket"))["newest"] or 0


def _orders(provider: WatchedProvider) -> dict[int, KnownOrder]:
    """Return the orders that were told as placed and not yet as ended."""
    placed = _orders_of(_events(provider).filter(kind=EventKind.PENDING_PLACED))
    if not placed:
        return {}
    ended = _events(provider).filter(kind__in=_ENDINGS).values_list("order_ticket", flat=True)
    gone = set(ended)
    known = {
        order.ticket: KnownOrder(order=order, is_told=True)
        for pk, order in placed
        if order.ticket not in gone
        and pk == _id_of(provider, EventKind.PENDING_PLACED, order.ticket)
    }
    moved = _events(provider).filter(kind=EventKind.PENDING_MODIFIED, order_ticket__in=list(known))
    for _pk, order in _orders_of(moved.order_by("detected_at")):
        earlier = known[order.ticket]
        order = replace(order, placed_at=earlier.order.placed_at)
        known[order.ticket] = KnownOrder(order=order, is_told=True, moves=earlier.moves + 1)
    return known


def _open_lots(provider: WatchedProvider) -> dict[int, Decimal]:
    """Return the lots of each position of this login by what was told of it."""
    signed = Case(
        When(kind=EventKind.OPEN, then=F("volume")),
        When(kind__in=(EventKind.CLOSE, EventKind.PARTIAL_CLOSE), then=-F("volume")),
    )
    summed = (
        _events(provider)
        .filter(position_ticket__isnull=False)
        .order_by()
        .values_list("position_ticket")
        .annotate(lots=Sum(signed))
        .filter(lots__gt=0)
    )
    # Some databases add decimals up as doubles, which leaves dust of what was closed in parts.
    lots = {identifier: round(total, _LOTS_DIGITS).normalize() for identifier, total in summed}
    lots = {identifier: total for identifier, total in lots.items() if total > 0}
    opens = _events(provider).filter(kind=EventKind.OPEN, position_ticket__in=list(lots))
    mine = {
        identifier
        for pk, identifier, deal in opens.values_list("pk", "position_ticket", "deal_ticket")
        # One that was adopted has no deal, and an id of its own.
        if deal is None or pk == _id_of(provider, EventKind.OPEN, deal)
    }
    return {identifier: total for identifier, total in lots.items() if identifier in mine}


def _events(provider: WatchedProvider) -> QuerySet[CopyEvent]:
    return CopyEvent.objects.filter(provider_id=provider.account_id)


def _id_of(provider: WatchedProvider, kind: str, ticket: int) -> UUID:
    known_as = (provider.account_id, provider.server, provider.login)
    return event_id(*known_as, EventKind(kind), str(ticket))


def _orders_of(events: QuerySet[CopyEvent]) -> list[tuple[UUID, WaitingOrder]]:
    return [(event.pk, _order_of(event)) for event in events]


def _order_of(event: CopyEvent) -> WaitingOrder:
    return WaitingOrder(
        ticket=event.order_ticket or 0,
        symbol=event.symbol,
        is_buy=event.direction == "buy",
        order_type=OrderType(event.order_type),
        lots=event.volume or Decimal(0),
        price=event.price or 0.0,
        placed_at=event.happened_at,
        stop_limit_price=event.stop_limit_price,
        stop_loss=event.stop_loss or 0.0,
        take_profit=event.take_profit or 0.0,
        magic=event.magic,
    )


def _parts(values: Iterable[Any]) -> list[list[Any]]:
    listed = list(values)
    return [listed[start : start + _QUERY_IDS] for start in range(0, len(listed), _QUERY_IDS)]
