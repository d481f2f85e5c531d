"""Telling staff when the machine of a default worker is about to run out of something."""

import logging
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from redis import RedisError

from accounts.models import User
from accounts.redis import redis_client
from notifications.models import Notification, NotificationType, Priority
from notifications.services import Message, notify
from tradeguard.told_lately import note_told, told_lately

logger = logging.getLogger(__name__)

GIGABYTE: Final = 1_000_000_000
# Whichever is reached first; what is beyond the second is urgent.
LOW_DISK: Final = (5 * GIGABYTE, 0.05)
LAST_DISK: Final = (GIGABYTE, 0.01)
LOW_MEMORY_FRACTION: Final = 0.9

Problem = tuple[str, Priority, str, str]  # key, priority, title, body


def watch_machine(*, now: datetime, home: Path | None = None) -> list[Notification]:
    """Tell staff of a disk or a Redis that is nearly full, each once a day; return what is new."""
    problems = [*_disk(home or settings.HOME), *_redis_memory()]
    if not problems:
        return []
    staff = list(User.objects.filter(is_active=True, is_staff=True).values_list("pk", flat=True))
    redis = redis_client()
    told: list[Notification] = []
    for problem in problems:
        key = f"machine:{problem[0]}:{now:%Y-%m-%d}"
        known = told_lately(redis, key)
        messages = [_message(user_id, problem, key) for user_id in staff if user_id not in known]
        told += notify(messages, now=now)
        note_told(redis, key, [message.user_id for message in messages])
    return told


def _disk(home: Path) -> Iterator[Problem]:
    usage = shutil.disk_usage(home)
    priority = disk_priority(free_bytes=usage.free, total_bytes=usage.total)
    if priority is not None:
        yield (
            f"disk:{priority}",
            priority,
            "The disk of TradeGuard is nearly full",
            f"{usage.free / GIGABYTE:.1f} GB of {usage.total / GIGABYTE:.1f} GB are free where"
            f" {home} lies. Without room, violations and orders cannot be written: make room.",
        )


def disk_priority(*, free_bytes: int, total_bytes: int) -> Priority | None:
    """Say how urgent it is to make room; None while there is enough.

    Enough is a number of bytes, or of a small disk a fraction of it.
    """
    for (enough_bytes, enough_fraction), priority in (
        (LAST_DISK, Priority.URGENT),
        (LOW_DISK, Priority.HIGH),
    ):
        if free_bytes < min(enough_bytes, enough_fraction * total_bytes):
            return priority
    return None


def _redis_memory() -> Iterator[Problem]:
    try:
        told: Any = redis_client().info("memory")
    except RedisError as error:
        logger.warning("Nothing is known of the memory of Redis: %s", error)
        return
    used, most = int(told["used_memory"]), int(told.get("maxmemory", 0))
    if is_memory_low(used_bytes=used, most_bytes=most):
        yield (
            "redis",
            Priority.HIGH,
            "Redis is nearly full",
            f"Redis uses {used / GIGABYTE:.2f} GB of the {most / GIGABYTE:.2f} GB that it may."
            " When it is full, live numbers stand still: give it more (maxmemory).",
        )


def is_memory_low(*, used_bytes: int, most_bytes: int) -> bool:
    """Tell whether little is left; 0 as the most means that there is no limit."""
    return most_bytes > 0 and used_bytes >= LOW_MEMORY_FRACTION * most_bytes


def _message(user_id: int, problem: Problem, dedupe_key: str) -> Message:
    key, priority, title, body = problem
    return Message(
        user_id=user_id,
        type=NotificationType.SYSTEM_ALERT,
        priority=priority,
        title=title,
        body=body,
        link="",
        object_type="machine",
        object_id=key,
        dedupe_key=dedupe_key,
    )
