"""Deciding by which channels each notification goes out, beside whoever wrote it.

Whoever tells something writes its row and no more, be it in the middle of a tick. Here, on a
default worker, rows that nobody has decided on become deliveries: a batch in one transaction, so a
worker that dies leaves a batch that is decided, or one that the sweep decides.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from django.db import connection, transaction

from notifications.delivering.slots import Slots
from notifications.models import (
    Channel,
    Delivery,
    DeliverySettings,
    Notification,
    NotificationType,
    Priority,
)
from notifications.services.announcing import push
from notifications.services.choosing import Verdict, judge, read_wishes
from notifications.services.folding import find_told, fold, write_counts
from notifications.services.holding import Planned, hold_back, wakes_of
from notifications.services.waking import wake_after_commit

# A transaction of this many takes some tens of milliseconds, for which SQLite keeps others waiting.
BATCH_SIZE = 100
# SQLite has whoever waits for a writer look again from time to time: of writers one right after the
# other, the tick would see no end.
PAUSE_SECONDS = 0.05
# Of several in a process each would only wait for the others' locks, and take a thread for it.
_slots = Slots(1)
_ROUTER = "router"
# How the `dedupe_key` of a test begins, by which whoever writes the letter knows it.
TEST_KEY = "test:"


def route_due(*, clock: Callable[[], datetime]) -> int:
    """Decide on everything that waits, oldest first, and return how many there were."""
    _pass_over_inactive(now=clock())
    routed = 0
    while user_ids := _waiting_users():
        decided = _route_batch(user_ids, now=clock())
        routed += decided
        if not decided:
            # Another worker has them, or their user is just deleting them.
            break
        if decided == BATCH_SIZE and connection.vendor == "sqlite":
            time.sleep(PAUSE_SECONDS)
    return routed


def route_while_due(*, clock: Callable[[], datetime]) -> int:
    """Decide until nothing waits, unless this process is at it, which then looks once more."""
    if not _slots.enter(_ROUTER):
        return 0
    routed = 0
    try:
        while True:
            routed += route_due(clock=clock)
            if _slots.leave(_ROUTER):
                return routed
    except BaseException:
        _slots.abandon(_ROUTER)
        raise


def plan_test(*, channel: Channel, now: datetime) -> Delivery:
    """Send a test by this channel and no other, soon; neither preferences nor hours matter to it.

    It stands in the centre, but read: who asked for it has no need to be told.
    """
    name = f"{TEST_KEY}{uuid4()}"
    with transaction.atomic():
        test = Notification.objects.create(
            user_id=channel.user_id,
            type=NotificationType.SYSTEM_ALERT,
            priority=Priority.LOW,
            title="A test from TradeGuard",
            body=f"{channel.name} works: what you choose to hear this way arrives here.",
            link="/notifications/channels",
            object_type="channel",
            object_id=str(channel.pk),
            dedupe_key=name,
            routed_at=now,
            created_at=now,
            read_at=now,
        )
        delivery = _plan(test, channel, now=now)
        delivery.next_attempt_at = now
        delivery.save(force_insert=True)
        wake_after_commit(channel.transport)
    return delivery


def _pass_over_inactive(*, now: datetime) -> None:
    """Decide that what waits for users who are switched off goes nowhere."""
    theirs = Notification.objects.unrouted().filter(user__is_active=False)
    if theirs.exists():  # nearly never, and only a write keeps others waiting
        theirs.update(routed_at=now)


def _waiting_users() -> set[int]:
    """Return whose notifications make up the next batch."""
    waiting = Notification.objects.unrouted().filter(user__is_active=True)
    return set(waiting.order_by("created_at").values_list("user_id", flat=True)[:BATCH_SIZE])


def _route_batch(user_ids: Collection[int], *, now: datetime) -> int:
    # Before the transaction: a row that is being inserted keeps others waiting until it ends.
    _ensure_settings(user_ids)
    with transaction.atomic():
        # One router at a time decides on a user's notifications: two would each find too few
        # deliveries to make a storm, and no first row to count on.
        settings_of = _lock_settings(user_ids)
        waiting = list(
            Notification.objects.unrouted()
            .filter(user__in=settings_of)
            .select_for_update(of=["self"], no_key=True, skip_locked=True)
            .order_by("created_at", "pk")[:BATCH_SIZE]
        )
        if waiting:
            _decide(waiting, settings_of, now=now)
    return len(waiting)


def _decide(
    waiting: Sequence[Notification], settings_of: Mapping[int, DeliverySettings], *, now: datetime
) -> None:
    wishes = read_wishes({row.user_id for row in waiting})
    verdicts = {row.pk: judge(row, wishes) for row in waiting}
    visible = [row for row in waiting if not verdicts[row.pk].is_hidden]
    silent = [row for row in visible if verdicts[row.pk].is_silent and row.read_at is None]
    for row in silent:
        row.read_at = now  # it calls nobody, and so it counts as read
    folded = fold(visible, find_told(visible, settings_of), settings_of)
    planned = [
        Planned(_plan(row, channel, now=now), channel, passes=verdicts[row.pk].passes)
        for row in folded.fresh
        for channel in verdicts[row.pk].channels
    ]
    hold_back(planned, settings_of, now=now)
    _write(waiting, fresh=folded.fresh, silent=silent, now=now)
    write_counts(list(folded.firsts.values()))
    Delivery.objects.bulk_create([each.delivery for each in planned])
    transaction.on_commit(
        lambda: _show(folded.fresh, list(folded.firsts.values()), verdicts), robust=True
    )
    for transport, pause in sorted(wakes_of(planned, now=now)):
        wake_after_commit(transport, after_seconds=pause.total_seconds())


def _write(
    waiting: Sequence[Notification],
    *,
    fresh: Sequence[Notification],
    silent: Sequence[Notification],
    now: datetime,
) -> None:
    shown = {row.pk for row in fresh}
    hidden = [row.pk for row in waiting if row.pk not in shown]
    Notification.objects.filter(pk__in=shown).update(routed_at=now)
    Notification.objects.filter(pk__in=hidden).update(routed_at=now, is_hidden=True)
    Notification.objects.filter(pk__in=[row.pk for row in silent], read_at=None).update(read_at=now)


def _show(
    fresh: Sequence[Notification],
    firsts: Sequence[Notification],
    verdicts: Mapping[UUID, Verdict],
) -> None:
    """Show on open pages what is new, and quietly what happened again."""
    news = {row.pk for row in fresh}
    again = [row for row in firsts if row.pk not in news]
    silent = {row.pk for row in fresh if verdicts[row.pk].is_silent} | {row.pk for row in again}
    push([*fresh, *again], silent=silent)


def _plan(notification: Notification, channel: Channel, *, now: datetime) -> Delivery:
    return Delivery(
        notification=notification,
        channel=channel,
        transport=channel.transport,
        channel_name=channel.name,
        created_at=now,
        updated_at=now,
    )


def _ensure_settings(user_ids: Collection[int]) -> None:
    known = DeliverySettings.objects.filter(user__in=user_ids).values_list("user_id", flat=True)
    if missing := set(user_ids) - set(known):
        DeliverySettings.objects.bulk_create(
            [DeliverySettings(user_id=user_id) for user_id in sorted(missing)],
            ignore_conflicts=True,
        )


def _lock_settings(user_ids: Collection[int]) -> dict[int, DeliverySettings]:
    # In one order, so that two routers never wait for each other.
    rows = (
        DeliverySettings.objects.filter(user__in=user_ids)
        .select_for_update(of=["self"], no_key=True)
        .order_by("pk")
    )
    return {row.user_id: row for row in rows}
