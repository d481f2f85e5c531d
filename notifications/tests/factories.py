import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from accounts.models import User
from accounts.tests.factories import NOW
from notifications.models import Channel, Delivery, Notification, NotificationType, Priority
from notifications.services import Message, notify

DELIVERY_FIELDS = frozenset(
    {"state", "hold", "letter_id", "attempts", "next_attempt_at", "error", "sent_at"}
)


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
    """Tell a user something, which is not routed yet.

    Without a `dedupe_key` it is something that was not told before, without a `repeat_key` nothing
    that repeats another.
    """
    key = fields.pop("dedupe_key", f"made:{Notification.objects.count()}")
    fields.setdefault("repeat_key", key)
    own = ("read_at", "is_hidden", "routed_at")
    of_row = {name: fields.pop(name) for name in own if name in fields}
    [notification] = notify([make_message(user, dedupe_key=key, **fields)], now=now)
    for name, value in of_row.items():
        setattr(notification, name, value)
    notification.save(update_fields=list(of_row))
    return notification


def make_channel(
    user: User,
    transport: str = "email",
    *,
    credentials: dict[str, str] | None = None,
    **fields: Any,
) -> Channel:
    """Create a channel, unchecked; the one by e-mail is the user's only one, made when missing."""
    if transport == "email":
        [channel, _] = Channel.objects.get_or_create(
            user=user, transport=transport, defaults={"name": "E-mail", **fields}
        )
        return channel
    name = fields.pop("name", f"{transport} {Channel.objects.filter(user=user).count()}")
    sealed = None if credentials is None else json.dumps(credentials)
    return Channel.objects.create(
        user=user, transport=transport, name=name, credentials=sealed, **fields
    )


def make_delivery(
    user: User, *, channel: Channel | None = None, now: datetime = NOW, **fields: Any
) -> Delivery:
    """Tell a user something that is routed, by one channel alone: due now, by e-mail by default.

    `fields` are those of the delivery and of the message.
    """
    of_delivery = {name: fields.pop(name) for name in DELIVERY_FIELDS & fields.keys()}
    channel = channel or make_channel(user)
    notification = make_notification(user, now=now, **fields)
    notification.routed_at = now
    notification.save(update_fields=["routed_at"])
    return Delivery.objects.create(
        notification=notification,
        channel=channel,
        transport=channel.transport,
        channel_name=channel.name,
        created_at=now,
        **{"next_attempt_at": now, **of_delivery},
    )
