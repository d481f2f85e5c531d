"""What a provider held when copying began, for relationships that adopt it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction

from copytrade.core.kinds import EventKind, SkipReason
from copytrade.keeping.planning import Planner
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship
from copytrade.replication.rows import copy_of
from copytrade.replication.writing import copied_to, wake_hosts, write_batch
from copytrade.watching.cursors import own_tags
from copytrade.watching.ids import event_id
from copytrade.watching.reading import instant_of
from risk.orders.terminal import lots

# So long it is waited for a reading of the follower; then each trade is skipped with the reason.
PATIENCE: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Adopted:
    """A position of a provider as it is now."""

    ticket: int
    symbol: str
    is_buy: bool
    lots: Decimal
    price: float
    stop_loss: float | None
    take_profit: float | None
    magic: int
    time_msc: int


def adopt_open_trades(around: Surroundings, planner: Planner) -> bool:
    """Copy what the host's providers have open to those who adopt it, once; tell whether any."""
    waiting = CopyRelationship.objects.filter(
        state=CopyRelationship.State.ACTIVE,
        start_policy=CopyRelationship.StartPolicy.ADOPT,
        adopted_at=None,
        started_at__isnull=False,
        provider__terminal_host=around.host,
    ).select_related("provider", "follower")
    written = False
    for row in waiting:
        shown = around.scene.positions_of(row.provider_id)
        if shown is None or not _may_begin(row, around):
            continue
        for held in _before_start(row, shown, around):
            written |= _adopt(row, held, around, planner)
        CopyRelationship.objects.filter(pk=row.pk, adopted_at=None).update(adopted_at=around.now)
    return written


def _may_begin(row: CopyRelationship, around: Surroundings) -> bool:
    around.scene.look_elsewhere([(row.follower_id, row.follower.terminal_host_id)])
    if row.follower_id in around.scene.figures or row.started_at is None:
        return True
    return around.now > row.started_at + PATIENCE


def _before_start(
    row: CopyRelationship, shown: Mapping[int, Any], around: Surroundings
) -> list[Adopted]:
    """Return what was open before copying began and is no copy itself, oldest first."""
    own = own_tags(row.provider_id, {int(one["magic"]) for one in shown.values()})
    found = []
    for one in sorted(shown.values(), key=lambda each: int(each["time_msc"])):
        opened_at = instant_of(int(one["time_msc"]), row.provider.broker_time_zone, around.now)
        if int(one["magic"]) in own or row.started_at is None or opened_at >= row.started_at:
            continue
        found.append(
            Adopted(
                ticket=int(one["identifier"]),
                symbol=around.scene.book.symbols[int(one["symbol"])],
                is_buy=not int(one["type"]),
                lots=lots(float(one["volume"])),
                price=float(one["price_current"]),
                stop_loss=float(one["sl"]) or None,
                take_profit=float(one["tp"]) or None,
                magic=int(one["magic"]),
                time_msc=int(one["time_msc"]),
            )
        )
    return found


def _adopt(row: CopyRelationship, held: Adopted, around: Surroundings, planner: Planner) -> bool:
    follower = planner.follower_of(row.provider_id, row.pk, around.now)
    # Whoever copies the same open at this moment has written it ahead, and looks at rows as well.
    with around.alone() as alone:
        if follower is None or _is_adopted(row, held):
            return False
        event = _event(row, held, alone)
        plan, ledger = planner.plan(event, follower, alone, adopted=held)
        copy = copy_of(event, follower, plan, ledger.newest(row.pk), alone.now)
        with transaction.atomic():
            if event._state.adding:
                CopyEvent.objects.bulk_create([event], ignore_conflicts=True)
            if row.pk in copied_to(event):
                return False
            write_batch(event, [copy])
    wake_hosts(around.host, [copy])
    return copy.order is not None


def _is_adopted(row: CopyRelationship, held: Adopted) -> bool:
    """Tell whether an earlier run, which may have died then, has copied this position."""
    opens = CopyEvent.objects.filter(
        provider_id=row.provider_id, kind=EventKind.OPEN, position_ticket=held.ticket
    )
    copies = CopyOrder.objects.filter(relationship_id=row.pk, event_id__in=opens.values("pk"))
    return copies.exclude(reason=SkipReason.BEFORE_START).exists()


def _event(row: CopyRelationship, held: Adopted, around: Surroundings) -> CopyEvent:
    """Return the open that a position was told by, unless it says already what was not copied."""
    opens = CopyEvent.objects.filter(
        provider_id=row.provider_id, kind=EventKind.OPEN, position_ticket=held.ticket
    ).order_by("-detected_at")
    for event in opens:
        if not CopyOrder.objects.filter(relationship_id=row.pk, event_id=event.pk).exists():
            return event
    provider = row.provider
    known_as = (provider.pk, provider.server, provider.login)
    return CopyEvent(
        id=event_id(*known_as, EventKind.OPEN, f"adopted:{held.ticket}"),
        provider_id=provider.pk,
        provider_name=provider.name,
        kind=EventKind.OPEN.value,
        symbol=held.symbol,
        direction="buy" if held.is_buy else "sell",
        order_type="market",
        volume=held.lots,
        volume_before=Decimal(0),
        price=held.price,
        stop_loss=held.stop_loss,
        take_profit=held.take_profit,
        magic=held.magic,
        position_ticket=held.ticket,
        happened_at=instant_of(held.time_msc, provider.broker_time_zone, around.now),
        detected_at=around.now,
        planned_at=around.now,
    )
