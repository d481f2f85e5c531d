"""Rows made of what was written ahead, each once, whoever else makes them as well."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from copytrade.models import CopyBatch, CopyEvent, CopyOrder, CopyPosition
from copytrade.replication.inserts import insert_columns
from copytrade.replication.packing import Table, unpack
from copytrade.replication.rows import is_close
from copytrade.replication.writing import begin_closes
from risk.models import Order

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False, weakref_slot=True)
class Record:
    """A written batch; as long as it is folded, nothing but it tells of its orders."""

    id: UUID
    event: CopyEvent | None
    payload: bytes
    is_folded: bool = True


def insert(records: Sequence[Record], now: datetime) -> None:
    """Insert what nobody has unfolded yet, by model."""
    # All that takes time is done before others have to wait.
    unpacked = [(record, unpack(record.payload)) for record in records]
    said = {
        record.id: [(table.model, table.words(), table.count) for table in tables]
        for record, tables in unpacked
    }
    with transaction.atomic():
        mine = _mark(records, now)
        for record, tables in unpacked:
            if record.id in mine:
                for model, words, count in said[record.id]:
                    insert_columns(model, words, count)
                _begin_closes(record, tables)


def insert_around(record: Record, now: datetime) -> None:
    """Insert what is not there yet of one batch.

    A copy that somebody else has written is theirs. Only what may have left for it must be known.
    """
    tables = {table.model: table for table in unpack(record.payload)}
    copies: dict[UUID, Any] = {row.pk: row for row in _rows(tables, CopyOrder)}
    with transaction.atomic():
        if not _mark([record], now):
            return
        written = CopyOrder.objects.filter(event_id__in={row.event_id for row in copies.values()})
        theirs = {
            relationship_id
            for pk, relationship_id in written.values_list("pk", "relationship_id")
            if pk not in copies
        }
        lost = {row.pk: row.order_id for row in copies.values() if row.relationship_id in theirs}
        kept = [
            order
            for order in _rows(tables, Order)
            if order.state != Order.State.PENDING or order.pk not in set(lost.values())
        ]
        positions = [row for row in _rows(tables, CopyPosition) if row.pk not in lost]
        mine = [row for row in copies.values() if row.pk not in lost]
        _give_free_turns(positions)
        CopyOrder.objects.bulk_create(mine, ignore_conflicts=True)
        Order.objects.bulk_create(kept, ignore_conflicts=True)
        CopyPosition.objects.bulk_create(positions, ignore_conflicts=True)
        _tell_missing(Order, [order for order in kept if order.state != Order.State.PENDING])
        _tell_missing(CopyPosition, positions)
        _begin_closes(record, list(tables.values()))


def _give_free_turns(positions: Sequence[Any]) -> None:
    """Let copies follow those of the same position that somebody has written meanwhile."""
    theirs: dict[tuple[UUID, int], dict[int, UUID]] = {}
    written = CopyPosition.objects.filter(
        relationship_id__in={row.relationship_id for row in positions},
        provider_position__in={row.provider_position for row in positions},
    )
    for row in written.select_for_update().order_by("pk"):
        turns = theirs.setdefault((row.relationship_id, row.provider_position), {})
        turns[row.turn] = row.pk
    for row in positions:
        turns = theirs.get((row.relationship_id, row.provider_position), {})
        if turns.get(row.turn, row.pk) != row.pk:
            row.turn = max(turns) + 1


def _tell_missing(model: Any, rows: Sequence[Any]) -> None:
    """Say which rows did not find room: of what was sent, nobody else tells."""
    wanted = {row.pk for row in rows}
    missing = wanted - set(model.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    if missing:
        names = ", ".join(map(str, sorted(missing)))
        logger.error("%s could not be written: %s.", model._meta.verbose_name_plural, names)


def _rows(tables: dict[Any, Table], model: Any) -> list[Any]:
    return tables[model].rows() if model in tables else []


def _mark(records: Sequence[Record], now: datetime) -> Collection[UUID]:
    """Write that batches are unfolded; return those that nobody had unfolded before."""
    folded = CopyBatch.objects.filter(pk__in=[one.id for one in records], unfolded_at=None)
    mine = set(folded.select_for_update().order_by("pk").values_list("pk", flat=True))
    if mine:
        # What is unfolded is not needed any more, the number is: see `KEPT`.
        CopyBatch.objects.filter(pk__in=mine).update(unfolded_at=now, payload=b"")
    return mine


def _begin_closes(record: Record, tables: Sequence[Table]) -> None:
    event = record.event
    if event is None or not is_close(event):
        return
    (copies,) = [table for table in tables if table.model is CopyOrder]
    begin_closes(
        event,
        zip(
            copies.values("relationship_id"),
            copies.values("order_id"),
            copies.values("state"),
            strict=True,
        ),
    )
