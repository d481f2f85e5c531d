"""Counting what repeats itself, rather than telling it again."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from notifications.models import DeliverySettings, Notification, Priority

Key = tuple[int, str]


@dataclass(slots=True)
class Folded:
    """What became of a batch: `fresh` is told, `repeated` only counted, by the rows in `firsts`."""

    fresh: list[Notification] = field(default_factory=list)
    repeated: list[Notification] = field(default_factory=list)
    firsts: dict[object, Notification] = field(default_factory=dict)


def fold(
    waiting: Sequence[Notification],
    told: Mapping[Key, Sequence[Notification]],
    settings_of: Mapping[int, DeliverySettings],
) -> Folded:
    """Tell what is new from what happened within minutes of its first time; nothing is written.

    A repetition counts on the first row, which becomes unread again unless the repetition counts
    as read. What is more important than that row is told by itself, and is the one that counts from
    then on. Takes the notifications in the order in which they happened, without those that nobody
    is shown, and what was told before.
    """
    folded = Folded()
    known = defaultdict(list, {key: list(rows) for key, rows in told.items()})
    for notification in waiting:
        rows = known[notification.user_id, notification.repeat_key]
        first = _first(notification, rows, _window(settings_of[notification.user_id]))
        if first is None:
            folded.fresh.append(notification)
            rows.append(notification)
        else:
            _count(first, notification)
            folded.repeated.append(notification)
            folded.firsts[first.pk] = first
    return folded


def find_told(
    waiting: Sequence[Notification], settings_of: Mapping[int, DeliverySettings]
) -> dict[Key, list[Notification]]:
    """Find, and lock, what was told under the same keys not long before, oldest first.

    A row that somebody else is just writing is passed over: what repeats it is told, not counted.
    Nobody who writes notifications, be it the tick, is waited for.
    """
    longest = max(map(_window, settings_of.values()), default=timedelta(0))
    if not waiting or not longest:
        return {}
    rows = (
        Notification.objects.shown()
        .filter(
            user__in={row.user_id for row in waiting},
            repeat_key__in={row.repeat_key for row in waiting if row.repeat_key},
            routed_at__isnull=False,
            created_at__gt=waiting[0].created_at - longest,
        )
        .select_for_update(of=["self"], no_key=True, skip_locked=True)
        .order_by("created_at", "pk")
    )
    told: dict[Key, list[Notification]] = defaultdict(list)
    for row in rows:
        told[row.user_id, row.repeat_key].append(row)
    return told


def write_counts(firsts: Collection[Notification]) -> None:
    """Write what `fold` counted on these rows."""
    Notification.objects.bulk_update(firsts, ["happened_count", "last_happened_at", "read_at"])


def _window(settings: DeliverySettings) -> timedelta:
    return timedelta(minutes=settings.repeat_minutes)


def _first(
    notification: Notification, told: Sequence[Notification], window: timedelta
) -> Notification | None:
    """Return the row that this one repeats: the newest that is as important and not too far off."""
    if not notification.repeat_key:
        return None
    for first in reversed(told):
        is_near = abs(notification.created_at - first.created_at) < window
        if is_near and _rank(first) >= _rank(notification):
            return first
    return None


def _count(first: Notification, repetition: Notification) -> None:
    first.happened_count += 1
    first.last_happened_at = _latest(first.last_happened_at, repetition.created_at)
    if repetition.read_at is None:
        first.read_at = None


def _latest(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else max(known, at)


def _rank(notification: Notification) -> int:
    return Priority(notification.priority).rank
