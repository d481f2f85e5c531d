"""Copies written ahead of their sending, a batch as one row, and unfolded into their rows after it.

docs/architecture.md, "Copying", says what is written when, and what a crash leaves to whom.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from weakref import WeakValueDictionary

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Q

from copytrade.models import CopyBatch, CopyEvent
from copytrade.replication.alike import Alike
from copytrade.replication.ids import Ids
from copytrade.replication.inserts import insert_rows
from copytrade.replication.packing import pack, pack_alike
from copytrade.replication.queueing import Queue
from copytrade.replication.rows import Copy
from copytrade.replication.tags import give_free_tags
from copytrade.replication.unfolding import Record, insert, insert_around
from risk.ledger.host_ledger import AWAY

logger = logging.getLogger(__name__)

# So many batches are unfolded in one transaction: on SQLite nobody else writes meanwhile.
TOGETHER: Final = 4
# A batch that no rows could be made of is tried again then.
UNREADABLE_FOR: Final = timedelta(minutes=1)
# A thread that has accounts to free does not wait for another one's unfolding for longer.
PATIENCE_SECONDS: Final = 1.0
# As long a worker that was stopped in between may still try to write what others have written.
KEPT: Final = timedelta(days=1)


class UnreadableError(Exception):
    """What was written ahead of an event cannot be understood."""


class Folds:
    """What a host has written ahead; for any thread."""

    def __init__(self, host: str, clock: Callable[[], datetime]) -> None:
        self._host = host
        self._clock = clock
        # Whoever has accounts to free comes between two parts of a crowd.
        self._queue = Queue()
        # What a thread of this worker has yet to unfold, or is at: nobody needs a second one of it.
        self._known: WeakValueDictionary[UUID, Record] = WeakValueDictionary()
        # Batches that no rows can be made of: nothing but their own events waits for them.
        self._unreadable: dict[UUID, datetime] = {}  # until when
        # Nobody knows what an earlier worker, or a write that failed, has left.
        self.may_be_left = True

    def begin(self, event: CopyEvent) -> int:
        """Unfold what is left of this host or provider; return the event's next batch number.

        To be asked before whatever is known of the event is read: what somebody else writes after
        that has the number, and the one who comes second fails. Raises UnreadableError while
        nobody can tell what became of the event.
        """
        rows = CopyBatch.objects.filter(Q(event_id=event.pk) | Q(unfolded_at=None)).order_by()
        number, is_left, own = 0, False, set()
        for pk, event_id, provider_id, host, taken, unfolded_at in rows.values_list(
            "pk", "event_id", "provider_id", "host", "number", "unfolded_at"
        ):
            if event_id == event.pk:
                number = max(number, taken + 1)
                own.add(pk)
            is_mine = host == self._host or provider_id == event.provider_id
            is_readable = not self._is_unreadable(pk)
            is_left = is_left or (unfolded_at is None and is_mine and is_readable)
        if is_left:
            self.unfold_left(event.provider_id)
        if any(self._is_unreadable(pk) for pk in own):
            # Nobody knows whom it has been sent to.
            raise UnreadableError(f"A batch of event {event.pk} cannot be unfolded.")
        return number

    def write(
        self,
        event: CopyEvent,
        number: int,
        batches: Sequence[Sequence[Copy]],
        crowds: Sequence[Alike] = (),
        size: int = 1,
    ) -> list[Record]:
        """Write batches, all or none, as an event's next ones from a number on.

        Crowds come first, in batches of `size` each. Raises IntegrityError when somebody else has
        done so: nothing of them may be sent then. Orders whose tags somebody has get others first:
        after they were sent it would be too late.
        """
        orders = [copy.order for batch in batches for copy in batch if copy.order is not None]
        give_free_tags(orders, crowds)
        ids, now = Ids(), self._clock()
        payloads = [part for crowd in crowds for part in pack_alike(crowd, size)]
        payloads += map(pack, batches)
        records = [Record(ids.new_id(), event, payload) for payload in payloads]
        rows = [
            self._row(event, number + place, now, id=record.id, payload=record.payload)
            for place, record in enumerate(records)
        ]
        try:
            with transaction.atomic():
                insert_rows(rows)
        except Exception:
            # Where a commit fails, nobody knows whether it was one.
            self.may_be_left = True
            raise
        self._known.update((record.id, record) for record in records)
        return records

    def take_number(self, event: CopyEvent, number: int) -> None:
        """Write that an event's next batch is written as rows; in the caller's transaction.

        Raises IntegrityError when somebody else has taken the number.
        """
        now = self._clock()
        insert_rows([self._row(event, number, now, id=Ids().new_id(), unfolded_at=now)])

    def unfold(self, records: Iterable[Record], patience_seconds: float = -1.0) -> None:
        """Make rows of what is still folded, a few batches at a time, each once.

        Raises a database error; what is folded then stays so. With patience, 0 or more, that is
        also raised when another thread is at it for longer.
        """
        # Whoever has answers names a batch as often as it has orders.
        folded = [record for record in dict.fromkeys(records) if record.is_folded]
        for first in range(0, len(folded), TOGETHER):
            if not self._queue.acquire(patience_seconds):
                raise OperationalError("others are being unfolded for too long")
            try:
                # Others may have unfolded them while this thread was waiting for its turn.
                self._unfold([one for one in folded[first : first + TOGETHER] if one.is_folded])
            finally:
                self._queue.release()

    def unfold_soon(self, records: Iterable[Record]) -> None:
        """Do as `unfold` does, but wait for no other thread for longer than a moment."""
        self.unfold(records, PATIENCE_SECONDS)

    def unfold_left(self, provider_id: UUID | None = None) -> None:
        """Unfold what is left of this host, and of a provider.

        Raises a database error, also when another thread is at it for longer than a moment.
        """
        mine = Q(host=self._host) | Q(provider_id=provider_id)
        found = CopyBatch.objects.filter(mine, unfolded_at=None).values_list("pk", flat=True)
        ids = [pk for pk in found if not self._is_unreadable(pk)]
        self.may_be_left = False
        if not ids:
            return
        self.may_be_left = True
        known = {pk: record for pk in ids if (record := self._known.get(pk)) is not None}
        left = [*known.values(), *self._read([pk for pk in ids if pk not in known])]
        self.unfold_soon(left)
        self.may_be_left = False

    def look(self) -> None:
        """Notice what another worker has left meanwhile, and forget what is long done."""
        left = CopyBatch.objects.filter(unfolded_at=None, host=self._host).order_by()
        folded = left.values_list("pk", flat=True)
        self.may_be_left |= not all(self._is_unreadable(pk) for pk in folded)
        old = CopyBatch.objects.filter(unfolded_at__lt=self._clock() - KEPT)
        if old.exists():
            old.delete()

    def _read(self, ids: Collection[UUID]) -> list[Record]:
        """Read batches that nobody of this worker has in hand, and nobody has unfolded by now."""
        if not ids:
            return []
        rows = list(CopyBatch.objects.filter(pk__in=ids, unfolded_at=None))
        events = CopyEvent.objects.in_bulk({row.event_id for row in rows})
        logger.info("%d batches of copies of %s are unfolded late.", len(rows), self._host)
        return [Record(row.pk, events.get(row.event_id), bytes(row.payload)) for row in rows]

    def _row(self, event: CopyEvent, number: int, now: datetime, **fields: Any) -> CopyBatch:
        return CopyBatch(
            event_id=event.pk,
            provider_id=event.provider_id,
            host=self._host,
            number=number,
            created_at=now,
            **{"payload": b"", **fields},
        )

    def _is_unreadable(self, batch_id: UUID) -> bool:
        until = self._unreadable.get(batch_id)
        return until is not None and self._clock() < until

    def _unfold(self, records: Sequence[Record]) -> None:
        if not records:
            return
        try:
            self._insert(records)
        except AWAY:
            raise
        except Exception:
            if len(records) > 1:
                for record in records:
                    self._unfold([record])
                return
            # Said again, with each further try, until somebody has looked at it.
            logger.exception("Batch %s of %s cannot be unfolded.", records[0].id, self._host)
            self._unreadable[records[0].id] = self._clock() + UNREADABLE_FOR
            return
        for record in records:
            record.is_folded, record.payload = False, b""

    def _insert(self, records: Sequence[Record]) -> None:
        try:
            insert(records, self._clock())
        except IntegrityError as error:
            # Something of them is there, as from a journal: the rest is looked for one by one.
            logger.warning("Rows of copies of %s are there already: %s", self._host, error)
            for record in records:
                insert_around(record, self._clock())
