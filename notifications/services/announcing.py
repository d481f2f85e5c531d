"""Showing notifications on the open pages of their users."""

import json
from collections.abc import Sequence

from accounts.publishing import publish_many
from notifications.models import Notification
from notifications.selectors import describe


def push(notifications: Sequence[Notification]) -> None:
    """Show notifications on the open pages of their users."""
    publish_many(
        [
            (
                f"user.{notification.user_id}",
                {"type": "user.notification", "payload": json.dumps(describe(notification))},
            )
            for notification in notifications
        ]
    )
