"""From a provider's event to orders under way: plan, gate, write ahead, send, then unfold.

docs/architecture.md, "Copying", shows it together with what comes before and after.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar
from uuid import UUID

from django.db import connections

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.sessions.lease import Fence
from accounts.sessions.line import InlineExecutor
from accounts.terminals.readings import STALE_AFTER_SECONDS
from accounts.terminals.registry import Source
from copytrade.models import CopyEvent
from copytrade.replication.alike import Alike
from copytrade.replication.change_gate import ChangeGate
from copytrade.replication.changing import complete
from copytrade.replication.checks import Decided
from copytrade.replication.collecting import Collector
from copytrade.replication.flights import Flights
from copytrade.replication.folding import Folds
from copytrade.replication.followers import Follower, FollowerBook
from copytrade.replication.gating import BatchGate, Passing, claimable, goes_at_once
from copytrade.replication.handing import HandOver, SentAlike
from copytrade.replication.left_over import LeftOver
from copytrade.replication.markets import Markets
from copytrade.replication.order_of_events import held_back
from copytrade.replication.planning import Planning
from copytrade.replication.postponing import Postponed
from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from copytrade.replication.stamps import Stamp
from copytrade.replication.unfolding import Record
from copytrade.replication.waiting import TOGETHER_WITHIN, Waiting, better_together
from copytrade.replication.writing import copied_to
from risk.core.gate.verdicts import GateDecision
from risk.models import AccountLock, Order
from risk.orders.desk import HostDesk
from risk.orders.view import HostView

logger = logging.getLogger(__name__)
_Item = TypeVar("_Item")

BATCH: Final = 50
# So many are planned, gated, written and sent together, in one thread: each further part costs all
# of them what it takes to begin.
WAVE: Final = 1_000
# So long at most the watch does not look because what it has sent is unfolded.
UNFOLDING_SECONDS: Final = 1.0


@dataclass(slots=True)
class Course:
    """How far the copying of an event to the followers of this host has come."""

    event: CopyEvent
    scene: Scene
    number: int  # of the next batch
    decisions: dict[UUID, GateDecision] = field(default_factory=dict)
    claimed: set[UUID] = field(default_factory=set)
    handed: dict[UUID, UUID] = field(default_factory=dict)  # orders that the collector has
    handed_over: set[UUID] = field(default_factory=set)  # accounts, in crowds
    rounds: list[Decided] = field(default_factory=list)
    changes: list[GateDecision] = field(default_factory=list)  # that pass
    records: list[Record] = field(default_factory=list)
    written: set[UUID] = field(default_factory=set)  # relationships
    error: Exception | None = None
    has_waiting: bool = False


class Replicator:
    """Carries a host's events out; for one thread.

    Orders that cannot go at once are written as waiting, and their lanes or hosts see to them.
    """

    def __init__(
        self,
        host: str,
        source: Source,
        desk: HostDesk,
        fence: Fence,
        collector: Collector,
        folds: Folds,
        *,
        clock: Callable[[], datetime],
        is_inline: bool = True,
    ) -> None:
        self._host = host
        self._desk = desk
        self._collector = collector
        self._folds = folds
        self._clock = clock
        self._book = FollowerBook()
        self.markets = Markets(source)
        self.hand_over = HandOver(source, fence, collector, self.markets, lambda: self._clock())
        self._left = LeftOver()
        self.waiting = Waiting()
        self.postponed = Postponed(desk, lambda: self._clock(), lambda: collector.has_answers)
        # Nobody waits for what it writes while an event is sent, and it has patience.
        self._writer: Executor = (
            InlineExecutor() if is_inline else ThreadPoolExecutor(1, f"{host}-copy-writer")
        )

    def close(self) -> None:
        """End the thread that writes."""
        self._writer.submit(connections.close_all)
        self._writer.shutdown()

    def keep_ready(self, provider_ids: Iterable[UUID]) -> None:
        """Learn anew who copies these providers, so that nobody waits for it; from any thread."""
        for provider_id in provider_ids:
            RIGHT_OF_WAY.give()
            self._book.refresh(provider_id)

    def replicate(self, event: CopyEvent, view: HostView) -> bool:
        """Plan a stored event for this host's followers, write that, send what may go at once.

        Tells whether others have followers to plan it for; it counts as planned only if not, and
        once nobody waits for what is not known yet, or for an earlier event (see `postponing`).
        Done again, be it after a crash, it goes on where it was: a copy is written once. When it
        returns, or raises an error, what was sent is in its rows, or the folds say that something
        may be left. Raises a database error when something could not be written.
        """
        with self._collector.held_back(), RIGHT_OF_WAY.taken():
            stamp = Stamp.of(event, self._host, oldest(view, self._clock()))
            everybody = self._book.followers(
                event.provider_id, until=event.detected_at, version=stamp.followers
            )
            here = [each for each in everybody if each.account.host == self._host]
            later = self.postponed.put_off(event, here, view)
            free = [each for each in here if each.account.id not in later] if later else here
            # What is still folded is not waited for where nobody is planned for.
            number = self._folds.begin(event) if stamp.has_batches and free else 0
            done = copied_to(event) if stamp.is_copied else set()
            known = set(done)
            if stamp.has_earlier:
                known |= held_back(event, [each.terms.id for each in free])
            followers = [follower for follower in free if follower.terms.id not in known]
            course = self._send(event, followers, view, number, stamp) if followers else None
        if course is not None:
            self._end(course)
            done |= course.written
        is_done = self._left.note(event, here, done, self._clock())
        if len(here) < len(everybody):
            if is_done:
                self._left.wait_for_others(event, self._clock())
            return True
        if is_done:
            CopyEvent.objects.filter(pk=event.pk, planned_at=None).update(planned_at=self._clock())
        return False

    def is_due(self, event: CopyEvent, view: HostView) -> bool:
        """Tell whether an event that was not planned for everybody is worth another look."""
        return self._left.is_due(event, view, self._clock())

    def _send(
        self,
        event: CopyEvent,
        followers: Sequence[Follower],
        view: HostView,
        number: int,
        stamp: Stamp,
    ) -> Course:
        """Plan, write ahead and hand over, wave by wave; what failed is raised by `_end`.

        Whoever fails sends nothing more of the event.
        """
        scene = self._scene(view, self._clock(), stamp)
        course = Course(event, scene, number)
        try:
            is_new = not stamp.has_copies
            planning = Planning(event, followers, scene, self.markets, is_new=is_new)
            gate = BatchGate(scene, self.markets)
            for wave in cut(followers, WAVE):
                crowds, rest = planning.crowds(wave, scene.now)
                copies = self._carry_crowds(course, crowds, gate)
                copies += (copy for _, copy in rest())
                self._carry(course, copies, gate)
        except Exception as error:
            course.error = error
        return course

    def _end(self, course: Course) -> None:
        """Have rows made of what was written ahead, and wait for that, but not for long."""
        unfolding = self._writer.submit(self._unfold, course)
        if wait([unfolding], UNFOLDING_SECONDS).done:
            course.error = course.error or _error_of(unfolding)
        else:
            # Whoever needs the rows makes them, or waits for them.
            self._folds.may_be_left = True
            unfolding.add_done_callback(self._unfolded_late)
        self._collector.flush()
        if course.error is not None:
            raise course.error
        refusals = [each for each in course.decisions.values() if not each.is_allowed]
        self._collector.note(course.rounds, [*refusals, *course.changes])
        if course.has_waiting:
            self._desk.wake()

    def _unfold(self, course: Course) -> None:
        """Make rows of what was written ahead, and free the accounts that nothing was sent to."""
        try:
            self._folds.unfold(course.records)
        except Exception:
            self._folds.may_be_left = True
            raise
        finally:
            handed = course.handed_over.union(course.handed.values())
            self._desk.release(course.claimed - handed)

    def _unfolded_late(self, unfolding: "Future[None]") -> None:
        error = _error_of(unfolding)
        if error is not None:
            logger.warning("What %s has sent could not be unfolded yet: %s", self._host, error)
        self._desk.wake()

    def _scene(self, view: HostView, now: datetime, stamp: Stamp) -> Scene:
        locks = (
            {lock.account_id: lock for lock in AccountLock.objects.standing()}
            if stamp.has_locks
            else {}
        )
        flights = (
            Flights.on_host(self._host, oldest(view, now)) if stamp.has_flights else Flights(())
        )
        return Scene.at(view, flights, locks, now)

    def _carry_crowds(self, course: Course, crowds: Sequence[Alike], gate: BatchGate) -> list[Copy]:
        """Carry out what may go at once of crowds; return the others as copies of their own."""
        going: list[tuple[Alike, Passing]] = []
        others: list[Copy] = []
        for crowd in crowds:
            mine = self._claimed(course, crowd)
            passing = gate.passing(mine, self._clock())
            if not self.hand_over.may_leave(crowd.order, self._clock()):
                others += crowd.copies()
                continue
            chosen = mine.taken(passing.places)
            members = set(chosen.members)
            others += (crowd.copy(at) for at, one in enumerate(crowd.members) if one not in members)
            if members:
                going.append((chosen, passing))
        if going:
            self._write_and_send_crowds(course, going)
        return others

    def _claimed(self, course: Course, crowd: Alike) -> Alike:
        """Take the accounts of a crowd that are free; return the part whose they are."""
        wanted, account_ids = claimable(crowd, course.scene), crowd.account_ids
        claimed = self._desk.claim({account_ids[one] for one in wanted})
        course.claimed |= claimed
        return crowd.taken([one for one in wanted if account_ids[one] in claimed])

    def _write_and_send_crowds(
        self, course: Course, crowds: Sequence[tuple[Alike, Passing]]
    ) -> None:
        now = self._clock()
        for crowd, _ in crowds:
            order, row = crowd.order, crowd.first.row
            order.state, order.sent_at, order.attempts = Order.State.SENT, now, 1
            row.sent_at = now
            if order.opens:
                order.gated_at = row.gated_at = now
        records = self._folds.write(
            course.event, course.number, (), [crowd for crowd, _ in crowds], BATCH
        )
        course.number += len(records)
        course.records += records
        left = iter(records)
        for crowd, passing in crowds:
            mine = list(islice(left, -(-len(crowd) // BATCH)))
            course.written.update(each.terms.id for each in crowd.followers)
            if passing.decided is not None:
                course.rounds.append((passing.decided, now))
            sent = SentAlike(crowd, passing.decision, mine, BATCH)
            self.hand_over.send_alike(sent, course.scene, course.handed_over)

    def _carry(self, course: Course, copies: Sequence[Copy], gate: BatchGate) -> None:
        """Carry out copies that are each like no other, or that something holds up."""
        if not copies:
            return
        course.claimed |= self._claim(copies, course)
        for copy in copies:
            copy.is_claimed = copy.order is not None and copy.order.account_id in course.claimed
        self._keep_together(better_together(copies, course.scene), course.scene)
        course.decisions |= gate.decide(copies, self._clock())
        changes = ChangeGate(course.scene, self.markets, gate).decide(copies, self._clock())
        course.decisions |= changes
        course.changes += changes.values()
        course.rounds, gate.rounds = [*course.rounds, *gate.rounds], []
        self._write_and_send(course, copies)
        course.has_waiting = course.has_waiting or any(map(_waits_for_lane, copies))

    def _keep_together(self, orders: Sequence[Order], scene: Scene) -> None:
        """Keep orders from their lanes for a moment, and have it noticed when they may leave."""
        if not orders:
            return
        busy = {each.account_id for each in orders if scene.flights.is_busy(each.account_id)}
        for order in orders:
            order.next_attempt_at = self._clock() + TOGETHER_WITHIN
        for account_id in busy:
            self.waiting.add(account_id)
        # Who was freed since it was found to be busy is not told of any more.
        is_time = self.waiting.freed(busy - self._desk.claimed())
        if is_time or len(busy) < len({each.account_id for each in orders}):
            self.waiting.want_reading()

    def _claim(self, copies: Sequence[Copy], course: Course) -> set[UUID]:
        """Take the accounts whose order may go at once."""
        wanted = {copy.follower.account.id for copy in copies if goes_at_once(copy, course.scene)}
        wanted -= course.claimed
        return self._desk.claim(wanted) if wanted else set()

    def _write_and_send(self, course: Course, copies: Sequence[Copy]) -> None:
        """Write copies ahead and hand over what may go.

        Whoever finds a number taken would send again what somebody else has sent, in other batches.
        """
        now = self._clock()
        leaving = self.hand_over.leaving(copies, now)
        complete(leaving, course.scene)
        for copy in leaving:
            order = copy.order
            if order is not None:
                order.state, order.sent_at, order.attempts = Order.State.SENT, now, 1
                copy.row.sent_at = now
        batches = list(cut(copies, BATCH))
        records = self._folds.write(course.event, course.number, batches)
        course.number += len(batches)
        course.records += records
        course.written.update(copy.row.relationship_id for copy in copies)
        record_of = {
            copy.order.pk: record
            for batch, record in zip(batches, records, strict=True)
            for copy in batch
            if copy.order is not None
        }
        self.hand_over.send(leaving, course.scene, course.decisions, record_of, course.handed)


def _error_of(ended: "Future[None]") -> Exception | None:
    error = ended.exception()
    return error if error is None or isinstance(error, Exception) else RuntimeError(str(error))


def _waits_for_lane(copy: Copy) -> bool:
    order = copy.order
    return order is not None and order.state == Order.State.PENDING and not copy.is_claimed


def oldest(view: HostView, now: datetime) -> float:
    """Return the epoch of the oldest reading that still counts."""
    read_at = view.poll.read_at
    counting = read_at[read_at >= now.timestamp() - STALE_AFTER_SECONDS]
    return float(counting.min()) if len(counting) else now.timestamp()


def cut(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
