"""Which runs of enforcement a host has: what begins, what goes on, what is over."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import DatabaseError, IntegrityError, InterfaceError

from accounts.terminals.link import LinkError
from risk.core.figures import Currency
from risk.core.offending import Book, offending
from risk.core.pair_numbers import pair_numbers
from risk.core.parameters import MaxDailyTrades
from risk.core.rule_types import Action
from risk.core.sentences import breach_sentence
from risk.due import Due
from risk.enforcement.around import book_for
from risk.enforcement.beginnings import run_of_due, run_of_lock
from risk.enforcement.books import book_of_view, rows_of
from risk.enforcement.carrying import Carrier, tell_nobody
from risk.enforcement.goals import kept_by
from risk.enforcement.locking import MOST_PER_MINUTE, Patience, StandingLocks
from risk.enforcement.margin_watch import MarginWatch
from risk.enforcement.notices import Notices, reopened_too_often
from risk.enforcement.runs import Progress, put_off
from risk.enforcement.stop_outs import StopOuts
from risk.enforcement.sweeping import recent_relocks, sweep
from risk.models import Enforcement
from risk.orders.doubts import forget_connection
from risk.orders.lane import Lane
from risk.orders.view import HostView

logger = logging.getLogger(__name__)

# Whoever is woken between two ticks looks into the database, but not all the time.
SWEEP_SECONDS = 0.05
_REMEMBERED = 1000
# A view is younger than this, and so is what has been closed since.
CLOCK_SECONDS = 60.0

Signature = frozenset[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class _Ended:
    """What was open when a breach's last run ended, and whether that run had done anything."""

    holdings: Signature
    has_acted: bool


