"""How long notifications are kept."""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import QuerySet

from notifications.models import Notification

HIDDEN_KEPT: Final = timedelta(days=30)
BATCH_SIZE: Final = 1000


def forget_old(now: datetime) -> int:
    """Delete what was read and is old, and what is hidden for a month; return how many rows.

    What nobody has read stays. In batches, each a transaction of its own, so that nobody waits.
    """
    read_kept = timedelta(days=settings.NOTIFICATIONS_KEPT_DAYS)
    read = Notification.objects.filter(created_at__lt=now - read_kept).exclude(read_at=None)
    hidden = Notification.objects.filter(created_at__lt=now - HIDDEN_KEPT, is_hidden=True)
    return _delete(read) + _delete(hidden)


def _delete(rows: QuerySet[Notification]) -> int:
    deleted = 0
    while ids := list(rows.order_by().values_list("pk", flat=True)[:BATCH_SIZE]):
        _, by_model = Notification.objects.filter(pk__in=ids).delete()
        deleted += by_model.get(Notification._meta.label, 0)
    return deleted
