"""Telling users what happened: rows first, everything else after the commit."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts.models import User
from accounts.publishing import publish_many
from accounts.task_messages import TaskMessage, enqueue
from notifications.models import Delivery, Notification, Priority
from notifications.selectors import describe

# The columns of the table; PostgreSQL refuses more, SQLite takes it.
LONGEST_TITLE = 160
LONGEST_LINK = 255
LONGEST_KEY = 160

MAILED_PRIORITIES = frozenset({Priority.HIGH.value, Priority.URGENT.value})
# One task brings this many deliveries, so that a slow mail server holds up no more than these.
DELIVERIES_PER_TASK = 50


@dataclass(frozen=True, slots=True)
class Message:
    """What to tell whom. `link` is a path on this site; `dedupe_key` names the change."""

    user_id: int
    type: str
    priority: str
    title: str
    body: str
    link: str
    object_type: str
    object_id: str
    dedupe_key: str


def notify(messages: Sequence[Message], *, now: datetime) -> list[Notification]:
    """Tell each message once and return the notifications that are new, in the order given.

    A message whose (user, dedupe_key) was told before is left out, also when another worker tells
    it at this moment; so is one to a user who no longer exists. Joins the caller's transaction:
    sockets and the delivery task hear of it after the commit, and when Redis is away the rows
    wait for the sweep (`deliver_due`).
    """
    is_active_by_user = dict(
        User.objects.filter(pk__in={message.user_id for message in messages}).values_list(
            "pk", "is_active"
        )
    )
    drafts = [
        _draft(message, now=now) for message in messages if message.user_id in is_active_by_user
    ]
    if not drafts:
        return []
    with transaction.atomic():
        told = _insert_new(drafts)
        planned = _plan_deliveries(told, is_active_by_user, now=now)
        if told:
            # Not a partial: Django asks a robust callback that fails for its __qualname__.
            transaction.on_commit(
                lambda: _announce(told, [delivery.pk for delivery in planned]), robust=True
            )
    return told


def _insert_new(drafts: Sequence[Notification]) -> list[Notification]:
    """Insert what was not told yet.

    The insert does not say which rows it skipped, but every draft brings an id that nobody else
    has: the ids that are in the table afterwards are exactly the rows that this call wrote.
    """
    # One order for everybody: two workers that tell the same things cannot wait for each other.
    Notification.objects.bulk_create(
        sorted(drafts, key=lambda draft: (draft.user_id, draft.dedupe_key)), ignore_conflicts=True
    )
    written = Notification.objects.only("pk").in_bulk([draft.pk for draft in drafts])
    return [draft for draft in drafts if draft.pk in written]


def _plan_deliveries(
    notifications: Sequence[Notification], is_active_by_user: Mapping[int, bool], *, now: datetime
) -> list[Delivery]:
    return Delivery.objects.bulk_create(
        Delivery(
            notification=notification,
            channel=Delivery.Channel.EMAIL,
            next_attempt_at=now,
            updated_at=now,
        )
        for notification in notifications
        if notification.priority in MAILED_PRIORITIES and is_active_by_user[notification.user_id]
    )


def _announce(notifications: Sequence[Notification], delivery_ids: Sequence[int]) -> None:
    push(notifications)
    wake_workers(delivery_ids)


def wake_workers(delivery_ids: Sequence[int]) -> None:
    """Have these deliveries brought soon; what is not heard of waits for the sweep."""
    for start in range(0, len(delivery_ids), DELIVERIES_PER_TASK):
        part = list(delivery_ids[start : start + DELIVERIES_PER_TASK])
        enqueue(TaskMessage("notifications.deliver", [part], "default"))


def push(notifications: Sequence[Notification]) -> None:
    """Show notifications on the open pages of their users."""
    publish_many(
        [
            (
                f"user.{notification.user_id}",
                {"type": "user.notification", "payload": json.dumps(describe(notification))},
            )
            for notification in notifications
        ]
    )


def _draft(message: Message, *, now: datetime) -> Notification:
    return Notification(
        user_id=message.user_id,
        type=message.type,
        priority=message.priority,
        title=_one_line(message.title),
        body=message.body,
        link=message.link if _is_local_path(message.link) else "",
        object_type=message.object_type,
        object_id=message.object_id,
        dedupe_key=_fitting_key(message.dedupe_key),
        created_at=now,
    )


def _one_line(text: str) -> str:
    """Names come from users: no line break reaches a title, a toast or a mail header."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"


def _is_local_path(link: str) -> bool:
    return link.startswith("/") and not link.startswith("//") and len(link) <= LONGEST_LINK


def _fitting_key(key: str) -> str:
    """A key that is too long is replaced by its digest: cut off, two keys could become one."""
    if len(key) <= LONGEST_KEY:
        return key
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"
