"""Which orders of many accounts may be in the market without their last readings showing them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Final
from uuid import UUID

from risk.gate.intents import SETTLING_SECONDS
from risk.models import Order

_ENDED: Final = (Order.State.FILLED, Order.State.PARTIAL, Order.State.PLACED)
_COUNTED: Final = (*Order.UNFINISHED, *_ENDED)
_OF_POSITIONS: Final = frozenset(
    {Order.Kind.CLOSE, Order.Kind.CLOSE_BY, Order.Kind.MODIFY_POSITION}
)
_MOST_IDS: Final = 500
_NOTHING: Final[tuple[Order, ...]] = ()


class Flights:
    """The unfinished and lately ended orders of some hosts, by account."""

    def __init__(self, orders: Sequence[Order]) -> None:
        self.orders = orders
        self._by_account: dict[UUID, list[Order]] = defaultdict(list)
        for order in orders:
            self._by_account[order.account_id].append(order)

    @classmethod
    def on_host(cls, host: str, read_since: float) -> "Flights":
        return cls.on_hosts((host,), read_since)

    @classmethod
    def on_hosts(cls, hosts: Collection[str], read_since: float) -> "Flights":
        """Read them: what ended well before the oldest reading is shown by it."""
        since = datetime.fromtimestamp(read_since - SETTLING_SECONDS, UTC)
        mine = Order.objects.filter(host__in=hosts).order_by().values_list("pk")
        # Each by an index of its own: SQLite finds none by an OR, and would look at all that a host
        # ever had.
        answered = mine.filter(answered_at__gte=since)
        reconciled = mine.filter(reconciled_at__gte=since)
        unfinished = mine.filter(state__in=Order.UNFINISHED)
        ids = [pk for (pk,) in unfinished.union(answered, reconciled)]
        orders: list[Order] = []
        for first in range(0, len(ids), _MOST_IDS):
            orders += Order.objects.filter(
                pk__in=ids[first : first + _MOST_IDS], state__in=_COUNTED
            )
        return cls(sorted(orders, key=lambda order: (order.created_at, order.pk)))

    def of(self, account_id: UUID) -> Sequence[Order]:
        return self._by_account.get(account_id, _NOTHING)

    @cached_property
    def busy(self) -> frozenset[UUID]:
        """The accounts with orders that are yet to end: their lanes come first then."""
        return frozenset(each.account_id for each in self.orders if each.state in Order.UNFINISHED)

    def is_busy(self, account_id: UUID) -> bool:
        return account_id in self.busy

    def are_shown_by(
        self,
        account_id: UUID,
        read_at: float,
        settling_seconds: float = 0.0,
        *,
        ticket: int | None = None,
    ) -> bool:
        """Tell whether a reading, an epoch, is younger than all that the account did.

        With a ticket: than what may have changed that position, of an account that does not net.
        """
        return not any(
            order.state in Order.UNFINISHED or _ended_at(order) + settling_seconds >= read_at
            for order in self.of(account_id)
            if ticket is None or _may_concern(order, ticket)
        )

    def closing_lots(self, account_id: UUID, ticket: int | None) -> Decimal:
        """Return what closes under way will take of a position."""
        if ticket is None:
            return Decimal(0)
        return _sum(
            order
            for order in self.of(account_id)
            if order.position_ticket == ticket and order.state in Order.UNFINISHED
        )

    def netted_closing_lots(self, account_id: UUID, symbol: str) -> Decimal:
        """Return the same of a netted position, below 0 where a sold one is being closed."""
        total = Decimal(0)
        for order in self.of(account_id):
            if order.symbol == symbol and order.state in Order.UNFINISHED:
                sign = 1 if order.direction == Order.Direction.SELL else -1
                total += sign * _sum((order,))
        return total


def _may_concern(order: Order, ticket: int) -> bool:
    """Tell whether an order may change a position that others are not netted with."""
    if order.kind not in _OF_POSITIONS or order.position_ticket is None:
        return True
    return ticket in (order.position_ticket, order.opposite_ticket)


def _ended_at(order: Order) -> float:
    ended_at = order.reconciled_at or order.answered_at
    return 0.0 if ended_at is None else ended_at.timestamp()


def _sum(orders: Iterable[Order]) -> Decimal:
    total = Decimal(0)
    for order in orders:
        if order.kind in (Order.Kind.CLOSE, Order.Kind.CLOSE_BY):
            total += order.volume or order.requested_volume or Decimal(0)
    return total
