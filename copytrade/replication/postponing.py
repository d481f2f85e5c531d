"""Events that meet the one before: whoever is busy with that is planned for once it is over.

Nothing can be sent to such an account earlier. Planned at once, its order would be written as
waiting, read again and sent among others that are each like no other; planned when all are free,
they leave together as any crowd does.
"""

import threading
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyPosition
from copytrade.replication.followers import Follower
from copytrade.replication.order_of_events import order_of
from copytrade.replication.patience import HURRY, is_opening
from risk.orders.desk import HostDesk
from risk.orders.view import HostView

# What is not planned by then is written as waiting, be its account free or not.
LONGEST: Final = timedelta(seconds=1.75)
# Lanes are quicker with fewer.
FEWEST: Final = 50
# Whoever is free waits for the others as long as one after another becomes free: a little longer
# than it takes until all are read again, and for a few of them not even that.
CALM: Final = timedelta(seconds=0.25)
CALM_FOR_FEW: Final = timedelta(seconds=0.05)
_FEW: Final = 0.05
# What was sent earlier has long been answered, and is shown by the readings.
LATELY: Final = timedelta(seconds=5)
_MOST_POSITIONS: Final = 10_000
# What depends on what the last reading shows of the position.
_CHANGES: Final = frozenset({EventKind.CLOSE, EventKind.PARTIAL_CLOSE, EventKind.STOPS})
_NOBODY: Final[Set[UUID]] = frozenset()


@dataclass(slots=True, eq=False)
class PutOff:
    """An event, and the accounts for which it is put off."""

    event: CopyEvent
    account_ids: Set[UUID]
    until: datetime
    needs_reading: bool
    least: int  # that were waited for at any time
    changed_at: datetime


