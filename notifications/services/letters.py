"""Making letters from rows."""

import json
import zoneinfo
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from notifications.delivering.letters import MOST_ITEMS, Item, Letter, LetterKind, Recipient
from notifications.models import Channel, Delivery, Notification, NotificationType, Priority
from notifications.services.routing import TEST_KEY

LONGEST_TITLE = 160
_KINDS = {Delivery.Hold.QUIET: LetterKind.QUIET, Delivery.Hold.STORM: LetterKind.STORM}


def build_letter(
    deliveries: Sequence[Delivery], *, counts: Mapping[str, int] | None = None
) -> Letter:
    """Build the letter of these deliveries to one channel; reads `notification.user`.

    `counts` tells how many of each type there are in all, where only the most important of many
    are given.
    """
    first = deliveries[0]
    user = first.notification.user
    recipient = Recipient(username=user.username, email=user.email, time_zone=user.time_zone)
    if len(deliveries) == 1 and (counts is None or sum(counts.values()) == 1):
        return _single(first, recipient)
    notifications = sorted(
        (delivery.notification for delivery in deliveries),
        key=lambda row: (Priority(row.priority).rank, row.created_at),
        reverse=True,
    )
    every = Counter(row.type for row in notifications) if counts is None else Counter(counts)
    items = tuple(_item(row) for row in notifications[:MOST_ITEMS])
    return Letter(
        id=first.letter_id or first.notification_id,
        kind=_KINDS[Delivery.Hold(first.hold)],
        recipient=recipient,
        title=_digest_title(items, every.total(), first.hold),
        body=_digest_body(items, every, zone_of(recipient)),
        url=_absolute("/notifications"),
        priority=items[0].priority,
        at=max(row.created_at for row in notifications),
        items=items,
        total=every.total(),
    )


@sensitive_variables()
def open_credentials(channel: Channel | None) -> dict[str, str]:
    """Open what is needed to reach a channel."""
    sealed = None if channel is None else channel.credentials
    if sealed is None:
        return {}
    opened: dict[str, str] = json.loads(sealed)
    return opened


def is_test(notification: Notification) -> bool:
    return notification.dedupe_key.startswith(TEST_KEY)


def zone_of(recipient: Recipient) -> tzinfo:
    """Return the zone in which times are written to somebody; UTC when theirs is not known."""
    try:
        return zoneinfo.ZoneInfo(recipient.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo("UTC")


def _single(delivery: Delivery, recipient: Recipient) -> Letter:
    notification = delivery.notification
    item = _item(notification)
    return Letter(
        id=delivery.letter_id or notification.pk,
        kind=LetterKind.TEST if is_test(notification) else LetterKind.SINGLE,
        recipient=recipient,
        title=item.title,
        body=item.body,
        url=item.url,
        priority=item.priority,
        at=item.at,
        items=(item,),
    )


def _digest_title(items: Sequence[Item], total: int, hold: str) -> str:
    """Name the most important one first: more than that fits on no lock screen."""
    ending = f", and {total - 1:,} more"
    if hold == Delivery.Hold.QUIET:
        ending += " while it was quiet"
    room = LONGEST_TITLE - len(ending)
    title = items[0].title
    return (title if len(title) <= room else f"{title[: room - 1]}…") + ending


def _digest_body(items: Sequence[Item], every: Counter[str], zone: tzinfo) -> str:
    last_day = max(item.at for item in items).astimezone(zone).date()
    lines = []
    for item in items:
        at = _short_time(
            item.at.astimezone(zone), is_today=item.at.astimezone(zone).date() == last_day
        )
        times = f" ({item.count} times)" if item.count > 1 else ""
        lines.append(f"{at} {item.title}{times}")
    left_out = every - Counter(item.type for item in items)
    if left_out:
        kinds = ", ".join(
            f"{count:,} × {NotificationType(kind).label}" for kind, count in left_out.most_common()
        )
        lines.append(f"And {left_out.total():,} more: {kinds}.")
    return "\n".join(lines)


def _short_time(at: datetime, *, is_today: bool) -> str:
    return f"{at:%H:%M}" if is_today else f"{at.day} {at:%b %H:%M}"


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
