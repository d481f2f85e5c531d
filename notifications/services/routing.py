"""Deciding by which channels each notification goes out, beside whoever wrote it.

Whoever tells something writes its row and no more, be it in the middle of a tick. Here, on a
default worker, rows that nobody has decided on become deliveries: a batch in one transaction.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import transaction

from accounts.task_messages import TaskMessage, enqueue
from notifications.defaults import default_choice
from notifications.models import Channel, Delivery, Notification, Preference
from notifications.services.announcing import push

BATCH_SIZE = 200
DELIVERIES_PER_TASK = 50


def route_due(*, clock: Callable[[], datetime]) -> int:
    """Decide on everything that waits, oldest first, and return how many there were."""
    routed = 0
    while batch := _route_batch(now=clock()):
        routed += batch
        if batch < BATCH_SIZE:
            break
    return routed


@transaction.atomic
def _route_batch(*, now: datetime) -> int:
    waiting = list(
        Notification.objects.unrouted()
        .filter(user__is_active=True)
        .select_for_update(of=["self"], skip_locked=True)
        .order_by("created_at")[:BATCH_SIZE]
    )
    if not waiting:
        return 0
    users = {notification.user_id for notification in waiting}
    channels = _channels_of(users)
    preferences = {
        (row.user_id, row.type): row for row in Preference.objects.filter(user__in=users)
    }
    planned: list[Delivery] = []
    for notification in waiting:
        own = preferences.get((notification.user_id, notification.type))
        names = default_choice(notification.type).transports if own is None else own.transports
        planned += [
            Delivery(
                notification=notification,
                channel=channel,
                transport=channel.transport,
                channel_name=channel.name,
                next_attempt_at=now,
                created_at=now,
                updated_at=now,
            )
            for channel in channels[notification.user_id]
            if channel.transport in names
        ]
    Notification.objects.filter(pk__in=[row.pk for row in waiting]).update(routed_at=now)
    written = Delivery.objects.bulk_create(planned)
    transaction.on_commit(lambda: push(waiting), robust=True)
    transaction.on_commit(lambda: wake_senders([row.pk for row in written]), robust=True)
    return len(waiting)


def _channels_of(user_ids: set[int]) -> dict[int, list[Channel]]:
    channels: dict[int, list[Channel]] = defaultdict(list)
    for channel in Channel.objects.filter(user__in=user_ids):
        channels[channel.user_id].append(channel)
    return channels


def wake_senders(delivery_ids: Sequence[int]) -> None:
    """Have these deliveries sent soon; what is not heard of waits for the sweep."""
    for start in range(0, len(delivery_ids), DELIVERIES_PER_TASK):
        part = list(delivery_ids[start : start + DELIVERIES_PER_TASK])
        enqueue(TaskMessage("notifications.deliver", [part], "deliveries"))
