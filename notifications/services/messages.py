"""Telling users what happened: rows first, everything else after the commit."""

import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from accounts.models import User
from accounts.task_messages import TaskMessage, enqueue
from notifications.models import Notification

# The columns of the table; PostgreSQL refuses more, SQLite takes it.
LONGEST_TITLE = 160
LONGEST_LINK = 255
LONGEST_KEY = 160
# A transaction of this many takes some tens of milliseconds, for which SQLite keeps other writers
# waiting; they look again from time to time, and so need a pause to find.
BATCH_SIZE = 250
PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Message:
    """What to tell whom. `link` is a path on this site; `dedupe_key` names the change.

    `repeat_key` names what is the same thing for a reader, from type, object and title unless it is
    given. `told_by` names a transport by which the user hears of it anyway.
    """

    user_id: int
    type: str
    priority: str
    title: str
    body: str
    link: str
    object_type: str
    object_id: str
    dedupe_key: str
    repeat_key: str = ""
    told_by: str = ""


def notify(messages: Sequence[Message], *, now: datetime) -> list[Notification]:
    """Tell each message once and return the notifications that are new, in the order given.

    A message whose (user, dedupe_key) was told before is left out, also when another worker tells
    it at this moment; so is one to a user who no longer exists. Joins the caller's transaction:
    by which channels the rows go out is decided after the commit, by a default worker
    (`route_due`), and when Redis is away they wait for its sweep. Outside a transaction many are
    written a batch at a time, and when one fails, those before it are told.
    """
    user_ids = {message.user_id for message in messages}
    known = set(User.objects.filter(pk__in=user_ids).values_list("pk", flat=True))
    wanted = [message for message in messages if message.user_id in known]
    # Of one moment, the id decides who stands above whom: as told, the last one on top.
    ids = sorted(uuid.uuid4() for _ in wanted)
    drafts = [_draft(one, message, now=now) for one, message in zip(ids, wanted, strict=True)]
    if not drafts:
        return []
    if connection.in_atomic_block:
        return _tell(drafts)
    told = []
    for start in range(0, len(drafts), BATCH_SIZE):
        if start and connection.vendor == "sqlite":
            time.sleep(PAUSE_SECONDS)
        told += _tell(drafts[start : start + BATCH_SIZE])
    return told


def wake_routers() -> None:
    """Have what was told brought on its way soon; what is not heard of waits for the sweep."""
    enqueue(TaskMessage("notifications.route", [], "default"))


def _tell(drafts: Sequence[Notification]) -> list[Notification]:
    with transaction.atomic():
        told = _insert_new(drafts)
        if told:
            transaction.on_commit(wake_routers, robust=True)
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


def _draft(pk: uuid.UUID, message: Message, *, now: datetime) -> Notification:
    return Notification(
        pk=pk,
        user_id=message.user_id,
        type=message.type,
        priority=message.priority,
        title=_one_line(message.title),
        body=message.body,
        link=message.link if _is_local_path(message.link) else "",
        object_type=message.object_type,
        object_id=message.object_id,
        dedupe_key=_fitting_key(message.dedupe_key),
        repeat_key=_repeat_key(message),
        told_by=message.told_by,
        created_at=now,
    )


def _repeat_key(message: Message) -> str:
    same = message.repeat_key or f"{message.object_type}:{message.object_id}:{message.title}"
    return hashlib.sha256(f"{message.type}:{same}".encode()).hexdigest()[:32]


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
