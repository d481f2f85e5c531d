"""Holding deliveries back: through quiet hours, and when too many go out by one channel.

What is held is gathered, and goes out as one letter per channel and reason.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Min, Q

from notifications.models import Channel, Delivery, DeliverySettings
from notifications.quiet_hours import quiet_until

Hold = Delivery.Hold

# More than `storm_limit` deliveries within this time are a storm.
STORM_WINDOW = timedelta(seconds=60)
STORM_LASTS = timedelta(seconds=60)
# What always passes cannot wait for more to gather, and takes along what has.
STORM_LASTS_URGENTLY = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Planned:
    """A delivery that is about to be written; `passes`: at any hour."""

    delivery: Delivery
    channel: Channel
    passes: bool


@dataclass(slots=True)
class Traffic:
    """What went out by one channel lately, and when what a storm gathered on it is due."""

    count: int = 0
    due_at: datetime | None = None


def hold_back(
    planned: Sequence[Planned], settings_of: Mapping[int, DeliverySettings], *, now: datetime
) -> None:
    """Set `hold` and `next_attempt_at` of deliveries that are not written yet.

    Reads `channel.user` for the time zone. When a storm breaks loose, what always passes is the
    first to go out by itself.
    """
    quiet_ends = _quiet_ends(planned, settings_of, now=now)
    loud: list[Planned] = []
    for each in planned:
        quiet_end = None if each.passes else quiet_ends[each.channel.user_id]
        if quiet_end is None:
            loud.append(each)
        else:
            each.delivery.hold = Hold.QUIET
            each.delivery.next_attempt_at = quiet_end
    traffic = _read_traffic({each.channel.pk for each in loud}, now=now)
    for each in sorted(loud, key=lambda each: not each.passes):
        limit = settings_of[each.channel.user_id].storm_limit
        let_out(each, traffic.setdefault(each.channel.pk, Traffic()), limit, now=now)


def wakes_of(planned: Iterable[Planned], *, now: datetime) -> set[tuple[str, timedelta]]:
    """Return which transports have something to send that they are not woken for yet, and when.

    For what joins a letter that was gathered before, somebody was woken then; the end of quiet
    hours is left to the sweep.
    """
    new = {timedelta(0), STORM_LASTS, STORM_LASTS_URGENTLY}
    rows = [each.delivery for each in planned if each.delivery.hold != Hold.QUIET]
    pauses = {
        (row.transport, row.next_attempt_at - now)
        for row in rows
        if row.next_attempt_at is not None
    }
    return {(transport, pause) for transport, pause in pauses if pause in new}


def let_out(planned: Planned, traffic: Traffic, limit: int, *, now: datetime) -> None:
    """Let a delivery out by itself, or gather it when the channel has had its share."""
    delivery = planned.delivery
    traffic.count += 1
    if traffic.count <= limit:
        delivery.next_attempt_at = now
        return
    lasts = STORM_LASTS_URGENTLY if planned.passes else STORM_LASTS
    due_at = now + lasts if traffic.due_at is None else min(traffic.due_at, now + lasts)
    delivery.hold = Hold.STORM
    delivery.next_attempt_at = traffic.due_at = due_at


def _quiet_ends(
    planned: Iterable[Planned], settings_of: Mapping[int, DeliverySettings], *, now: datetime
) -> dict[int, datetime | None]:
    zones = {each.channel.user_id: each.channel.user.time_zone for each in planned}
    return {
        user_id: quiet_until(
            now,
            zone=zone,
            begins=settings_of[user_id].quiet_from,
            ends=settings_of[user_id].quiet_until,
        )
        for user_id, zone in zones.items()
    }


def _read_traffic(channel_ids: Collection[UUID], *, now: datetime) -> dict[UUID, Traffic]:
    """Read what was let out by these channels lately, or gathered since there were too many.

    What a storm holds counts, too: while it lasts there is one letter a minute and no more.
    """
    gathering = Q(hold=Hold.STORM, state=Delivery.State.PENDING, letter_id=None)
    rows = (
        Delivery.objects.filter(channel__in=channel_ids, created_at__gt=now - STORM_WINDOW)
        .exclude(hold=Hold.QUIET)
        .order_by()
        .values("channel")
        .annotate(count=Count("pk"), due_at=Min("next_attempt_at", filter=gathering))
        .values_list("channel", "count", "due_at")
    )
    return {channel_id: Traffic(count, due_at) for channel_id, count, due_at in rows}
