"""Orders of copies that have waited for this host or for its accounts, sent together."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from copytrade.core.facts import RelationshipTerms
from copytrade.models import CopyOrder
from copytrade.replication.change_gate import ChangeGate
from copytrade.replication.changing import complete
from copytrade.replication.flights import Flights
from copytrade.replication.followers import Follower, FollowerAccount
from copytrade.replication.gating import BatchGate, goes_at_once
from copytrade.replication.replicator import BATCH, Replicator, cut, oldest
from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from copytrade.replication.updates import update_rows
from copytrade.replication.waiting import TOGETHER_WITHIN, waits_for_reading
from risk.desk import AccountFacts
from risk.models import AccountLock, Order
from risk.orders.desk import HostDesk
from risk.orders.view import HostView
from risk.orders.withdrawn import withdrawn

logger = logging.getLogger(__name__)

_WAITING: Final = (Order.State.PENDING,)
_ORDERED: Final = (CopyOrder.State.ORDERED,)


class Arrivals:
    """Takes a host's waiting orders of copies past its lanes, as `Replicator` does; one thread.

    What cannot go at once is given to the lanes, which would have served all of them a little later
    and one after another; unless the account waits for the answer to another copy.
    """

    def __init__(
        self, host: str, desk: HostDesk, replicator: Replicator, clock: Callable[[], datetime]
    ) -> None:
        self._host = host
        self._desk = desk
        self._replicator = replicator
        self._clock = clock

    def take(self, view: HostView) -> int:
        """Send what has come; return how many orders that were. Raises a database error."""
        waiting = dict(self._waiting().values_list("pk", "account_id"))
        if not waiting:
            return 0
        # Their answers are there any moment: the next look is for them, or else their lanes'.
        coming = self._desk.claimed()
        claimed = self._desk.claim(set(waiting.values()))
        handed: dict[UUID, UUID] = {}
        unread: set[UUID] = set()
        try:
            if claimed:
                unread = self._send(claimed, view, handed)
        finally:
            self._desk.release(claimed - set(handed.values()))
            left = [
                pk
                for pk, account_id in waiting.items()
                if pk not in handed
                and pk not in unread
                and (account_id in claimed or account_id not in coming)
            ]
            self._leave_to_lanes(left)
        if unread:
            self._replicator.waiting.want_reading()
        return len(handed)

    def _waiting(self) -> Any:
        """Return orders that nobody here has looked at yet."""
        return (
            Order.objects.unfinished()
            .filter(host=self._host, origin=Order.Origin.COPY, state=Order.State.PENDING)
            .filter(attempts=0, message="", next_attempt_at__isnull=False)
            .order_by("created_at", "id")
        )

    def _send(self, claimed: set[UUID], view: HostView, handed: dict[UUID, UUID]) -> set[UUID]:
        """Send what may go at once; return the orders that only wait for the next reading."""
        # Read anew: nobody else serves these accounts from now on.
        orders = {order.pk: order for order in self._waiting() if order.account_id in claimed}
        for pk in withdrawn(list(orders.values())):
            del orders[pk]  # its lane says why
        now = self._clock()
        scene = self._scene(orders, view, now)
        copies = [copy for copy in self._copies(list(orders.values()), view) if copy.order]
        for copy in copies:
            copy.is_claimed = goes_at_once(copy, scene)
        unread = {
            copy.row.order_id
            for copy in copies
            if copy.row.order_id and _has_time(copy, now) and waits_for_reading(copy, scene)
        }
        gate = BatchGate(scene, self._replicator.markets)
        changes = ChangeGate(scene, self._replicator.markets, gate).decide(copies, now)
        decisions = {**gate.decide(copies, now), **changes}
        hand_over = self._replicator.hand_over
        for batch in cut(copies, BATCH):
            leaving = hand_over.leaving(batch, self._clock())
            complete(leaving, scene)
            mine = self._written(leaving)
            hand_over.send(mine, scene, decisions, records={}, handed=handed)
        hand_over.note(gate.rounds, list(changes.values()))
        return unread

    def _scene(self, mine: dict[UUID, Order], view: HostView, now: datetime) -> Scene:
        """Lay out the host as it is without these orders."""
        others = Flights.on_host(self._host, oldest(view, now)).orders
        flights = Flights([order for order in others if order.pk not in mine])
        locks = {lock.account_id: lock for lock in AccountLock.objects.standing()}
        return Scene.at(view, flights, locks, now)

    def _copies(self, orders: Sequence[Order], view: HostView) -> list[Copy]:
        """Return one copy for each account that has one order; several keep their order."""
        counts = Counter(order.account_id for order in orders)
        alone = {order.pk: order for order in orders if counts[order.account_id] == 1}
        rows = CopyOrder.objects.filter(order_id__in=list(alone), state__in=_ORDERED)
        copies = []
        for row in rows.order_by("planned_at", "pk"):
            order = alone[row.order_id] if row.order_id else None
            facts = None if order is None else view.facts_of(order.account_id)
            if order is None or facts is None:
                continue
            if (order.login, order.server) == (facts.login, facts.server):
                copies.append(Copy(_follower(row, facts, self._host), row, order))
        return copies

    def _written(self, leaving: Sequence[Copy]) -> list[Copy]:
        """Write these as sent; return those that nobody has ended meanwhile."""
        now = self._clock()
        orders, rows = [], []
        for copy in leaving:
            order = copy.order
            if order is None:
                continue
            order.state, order.sent_at, order.attempts = Order.State.SENT, now, 1
            order.next_attempt_at, copy.row.sent_at = None, now
            orders.append((order.pk, {name: getattr(order, name) for name in _SENT}))
            rows.append((copy.row.pk, {name: getattr(copy.row, name) for name in _COPIED}))
        if not orders:
            return []
        with transaction.atomic():
            update_rows(Order, orders, from_states=_WAITING)
            update_rows(CopyOrder, rows, from_states=_ORDERED)
            mine = Order.objects.filter(
                pk__in=[pk for pk, _ in orders], state=Order.State.SENT, sent_at=now
            )
            found = set(mine.values_list("pk", flat=True))
        return [copy for copy in leaving if copy.order is not None and copy.order.pk in found]

    def _leave_to_lanes(self, orders: Sequence[UUID]) -> None:
        if not orders:
            return
        for part in cut(orders, 500):
            Order.objects.filter(pk__in=part, state=Order.State.PENDING).update(
                next_attempt_at=None
            )
        self._desk.wake()


_SENT: Final = (
    "state",
    "sent_at",
    "attempts",
    "requested_volume",
    "volume",
    "price",
    "stop_limit_price",
    "stop_loss",
    "take_profit",
    "valid_until_at",
    "gated_at",
    "next_attempt_at",
)
_COPIED: Final = ("sent_at", "gated_at", "volume")


def _has_time(copy: Copy, now: datetime) -> bool:
    """Tell whether the lanes leave an order alone yet; whoever wrote it may have another clock."""
    again_at = None if copy.order is None else copy.order.next_attempt_at
    return again_at is not None and now < again_at <= now + TOGETHER_WITHIN


def _follower(row: CopyOrder, facts: AccountFacts, host: str) -> Follower:
    account = FollowerAccount(
        id=facts.id,
        user_id=facts.user_id,
        name=facts.name,
        server=facts.server,
        login=facts.login,
        host=host,
        currency=facts.currency,
        broker_zone=facts.terms.broker_zone,
    )
    return Follower(RelationshipTerms(id=row.relationship_id), account)
