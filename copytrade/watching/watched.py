"""One provider under watch: from its proven readings to events that nobody has told yet."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from accounts.sessions.checks import Verdict
from accounts.sessions.host import SideJob
from accounts.terminals.registry import Source
from copytrade.models import CopyEvent
from copytrade.watching.baseline import baseline
from copytrade.watching.changes import Evidence, detect, moved_untold
from copytrade.watching.cursors import Told, load_told, own_tags, stored_ids, told_stops
from copytrade.watching.dating import Dating
from copytrade.watching.facts import (
    AccountReading,
    Change,
    KnownPosition,
    Memory,
    OrderEnding,
    WatchedProvider,
)
from copytrade.watching.lookups import Lookup
from copytrade.watching.pendings import gone_orders
from copytrade.watching.proof import Proof
from copytrade.watching.reading import BatchRows
from copytrade.watching.rows import event_of

logger = logging.getLogger(__name__)

# Right after a login a terminal may show positions before the deals that made them.
EXPLAINED_WITHIN_SECONDS: Final = 15.0
# Without a reading for so long, what the lists showed before says nothing about how long they do.
BREAK_SECONDS: Final = 5.0
# A broker that has put old deals away shows none as new as those that were told.
OLD_SECONDS: Final = 600.0
_MOST_TAGS: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look saw; it counts once its events are stored."""

    memory: Memory
    cursor: int
    mark: tuple[bytes, bytes]
    is_settled: bool


