from notifications.models.channel import Channel, PushKey
from notifications.models.delivery import Delivery
from notifications.models.notification import Notification, NotificationType, Priority
from notifications.models.preference import DeliverySettings, Preference
from notifications.transports import transport_choices

__all__ = [
    "Channel",
    "Delivery",
    "DeliverySettings",
    "Notification",
    "NotificationType",
    "Preference",
    "Priority",
    "PushKey",
    "transport_choices",
]
