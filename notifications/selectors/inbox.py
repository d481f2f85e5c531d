"""What a user's inbox holds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q, QuerySet

from notifications.models import Notification, NotificationType, Priority

RECENT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class InboxStatistics:
    """Counts of one user's notifications; `by_*` count all, read or not, and name every kind."""

    total_unread: int
    by_type: Mapping[str, int]
    by_priority: Mapping[str, int]
    recent_count: int


def list_notifications(
    *,
    user: object,
    type: str | None = None,  # noqa: A002  # the field's own name
    priority: str | None = None,
    unread: bool | None = None,
) -> QuerySet[Notification]:
    """Return a user's notifications, newest first; None leaves a filter out."""
    notifications = Notification.objects.owned_by(user).shown()
    if type is not None:
        notifications = notifications.filter(type=type)
    if priority is not None:
        notifications = notifications.filter(priority=priority)
    if unread is not None:
        notifications = notifications.filter(read_at__isnull=unread)
    return notifications


def latest_notifications(*, user: object, limit: int = 10) -> list[Notification]:
    return list(list_notifications(user=user)[:limit])


def count_unread(*, user: object, at_most: int | None = None) -> int:
    """Count what a user has not read; with `at_most`, no further than that."""
    return Notification.objects.owned_by(user).unread().order_by()[:at_most].count()


def get_statistics(*, user: object, now: datetime) -> InboxStatistics:
    total_unread = recent_count = 0
    by_type = Counter(dict.fromkeys(NotificationType.values, 0))
    by_priority = Counter(dict.fromkeys(Priority.values, 0))
    groups = Notification.objects.owned_by(user).shown().order_by().values_list("type", "priority")
    for kind, priority, count, unread, recent in groups.annotate(
        Count("pk"),
        unread=Count("pk", filter=Q(read_at=None)),
        recent=Count("pk", filter=Q(created_at__gt=now - RECENT)),
    ):
        by_type[kind] += count
        by_priority[priority] += count
        total_unread += unread
        recent_count += recent
    return InboxStatistics(total_unread, by_type, by_priority, recent_count)


def describe(notification: Notification) -> dict[str, str | None]:
    """Return a notification as API and sockets show it; times in UTC."""
    return {
        "id": str(notification.pk),
        "type": notification.type,
        "priority": notification.priority,
        "title": notification.title,
        "body": notification.body,
        "link": notification.link,
        "object_type": notification.object_type,
        "object_id": notification.object_id,
        "created_at": _utc_text(notification.created_at),
        "read_at": None if notification.read_at is None else _utc_text(notification.read_at),
    }


def _utc_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
