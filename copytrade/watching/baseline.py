"""What a provider held before the deals of its first reading, which nobody has watched happen."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from copytrade.watching.deals import IN, INOUT
from copytrade.watching.facts import (
    AccountReading,
    HeldPosition,
    KnownOrder,
    KnownPosition,
    Memory,
    NewDeal,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldStops:
    """The stops of a position as they were told last, and how often they were told to move."""

    stop_loss: float
    take_profit: float
    moves: int


def baseline(
    reading: AccountReading,
    *,
    told_stops: Mapping[int, ToldStops],
    told_orders: Mapping[int, KnownOrder],
    started_at: datetime,
) -> Memory:
    """Return the memory that `detect` is to begin with.

    The volumes are worked out backwards, from what the reading shows through its deals, so that no
    deal of the reading may be newer than its positions. Stops and orders are those told last;
    orders that were placed before `started_at` and never told are known without having been told.
    """
    before = _before_deals(reading)
    positions = {
        identifier: _known(held, told_stops.get(identifier)) for identifier, held in before.items()
    }
    orders = {
        order.ticket: KnownOrder(order=order)
        for order in reading.orders.values()
        if order.placed_at < started_at
    }
    return Memory(positions, {**orders, **told_orders})


def _known(held: HeldPosition, told: ToldStops | None) -> KnownPosition:
    if told is None:
        return KnownPosition(held=held)
    stops = replace(held, stop_loss=told.stop_loss, take_profit=told.take_profit)
    return KnownPosition(held=stops, is_told=True, moves=told.moves)


def _before_deals(reading: AccountReading) -> dict[int, HeldPosition]:
    positions = dict(reading.positions)
    for deal in reversed(reading.deals):
        held = _before_deal(deal, positions.get(deal.position))
        if held.lots > 0:
            positions[deal.position] = held
        else:
            positions.pop(deal.position, None)
    return positions


def _before_deal(deal: NewDeal, after: HeldPosition | None) -> HeldPosition:
    lots = Decimal(0) if after is None else after.lots
    if deal.entry == IN:
        is_buy, before = deal.is_buy, lots - deal.lots
    elif deal.entry == INOUT:
        is_buy, before = not deal.is_buy, deal.lots - lots
    else:
        is_buy, before = not deal.is_buy, lots + deal.lots
    if after is None:
        after = HeldPosition(
            identifier=deal.position, symbol=deal.symbol, is_buy=is_buy, lots=before
        )
    return replace(after, is_buy=is_buy, lots=max(before, Decimal(0)))
