"""Telling users their day, each once: batches of users, in one transaction each."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

from django.db import transaction
from django.db.models import Exists, Min, OuterRef, Q

from accounts.models import User
from notifications.delivering.chat_text import zone_of
from notifications.models import (
    DeliverySettings,
    NotificationType,
    Preference,
    Priority,
)
from notifications.services import Message, notify
from tradeguard.summaries.due import Due, summary_due
from tradeguard.summaries.facts import Reader, UserDay, load_user_days
from tradeguard.summaries.words import body_of, title_of

logger = logging.getLogger(__name__)

BATCH_SIZE = 50
_USUAL_TIME: time = DeliverySettings._meta.get_field("summary_at").default


@dataclass(frozen=True, slots=True)
class Candidate:
    """A user with an active account, and what decides when their day is summed up."""

    user_id: int
    time_zone: str
    summary_at: time | None
    summarised_on: date | None
    known_since: datetime

    def due(self, now: datetime, row: DeliverySettings | None = None) -> Due | None:
        """Return what is due, by the user's settings as `row` has them if it is given."""
        at, told = self.summary_at or _USUAL_TIME, self.summarised_on
        if row is not None:
            at, told = row.summary_at, row.summarised_on
        return summary_due(
            now,
            zone=zone_of(self.time_zone),
            summary_at=at,
            summarised_on=told,
            known_since=self.known_since,
        )


def send_summaries(*, clock: Callable[[], datetime]) -> int:
    """Tell everybody their day for whom it is due, and return how many there were."""
    waiting = [each for each in _candidates() if each.due(clock()) is not None]
    told = 0
    for start in range(0, len(waiting), BATCH_SIZE):
        batch = waiting[start : start + BATCH_SIZE]
        try:
            told += _send_batch(batch, now=clock())
        except Exception:
            # What is wrong with one user's rows must not keep all others from theirs.
            users = f"{batch[0].user_id} to {batch[-1].user_id}"
            logger.exception("The days of users %s could not be summed up.", users)
    return told


def _candidates() -> Iterator[Candidate]:
    """Return the users who have active accounts and want to hear of their days."""
    unwanted = Preference.objects.filter(
        user=OuterRef("pk"), type=NotificationType.DAILY_SUMMARY, mode=Preference.Mode.OFF
    )
    active = Q(connected_accounts__is_active=True)
    rows = (
        User.objects.filter(~Exists(unwanted), is_active=True)
        .annotate(known_since=Min("connected_accounts__created_at", filter=active))
        .exclude(known_since=None)
        .order_by("pk")
        .values_list(
            "pk",
            "time_zone",
            "delivery_settings__summary_at",
            "delivery_settings__summarised_on",
            "known_since",
        )
    )
    return (Candidate(*row) for row in rows.iterator())


def _send_batch(candidates: Sequence[Candidate], *, now: datetime) -> int:
    # Read before the transaction, which on SQLite keeps all other writers waiting.
    readers = [
        Reader(each.user_id, zone_of(each.time_zone), each.time_zone, due)
        for each in candidates
        if (due := each.due(now)) is not None
    ]
    days = load_user_days(readers, now=now)
    with transaction.atomic():
        claimed = _claim(candidates, {each.user_id: each.due for each in readers}, now=now)
        told = [day for day in days if day.reader.user_id in claimed]
        return len(notify([_message(day, now) for day in told], now=now)) if told else 0


def _claim(candidates: Sequence[Candidate], dues: Mapping[int, Due], *, now: datetime) -> set[int]:
    """Mark the days as told that nobody else has told meanwhile; return whose they are."""
    by_user = {each.user_id: each for each in candidates}
    DeliverySettings.objects.bulk_create(
        [DeliverySettings(user_id=user_id, updated_at=now) for user_id in by_user],
        ignore_conflicts=True,
    )
    locked = DeliverySettings.objects.select_for_update(of=["self"]).filter(user__in=by_user)
    claimed = []
    for row in locked.order_by("pk"):
        due = dues.get(row.user_id)
        # Another worker may have told it, or the user chosen another time, a moment ago.
        if due is not None and by_user[row.user_id].due(now, row) == due:
            row.summarised_on = due.day
            claimed.append(row)
    if claimed:
        DeliverySettings.objects.bulk_update(claimed, ["summarised_on"])
    return {row.user_id for row in claimed}


def _message(day: UserDay, now: datetime) -> Message:
    key = f"daily_summary:{day.reader.due.day}"
    return Message(
        user_id=day.reader.user_id,
        type=NotificationType.DAILY_SUMMARY,
        priority=Priority.MEDIUM,
        title=title_of(day),
        body=body_of(day, now=now),
        link="/accounts",
        object_type="user",
        object_id=str(day.reader.user_id),
        dedupe_key=key,
        repeat_key=key,
    )
