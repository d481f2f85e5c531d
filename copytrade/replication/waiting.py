"""Orders of an event that have to wait for a moment, and leave together then.

For the answers to the event before, or for a reading that shows what has become of that.
"""

import threading
from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

from copytrade.replication.changing import CHANGES, is_read
from copytrade.replication.gating import AT_ONCE
from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from risk.models import Order

# So long lanes leave such orders alone. They would send them one after another.
TOGETHER_WITHIN: Final = timedelta(seconds=2)
# It is worth it to send for so many, though others are not free yet.
_ENOUGH: Final = 250
# Lanes are quicker with fewer, and nobody waits for a slow one then.
FEWEST: Final = 50


class Waiting:
    """The accounts that orders wait for, until enough are free; for any thread."""

    def __init__(self) -> None:
        self._accounts: set[UUID] = set()
        self._freed = 0
        self._wants_reading = False
        self._lock = threading.Lock()

    def add(self, account_id: UUID) -> None:
        with self._lock:
            self._accounts.add(account_id)

    def want_reading(self) -> None:
        """Have it told with the next reading that it is time to send what waits."""
        with self._lock:
            self._wants_reading = True

    def read(self) -> bool:
        """Take a new reading; tell whether something waits for it, once."""
        with self._lock:
            wanted, self._wants_reading = self._wants_reading, False
            return wanted

    def freed(self, account_ids: Iterable[UUID]) -> bool:
        """Take accounts that are free again; tell whether it is time to send what waits."""
        with self._lock:
            if not self._accounts:
                return False
            before = len(self._accounts)
            self._accounts.difference_update(account_ids)
            self._freed += before - len(self._accounts)
            if not self._freed or (self._accounts and self._freed < _ENOUGH):
                return False
            self._freed = 0
            return True


def better_together(copies: Iterable[Copy], scene: Scene) -> list[Order]:
    """Return the orders that copies under way, or old readings, keep back, if they are many."""
    orders = [
        copy.order
        for copy in copies
        if copy.order is not None
        and not copy.is_claimed
        and (waits_for_copies(copy, scene) or waits_for_reading(copy, scene))
    ]
    return orders if len(orders) >= FEWEST else []


def waits_for_reading(copy: Copy, scene: Scene) -> bool:
    """Tell whether a free account only has to be read again to be sent a close or a change."""
    order = copy.order
    if order is None or order.state != Order.State.PENDING or copy.is_for_lane:
        return False
    account_id, is_pending = order.account_id, order.kind == Order.Kind.MODIFY_ORDER
    ticket = order.order_ticket if is_pending else order.position_ticket
    if ticket is None or account_id not in scene.rows or scene.read_at(account_id) is None:
        return False
    if scene.flights.is_busy(account_id):
        return False
    if order.kind == Order.Kind.CLOSE:
        return scene.lots_of(account_id, ticket) is None
    return order.kind in CHANGES and not is_read(order, scene)


def waits_for_copies(copy: Copy, scene: Scene) -> bool:
    """Tell whether nothing but copies that are under way keeps an order from leaving."""
    order = copy.order
    if order is None or order.state != Order.State.PENDING:
        return False
    if copy.is_for_lane or order.kind not in AT_ONCE:
        return False
    under_way = [
        each for each in scene.flights.of(order.account_id) if each.state in Order.UNFINISHED
    ]
    return bool(under_way) and all(
        each.state == Order.State.SENT and each.origin == Order.Origin.COPY for each in under_way
    )
