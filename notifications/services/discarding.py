"""Deleting notifications together with their deliveries, whoever is at work on them."""

from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from notifications.models import Notification

BATCH_SIZE: Final = 1000


def discard(notifications: QuerySet[Notification]) -> int:
    """Delete notifications and what is on its way of them, and return how many there were.

    In batches, so that nobody waits long for the rest of thousands.
    """
    deleted = 0
    while True:
        found = _discard_batch(notifications)
        deleted += found
        if found < BATCH_SIZE:
            return deleted


@transaction.atomic(savepoint=False)
def _discard_batch(notifications: QuerySet[Notification]) -> int:
    # Locked before their deliveries are looked for: a router that is deciding on one of them writes
    # more at this moment, which would be left without what they tell.
    locked = notifications.select_for_update(of=["self"]).order_by("created_at", "pk")
    ids = list(locked.values_list("pk", flat=True)[:BATCH_SIZE])
    if ids:
        Notification.objects.filter(pk__in=ids).delete()
    return len(ids)
