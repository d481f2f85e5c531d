from notifications.services.connections import notify_connection_changes
from notifications.services.deliveries import deliver_due, deliver_these
from notifications.services.inbox import (
    clear_all,
    clear_read,
    delete_notification,
    mark_all_read,
    mark_read,
)
from notifications.services.messages import Message, notify
from notifications.services.routing import route_due

__all__ = [
    "Message",
    "clear_all",
    "clear_read",
    "delete_notification",
    "deliver_due",
    "deliver_these",
    "mark_all_read",
    "mark_read",
    "notify",
    "notify_connection_changes",
    "route_due",
]
