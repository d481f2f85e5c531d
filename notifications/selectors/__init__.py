from notifications.selectors.inbox import (
    RECENT,
    InboxStatistics,
    count_unread,
    describe,
    get_statistics,
    latest_notifications,
    list_notifications,
)

__all__ = [
    "RECENT",
    "InboxStatistics",
    "count_unread",
    "describe",
    "get_statistics",
    "latest_notifications",
    "list_notifications",
]
