"""Whether the ledger is complete: each deed has its event, each event its copies, each an end."""

from collections.abc import Iterator

from copytrade.models import CopyBatch, CopyOrder, CopyPosition
from risk.models import Order
from tradeguard.soaking.records import INOUT, Records

Complaints = Iterator[str]


def unended(records: Records) -> Complaints:
    for event in records.events.values():
        if event.planned_at is None:
            yield f"Event {event.pk} ({event}) was never planned."
    for batch in CopyBatch.objects.filter(unfolded_at=None):
        yield f"Batch {batch.pk} of event {batch.event_id} was never unfolded."
    yield from _unended_copies(records)
    for order in records.orders.values():
        if order.state in (*Order.UNFINISHED, Order.State.LOST):
            yield f"Order {order.pk} ({order.kind} {order.symbol}) has no end: {order.state}"


def _unended_copies(records: Records) -> Complaints:
    for copy in records.copies:
        if copy.state in CopyOrder.UNFINISHED:
            yield f"Copy {copy.pk} ({copy}) has no end: {copy.sentence}"
        elif copy.state != CopyOrder.State.DONE and not copy.sentence:
            yield f"Copy {copy.pk} ({copy}) does not say why."
    for row in records.positions:
        if row.state in (CopyPosition.State.OPENING, CopyPosition.State.CLOSING):
            yield f"Copied position {row.pk} ({row}) is still {row.state}."


def untold(records: Records) -> Complaints:
    """Look for deals of the providers that no event tells, and events that were not copied."""
    for provider in records.cast.providers:
        for deal in records.of(provider).deals:
            told = len(records.events_by_deal.get((provider.pk, deal.ticket), []))
            if told != (2 if deal.entry == INOUT else 1):
                yield f"{provider.name}: deal {deal.ticket} was told {told} times."
    for pair in records.cast.pairs:
        for event in records.events.values():
            if event.provider_id != pair.provider.pk:
                continue
            if (pair.relationship.pk, event.pk) not in records.copy_of:
                yield f"{pair.follower.name} has no row for {event} ({event.pk})."
