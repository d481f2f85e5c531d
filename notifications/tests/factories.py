from dataclasses import replace
from datetime import datetime
from typing import Any

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.models import Delivery, Notification, NotificationType, Priority
from notifications.services import Message, notify


def make_message(user: User, **fields: Any) -> Message:
    """Return a message to this user about a broken rule."""
    message = Message(
        user_id=user.pk,
        type=NotificationType.RISK_BREACH,
        priority=Priority.URGENT,
        title="Daily loss limit broken: Alpha 3",
        body="Alpha 3 lost 5,012.40 USD of 5,000.00 today.",
        link="/accounts/3",
        object_type="breach",
        object_id="1",
        dedupe_key="breach:1",
    )
    return replace(message, **fields)


def make_notification(user: User, *, now: datetime = NOW, **fields: Any) -> Notification:
    """Tell a user something; without a `dedupe_key` it is something that was not told before."""
    key = fields.pop("dedupe_key", f"made:{Notification.objects.count()}")
    read_at = fields.pop("read_at", None)
    [notification] = notify([make_message(user, dedupe_key=key, **fields)], now=now)
    if read_at is not None:
        notification.read_at = read_at
        notification.save(update_fields=["read_at"])
    return notification


def make_delivery(user: User, **fields: Any) -> Delivery:
    return make_notification(user, **fields).deliveries.get()
