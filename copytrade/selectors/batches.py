"""Batches of copies that were written ahead, and should have become rows long ago."""

from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from copytrade.models import CopyBatch

# The worker that wrote a batch unfolds it within a second; its successor does when it has begun.
LATE_AFTER: Final = timedelta(minutes=1)


def late_batches(now: datetime) -> QuerySet[CopyBatch]:
    """Return the batches that are still folded: of a host without a worker, or unreadable."""
    return CopyBatch.objects.filter(unfolded_at=None, created_at__lt=now - LATE_AFTER)
