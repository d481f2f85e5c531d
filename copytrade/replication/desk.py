"""The copying of one host: from what its providers do to what its followers are sent."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.sessions.lease import Fence
from accounts.sessions.poll import Poll
from accounts.terminals.registry import Source
from copytrade.models import CopyEvent
from copytrade.publishing import ring_ledgers
from copytrade.replication.arriving import Arrivals
from copytrade.replication.collecting import Collector
from copytrade.replication.elsewhere import Elsewhere
from copytrade.replication.folding import Folds
from copytrade.replication.replicator import Replicator
from copytrade.replication.warming import WARM_SECONDS, Warmth
from copytrade.replication.writing import store_events
from copytrade.watching.providers import watched_providers
from copytrade.watching.watch import ProviderWatch
from risk.models import Order
from risk.orders.desk import HostDesk
from risk.orders.doubts import forget_connection
from risk.orders.view import HostView
from risk.tracker import Assessment

logger = logging.getLogger(__name__)

SYNC_SECONDS: Final = 1.0
# So often what could not be planned yet is looked at again: its followers may have connected.
LEFT_OVER_SECONDS: Final = 0.25
# And so often what was put off for a moment: accounts may have been read, or their copies taken in.
POSTPONED_SECONDS: Final = 0.03
MOST_LEFT_OVER: Final = 500


def tell_nobody(orders: Sequence[Order]) -> None:
    del orders


class CopyDesk:
    """Watches a host's providers and copies what they do, as long as its fence stands.

    `take` is for the tick's thread. `settled` is told, from a thread of the desk's own, which
    orders of copies have ended, and `planned` which events are written with all their copies. With
    `is_inline` everything is done in `take`.
    """

    def __init__(
        self,
        host: str,
        source: Source,
        fence: Fence,
        desk: HostDesk,
        *,
        is_inline: bool = False,
        begin: Callable[[], None] = lambda: None,
        settled: Callable[[Sequence[Order]], None] = tell_nobody,
        planned: Callable[[UUID], None] = lambda _: None,
    ) -> None:
        self.host = host
        self._planned = planned
        self._is_inline = is_inline
        self._begin = begin
        self._view: HostView | None = None
        self._synced_at = float("-inf")
        self._under_way: set[UUID] = set()  # of the watch's thread
        self._is_left = False  # an event that is not planned for everybody
        # Taken again by what is told of an end while an event is carried out inline.
        self._lock = threading.RLock()
        self._desk = desk
        self._folds = Folds(host, self._now)
        self._has_taken_over = False
        self._collector = Collector(
            host,
            desk.ledger,
            clock=self._now,
            unfold=self._folds.unfold_soon,
            settled=settled,
            release=self._release,
            begin=begin,
            is_inline=is_inline,
            is_urgent=lambda: bool(self._replicator.postponed),
        )
        self._replicator = Replicator(
            host,
            source,
            desk,
            fence,
            self._collector,
            self._folds,
            clock=self._now,
            is_inline=is_inline,
        )
        self._warmth = Warmth(self._replicator.markets)
        self._arrivals = Arrivals(host, desk, self._replicator, self._now)
        self._elsewhere = Elsewhere(
            host,
            source,
            clock=self._now,
            view=lambda: self._view,
            guard=self._lock,
            folds=self._folds,
            planned=planned,
            begin=begin,
            is_inline=is_inline,
        )
        self.watch = ProviderWatch(host, source, on_events=self.replicate, is_inline=is_inline)
        self._syncing = threading.Thread(target=self._run, name=f"{host}-copies", daemon=True)
        self._closing = threading.Event()
        self._wake = threading.Event()
        _desks[host] = self

    def take(self, poll: Poll, assessment: Assessment) -> None:
        """Plan by what this tick found from now on; returns at once unless the desk is inline."""
        self._view = HostView(poll, assessment)
        if self._is_inline:
            if poll.monotonic - self._synced_at >= SYNC_SECONDS:
                self._synced_at = poll.monotonic
                self.sync()
            self.watch.poll(poll.now, poll.monotonic)
            self._take_up_postponed()
        elif not self._syncing.is_alive() and not self._closing.is_set():
            self._syncing.start()
            self.watch.start()
        if self._replicator.waiting.read():
            self.wake()

    def replicate(self, events: Sequence[CopyEvent]) -> None:
        """Store what providers did and copy it; raises when it could not be stored.

        What fails later is taken up again from the stored events.
        """
        ids = {event.pk for event in events}
        self._under_way |= ids
        try:
            # Found is not copied yet: what happened before is written after it.
            with RIGHT_OF_WAY.taken():
                store_events(events)
            for event in events:
                self._carry_out(event)
        finally:
            self._under_way -= ids

    def take_over(self) -> None:
        """Make rows of what an earlier worker has sent, before anybody looks for them.

        Never raises: while the database is away nobody finds anything else either.
        """
        if self._has_taken_over:
            return
        try:
            self._folds.unfold_left()
            self._has_taken_over = True
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("What was left of %s waits for the database: %s", self.host, error)
        except Exception:
            logger.exception("What was left of %s could not be unfolded.", self.host)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Keep copies from being planned for a moment; what was sent before is in its rows.

        Raises a database error when it could not be brought there.
        """
        with self._lock:
            if self._folds.may_be_left:
                self._folds.unfold_left()
            yield

    def nudge(self, account_id: UUID) -> None:
        """Look at a provider at once; from any thread."""
        self.watch.nudge(account_id)

    def wake(self) -> None:
        """Look at once for what other hosts have ordered; from any thread."""
        if not self._is_inline:
            self._wake.set()

    def sync(self) -> None:
        """Follow the database: what has come, whom to watch, and what was left unplanned."""
        self._take_arrivals()
        try:
            self._look_after_folds()
            providers = watched_providers(self.host)
            self.watch.sync(providers)
            self._replicator.keep_ready(each.account_id for each in providers)
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("The providers of %s could not be looked at: %s", self.host, error)
        except Exception:
            logger.exception("The providers of %s could not be looked at.", self.host)
        self._take_up_left_over_or_say()

    def close(self) -> None:
        """Watch and send nothing more; wait a little for what is under way."""
        self._closing.set()
        self._wake.set()
        if _desks.get(self.host) is self:
            del _desks[self.host]
        self.watch.close()
        self._elsewhere.close()
        if self._syncing.is_alive():
            self._syncing.join(5.0)
        self._collector.close()
        self._replicator.close()

    def _run(self) -> None:
        try:
            self._begin()
            due_at = float("-inf")
            while not self._closing.is_set():
                if self._wake.wait(min(max(0.0, due_at - time.monotonic()), self._longest())):
                    self._wake.clear()
                    self._take_up_postponed()
                    self._take_arrivals()
                self._take_up_postponed()
                if time.monotonic() >= due_at:
                    due_at = time.monotonic() + SYNC_SECONDS
                    self.sync()
                elif self._is_left:
                    self._take_up_left_over_or_say()
                self._keep_warm()
        finally:
            connections.close_all()

    def _release(self, account_ids: Sequence[UUID]) -> None:
        """Free accounts whose orders have ended; what has waited for them goes together."""
        postponed = self._replicator.postponed
        postponed.note_freed(account_ids)
        self._desk.release(account_ids)
        is_time = self._replicator.waiting.freed(account_ids)
        if is_time or postponed.is_nearly_free():
            self.wake()

    def _longest(self) -> float:
        """Return how long the thread that looks after copies may wait, in seconds."""
        is_near = bool(self._replicator.postponed)
        return POSTPONED_SECONDS if is_near else min(LEFT_OVER_SECONDS, WARM_SECONDS)

    def _take_up_postponed(self) -> None:
        """Carry out what was put off and can be done now; each once, the earliest first."""
        postponed, view = self._replicator.postponed, self._view
        if not postponed or view is None:
            return
        try:
            for one in postponed.due(view):
                self._carry_out(one.event)
                postponed.forget(one)
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            postponed.clear()
            logger.warning("What was put off at %s waits for the database: %s", self.host, error)
        except Exception:
            postponed.clear()
            logger.exception("What was put off at %s could not be looked at.", self.host)

    def _keep_warm(self) -> None:
        try:
            self._warmth.keep(self._now())
        except Exception:
            logger.exception("The symbols of %s could not be asked about.", self.host)

    def _take_arrivals(self) -> None:
        view = self._view
        if view is None:
            return
        try:
            with self.standing_still():
                self._arrivals.take(view)
            self._collector.flush()
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("Copies for %s wait for the database: %s", self.host, error)
        except Exception:
            logger.exception("Copies for %s could not be sent together.", self.host)

    def _look_after_folds(self) -> None:
        self._folds.look()
        if self._folds.may_be_left:
            with self.standing_still():
                pass

    def _take_up_left_over_or_say(self) -> None:
        try:
            self._take_up_left_over()
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("What was left at %s waits for the database: %s", self.host, error)
        except Exception:
            logger.exception("What was left at %s could not be taken up.", self.host)

    def _take_up_left_over(self) -> None:
        view = self._view
        if view is None:
            return
        events = CopyEvent.objects.filter(
            planned_at=None,
            provider_id__in=[
                facts.id for facts in view.assessment.desk.accounts if facts is not None
            ],
        ).order_by("detected_at", "happened_at", "deal_ticket")
        found = list(events[:MOST_LEFT_OVER])
        self._is_left = bool(found)
        for event in found:
            is_taken = event.pk in self._under_way or event.pk in self._replicator.postponed
            if not is_taken and self._replicator.is_due(event, view):
                self._carry_out(event)

    def _carry_out(self, event: CopyEvent) -> None:
        view = self._view
        if view is None:
            return
        began = time.perf_counter()
        try:
            # One at a time: the next event plans with what this one wrote.
            with self._lock:
                is_elsewhere = self._replicator.replicate(event, view)
            if is_elsewhere:
                self._elsewhere.take(event)
            else:
                self._planned(event.pk)
            ring_ledgers([event.provider_id])
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("An event of %s waits for the database: %s", event.provider_name, error)
        except Exception:
            logger.exception("An event of %s could not be copied.", event.provider_name)
        else:
            taken = (time.perf_counter() - began) * 1000
            logger.debug("%s was copied in %.1f ms.", event, taken)

    def _now(self) -> datetime:
        view = self._view
        return view.poll.now if self._is_inline and view is not None else timezone.now()


_desks: dict[str, CopyDesk] = {}


def wake_copying(hosts: Iterable[str]) -> None:
    """Have the copying that this process does for these hosts look at what has come."""
    for host in hosts:
        desk = _desks.get(host)
        if desk is not None:
            desk.wake()
