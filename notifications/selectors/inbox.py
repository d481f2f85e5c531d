"""What a user's inbox holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, QuerySet

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


def count_unread(*, user: object) -> int:
    return Notification.objects.owned_by(user).unread().count()


def get_statistics(*, user: object, now: datetime) -> InboxStatistics:
    notifications = Notification.objects.owned_by(user).shown()
    return InboxStatistics(
        total_unread=notifications.unread().count(),
        by_type=_count_by(notifications, "type", NotificationType.values),
        by_priority=_count_by(notifications, "priority", Priority.values),
        recent_count=notifications.filter(created_at__gt=now - RECENT).count(),
    )


def _count_by(
    notifications: QuerySet[Notification], field: str, values: list[str]
) -> dict[str, int]:
    rows = notifications.order_by().values_list(field).annotate(Count("pk"))
    return {**dict.fromkeys(values, 0), **dict(rows)}


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