class Enforcer:
    """Begins runs when a rule's action is due, and carries each on until it is confirmed.

    `take` is for the desk's thread, `step` for the lane of the run's account, `running` for both.
    What people asked for, and what a dead worker left, is found in the database. `liquidated` is
    told, from any of these threads, which account is being closed by the margin cut-off or by its
    broker; it must not take time.
    """

    def __init__(
        self,
        host: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        liquidated: Callable[[UUID], None] = tell_nobody,
    ) -> None:
        self.host = host
        self.notices = Notices()
        self._runs: dict[UUID, Enforcement] = {}
        self._progress: dict[UUID, Progress] = {}
        self._over: dict[UUID, None] = {}  # ordered: the oldest is forgotten first
        self._ended: dict[UUID, _Ended] = {}  # by breach
        self._settled_at: dict[UUID, float] = {}  # by account, UTC epoch
        self._locks = StandingLocks()
        self._patience = Patience()
        self._margin = MarginWatch()
        self._stop_outs = StopOuts(liquidated)
        self._view: HostView | None = None
        self._monotonic = monotonic
        self._swept_at = float("-inf")
        self._is_swept = False
        self._stepping: set[UUID] = set()  # runs that their lanes are at
        self._lifted: Collection[tuple[UUID, UUID]] = ()
        self._lock = threading.RLock()
        self._carrier = Carrier(self._locks, self.notices, liquidated)

    def note(self, view: HostView) -> None:
        """Keep what this view alone shows; called by the tick, for each of its views."""
        self._stop_outs.note(view)

    def take(self, view: HostView) -> None:
        """Begin what this view calls for; the rows are written by the first step of each run."""
        for message, is_first in self._margin.news(view):
            self.notices.add(message, unless_recent=is_first)
        for message in self._stop_outs.news():
            self.notices.add(message)
        self._sweep_once_per_view(view)  # what is under way must be known before more begins
        if not self._is_swept:
            logger.warning("Enforcement begins without knowing what was under way before.")
        with self._lock:
            for due in view.assessment.due:
                self._take_due(due, view)
            for account_id in list(self._locks.by_account):
                self._take_locked(account_id, view)
        if self.notices.is_due(view.poll.now, is_busy=bool(self._runs)):
            self.notices.write(view.poll.now)

    def running(self) -> Sequence[Enforcement]:
        """Return the runs that are not over, each the same object at every call."""
        with self._lock:
            return list(self._runs.values())

    def step(self, lane: Lane, run: Enforcement, view: HostView) -> float | None:
        """Do one short step of a run; return the seconds until the next, None when it is over."""
        with self._lock:
            self._stepping.add(run.pk)
        try:
            return self._step(lane, run, view)
        finally:
            with self._lock:
                self._stepping.discard(run.pk)

    def _step(self, lane: Lane, run: Enforcement, view: HostView) -> float | None:
        progress = self._progress.setdefault(run.pk, Progress())
        due = next((each for each in view.assessment.due if each.breach_id == run.breach_id), None)
        try:
            delay = self._carrier.step(lane, run, progress, view, due, self._beside(run))
        except LinkError as error:
            delay = put_off(lane, run, progress, error)
        except IntegrityError:
            if not progress.is_new:
                raise
            # Another worker, or a person, has begun the same a moment ago: that one goes on.
            logger.info("A run on %s was under way already.", run.account_name)
            self._forget(run)
            self._swept_at = float("-inf")
            return None
        if delay is None:
            self._end(lane, run, progress)
        self.notices.write(lane.clock())
        return delay

    def _beside(self, run: Enforcement) -> list[Enforcement]:
        """Return the other runs on the account of one; they are stepped in its lane as well."""
        return [
            other
            for other in self.running()
            if other.account_id == run.account_id and other.pk != run.pk
        ]

    def _take_due(self, due: Due, view: HostView) -> None:
        if self._is_under_way(due.account.id, due.breach_id):
            return
        row, account_id = due.row, due.account.id
        read_at = float(view.poll.read_at[row])
        if not self._is_newer(read_at, account_id, view):
            return
        is_total = due.rule.response.action is Action.CLOSE_ALL
        if is_total and self._has_locked(account_id, due.breach_id):
            return
        book = book_for(due, view)
        if not is_total and not self._has_something_to_do(due, book):
            return
        reason = _sentence(due, view)
        self._begin(run_of_due(due, host=self.host, reason=reason, read_at=read_at))

    def _has_locked(self, account_id: UUID, breach_id: UUID) -> bool:
        """Tell whether a CLOSE_ALL has acted: what is opened afterwards is the lock's affair.

        And nobody's once a person has unlocked the account: only acknowledging arms it again.
        """
        is_lifted = (account_id, breach_id) in self._lifted
        return is_lifted or self._locks.is_locked_for(account_id, breach_id)

    def _has_something_to_do(self, due: Due, book: Book) -> bool:
        """Tell whether an action that closes a part would find it, and has not done so before."""
        if not book.positions and not book.orders:
            return False
        ended = self._ended.get(due.breach_id)
        response = due.rule.response
        is_same = ended is not None and ended.holdings == _signature(book)
        if is_same and (response.close_fraction < 1 or not (ended and ended.has_acted)):
            return False
        if isinstance(due.rule.parameters, MaxDailyTrades):
            return True  # which of them were opened today, only the terminal's history tells
        return bool(offending(due.rule.parameters, response, book))

    def _take_locked(self, account_id: UUID, view: HostView) -> None:
        row = view.row_of(account_id)
        account = view.facts_of(account_id)
        if row is None or account is None or not view.poll.batch.accounts["trade_allowed"][row]:
            return
        if any(run.account_id == account_id for run in self._runs.values()):
            return
        locks = self._locks.by_account[account_id]
        moment = view.assessment.moment
        locked_at = max(lock.locked_at.timestamp() for lock in locks)
        if not self._is_newer(float(view.poll.read_at[row]), account_id, view, locked_at):
            return
        if view.doubt_about(account_id, view.poll.now):
            return
        if not _holds_anything(view, row):
            return
        if not self._locks.has_intruders(account_id, book_of_view(view, row)):
            return
        if not self._patience.allows(account_id, moment):
            return
        if self._patience.is_at_its_end(account_id, moment):
            self.notices.add(
                reopened_too_often(
                    account_id, account.user_id, account.name, MOST_PER_MINUTE, view.poll.now
                )
            )
            return
        self._patience.note(account_id, moment)
        kept = dict(self._locks.kept.get(account_id, {}))
        reason = locks[0].reason
        self._begin(run_of_lock(account, host=self.host, kept=kept, reason=reason, moment=moment))

    def _is_newer(
        self, read_at: float, account_id: UUID, view: HostView, since: float = float("-inf")
    ) -> bool:
        """Tell whether a reading was taken after what was closed last on the account, and `since`.

        Both are moments of a clock: one that lies well ahead of it is from before it was set back.
        """
        moments = (self._settled_at.get(account_id, float("-inf")), since)
        latest = view.assessment.moment + CLOCK_SECONDS
        return all(read_at > moment for moment in moments if moment <= latest)

    def _begin(self, run: Enforcement) -> None:
        self._runs[run.pk] = run
        self._progress[run.pk] = Progress(is_new=True)

    def _is_under_way(self, account_id: UUID, breach_id: UUID) -> bool:
        return any(
            run.breach_id == breach_id and run.account_id == account_id
            for run in self._runs.values()
        )

    def _end(self, lane: Lane, run: Enforcement, progress: Progress) -> None:
        """Forget a run that is over, but not what it left, until a newer reading shows that."""
        now = lane.clock().timestamp()
        with self._lock:
            self._settled_at[run.account_id] = now
            if run.breach_id is not None:
                holdings = _signature(progress.last_book) if progress.last_book else frozenset()
                self._ended[run.breach_id] = _Ended(holdings, progress.has_acted)
            if run.options.get("lock"):
                self._locks.kept.setdefault(run.account_id, {}).update(kept_by(run))
            self._forget(run)

    def _forget(self, run: Enforcement) -> None:
        with self._lock:
            self._runs.pop(run.pk, None)
            self._progress.pop(run.pk, None)
            self._over[run.pk] = None
            for memory in (self._over, self._ended):
                while len(memory) > _REMEMBERED:
                    memory.pop(next(iter(memory)))

    def _sweep_once_per_view(self, view: HostView) -> None:
        if view is not self._view or self._monotonic() - self._swept_at >= SWEEP_SECONDS:
            self._view = view
            self._sweep(view)

    def _sweep(self, view: HostView) -> None:
        """Find in the database the runs of this host that are not over, and the locks."""
        self._swept_at = self._monotonic()
        try:
            found = sweep(
                self.host,
                known=list(self._runs),
                unconfirmed=list(self._locks.unconfirmed),
                due=[due.breach_id for due in view.assessment.due],
            )
            relocks = [] if self._is_swept else recent_relocks(self.host, view.poll.now)
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("Enforcement is known from memory only: %s", error)
            return
        with self._lock:
            for run in found.over:
                # Given up because nobody can reach the account; what its lane ends, it forgets.
                if run.pk not in self._stepping:
                    self._forget(run)
            for run in found.running:
                if run.pk not in self._over:
                    mine = self._runs.setdefault(run.pk, run)
                    # A person may have asked for a lock while it was under way.
                    if run.options.get("lock") and not mine.options.get("lock"):
                        mine.options = {**mine.options, "lock": True}
            self._locks.replace(found.locks, found.kept, found.confirmed)
            self._lifted = found.lifted
            for account_id, moment in relocks:
                self._patience.note(account_id, moment)
            self._is_swept = True


def _signature(book: Book) -> Signature:
    held = {(each.ticket, f"{each.volume:f}") for each in book.positions}
    return frozenset(held | {(each.ticket, "pending") for each in book.orders})


def _holds_anything(view: HostView, row: int) -> bool:
    batch = view.poll.batch
    return bool(len(rows_of(batch.positions, row)) or len(rows_of(batch.orders, row)))


def _sentence(due: Due, view: HostView) -> str:
    """Return what the rule says of the account at this moment."""
    assessment, batch = view.assessment, view.poll.batch
    numbers = pair_numbers(assessment.evaluation, assessment.latches.state, due.pair, batch.symbols)
    reading = batch.accounts[due.row]
    currency = Currency(batch.currencies[int(reading["currency"])], int(reading["currency_digits"]))
    is_early = bool(assessment.latches.state.is_early[due.pair])
    return breach_sentence(
        due.account.name, due.rule.parameters, numbers, currency, is_early=is_early
    )
