"""Copies that no row of the ledger tells of yet: planned at this moment, or written ahead."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from copytrade.core.kinds import EventKind
from copytrade.models import CopyBatch, CopyEvent, CopyOrder, CopyRelationship

_OPENS: Final = (EventKind.OPEN, EventKind.PENDING_PLACED)
# So long after its deadline an open may still be on its way into the ledger.
_MARGIN: Final = timedelta(seconds=10)


def may_be_opened_unseen(row: CopyRelationship, *, now: datetime) -> bool:
    """Tell whether something may be opened for a relationship of which its rows do not tell yet.

    Asked before those rows are, it leaves no gap: an event is stored before anybody reads by which
    terms it is copied, and counts as planned after all of it stands in rows.
    """
    copies = CopyOrder.objects.filter(event_id=OuterRef("pk"), relationship_id=row.pk)
    return (
        _is_written_ahead(row.provider_id) or _unplanned(row, now).exclude(Exists(copies)).exists()
    )


def may_be_opened_for_any(provider_id: UUID, *, now: datetime) -> bool:
    """Tell the same of all who copy a provider."""
    rows = CopyRelationship.objects.copying().filter(provider_id=provider_id)
    slowest = rows.order_by("-open_deadline_seconds").first()
    return slowest is not None and (
        _is_written_ahead(provider_id) or _unplanned(slowest, now).exists()
    )


def _is_written_ahead(provider_id: UUID) -> bool:
    return CopyBatch.objects.filter(provider_id=provider_id, unfolded_at=None).exists()


def _unplanned(row: CopyRelationship, now: datetime) -> QuerySet[CopyEvent]:
    since = now - timedelta(seconds=row.open_deadline_seconds) - _MARGIN
    return CopyEvent.objects.filter(
        provider_id=row.provider_id, planned_at=None, kind__in=_OPENS, detected_at__gt=since
    )
