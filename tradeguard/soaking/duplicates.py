"""Whether anything was done twice, or by nobody."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal

from copytrade.core.kinds import EventKind
from risk.models import Order
from risk.orders.drafts import is_our_tag
from tradeguard.soaking.cast import Pair
from tradeguard.soaking.records import BY_PROGRAM, IN, INOUT, Records

_NONE = Decimal(0)


def done_twice(records: Records) -> Iterator[str]:
    for pair in records.cast.pairs:
        yield from _tags(records, pair)
        yield from _events(records, pair)
        yield from _fills(records, pair)


def _tags(records: Records, pair: Pair) -> Iterator[str]:
    """A tag is one order's, and an order is at the broker once."""
    account = records.of(pair.follower)
    tickets: dict[int, set[int]] = defaultdict(set)
    for order in (*account.waiting, *account.past):
        # What the broker does at a stop carries the tag of the order that opened.
        if is_our_tag(order.magic) and order.reason == BY_PROGRAM:
            tickets[order.magic].add(order.ticket)
    dealt: dict[int, set[int]] = defaultdict(set)
    for deal in account.deals:
        if is_our_tag(deal.magic) and deal.reason == BY_PROGRAM:
            dealt[deal.magic].add(deal.order)
            if deal.magic not in records.order_by_tag:
                yield f"{pair.follower.name}: deal {deal.ticket} has a tag that no order has."
    for tag, orders in dealt.items():
        if len(orders) > 1:
            yield f"{pair.follower.name}: tag {tag} was dealt by orders {sorted(orders)}."
    placed = Counter({tag: len(orders) for tag, orders in tickets.items()})
    for tag, count in placed.items():
        ours = records.order_by_tag.get(tag)
        is_opening = ours is not None and ours.kind in (Order.Kind.OPEN, Order.Kind.PLACE)
        if count > 1 and is_opening:
            yield f"{pair.follower.name}: tag {tag} is that of {count} orders."


def _events(records: Records, pair: Pair) -> Iterator[str]:
    """One event opens once, whatever its orders are called."""
    opening = {
        f"TC-{event.pk.hex[:20]}": event
        for event in records.events.values()
        if event.kind in (EventKind.OPEN, EventKind.PENDING_PLACED)
    }
    orders: dict[str, set[int]] = defaultdict(set)
    for deal in records.of(pair.follower).deals:
        if deal.entry in (IN, INOUT) and deal.comment in opening:
            orders[deal.comment].add(deal.order)
    for comment, found in orders.items():
        if len(found) > 1:
            event = opening[comment]
            yield f"{pair.follower.name}: {event} was opened by orders {sorted(found)}."


def _fills(records: Records, pair: Pair) -> Iterator[str]:
    """What the ledger says was filled is what the broker dealt, and no more than was asked."""
    by_tag: dict[int, Decimal] = defaultdict(Decimal)
    for deal in records.of(pair.follower).deals:
        if deal.reason == BY_PROGRAM and is_our_tag(deal.magic):
            by_tag[deal.magic] += deal.volume
    for order in records.orders.values():
        if order.account_id != pair.follower.pk or order.kind == Order.Kind.PLACE:
            continue
        volume, told = by_tag.get(order.tag, _NONE), order.filled_volume or _NONE
        if volume > (order.volume or _NONE):
            yield f"{pair.follower.name}: {volume} dealt of order {order.pk} for {order.volume}."
        if volume != told and order.kind in (Order.Kind.OPEN, Order.Kind.CLOSE):
            yield (
                f"{pair.follower.name}: order {order.pk} ({order.kind} {order.symbol},"
                f" {order.state}) says {told} lots were filled, its broker {volume}:"
                f" {order.message}"
            )