class Watched:
    """Used by the thread of the watch alone.

    `look` gives events, `commit` says that they are stored, and `reset` that this is not known: all
    is then taken from the database again.
    """

    def __init__(self, provider: WatchedProvider, source: Source, job: SideJob) -> None:
        self.provider = provider
        self._lookup = Lookup(provider, source, job)
        self._proof = Proof()
        self._dating = Dating()
        self._told: Told | None = None
        self._memory: Memory | None = None
        self._cursor = 0
        self._mark = (b"", b"")
        self._is_settled = False
        self._next: _Look | None = None
        self._last_deal = -1
        self._earlier_deal = -1
        self._old_since: float | None = None
        self._used_at = float("-inf")
        self._detected_at: datetime | None = None
        self._first_look_at: float | None = None
        self._endings: dict[int, OrderEnding] = {}
        self._tags: dict[int, bool] = {}

    @property
    def cursor(self) -> int:
        return self._cursor

    @property
    def is_loaded(self) -> bool:
        return self._told is not None

    def follow(self, provider: WatchedProvider) -> None:
        """Take over what was edited of the same login."""
        self.provider = provider

    def load(self) -> None:
        """Read what was told so far, unless it is known; raises a database error."""
        if self._told is None:
            self._told = load_told(self.provider)
            self._cursor = self._told.cursor
            self._detected_at = self._told.detected_at

    def doubt(self) -> None:
        """No answer came: the next one proves nothing by itself."""
        self._proof.forget()

    def reset(self) -> None:
        self._told = self._memory = self._next = None
        self._first_look_at = None
        self._dating.forget()

    def commit(self) -> None:
        if self._next is None:
            return
        self._memory, self._cursor = self._next.memory, self._next.cursor
        self._mark, self._is_settled = self._next.mark, self._next.is_settled
        self._next = None
        for ticket in set(self._endings) - set(self._memory.orders):
            del self._endings[ticket]

    def look(
        self, rows: BatchRows, place: int, verdict: int, now: datetime, monotonic: float
    ) -> list[CopyEvent]:
        """Return what an answer tells that was not told yet; raises a database error."""
        is_proven = self._proof.take(verdict, rows.looks[place])
        if verdict != Verdict.ACCEPTED:
            return []
        last_deal = rows.last_deals[place]
        if self._proof.is_new:
            self._earlier_deal, self._last_deal = self._last_deal, last_deal
        earlier = self._earlier_deal
        # A newest deal that is gone again belongs to a history that is being loaded anew.
        if not is_proven or last_deal < earlier or self._is_old(last_deal, monotonic):
            return []
        self._use(monotonic)
        if self._is_quiet(rows, place):
            self._dating.see(now)
            return []
        reading = rows.reading(place, self.provider, now)
        memory, since = self._memory, None
        if memory is None:
            # The same newest deal as a look before: no deal is newer than the positions.
            memory = self._baseline(reading, now, monotonic) if earlier == last_deal else None
            since = self.provider.started_at
        if memory is None:
            return []
        memory = self._reminded(memory, reading)
        reading = self._dating.dated(reading, memory)
        changes, after = self._detect(memory, reading, since, now, monotonic)
        self._dating.see(now)
        self._dating.note_unexplained(reading, after, now)
        self._next = self._seen(rows, place, after, reading)
        detected_at = self._detected(now)
        if changes:
            self._detected_at = detected_at
        events = [event_of(self.provider, change, detected_at) for change in changes]
        return events if since is None else _untold(events)

    def _is_old(self, last_deal: int, monotonic: float) -> bool:
        """Tell whether a terminal has not got to what was told already: so are its lists."""
        if last_deal >= self._cursor:
            self._old_since = None
            return False
        if self._old_since is None:
            self._old_since = monotonic
        return monotonic - self._old_since < OLD_SECONDS

    def _use(self, monotonic: float) -> None:
        """Note that a reading counts, and forget after a break since when something differs."""
        if self._memory is not None and monotonic - self._used_at > BREAK_SECONDS:
            self._memory = self._memory.without_differences()
        self._used_at = monotonic

    def _detected(self, now: datetime) -> datetime:
        """Return a moment after all that was told, also when the clock has been set back.

        What a provider did is copied in the order in which it was detected.
        """
        last = self._detected_at
        return now if last is None or now >= last else last + timedelta(microseconds=1)

    def _is_quiet(self, rows: BatchRows, place: int) -> bool:
        """Tell whether nothing but prices has moved since the last look."""
        return (
            self._memory is not None
            and self._is_settled
            and not rows.has_deals(place)
            and rows.mark(place) == self._mark
        )

    def _seen(self, rows: BatchRows, place: int, after: Memory, reading: AccountReading) -> _Look:
        return _Look(
            memory=after,
            cursor=max(self._cursor, rows.newest_deal(place)),
            mark=rows.mark(place),
            is_settled=_is_settled(after, reading),
        )

    def _detect(
        self,
        memory: Memory,
        reading: AccountReading,
        since: datetime | None,
        now: datetime,
        monotonic: float,
    ) -> tuple[list[Change], Memory]:
        self._look_up(memory, reading, now, monotonic)
        evidence = Evidence(
            now=now,
            own_tags=self._own_tags(memory, reading),
            endings=self._endings,
            since=since,
        )
        return detect(memory, reading, evidence)

    def _baseline(self, reading: AccountReading, now: datetime, monotonic: float) -> Memory | None:
        """Return what was before the reading's deals; None while deals seem to be missing."""
        told = self._told or Told()
        touched = {*reading.positions, *(deal.position for deal in reading.deals)}
        memory = baseline(
            reading,
            told_stops=told_stops(self.provider.account_id, touched),
            told_orders=told.orders,
            started_at=self.provider.started_at,
        )
        if self._first_look_at is None:
            self._first_look_at = monotonic
        unexplained = _unexplained(memory.positions, told.lots)
        if unexplained and monotonic - self._first_look_at < EXPLAINED_WITHIN_SECONDS:
            return None
        if unexplained:
            logger.warning(
                "%s holds other lots of position %d than its deals add up to.",
                self.provider.name,
                unexplained[0],
            )
        return _believing(memory, unexplained, told.lots, now)

    def _reminded(self, memory: Memory, reading: AccountReading) -> Memory:
        """Look in the database for opens that somebody else has told: trades that were adopted."""
        moved = moved_untold(memory, reading)
        told = told_stops(self.provider.account_id, moved) if moved else {}
        if not told:
            return memory
        positions = dict(memory.positions)
        for identifier, stops in told.items():
            held = replace(
                positions[identifier].held,
                stop_loss=stops.stop_loss,
                take_profit=stops.take_profit,
            )
            positions[identifier] = KnownPosition(held=held, is_told=True, moves=stops.moves)
        return Memory(positions, memory.orders)

    def _look_up(
        self, memory: Memory, reading: AccountReading, now: datetime, monotonic: float
    ) -> None:
        gone = [each for each in gone_orders(memory.orders, reading) if each not in self._endings]
        self._lookup.ask(gone, now=now, monotonic=monotonic)
        self._endings.update(self._lookup.take())

    def _own_tags(self, memory: Memory, reading: AccountReading) -> set[int]:
        magics = {deal.magic for deal in reading.deals}
        magics |= {order.magic for order in reading.orders.values()}
        magics |= {
            memory.positions[deal.position].held.magic
            for deal in reading.deals
            if deal.position in memory.positions
        }
        unknown = magics - self._tags.keys()
        if unknown:
            if len(self._tags) > _MOST_TAGS:
                self._tags.clear()
                unknown = magics
            own = own_tags(self.provider.account_id, unknown)
            self._tags.update({magic: magic in own for magic in unknown})
        return {magic for magic in magics if self._tags[magic]}


def _untold(events: list[CopyEvent]) -> list[CopyEvent]:
    if not events:
        return events
    stored = stored_ids(event.pk for event in events)
    return [event for event in events if event.pk not in stored]


def _unexplained(positions: Mapping[int, KnownPosition], told: Mapping[int, Decimal]) -> list[int]:
    """Return the told positions of which the account holds other lots than were told."""
    return [
        identifier
        for identifier, lots in told.items()
        if identifier not in positions or positions[identifier].held.lots != lots
    ]


def _believing(
    memory: Memory, unexplained: Sequence[int], told: Mapping[int, Decimal], now: datetime
) -> Memory:
    """Remember what is missing of positions whose deals may come yet."""
    positions = dict(memory.positions)
    for identifier in unexplained:
        known = positions.get(identifier)
        if known is not None:
            shown = known.held.lots
            positions[identifier] = known.with_lots(told[identifier]).believing(shown, now)
    return Memory(positions, memory.orders)


def _is_settled(memory: Memory, reading: AccountReading) -> bool:
    """Tell whether the next look needs no more than to see that nothing has changed."""
    return (
        all(known.differs_since is None for known in memory.positions.values())
        and memory.orders.keys() == reading.orders.keys()
    )
