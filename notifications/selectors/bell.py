"""What the bell unfolds: what matters and is unread first, then the newest of all."""

from dataclasses import dataclass

from notifications.models import Notification, Priority
from notifications.selectors.inbox import latest_notifications, list_notifications

MOST_SHOWN = 8
MOST_IMPORTANT = 4


@dataclass(frozen=True, slots=True)
class BellNews:
    """`important` are unread and of high priority; `latest` are the newest of the others."""

    important: list[Notification]
    latest: list[Notification]


def bell_news(user: object) -> BellNews:
    """Return up to MOST_SHOWN notifications, so that small ones do not push out what matters."""
    important = list(
        list_notifications(user=user, unread=True).filter(
            priority__in=[Priority.HIGH, Priority.URGENT]
        )[:MOST_IMPORTANT]
    )
    shown = {each.pk for each in important}
    newest = latest_notifications(user=user, limit=MOST_SHOWN)
    latest = [each for each in newest if each.pk not in shown][: MOST_SHOWN - len(important)]
    return BellNews(important=important, latest=latest)
