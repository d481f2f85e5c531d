"""Giving up a batch of copies that no rows can be made of: docs/operations.md."""

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from django.db import transaction

from accounts.refusals import Refusal
from copytrade.core.kinds import EventKind
from copytrade.models import CopyBatch, CopyEvent, CopyOrder, CopyRelationship
from copytrade.replication.folding import Folds
from copytrade.replication.packing import Table, unpack
from copytrade.replication.unfolding import Record
from copytrade.selectors.batches import late_batches
from risk.models import Order

logger = logging.getLogger(__name__)

# What is never sent again when nobody knows to whom it was; anything else harms nobody twice.
_ONCE: Final = (EventKind.OPEN, EventKind.PENDING_PLACED, EventKind.PARTIAL_CLOSE)


def late_batch(batch_id: UUID, *, now: datetime) -> CopyBatch:
    """Return a batch that may be written off; raises Refusal for any other."""
    found = late_batches(now).filter(pk=batch_id).first()
    if found is not None:
        return found
    row = CopyBatch.objects.filter(pk=batch_id).first()
    if row is None:
        raise Refusal(f"There is no batch {batch_id}.")
    if row.unfolded_at is not None:
        raise Refusal(f"Batch {batch_id} is unfolded, or was written off before.")
    raise Refusal("Its worker may still be at it: look again in a minute.")


def contents_of(batch: CopyBatch) -> Iterator[str]:
    """Say what is known of a batch: a line for each order that can be read, or who it may be."""
    event = CopyEvent.objects.filter(pk=batch.event_id).first()
    what = "of an event that is gone" if event is None else f"of {event}, {event.provider_name}"
    yield (
        f"Batch {batch.number} {what}, written by {batch.host} at {batch.created_at:%Y-%m-%d %X}"
        f" UTC: {len(batch.payload)} bytes."
    )
    try:
        (table,) = [one for one in unpack(bytes(batch.payload)) if one.model is Order]
        yield from list(_orders(table))
    except Exception as error:  # whatever is wrong with it
        yield f"Its orders cannot be read ({type(error).__name__}: {error})."
        yield from _without_copies(batch, event)


def write_off(batch: CopyBatch, folder: Path, *, now: datetime) -> bool:
    """Give a batch up, once it could not be unfolded here either; tell whether it had to be.

    What was in it is kept as a file in `folder`. Opens and partial closes count as planned for
    everybody; anything else is planned anew for those who have no copy of it. Raises OSError where
    nothing can be kept, and a database error.
    """
    event = CopyEvent.objects.filter(pk=batch.event_id).first()
    record = Record(batch.pk, event, bytes(batch.payload))
    Folds(batch.host, lambda: now).unfold([record])
    if not record.is_folded:
        return False
    said = " ".join(contents_of(batch))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = folder / f"{batch.pk}.batch"
    kept.touch(mode=0o600)
    kept.write_bytes(record.payload)
    with transaction.atomic():
        mine = CopyBatch.objects.filter(pk=batch.pk, unfolded_at=None)
        if not mine.update(unfolded_at=now, payload=b""):
            return False
        CopyEvent.objects.filter(pk=batch.event_id, planned_at=None, kind__in=_ONCE).update(
            planned_at=now
        )
    logger.error("Batch %s was written off, and is kept as %s. %s", batch.pk, kept, said)
    return True


def _orders(table: Table) -> Iterator[str]:
    names = ("account_name", "login", "kind", "symbol", "volume", "tag", "state")
    for name, login, kind, symbol, volume, tag, state in zip(
        *(table.values(each) for each in names), strict=True
    ):
        yield f"{name} ({login}): {kind} {symbol} {volume} lots, tag {tag}, {state}."


def _without_copies(batch: CopyBatch, event: CopyEvent | None) -> Iterator[str]:
    """Say who copied the provider then, and has no copy of the event that is known."""
    rows = CopyRelationship.objects.filter(
        provider_id=batch.provider_id, started_at__lte=batch.created_at
    )
    if event is not None:
        copies = CopyOrder.objects.filter(event_id=event.pk)
        rows = rows.exclude(pk__in=copies.values("relationship_id"))
    names = sorted(rows.values_list("follower__name", "follower__login"))
    if names:
        told = ", ".join(f"{name} ({login})" for name, login in names)
        yield f"It may be about any of those who copied then and have no copy of it: {told}."
