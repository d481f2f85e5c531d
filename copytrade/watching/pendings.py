"""What became of a provider's pending orders.

An order that is gone from the list is looked up: only a deal or the broker's history tells whether
it was filled, cancelled or has expired.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from copytrade.core.kinds import EventKind
from copytrade.watching.deals import IN, INOUT
from copytrade.watching.facts import (
    AccountReading,
    Change,
    KnownOrder,
    NewDeal,
    OrderEnding,
    WaitingOrder,
)

Orders = dict[int, KnownOrder]


def detect_orders(
    before: Mapping[int, KnownOrder],
    reading: AccountReading,
    *,
    own_tags: Collection[int],
    endings: Mapping[int, OrderEnding],
    now: datetime,
) -> tuple[list[Change], Orders]:
    """Return what happened to the orders, and which are known from now on."""
    changes: list[Change] = []
    orders: Orders = {}
    for ticket, known in before.items():
        if ticket in reading.orders:
            orders[ticket] = known
        elif known.is_told:
            ended = _ended(known, reading.deals, endings.get(ticket))
            if ended is None:
                orders[ticket] = known
            else:
                changes.append(ended)
    for ticket, order in reading.orders.items():
        change, orders[ticket] = _followed(orders.get(ticket), order, own_tags, now)
        if change is not None:
            changes.append(change)
    return changes, orders


def gone_orders(before: Mapping[int, KnownOrder], reading: AccountReading) -> list[int]:
    """Return the told orders of which only the history can say how they ended."""
    filled = {deal.order for deal in reading.deals if deal.entry in (IN, INOUT)}
    return [
        ticket
        for ticket, known in before.items()
        if known.is_told and ticket not in reading.orders and ticket not in filled
    ]


def _followed(
    known: KnownOrder | None, order: WaitingOrder, own_tags: Collection[int], now: datetime
) -> tuple[Change | None, KnownOrder]:
    if known is None:
        if order.magic in own_tags:
            return None, KnownOrder(order=order)
        placed = _change(EventKind.PENDING_PLACED, order, order.placed_at, str(order.ticket))
        return placed, KnownOrder(order=order, is_told=True)
    # A stop-limit order that turned into its limit order did so by itself, as its copies do.
    is_alike = known.order.terms == order.terms or known.order.order_type != order.order_type
    if is_alike or not known.is_told:
        return None, replace(known, order=order)
    moved = KnownOrder(order=order, is_told=True, moves=known.moves + 1)
    key = f"{order.ticket}:{moved.moves}"
    return _change(EventKind.PENDING_MODIFIED, order, now, key), moved


def _ended(
    known: KnownOrder, deals: tuple[NewDeal, ...], ending: OrderEnding | None
) -> Change | None:
    order = known.order
    for deal in deals:
        if deal.order == order.ticket and deal.entry in (IN, INOUT):
            ending = OrderEnding(
                is_filled=True, happened_at=deal.happened_at, position=deal.position
            )
    if ending is None:
        return None
    kind = EventKind.PENDING_FILLED if ending.is_filled else EventKind.PENDING_CANCELLED
    change = _change(kind, order, ending.happened_at, str(order.ticket))
    return replace(change, position=ending.position)


def _change(kind: EventKind, order: WaitingOrder, happened_at: datetime, key: str) -> Change:
    return Change(
        kind=kind,
        key=key,
        symbol=order.symbol,
        is_buy=order.is_buy,
        happened_at=happened_at,
        lots=order.lots,
        order_type=order.order_type,
        price=order.price,
        stop_limit_price=order.stop_limit_price,
        stop_loss=order.stop_loss,
        take_profit=order.take_profit,
        magic=order.magic,
        order=order.ticket,
    )
