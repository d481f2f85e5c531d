"""Making letters from rows."""

import json

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from notifications.delivering.letters import Item, Letter, LetterKind, Recipient
from notifications.models import Delivery, Notification


def build_letter(delivery: Delivery) -> Letter:
    """Build the letter of one delivery; reads `notification.user`."""
    notification = delivery.notification
    user = notification.user
    item = _item(notification)
    return Letter(
        id=notification.pk,
        kind=LetterKind.SINGLE,
        recipient=Recipient(username=user.username, email=user.email, time_zone=user.time_zone),
        title=item.title,
        body=item.body,
        url=item.url,
        priority=item.priority,
        at=item.at,
        items=(item,),
    )


@sensitive_variables()
def credentials_of(delivery: Delivery) -> dict[str, str]:
    """Open what is needed to reach the delivery's channel."""
    channel = delivery.channel
    if channel is None or channel.credentials is None:
        return {}
    opened: dict[str, str] = json.loads(channel.credentials)
    return opened


def _item(notification: Notification) -> Item:
    return Item(
        id=notification.pk,
        type=notification.type,
        priority=notification.priority,
        title=notification.title,
        body=notification.body,
        url=_absolute(notification.link),
        object_type=notification.object_type,
        object_id=notification.object_id,
        at=notification.created_at,
        count=notification.happened_count,
    )


def _absolute(path: str) -> str:
    return f"{settings.PUBLIC_URL.rstrip('/')}{path}" if path else ""
