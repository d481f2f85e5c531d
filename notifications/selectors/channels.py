"""A user's channels, and what went out by them."""

from django.db.models import QuerySet

from accounts.models import User
from notifications.models import Channel, Delivery, Notification


def channels_of(user: User) -> QuerySet[Channel]:
    """Return a user's channels, oldest first, without what lies sealed in them."""
    return Channel.objects.owned_by(user).defer("credentials")


def deliveries_of(notification: Notification) -> QuerySet[Delivery]:
    """Return how a notification went out, in the order in which its ways were chosen."""
    return notification.deliveries.order_by("pk")
