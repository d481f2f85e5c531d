from notifications.services.connections import notify_connection_changes
from notifications.services.deliveries import (
    deliver_due,
    send_again,
    send_while_due,
    stop_sending,
    sweep,
)
from notifications.services.inbox import (
    clear_all,
    clear_read,
    delete_notification,
    mark_all_read,
    mark_read,
)
from notifications.services.keeping import forget_old
from notifications.services.messages import Message, notify
from notifications.services.routing import route_due, route_while_due
from notifications.services.switching import switch_off, switch_on

__all__ = [
    "Message",
    "clear_all",
    "clear_read",
    "delete_notification",
    "deliver_due",
    "forget_old",
    "mark_all_read",
    "mark_read",
    "notify",
    "notify_connection_changes",
    "route_due",
    "route_while_due",
    "send_again",
    "send_while_due",
    "stop_sending",
    "sweep",
    "switch_off",
    "switch_on",
]
