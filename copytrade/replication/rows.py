"""What is written of a plan before anything is sent: the copy, its order, the position to come."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from copytrade.core.kinds import EventKind, OrderKind, SkipReason
from copytrade.core.plans import Planned, Skipped
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.replication.followers import Follower
from copytrade.replication.ids import Ids
from copytrade.replication.likeness import like
from risk.models import Order

LONGEST_SENTENCE: Final = 255
# Until then a netted close is sent; later it is planned anew, by what is there by then.
NETTED_DEADLINE: Final = timedelta(seconds=30)
_COPY: Final = CopyOrder()
_POSITION: Final = CopyPosition()
_ORDER: Final = Order(origin=Order.Origin.COPY)


@dataclass(slots=True)
class Copy:
    """One follower's part in an event. `order` is None for what is skipped or waits for a fill.

    One that is for its lane alone is tried again until it is done, whatever the gate says. What is
    there to be closed needs no further look. `place` is the row of its account in the view, -1
    while that is not known.
    """

    follower: Follower
    row: CopyOrder
    order: Order | None = None
    position: CopyPosition | None = None
    is_claimed: bool = False
    is_for_lane: bool = False
    is_there: bool = False
    place: int = -1


def copy_of(
    event: CopyEvent,
    follower: Follower,
    plan: Planned | Skipped,
    newest: CopyPosition | None,
    now: datetime,
    *,
    must_wait: bool = False,
    ids: Ids | None = None,
) -> Copy:
    """Lay out the rows of a plan; nothing is decided or written yet.

    `newest` is the last copy of the same position. A position goes by the id of the copy that opens
    it. What `must_wait` is planned anew after the copies that it waits for: a change that is
    needless now may be needed then.
    """
    ids = ids or Ids()
    row = like(
        _COPY,
        id=ids.new_id(),
        event_id=event.pk,
        relationship_id=follower.terms.id,
        provider_id=event.provider_id,
        follower_id=follower.account.id,
        symbol=plan.symbol,
        sentence=plan.sentence[:LONGEST_SENTENCE],
        planned_at=now,
    )
    if isinstance(plan, Skipped) and must_wait and event.kind != EventKind.OPEN:
        row.sentence = ""
        return Copy(follower, row)
    if isinstance(plan, Skipped):
        row.state, row.reason, row.ended_at = CopyOrder.State.SKIPPED, plan.reason.value, now
        return Copy(follower, row)
    row.volume, row.follower_position = plan.lots, plan.position_ticket
    if plan.waits_for_fill or must_wait:
        return Copy(follower, row)
    order = _order(event, follower, plan, now, ids)
    row.state, row.order_id = CopyOrder.State.ORDERED, order.pk
    copy = Copy(follower, row, order, is_for_lane=is_netted_close(plan))
    if plan.kind is OrderKind.OPEN and event.position_ticket is not None:
        copy.position = _position(row, event, plan, newest, now)
    return copy


def refused(copy: Copy, sentence: str, now: datetime) -> None:
    """Let a copy end because the gate lets its order not pass."""
    row = copy.row
    row.state, row.reason, row.ended_at = CopyOrder.State.FAILED, SkipReason.REFUSED.value, now
    row.sentence = sentence[:LONGEST_SENTENCE]
    copy.position = None


def _order(event: CopyEvent, follower: Follower, plan: Planned, now: datetime, ids: Ids) -> Order:
    account = follower.account
    # What opposite copies have netted away is given back by trading the other way; where a part is
    # held, that is closed first, and keeping sees to the rest.
    is_netted = is_netted_close(plan)
    kind = OrderKind.OPEN if is_netted else plan.kind
    volume = plan.lots
    if plan.lots is not None and not is_netted:
        volume = plan.lots - plan.netted_lots
    return like(
        _ORDER,
        id=ids.new_id(),
        tag=ids.new_tag(),
        # What the broker keeps tells the event, beside the tag that tells the order.
        comment=f"TC-{event.pk.hex[:20]}",
        user_id=account.user_id,
        account_id=account.id,
        account_name=account.name,
        server=account.server,
        login=account.login,
        kind=kind.value,
        host=account.host,
        created_at=now,
        symbol=plan.symbol,
        direction=Order.Direction.BUY if plan.is_buy else Order.Direction.SELL,
        type=plan.order_type.value,
        requested_volume=None if plan.closes_all and not plan.netted_lots else volume,
        volume=volume,
        price=plan.price,
        stop_limit_price=plan.stop_limit_price,
        stop_loss=plan.stop_loss,
        take_profit=plan.take_profit,
        deviation_points=plan.deviation_points,
        send_by_at=now + NETTED_DEADLINE if is_netted else plan.send_by_at,
        position_ticket=None if is_netted else plan.position_ticket,
        order_ticket=plan.order_ticket,
    )


def _position(
    row: CopyOrder, event: CopyEvent, plan: Planned, newest: CopyPosition | None, now: datetime
) -> CopyPosition:
    return like(
        _POSITION,
        id=row.pk,
        relationship_id=row.relationship_id,
        provider_id=event.provider_id,
        follower_id=row.follower_id,
        provider_position=event.position_ticket,
        turn=0 if newest is None else newest.turn + 1,
        provider_volume=event.volume or Decimal(0),
        symbol=plan.symbol,
        direction=Order.Direction.BUY if plan.is_buy else Order.Direction.SELL,
        volume=plan.lots or Decimal(0),
        opened_at=now,
    )


def is_netted_close(plan: Planned) -> bool:
    """Tell whether nothing of what is to be closed is held in the copy's direction."""
    return plan.kind is OrderKind.CLOSE and 0 < (plan.lots or 0) <= plan.netted_lots


def is_close(event: CopyEvent) -> bool:
    return event.kind in (EventKind.CLOSE, EventKind.PARTIAL_CLOSE)
