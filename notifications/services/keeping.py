"""How long notifications are kept."""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from notifications.models import Notification
from notifications.services.discarding import discard

HIDDEN_KEPT: Final = timedelta(days=30)


def forget_old(now: datetime) -> int:
    """Delete what was read and is old, and what is hidden for a month; return how many rows.

    What nobody has read stays. In batches, each a transaction of its own, so that nobody waits.
    """
    read_kept = timedelta(days=settings.NOTIFICATIONS_KEPT_DAYS)
    read = Notification.objects.filter(created_at__lt=now - read_kept).exclude(read_at=None)
    hidden = Notification.objects.filter(created_at__lt=now - HIDDEN_KEPT, is_hidden=True)
    return discard(read) + discard(hidden)
