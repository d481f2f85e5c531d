"""Telling users that a key is about to expire, while there is still time to renew it.

When its time has come its accounts are not watched any more, at whatever hour that is.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from accounts.models import ApiKey, ConnectedAccount
from accounts.redis import redis_client
from notifications.delivering.chat_text import zone_of
from notifications.models import Notification, NotificationType, Priority
from notifications.services import Message, notify
from tradeguard.told_lately import note_told, told_lately

# What a person can see to on a working day; and once more when it is nearly over.
AHEAD: Final = (timedelta(days=1), timedelta(days=3))


def watch_keys(*, now: datetime) -> list[Notification]:
    """Tell of keys that expire soon, whose accounts are watched; return what is new."""
    keys = list(
        ApiKey.objects.filter(
            status=ApiKey.Status.ACTIVE,
            expires_at__gt=now,
            expires_at__lte=now + max(AHEAD),
            user__is_active=True,
        ).select_related("user")
    )
    if not keys:
        return []
    accounts = _accounts([key.pk for key in keys])
    redis = redis_client()
    messages = [_message(key, accounts[key.pk], now) for key in keys if key.pk in accounts]
    news = [each for each in messages if each.user_id not in told_lately(redis, each.dedupe_key)]
    told = notify(news, now=now)
    for each in news:
        note_told(redis, each.dedupe_key, [each.user_id])
    return told


def _accounts(key_ids: list[UUID]) -> Mapping[UUID, list[str]]:
    rows = ConnectedAccount.objects.filter(
        api_key__in=key_ids, is_active=True, connection__is_wanted=True
    )
    found: dict[UUID, list[str]] = defaultdict(list)
    for key_id, name in rows.order_by("name").values_list("api_key_id", "name"):
        if key_id is not None:
            found[key_id].append(name)
    return dict(found)


def _message(key: ApiKey, accounts: list[str], now: datetime) -> Message:
    if key.expires_at is None:  # pragma: no cover  # they were looked for by it
        raise ValueError(f"Key {key.pk} never expires.")
    zone = zone_of(key.user.time_zone)
    ahead = next(span for span in AHEAD if key.expires_at - now <= span)
    shown = ", ".join(accounts[:5]) + (f" and {len(accounts) - 5} more" if accounts[5:] else "")
    return Message(
        user_id=key.user_id,
        type=NotificationType.SECURITY,
        priority=Priority.HIGH,
        title=f"API key expires soon: {key.name}",
        body=(
            f"The API key “{key.name}” expires on"
            f" {key.expires_at.astimezone(zone):%d %b %Y %H:%M} ({zone.key}). From then on nobody"
            f" watches {shown}: give it a later expiry, or another password."
        ),
        link=f"/keys/{key.pk}",
        object_type="api_key",
        object_id=str(key.pk),
        dedupe_key=f"key_expires:{key.pk}:{key.expires_at:%Y-%m-%dT%H:%M}:{ahead.days}",
    )
