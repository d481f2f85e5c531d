"""Channels that do not work any more are switched off, and nothing that matters is lost with them.

Whoever changes a channel and its deliveries locks the channel first.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from notifications.defaults import ALWAYS_PASSING
from notifications.models import Channel, Delivery, Notification, NotificationType, Priority
from notifications.services.email_channels import EMAIL, ensure_email_channels
from notifications.services.messages import Message, notify
from notifications.services.waking import wake_after_commit

CHANNELS_PAGE = "/notifications/channels"
LONGEST_REASON = 255


@transaction.atomic
def switch_off(channel: Channel, because: str, now: datetime) -> bool:
    """Send nothing by a channel any more, and tell its user by another; False if it was off.

    What waits for it is cancelled. Of that, what always passes goes by e-mail, unless it has gone
    out by some other channel.
    """
    locked = lock_channel(channel.pk)
    if locked is None or locked.switched_off_at is not None:
        return False
    because = fitting(because)
    Channel.objects.filter(pk=channel.pk).update(
        switched_off_at=now, switched_off_because=because, updated_at=now
    )
    channel.switched_off_at, channel.switched_off_because = now, because
    cancel(
        channel.deliveries.filter(state=Delivery.State.PENDING),
        because=f"{locked.name} was switched off.",
        now=now,
    )
    notify([_say_switched_off(locked, because, now=now)], now=now)
    return True


@transaction.atomic
def switch_on(channel: Channel, now: datetime) -> bool:
    """Send by a channel again, from the next notification on; False if it was on."""
    fields = {"switched_off_at": None, "switched_off_because": "", "failures_in_a_row": 0}
    changed = (
        Channel.objects.filter(pk=channel.pk)
        .exclude(switched_off_at=None)
        .update(last_error="", updated_at=now, **fields)
    )
    if not changed:
        return False
    channel.refresh_from_db(fields=[*fields, "last_error", "updated_at"])
    return True


def cancel(deliveries: QuerySet[Delivery], *, because: str, now: datetime) -> int:
    """Cancel deliveries and return how many; what always passes of them goes by e-mail.

    What a sender has claimed may have arrived already, and would come twice: it ends by itself.
    """
    deliveries = deliveries.exclude(_in_the_air(now=now))
    fall_back(deliveries, now=now)
    return deliveries.update(
        state=Delivery.State.CANCELLED,
        next_attempt_at=None,
        error=fitting(because),
        updated_at=now,
    )


@transaction.atomic
def fall_back(deliveries: QuerySet[Delivery], *, now: datetime) -> int:
    """Have sent by e-mail what always passes of these and went out by no other channel.

    Returns how many go that way now. Several at once become one e-mail.
    """
    reached = Delivery.objects.filter(
        Q(state=Delivery.State.SENT) | Q(transport=EMAIL), notification=OuterRef("notification")
    )
    lost = list(
        deliveries.filter(
            Q(notification__priority=Priority.URGENT)
            | Q(notification__type__in=sorted(ALWAYS_PASSING)),
            ~Exists(reached),
            notification__user__is_active=True,
        )
        .exclude(transport=EMAIL)
        .exclude(notification__told_by=EMAIL)
        .order_by("notification_id")
        .values_list("notification_id", "notification__user_id")
        .distinct()
    )
    if not lost:
        return 0
    user_ids = {user_id for _, user_id in lost}
    ensure_email_channels(user_ids)
    working = Channel.objects.working().filter(user__in=user_ids, transport=EMAIL)
    channels = {channel.user_id: channel for channel in working}
    told = _lock_notifications([notification_id for notification_id, _ in lost])
    planned = [
        Delivery(
            notification_id=notification_id,
            channel=channels[user_id],
            transport=EMAIL,
            channel_name=channels[user_id].name,
            hold=Delivery.Hold.STORM if len(lost) > 1 else Delivery.Hold.NONE,
            next_attempt_at=now,
            created_at=now,
            updated_at=now,
        )
        for notification_id, user_id in lost
        if user_id in channels and notification_id in told
    ]
    Delivery.objects.bulk_create(planned, ignore_conflicts=True, batch_size=500)
    if planned:
        wake_after_commit(EMAIL)
    return len(planned)


def _in_the_air(*, now: datetime) -> Q:
    """Return what a sender has claimed: it writes down what became of it, or the claim lapses."""
    return Q(attempts__gt=0, error="", next_attempt_at__gt=now)


def lock_channel(channel_id: UUID) -> Channel | None:
    """Lock a channel's row until the transaction ends, before any of its deliveries."""
    return (
        Channel.objects.select_for_update(no_key=True)
        .filter(pk=channel_id)
        .defer("credentials")
        .first()
    )


def _lock_notifications(ids: Sequence[UUID]) -> set[UUID]:
    """Keep these from being deleted until the transaction ends; return those that still are."""
    # In the order in which they are deleted, so that nobody waits for each other.
    rows = Notification.objects.filter(pk__in=ids).order_by("created_at", "pk")
    return set(rows.select_for_update(no_key=True).values_list("pk", flat=True))


def fitting(text: str) -> str:
    """Return a text on one line, as long as the column takes."""
    return " ".join(text.split())[:LONGEST_REASON]


def _say_switched_off(channel: Channel, because: str, *, now: datetime) -> Message:
    return Message(
        user_id=channel.user_id,
        type=NotificationType.SYSTEM_ALERT,
        priority=Priority.HIGH,
        title=f"No notifications by “{channel.name}” any more",
        body=(
            f"TradeGuard has switched the channel “{channel.name}” off, since nothing arrived by "
            f"it: {because.rstrip('.')}. Put that right, then switch the channel on again."
        ),
        link=CHANNELS_PAGE,
        object_type="channel",
        object_id=str(channel.pk),
        dedupe_key=f"channel_off:{channel.pk}:{now.isoformat()}",
        told_by=channel.transport,
    )
