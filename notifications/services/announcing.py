"""Showing notifications on the open pages of their users."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from accounts.publishing import publish_many
from notifications.models import Notification
from notifications.selectors import describe


def push(notifications: Sequence[Notification], *, silent: Collection[object] = ()) -> None:
    """Show notifications on the open pages of their users; of the silent ones the count alone.

    `silent` holds their ids. A user's go out as one message: a socket takes a hundred messages at
    a time, and what comes beyond them would be lost.
    """
    by_user: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for notification in notifications:
        by_user[notification.user_id].append(
            {
                **describe(notification),
                "happened_count": notification.happened_count,
                "is_silent": notification.pk in silent,
            }
        )
    publish_many(
        [
            (f"user.{user_id}", {"type": "user.notifications", "payload": json.dumps(told)})
            for user_id, told in by_user.items()
        ]
    )
