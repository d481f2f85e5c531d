"""Writing copies down before anything of them is sent: a batch is one transaction."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, QuerySet

from accounts.task_messages import TaskMessage, enqueue
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.replication.inserts import insert_rows
from copytrade.replication.rows import Copy, is_close

_MESSAGE_SECONDS = 5.0


def store_events(events: Sequence[CopyEvent]) -> None:
    """Write events that are not written yet, all of them or none."""
    with transaction.atomic():
        CopyEvent.objects.bulk_create(events, ignore_conflicts=True)


def copied_to(event: CopyEvent) -> set[UUID]:
    """Return the relationships whose copies of an event are written, by an earlier run."""
    found = CopyOrder.objects.filter(event_id=event.pk).order_by()
    return set(found.values_list("relationship_id", flat=True))


def write_batch(event: CopyEvent, copies: Sequence[Copy]) -> None:
    """Write the copies of a batch with their orders and positions, all of them or none.

    For what its own host sends later; what leaves at once is written ahead: see `folding`. Raises
    IntegrityError when one of them is there already: nothing of it may be sent then.
    """
    with transaction.atomic():
        insert_rows([copy.row for copy in copies])
        insert_rows([copy.order for copy in copies if copy.order is not None])
        insert_rows([copy.position for copy in copies if copy.position is not None])
        if is_close(event):
            rows = [copy.row for copy in copies]
            begin_closes(event, ((one.relationship_id, one.order_id, one.state) for one in rows))


def wake_hosts(host: str, copies: Sequence[Copy]) -> None:
    """Wake the other hosts that have orders of these copies."""
    hosts = {copy.order.host for copy in copies if copy.order is not None} - {host}
    for other in sorted(hosts):
        enqueue(TaskMessage("risk.serve", [other], f"terminals.{other}", _MESSAGE_SECONDS))


def begin_closes(event: CopyEvent, copies: Iterable[tuple[UUID, UUID | None, str]]) -> None:
    """Write what copies of a close, just written, mean for the positions; in their transaction.

    `copies` are relationships with the order and the state of the copy.
    """
    if event.position_ticket is None:
        return
    ordered, waiting = [], []
    for relationship_id, order_id, state in copies:
        if order_id is not None:
            ordered.append(relationship_id)
        elif state == CopyOrder.State.PLANNED:
            waiting.append(relationship_id)
    held = CopyPosition.objects.filter(
        provider_id=event.provider_id, provider_position=event.position_ticket
    )
    if event.kind == EventKind.CLOSE:
        # What the plan waited to be filled may be by now: then it is closed like any other.
        leaving = held.filter(relationship_id__in=waiting + ordered)
        _lock(leaving)
        _close_on_fill(event, leaving)
        leaving.filter(state=CopyPosition.State.OPEN).update(state=CopyPosition.State.CLOSING)
    elif waiting:
        leaving = held.filter(relationship_id__in=waiting)
        _lock(leaving)
        _close_on_fill(event, leaving)


def _lock(rows: QuerySet[CopyPosition]) -> None:
    """Take rows in the order in which everybody does: an update takes them as it finds them."""
    if connection.features.has_select_for_update:
        list(rows.select_for_update().order_by("pk").values_list("pk"))


def _close_on_fill(event: CopyEvent, held: QuerySet[CopyPosition]) -> None:
    """Have copies whose opens are under way closed once they are filled, or a part of them."""
    opening = held.filter(state=CopyPosition.State.OPENING)
    before = event.volume_before or Decimal(0)
    if event.kind == EventKind.CLOSE or not before:
        opening.update(closes_on_fill=True, closes_fraction_on_fill=1)
        return
    left = 1 - min((event.volume or Decimal(0)) / before, Decimal(1))
    opening.update(closes_fraction_on_fill=1 - (1 - F("closes_fraction_on_fill")) * left)