class Postponed:
    """The events that are put off, each for some accounts of the host; for any thread.

    Nothing of it is stored, for a stored event is unplanned until it is planned for everybody.
    `has_answers` tells whether more accounts are about to be free.
    """

    def __init__(
        self, desk: HostDesk, clock: Callable[[], datetime], has_answers: Callable[[], bool]
    ) -> None:
        self._desk = desk
        self._clock = clock
        self._has_answers = has_answers
        self._put_off: dict[UUID, PutOff] = {}
        self._freed_at: dict[UUID, float] = {}
        self._last_freed_at = datetime.min.replace(tzinfo=UTC)
        # The last event of each position, and when it was noticed.
        self._latest: dict[Hashable, tuple[UUID, datetime]] = {}
        self._lock = threading.Lock()

    def __contains__(self, event_id: UUID) -> bool:
        return event_id in self._put_off

    def __bool__(self) -> bool:
        return bool(self._put_off)

    def put_off(self, event: CopyEvent, followers: Sequence[Follower], view: HostView) -> Set[UUID]:
        """Return the accounts for which an event is to be planned later; it is remembered then.

        These are many, or none. Whoever else is among the followers is planned for now.
        """
        now, before = self._clock(), self._put_off.get(event.pk)
        until = _until(event, followers)
        needs_reading = self._needs_reading(event) if before is None else before.needs_reading
        waiting: Set[UUID] = set()
        if now < until and (self._put_off or needs_reading or self._desk.claimed()):
            ids = {each.account.id for each in followers}
            # The others have their orders by now, which is why they are busy.
            ids = ids if before is None else ids & before.account_ids
            waiting = self._waiting(event, ids)
            waiting |= self._unready(event, ids - waiting, view, needs_reading=needs_reading)
        with self._lock:
            if len(waiting) < FEWEST:
                self._put_off.pop(event.pk, None)
                return _NOBODY
            self._put_off[event.pk] = PutOff(
                event, waiting, until, needs_reading, len(waiting), now
            )
        return waiting

    def clear(self) -> None:
        """Leave all of it to whoever looks after what is left over."""
        with self._lock:
            self._put_off.clear()

    def forget(self, one: PutOff) -> None:
        """Leave an event to whoever looks after what is left over, unless it was put off anew."""
        with self._lock:
            if self._put_off.get(one.event.pk) is one:
                del self._put_off[one.event.pk]

    def note_freed(self, account_ids: Collection[UUID]) -> None:
        """Take in that the answers of accounts, which are free in a moment, are written."""
        now = self._clock()
        with self._lock:
            self._last_freed_at = now
            self._freed_at.update(dict.fromkeys(account_ids, now.timestamp()))

    def is_nearly_free(self) -> bool:
        """Tell whether it is worth it to look for what is due."""
        if not self._put_off:
            return False
        claimed = self._desk.claimed()
        return any(
            len(one.account_ids & claimed) <= _FEW * len(one.account_ids) for one in self._all()
        )

    def due(self, view: HostView) -> Iterator[PutOff]:
        """Give what is to be planned now, the earliest first; what that changes counts at once."""
        for one in sorted(self._all(), key=lambda each: order_of(each.event)):
            if self._is_due(one, view, self._clock()):
                yield one

    def _all(self) -> list[PutOff]:
        with self._lock:
            return list(self._put_off.values())

    def _is_due(self, one: PutOff, view: HostView, now: datetime) -> bool:
        if now >= one.until:
            return True
        few, waiting = _FEW * len(one.account_ids), self._waiting(one.event, one.account_ids)
        if len(waiting) <= few:
            waiting |= self._unready(
                one.event, one.account_ids - waiting, view, needs_reading=one.needs_reading
            )
        if len(waiting) < one.least or self._has_answers():
            one.least, one.changed_at = min(len(waiting), one.least), now
        if len(waiting) == len(one.account_ids):
            return False
        calm = CALM_FOR_FEW if len(waiting) <= few else CALM
        return not waiting or now - one.changed_at >= calm

    def _waiting(self, event: CopyEvent, account_ids: Set[UUID]) -> Set[UUID]:
        """Return those whose orders have no answer yet, or that wait for an earlier event."""
        waiting = self._desk.claimed() & account_ids
        for other in self._all():
            if order_of(other.event) < order_of(event):
                waiting |= other.account_ids & account_ids
        return waiting

    def _needs_reading(self, event: CopyEvent) -> bool:
        """Tell whether an event depends on what was sent to followers a moment ago.

        A close does not depend on what was done to other positions: see `Scene.lots_of`.
        """
        key = (event.provider_id, event.position_ticket)
        latest = self._latest.get(key)
        if len(self._latest) >= _MOST_POSITIONS:
            self._latest.clear()
        self._latest[key] = event.pk, event.detected_at
        if event.kind == EventKind.STOPS:
            return event.detected_at - self._last_freed_at < LATELY
        if latest is None or event.kind not in _CHANGES:
            return False
        event_id, seen_at = latest
        return event_id != event.pk and event.detected_at - seen_at < LATELY

    def _unready(
        self, event: CopyEvent, account_ids: Set[UUID], view: HostView, *, needs_reading: bool
    ) -> Set[UUID]:
        """Return those that are free, of which nobody can tell yet what is there to be changed."""
        if not needs_reading or not account_ids:
            return _NOBODY
        return self._unread(account_ids, view) | (_opening(event) & account_ids)

    def _unread(self, account_ids: Set[UUID], view: HostView) -> Set[UUID]:
        """Return those that were not read since their last answer."""
        read_at, rows = view.poll.read_at, view.assessment.desk.account_index
        with self._lock:
            freed = {pk: at for pk in account_ids if (at := self._freed_at.get(pk)) is not None}
        return {pk for pk, at in freed.items() if pk in rows and read_at[rows[pk]] <= at}


def _until(event: CopyEvent, followers: Sequence[Follower]) -> datetime:
    """Return when an event is planned at the latest: while there is time to send what it opens."""
    until = event.detected_at + LONGEST
    if not is_opening(event) or not followers:
        return until
    seconds = min(each.terms.open_deadline_seconds for each in followers)
    return min(until, event.happened_at + timedelta(seconds=seconds) - HURRY)


def _opening(event: CopyEvent) -> Set[UUID]:
    """Return the accounts on which copies of the event's position are not known to be filled."""
    if event.position_ticket is None:
        return _NOBODY
    rows = CopyPosition.objects.filter(
        provider_id=event.provider_id,
        provider_position=event.position_ticket,
        state=CopyPosition.State.OPENING,
    )
    return frozenset(rows.order_by().values_list("follower_id", flat=True))
