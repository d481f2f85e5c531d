from notifications.selectors.channels import channels_of, deliveries_of
from notifications.selectors.inbox import (
    RECENT,
    InboxStatistics,
    count_unread,
    describe,
    get_statistics,
    latest_notifications,
    list_notifications,
)
from notifications.selectors.preferences import (
    Matrix,
    preference_matrix,
    preferences_of,
    settings_of,
)

__all__ = [
    "RECENT",
    "InboxStatistics",
    "Matrix",
    "channels_of",
    "count_unread",
    "deliveries_of",
    "describe",
    "get_statistics",
    "latest_notifications",
    "list_notifications",
    "preference_matrix",
    "preferences_of",
    "settings_of",
]
