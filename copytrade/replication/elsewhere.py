"""Followers on other hosts: planned beside those of this host, and sent by their own.

What a follower's account is worth, and what its symbols are, its host has to tell, which takes
longer than everything else. So this is done apart, and nobody waits for it.
"""

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connections, transaction

from accounts.task_messages import TaskMessage, enqueue
from accounts.terminals.readings import STALE_AFTER_SECONDS
from accounts.terminals.registry import Source
from copytrade.models import CopyEvent
from copytrade.publishing import ring_ledgers
from copytrade.replication.flights import Flights
from copytrade.replication.folding import Folds
from copytrade.replication.followers import Follower, FollowerBook
from copytrade.replication.markets import Markets
from copytrade.replication.order_of_events import held_back, mark_planned
from copytrade.replication.planning import plan_copies
from copytrade.replication.replicator import BATCH, cut
from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from copytrade.replication.writing import copied_to, write_batch
from risk.models import AccountLock, Order
from risk.orders.doubts import forget_connection
from risk.orders.view import HostView

logger = logging.getLogger(__name__)

SERVE: Final = "copytrade.serve"
# So long the lanes of the other host leave its orders to those who send many together.
LANES_WAIT: Final = timedelta(seconds=1)
WARM_SECONDS: Final = 5.0
_MESSAGE_SECONDS: Final = 5.0


class Elsewhere:
    """Plans events for followers on other hosts, one after another, on a thread of its own.

    Carried out inline when there is no thread. What is not done when the process ends is taken up
    again, for the event is `planned` only then.
    """

    def __init__(
        self,
        host: str,
        source: Source,
        *,
        clock: Callable[[], datetime],
        view: Callable[[], HostView | None],
        guard: AbstractContextManager[object],
        folds: Folds,
        planned: Callable[[UUID], None],
        begin: Callable[[], None],
        is_inline: bool,
    ) -> None:
        self._host = host
        self._clock = clock
        self._view = view
        self._guard = guard
        self._folds = folds
        self._planned = planned
        self._begin = begin
        self._is_inline = is_inline
        self._book = FollowerBook()
        self._markets = Markets(source)
        self._waiting: queue.SimpleQueue[CopyEvent | None] = queue.SimpleQueue()
        self._under_way: set[UUID] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"{host}-elsewhere", daemon=True)

    def take(self, event: CopyEvent) -> None:
        """Plan a stored event soon, after those that came before it."""
        if self._is_inline:
            self._carry_out(event)
            return
        with self._lock:
            if event.pk in self._under_way:
                return
            self._under_way.add(event.pk)
            if not self._thread.is_alive():
                self._thread.start()
        self._waiting.put(event)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Begin nothing more; what waits is found by the next worker."""
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            self._begin()
            while True:
                try:
                    event = self._waiting.get(timeout=WARM_SECONDS)
                except queue.Empty:
                    self._keep_warm()
                    continue
                if event is None:
                    return
                self._carry_out(event)
                with self._lock:
                    self._under_way.discard(event.pk)
        finally:
            connections.close_all()

    def _keep_warm(self) -> None:
        try:
            self._markets.keep_warm()
        except Exception:
            logger.exception("What symbols on other hosts are could not be asked.")

    def _carry_out(self, event: CopyEvent) -> None:
        view = self._view()
        if view is None:
            return
        try:
            self._replicate(event, view)
            self._planned(event.pk)
            ring_ledgers([event.provider_id])
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("An event of %s waits for the database: %s", event.provider_name, error)
        except Exception:
            logger.exception("An event of %s could not be copied.", event.provider_name)

    def _replicate(self, event: CopyEvent, view: HostView) -> None:
        everybody = self._book.followers(event.provider_id, until=event.detected_at)
        others = [each for each in everybody if each.account.host != self._host]
        known = copied_to(event) | held_back(event, [each.terms.id for each in others])
        by_host: dict[str, list[Follower]] = {}
        for follower in others:
            if follower.terms.id not in known:
                by_host.setdefault(follower.account.host, []).append(follower)
        for host, each in by_host.items():
            self._replicate_to(host, event, each, view)
        mark_planned(event, [each.terms.id for each in everybody], self._clock())

    def _replicate_to(
        self, host: str, event: CopyEvent, followers: Sequence[Follower], view: HostView
    ) -> None:
        # Without anybody waiting for it: what the host has to tell of symbols is known then.
        self._plan(host, event, _one_of_each(followers), view)
        with self._guard:
            number = self._folds.begin(event)
            done = copied_to(event)
            left = [each for each in followers if each.terms.id not in done]
            copies = self._plan(host, event, left, view)
            for place, batch in enumerate(cut(copies, BATCH)):
                _leave_to_their_host(batch, self._clock())
                with transaction.atomic():
                    self._folds.take_number(event, number + place)
                    write_batch(event, batch)
        wake(host, copies)

    def _plan(
        self, host: str, event: CopyEvent, followers: Sequence[Follower], view: HostView
    ) -> list[Copy]:
        now = self._clock()
        scene = self._scene(host, followers, view, now)
        return plan_copies(event, followers, scene, self._markets, now)

    def _scene(
        self, host: str, followers: Sequence[Follower], view: HostView, now: datetime
    ) -> Scene:
        locks = {lock.account_id: lock for lock in AccountLock.objects.standing()}
        flights = Flights.on_hosts((self._host, host), now.timestamp() - STALE_AFTER_SECONDS)
        scene = Scene.at(view, flights, locks, now)
        scene.look_elsewhere((each.account.id, host) for each in followers)
        return scene


def _one_of_each(followers: Sequence[Follower]) -> list[Follower]:
    """Return one follower for each server and currency: the others' symbols are the same."""
    found = {(each.account.server, each.account.currency): each for each in followers}
    return list(found.values())


def wake(host: str, copies: Sequence[Copy]) -> None:
    """Have a host send what it has got."""
    if any(copy.order is not None for copy in copies):
        enqueue(TaskMessage(SERVE, [host], f"terminals.{host}", _MESSAGE_SECONDS))


def _leave_to_their_host(copies: Sequence[Copy], now: datetime) -> None:
    for copy in copies:
        order = copy.order
        if order is not None and order.state == Order.State.PENDING:
            order.next_attempt_at = now + LANES_WAIT
