"""Netted positions while closes of several of their copies are ordered in one look."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final
from uuid import UUID

from copytrade.core.facts import NetHolding
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyOrder, CopyPosition
from copytrade.replication.flights import Flights
from copytrade.replication.scene import Scene
from risk.models import Order

_NONE: Final = Decimal(0)


class Netted:
    """What one look has ordered of netted positions, and what they hold once that is done.

    The first close of a position is ordered by a reading that is younger than all that was done to
    it. Those that follow in the same look need no further one: how much closes of a copy is what
    the reading and the ledger differ by, and done or not, an order changes both alike. Whether a
    ticket is there to be closed, or the other way is to be traded, follows from those before.
    """

    def __init__(self) -> None:
        self._orders: dict[tuple[UUID, str], list[Order]] = defaultdict(list)
        self._copies: set[tuple[UUID, int]] = set()

    def note(self, row: CopyPosition, order: Order, around: Surroundings) -> None:
        """Count on an order, just written, for those that follow; tickets are nobody else's."""
        if not around.scene.is_netting(row.follower_id):
            return
        self._orders[row.follower_id, row.symbol].append(order)
        self._copies.add((row.relationship_id, row.provider_position))

    def has_ordered(self, row: CopyPosition) -> bool:
        """Tell whether something was ordered of the same copy: what it leaves is not known yet."""
        return (row.relationship_id, row.provider_position) in self._copies

    def count(self, row: CopyPosition) -> int:
        """Return how many orders for the same position come before the next one."""
        return len(self._before(row))

    def is_told(self, row: CopyPosition, around: Surroundings) -> bool:
        """Tell whether it is known what is held where copies share a position."""
        if not around.scene.is_netting(row.follower_id):
            return True
        others = Order.objects.filter(
            account_id=row.follower_id, symbol=row.symbol, state__in=Order.UNFINISHED
        ).exclude(pk__in=self._ids(row))
        return not others.exists() and self._shown(row, around) is not None

    def holding(self, row: CopyPosition, around: Surroundings) -> NetHolding:
        """Return what the position of a copy holds once all is done that was ordered of it."""
        # Before the rows: what is taken in of an order meanwhile may be in them, or not.
        shown = self._shown(row, around) if self._is_settled(row) else None
        rows = CopyPosition.objects.filter(
            follower_id=row.follower_id, symbol=row.symbol, state__in=CopyPosition.HELD
        )
        copied, count = _NONE, 0
        for one in rows:
            count += 1
            if one.state != CopyPosition.State.OPENING:
                copied += one.volume * (1 if one.direction == "buy" else -1)
        scene = self._scene(row, around)
        closing = scene.flights.netted_closing_lots(row.follower_id, row.symbol)
        traded = sum(map(_signed, self._before(row)), _NONE)
        lots = None if shown is None else shown + traded
        return NetHolding(lots, copied - closing + traded, count)

    def keeps_ticket(self, row: CopyPosition, around: Surroundings) -> bool:
        """Tell whether the position has its ticket yet once all is done that was ordered of it."""
        shown = lots = self._shown(row, around)
        if shown is None or lots is None:
            return True
        for order in self._before(row):
            lots += _signed(order)
            if lots * shown <= 0:
                return False
        return True

    def _before(self, row: CopyPosition) -> Sequence[Order]:
        return self._orders.get((row.follower_id, row.symbol), ())

    def _ids(self, row: CopyPosition) -> list[UUID]:
        return [order.pk for order in self._before(row)]

    def _is_settled(self, row: CopyPosition) -> bool:
        """Tell whether no other order of a copy of the symbol is to be taken in yet."""
        copies = CopyOrder.objects.filter(
            follower_id=row.follower_id,
            symbol=row.symbol,
            state=CopyOrder.State.ORDERED,
            answered_at=None,
        )
        mine = set(self._ids(row))
        return all(order_id in mine for order_id in copies.values_list("order_id", flat=True))

    def _shown(self, row: CopyPosition, around: Surroundings) -> Decimal | None:
        return self._scene(row, around).net_lots(row.follower_id, row.symbol)

    def _scene(self, row: CopyPosition, around: Surroundings) -> Scene:
        """Return the scene as it would be without what this look has ordered itself."""
        scene, mine = around.scene, set(self._ids(row))
        if not mine:
            return scene
        others = [order for order in scene.flights.orders if order.pk not in mine]
        return replace(scene, flights=Flights(others), positions={})


def _signed(order: Order) -> Decimal:
    lots = order.volume or _NONE
    return lots if order.direction == Order.Direction.BUY else -lots
