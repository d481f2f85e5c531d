"""What a host does about what its ticks find: enforcement first, then orders, account by account.

The tick hands over its view and goes on. A thread of its own looks at what is to be done, and lanes
do it side by side, one account's things strictly one after another. Everything is read from the
database and the newest view each time, so a worker that takes over goes on where another one died.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.market_terms import TermsBook
from accounts.sessions.lease import Fence
from accounts.sessions.poll import Poll
from risk.desk import Desk
from risk.ledger.host_ledger import HostLedger
from risk.models import Enforcement, Order
from risk.orders.doubts import forget_connection
from risk.orders.gating import Gate, HostGate
from risk.orders.lane import Lane, no_checkpoint, tell_nobody
from risk.orders.moments import is_due
from risk.orders.pool import LanePool
from risk.orders.terminal import Calls
from risk.orders.turns import Turns
from risk.orders.view import HostView
from risk.tracker import Assessment

logger = logging.getLogger(__name__)

TERMS_SECONDS = 1.0
# Without a tick for so long the desk looks by itself.
ROUND_SECONDS = 1.0
# What failed for an unforeseen reason is tried again after this.
RETRY_SECONDS = 1.0
# Whoever claims accounts gives them back after seconds, whatever becomes of the orders.
LONGEST_CLAIM_SECONDS = 60.0
_SHORTEST_SECONDS = 0.005
# A run that always wants another step at once lets the account's orders in now and then.
_MOST_STEPS = 50


class Enforcer(Protocol):
    """Begins and carries on what rules, people and the margin ask for; see `risk.enforcement`."""

    def note(self, view: HostView) -> None: ...

    def take(self, view: HostView) -> None: ...

    def running(self) -> Sequence[Enforcement]: ...

    def step(self, lane: Lane, run: Enforcement, view: HostView) -> float | None: ...


class HostDesk:
    """Carries out a host's enforcement and orders as long as its fence stands.

    With `is_inline` everything is done in `take`, by the time of the poll. `begin` runs first in
    each thread that writes. `checkpoint` is told at which step of an order's life a lane is, `tell`
    which orders have ended.
    """

    def __init__(
        self,
        host: str,
        source: Calls,
        fence: Fence,
        *,
        enforcer: Enforcer | None = None,
        gate: Gate | None = None,
        ledger: HostLedger | None = None,
        is_inline: bool = False,
        begin: Callable[[], None] = lambda: None,
        checkpoint: Callable[[str], None] = no_checkpoint,
        tell: Callable[[Sequence[Order]], None] = tell_nobody,
    ) -> None:
        self.host = host
        self.ledger = ledger or HostLedger(host)
        self.enforcer = enforcer
        self.terms = TermsBook(source, host)
        self._source = source
        self._fence = fence
        self._gate = gate or HostGate(self.terms)
        self._is_inline = is_inline
        self._checkpoint = checkpoint
        self._tell = tell
        self._view: HostView | None = None
        self._lanes: dict[UUID, Lane] = {}
        self._turns = Turns()
        self._watched: tuple[Desk, frozenset[UUID]] | None = None
        self._due_at: dict[UUID, float] = {}  # by run, on `_monotonic`
        self._seen_due: set[UUID] = set()  # breaches that a round has looked at
        self._terms_due_at = float("-inf")
        self._terms_busy = False
        self._complained_at = float("-inf")
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_closing = False
        self._begin = begin
        self._pool = LanePool(f"{host}-lanes", begin)
        self._thread = threading.Thread(target=self._run, name=f"{host}-desk", daemon=True)
        _desks[host] = self

    def take(self, poll: Poll, assessment: Assessment) -> None:
        """Act on what a tick found; returns at once unless the desk is inline."""
        self._view = view = HostView(poll, assessment)
        enforcer = self.enforcer
        if enforcer is not None:
            self._guarded("deals", lambda: enforcer.note(view))
        if self._is_inline:
            self._guarded("round", self._round)
            return
        if not self._thread.is_alive() and not self._is_closing:
            self._thread.start()
        self._wake.set()

    def wake(self) -> None:
        """Look into the database now; from any thread."""
        if not self._is_inline:
            self._wake.set()

    def claim(self, account_ids: Collection[UUID]) -> set[UUID]:
        """Take accounts out of their lanes' hands, to send to many of them together.

        Returns those that are free: watched here, with an idle lane and no enforcement under way.
        Whoever claims sends as a lane would, and releases them soon.
        """
        view = self._view
        if view is None or self._is_closing:
            return set()
        watched = self._watched_by(view.assessment.desk)
        return self._turns.claim(watched.intersection(account_ids), self._monotonic())

    def _watched_by(self, desk: Desk) -> frozenset[UUID]:
        """Return the accounts that are watched, gathered once for each time they are loaded."""
        known = self._watched
        if known is None or known[0] is not desk:
            watched = frozenset(each.id for each in desk.accounts if each is not None)
            known = self._watched = desk, watched
        return known[1]

    def claimed(self) -> set[UUID]:
        """Return the accounts that are claimed at the moment."""
        return self._turns.claimed()

    def release(self, account_ids: Collection[UUID]) -> None:
        """Give claimed accounts back to their lanes."""
        if self._turns.release(account_ids):
            self.wake()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Begin nothing more, and wait a little for what is under way."""
        self._is_closing = True
        self._wake.set()
        if _desks.get(self.host) is self:
            del _desks[self.host]
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)
        self._pool.close(timeout_seconds)

    def _run(self) -> None:
        try:
            self._begin()
            while not self._is_closing:
                self._wake.wait(self._wait_seconds())
                self._wake.clear()
                # The connection stays: a new one for each round would cost more than the round.
                self._give_way()
                if not self._is_closing:
                    self._guarded("round", self._round)
        finally:
            connections.close_all()

    def _give_way(self) -> None:
        """Let orders that are to leave come first, but never before a violation is acted on."""
        view = self._view
        due = set() if view is None else {each.breach_id for each in view.assessment.due}
        if due <= self._seen_due and not self._running():
            RIGHT_OF_WAY.give()
        self._seen_due = due

    def _wait_seconds(self) -> float:
        with self._lock:
            soonest = min(self._due_at.values(), default=float("inf"))
        return min(max(soonest - self._monotonic(), _SHORTEST_SECONDS), ROUND_SECONDS)

    def _round(self) -> None:
        """Look at what is to be done and give each account's part to its lane."""
        view = self._view
        if view is None:
            return
        # What an earlier worker wrote down comes before anything that is decided anew.
        if self.ledger.is_behind:
            self._guarded("journal", self.ledger.catch_up)
        runs = self._runs(view)
        waiting = self._accounts_with_orders()
        self._refresh_terms()
        self._complain_of_claims()
        for account_id in dict.fromkeys((*(run.account_id for run in runs), *waiting)):
            if view.facts_of(account_id) is None:
                continue
            mine = [run for run in runs if run.account_id == account_id]
            self._start(account_id, mine, has_orders=account_id in waiting)

    def _complain_of_claims(self) -> None:
        """Say that accounts were claimed and never given back: nobody closes anything on them."""
        long_ago = self._monotonic() - LONGEST_CLAIM_SECONDS
        if self._complained_at > long_ago:
            return
        claimed = self._turns.claimed_until(long_ago)
        if claimed:
            self._complained_at = self._monotonic()
            logger.error(
                "%d accounts of %s have been claimed for a minute and more, among them %s.",
                len(claimed),
                self.host,
                min(claimed),
            )

    def _runs(self, view: HostView) -> list[Enforcement]:
        """Return the runs whose next step is due."""
        enforcer = self.enforcer
        if enforcer is None:
            return []
        self._guarded("enforcement", lambda: enforcer.take(view))
        runs = self._running()
        self._turns.keep(run.account_id for run in runs)
        now = self._monotonic()
        with self._lock:
            known = {run.id for run in runs}
            self._due_at = {key: at for key, at in self._due_at.items() if key in known}
            return [run for run in runs if self._due_at.get(run.id, now) <= now]

    def _running(self) -> list[Enforcement]:
        if self.enforcer is None:
            return []
        found: list[Enforcement] = []
        enforcer = self.enforcer
        self._guarded("runs", lambda: found.extend(enforcer.running()))
        return found

    def _accounts_with_orders(self) -> set[UUID]:
        now = self._now()
        found: set[UUID] = set()
        # Before and after: an order whose answer is written meanwhile was seen as sent.
        claimed = self._turns.claimed()

        def look() -> None:
            rows = Order.objects.unfinished().filter(host=self.host).order_by()
            known = list(rows.values_list("account_id", "state", "next_attempt_at"))
            claimed.update(self._turns.claimed())
            for account_id, state, again_at in known:
                # Whoever claimed the account waits for the answer.
                is_answered = state != Order.State.SENT or account_id not in claimed
                if is_answered and is_due(again_at, now):
                    found.add(account_id)

        self._guarded("orders", look)
        return found

    def _start(self, account_id: UUID, runs: Sequence[Enforcement], *, has_orders: bool) -> None:
        if not self._turns.take(account_id):
            return

        def work() -> None:
            try:
                self._work(account_id, runs, has_orders=has_orders)
            finally:
                self._end(account_id)

        if self._is_inline:
            work()
        elif not self._pool.submit(work):
            self._end(account_id)

    def _end(self, account_id: UUID) -> None:
        """Free a lane, and have another round when there was more for it meanwhile."""
        has_more = self._turns.release((account_id,))
        # Also for a run that is due again: whoever waits for it must learn when.
        if has_more or self._due_at:
            self._wake.set()

    def _work(self, account_id: UUID, runs: Sequence[Enforcement], *, has_orders: bool) -> None:
        """Do what is due on one account: its runs first."""
        view = self._view
        facts = view.facts_of(account_id) if view is not None else None
        if facts is None:
            return
        lane = self._lanes.get(account_id)
        if lane is None or lane.account != facts:
            lane = self._lanes[account_id] = Lane(
                facts,
                host=self.host,
                source=self._source,
                ledger=self.ledger,
                fence=self._fence,
                view=self._newest_view,
                clock=self._now,
                monotonic=self._monotonic,
                gate=self._gate,
                checkpoint=self._checkpoint,
                tell=self._tell,
            )
        for run in runs:
            self._carry_on(lane, run)
        if has_orders and not self._is_closing:
            self._guarded("orders", lane.serve)

    def _carry_on(self, lane: Lane, run: Enforcement) -> None:
        """Do the steps of a run that are due now."""
        enforcer = self.enforcer
        for _ in range(_MOST_STEPS):
            with self._lock:
                is_due = self._due_at.get(run.id, float("-inf")) <= self._monotonic()
                if not is_due or enforcer is None or self._is_closing:
                    return
                # Not due as long as a step of it is under way.
                self._due_at[run.id] = float("inf")
            delay: float | None = RETRY_SECONDS
            try:
                delay = enforcer.step(lane, run, self._newest_view())
            except Exception:
                forget_connection()
                logger.exception("A step of the enforcement on %s failed.", run.account_name)
            with self._lock:
                again_at = float("inf") if delay is None else self._monotonic() + delay
                self._due_at[run.id] = again_at
            if delay is None:
                return

    def _refresh_terms(self) -> None:
        """Hand the web the terms that it asked for, beside everything else."""
        now = self._monotonic()
        if self._terms_busy or now < self._terms_due_at:
            return
        self._terms_due_at = now + TERMS_SECONDS
        if self._is_inline:
            self._guarded("terms", self.terms.refresh_wanted)
            return

        def refresh() -> None:
            try:
                self.terms.refresh_wanted()
            finally:
                self._terms_busy = False

        self._terms_busy = self._pool.submit(refresh)

    def _guarded(self, name: str, work: Callable[[], object]) -> None:
        """Do a part of a round; what fails is tried again by the next one, and stops no other."""
        try:
            work()
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("The %s of %s wait for the database: %s", name, self.host, error)
        except Exception:
            logger.exception("The %s of %s could not be looked at.", name, self.host)

    def _newest_view(self) -> HostView:
        if self._view is None:
            raise LookupError("no tick has run yet")
        return self._view

    def _now(self) -> datetime:
        return self._newest_view().poll.now if self._is_inline else timezone.now()

    def _monotonic(self) -> float:
        return self._newest_view().poll.monotonic if self._is_inline else time.monotonic()


_desks: dict[str, HostDesk] = {}


def wake_desks(hosts: Iterable[str]) -> None:
    """Have the desks that this process has for these hosts look into the database now."""
    for host in hosts:
        desk = _desks.get(host)
        if desk is not None:
            desk.wake()
