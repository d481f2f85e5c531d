"""Handing orders to their sessions, after a last look at deadline and lease."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from itertools import compress
from typing import Any, Final, overload
from uuid import UUID

from accounts.sessions.lease import Fence, Standing
from accounts.terminals.alike import AlikeOrders, ToldOnce
from accounts.terminals.codes import CALL_FAILED, INVALID_PARAMS, IPC_NO_CONNECTION
from accounts.terminals.link import LinkError
from accounts.terminals.registry import Source
from copytrade.replication.alike import Alike
from copytrade.replication.checks import Decided
from copytrade.replication.collecting import Collector, Sent
from copytrade.replication.markets import Markets
from copytrade.replication.requests import Requests
from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from copytrade.replication.unfolding import Record
from risk.core.gate.verdicts import GateDecision
from risk.models import Order

logger = logging.getLogger(__name__)

STANDING_SECONDS: Final = 0.05
_LATE: Final = "the time for it was over when it was written"


@dataclass(frozen=True, slots=True)
class SentAlike(Sequence[Sent]):
    """A crowd that is written in `records` of so many copies, and what the gate said of each.

    Its orders are made when they are asked for.
    """

    crowd: Alike
    decision: Callable[[int], GateDecision | None]
    records: Sequence[Record]
    size: int

    def __len__(self) -> int:
        return len(self.crowd)

    @overload
    def __getitem__(self, place: int) -> Sent: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Sent]: ...

    def __getitem__(self, place: int | slice) -> Sent | Sequence[Sent]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        record = self.records[place // self.size]
        return Sent(self.crowd.order_of(place), self.decision(place), record)


class HandOver:
    """Hands written orders of one host to their sessions; for one thread at a time."""

    def __init__(
        self,
        source: Source,
        fence: Fence,
        collector: Collector,
        markets: Markets,
        clock: Callable[[], datetime],
    ) -> None:
        self._source = source
        self._fence = fence
        self._collector = collector
        self._markets = markets
        self._clock = clock
        self._requests = Requests()
        self._asked_at = float("-inf")
        self._last_standing = Standing.UNKNOWN

    def leaving(self, batch: Sequence[Copy], now: datetime) -> list[Copy]:
        """Choose what goes at once, after a last look at deadline and lease."""
        ready = [
            copy
            for copy in batch
            if copy.is_claimed
            and copy.order is not None
            and copy.order.state == Order.State.PENDING
            and (copy.order.send_by_at is None or copy.order.send_by_at > now)
        ]
        standing = self._standing(now) if ready else Standing.LOST
        if standing is Standing.LOST:
            return []
        is_held = standing is Standing.HELD
        return [copy for copy in ready if copy.order and (is_held or not copy.order.opens)]

    def _standing(self, now: datetime) -> Standing:
        """Ask whether this worker may act, again after the time of a batch or two."""
        moment = time.monotonic()
        if moment - self._asked_at >= STANDING_SECONDS:
            self._asked_at, self._last_standing = moment, self._fence.standing(now)
        return self._last_standing

    def send(
        self,
        copies: Sequence[Copy],
        scene: Scene,
        decisions: Mapping[UUID, GateDecision],
        records: Mapping[UUID, Record],
        handed: dict[UUID, UUID],
    ) -> None:
        """Hand the orders of copies over in one piece; `decisions` and `records` go by order.

        What may not go any more, for writing it took too long, waits for its lane. `handed` gets
        the accounts, by order, that the collector releases; it has none of the others, whatever is
        raised.
        """

        def take(order: Order, answer: "Future[Any]") -> None:
            decision, record = decisions.get(order.pk), records.get(order.pk)
            self._collector.take(Sent(order, decision, record), answer)
            handed[order.pk] = order.account_id

        calls, orders = [], []
        for copy in copies:
            order, account = copy.order, copy.follower.account
            if order is None:
                continue
            try:
                kind = scene.kind_of(account.id, account.server, account.currency)
                terms = self._markets.terms(kind, account.login, order.symbol)
                request = self._requests.request(order, terms, account.broker_zone)
            except Exception as error:  # the others are sent whatever is wrong with this one
                logger.exception("Order %s cannot be put into words.", order.pk)
                take(order, _unsendable(LinkError(INVALID_PARAMS, str(error))))
            else:
                calls.append((account.login, request, account.server))
                orders.append(order)
        is_kept = self._kept(orders)
        for order in compress(orders, is_kept):
            take(order, _unsendable(LinkError(IPC_NO_CONNECTION, _LATE)))
        calls = [call for call, kept in zip(calls, is_kept, strict=True) if not kept]
        orders = [order for order, kept in zip(orders, is_kept, strict=True) if not kept]
        answers = self._source.submit_many("order_send", calls)
        for order, answer in zip(orders, answers, strict=True):
            take(order, answer)

    def note(self, rounds: Sequence[Decided], changes: Sequence[GateDecision] = ()) -> None:
        """Write down what the gate looked at before it let orders, and changes, pass."""
        self._collector.note(rounds, changes)

    def may_leave(self, order: Order, now: datetime) -> bool:
        """Tell whether a crowd's orders may be written as sent, by one that is like them."""
        if order.send_by_at is not None and order.send_by_at <= now:
            return False
        standing = self._standing(now)
        return standing is Standing.HELD or (standing is Standing.UNKNOWN and not order.opens)

    def send_alike(self, sent: "SentAlike", scene: Scene, handed: set[UUID]) -> None:
        """Hand a crowd's orders over in one piece; `handed` gets their accounts, see `send`.

        Whatever fails once they may have left is told as the answer to those that have none.
        """
        crowd, order = sent.crowd, sent.crowd.order
        take = ToldOnce(self._collector.expect(sent), len(crowd))
        try:
            orders = self._in_words(crowd, scene)
        except Exception as error:  # others are sent whatever is wrong with these
            logger.exception("Orders like %s cannot be put into words.", order.pk)
            failure: LinkError | None = LinkError(INVALID_PARAMS, str(error))
        else:
            is_kept = self._kept([order])[0]
            failure = LinkError(IPC_NO_CONNECTION, _LATE) if is_kept else None
        handed.update(crowd.account_ids)
        if failure is not None:
            take.give_up(failure)
            return
        try:
            self._source.submit_alike(orders, take)
        except Exception as error:  # nobody would give back accounts that wait for an answer
            logger.exception("Orders like %s could not be handed over.", order.pk)
            take.give_up(LinkError(CALL_FAILED, str(error)))

    def _in_words(self, crowd: Alike, scene: Scene) -> AlikeOrders:
        account, order = crowd.followers[0].account, crowd.order
        kind = scene.kind_of(account.id, account.server, account.currency)
        terms = self._markets.terms(kind, account.login, order.symbol)
        request = self._requests.request(order, terms, account.broker_zone)
        logins = [each.account.login for each in crowd.followers]
        return AlikeOrders(request, account.server, logins, crowd.lots, crowd.tags, crowd.tickets)

    def _kept(self, orders: Sequence[Order]) -> list[bool]:
        """Tell which orders may not go: the last look, after all that takes time."""
        if not orders:
            return []
        now = self._clock()
        standing = self._fence.standing(now)
        self._asked_at, self._last_standing = time.monotonic(), standing
        return [
            standing is Standing.LOST
            or (standing is not Standing.HELD and order.opens)
            or (order.send_by_at is not None and order.send_by_at <= now)
            for order in orders
        ]


def _unsendable(error: LinkError) -> "Future[Any]":
    """Return the answer to an order that never left."""
    answer: Future[Any] = Future()
    answer.set_exception(error)
    return answer
