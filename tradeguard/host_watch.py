"""Telling users when nothing watches their accounts: the ticks of their host have stopped.

A dead worker cannot announce its own death, so a default worker looks at the time of each host's
last tick. When it was itself away, as after a restart or while the machine slept, hosts first get
as long to begin as they may be silent. When Redis or all default workers are away, nobody looks:
that is for whoever watches `/health/ready` and `/metrics`.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet
from redis import Redis, RedisError

from accounts.figures import duration
from accounts.models import AccountConnection, User
from accounts.redis import redis_client, tick_key
from notifications.delivering.chat_text import zone_of
from notifications.models import Notification, NotificationType, Priority
from notifications.services import Message, notify
from tradeguard.health.probes import OLDEST_TICK_SECONDS
from tradeguard.told_lately import note_told, told_lately

logger = logging.getLogger(__name__)

LONGEST_SILENCE: Final = timedelta(seconds=30)
OBJECT_TYPE: Final = "terminal_host"
_LOOKS_KEY: Final = "host_watch:looks"
_MOST_NAMES: Final = 5


@dataclass(slots=True)
class Watcher:
    """A person who is told of a host, with those of their accounts that should be watched."""

    user_id: int
    time_zone: str
    accounts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Silence:
    """A host without ticks since `since`; None when it never had one."""

    host: str
    since: datetime | None

    @property
    def key(self) -> str:
        moment = "never" if self.since is None else f"{self.since.timestamp():.0f}"
        return f"host_silent:{self.host}:{moment}"


def watch_hosts(*, now: datetime) -> list[Notification]:
    """Tell of hosts that have fallen silent, and of those that are back; return what is new."""
    watchers = _watchers()
    if not watchers:
        return []
    try:
        redis = redis_client()
        looks_since = _note_look(redis, now)
        ticks = {host: _last_tick(redis, host) for host in watchers}
    except RedisError as error:
        logger.warning("Nothing is known of the hosts' ticks: %s", error)
        return []
    messages: list[Message] = []
    for host, tick_at in ticks.items():
        heard = looks_since if tick_at is None else max(tick_at, looks_since)
        if now - heard > LONGEST_SILENCE:
            messages += _say_silent(redis, Silence(host, tick_at), watchers[host], now)
        elif tick_at is not None and (now - tick_at).total_seconds() <= OLDEST_TICK_SECONDS:
            messages += _say_back(redis, host, watchers[host], now)
    told = notify(messages, now=now) if messages else []
    for key in sorted({message.dedupe_key for message in messages}):
        note_told(redis, key, [each.user_id for each in messages if each.dedupe_key == key])
    return told


def _note_look(redis: "Redis", now: datetime) -> datetime:
    """Note that somebody looks, and return since when somebody did so without a longer pause."""
    known: Any = redis.hmget(_LOOKS_KEY, ["since", "latest"])
    moment, never = now.timestamp(), float("-inf")
    since, latest = (never if told is None else float(told) for told in known)
    if moment - latest > LONGEST_SILENCE.total_seconds():
        since = moment
    redis.hset(_LOOKS_KEY, mapping={"since": since, "latest": moment})
    return datetime.fromtimestamp(since, UTC)


def _last_tick(redis: "Redis", host: str) -> datetime | None:
    told: Any = redis.hget(tick_key(host), "at")
    return None if told is None else datetime.fromtimestamp(float(told), UTC)


def _watchers() -> dict[str, list[Watcher]]:
    """Return, by host, whose accounts should be watched there, and staff for every host."""
    wanted = AccountConnection.objects.filter(
        is_wanted=True,
        account__is_active=True,
        account__user__is_active=True,
    ).order_by("account__name")
    found: dict[str, dict[int, Watcher]] = defaultdict(dict)
    for host, user_id, zone, name in wanted.values_list(
        "account__terminal_host_id", "account__user_id", "account__user__time_zone", "account__name"
    ):
        found[host].setdefault(user_id, Watcher(user_id, zone)).accounts.append(name)
    if not found:
        return {}
    staff = list(User.objects.filter(is_active=True, is_staff=True).values_list("pk", "time_zone"))
    for watchers in found.values():
        for user_id, zone in staff:
            watchers.setdefault(user_id, Watcher(user_id, zone))
    return {host: list(watchers.values()) for host, watchers in found.items()}


def _say_silent(
    redis: "Redis", silence: Silence, watchers: Sequence[Watcher], now: datetime
) -> list[Message]:
    told = _told(redis, silence.host, silence.key)
    return [
        _message(
            watcher,
            silence.host,
            key=silence.key,
            title=f"Nothing is watched on {silence.host}",
            body=_silent_body(silence, watcher, now),
        )
        for watcher in watchers
        if watcher.user_id not in told
    ]


def _silent_body(silence: Silence, watcher: Watcher, now: datetime) -> str:
    if silence.since is None:
        since = f"There has been no sign of life from {silence.host} yet."
    else:
        at = silence.since.astimezone(zone_of(watcher.time_zone))
        lasts = duration((now - silence.since).total_seconds())
        since = f"There is no sign of life from {silence.host} since {at:%d %b %H:%M:%S} ({lasts})."
    return (
        f"{since} Until it is back the rules of {_names(watcher.accounts)} are not checked, and"
        " TradeGuard closes nothing and sends no order there: look after your positions in the"
        " terminal itself."
    )


def _say_back(
    redis: "Redis", host: str, watchers: Iterable[Watcher], now: datetime
) -> list[Message]:
    """Tell that a host is back to those who were told that it had gone."""
    newest = _about(host).order_by("-created_at").values_list("dedupe_key", "created_at").first()
    if newest is None or not newest[0].startswith("host_silent:"):
        return []
    silent_key, silent_at = newest
    back_key = silent_key.replace("host_silent:", "host_back:", 1)
    told = _told(redis, host, silent_key) - _told(redis, host, back_key)
    lasted = duration((now - silent_at + LONGEST_SILENCE).total_seconds())
    return [
        _message(
            watcher,
            host,
            key=back_key,
            title=f"{host} is watched again",
            body=(
                f"{host} is back after about {lasted}: the rules of {_names(watcher.accounts)} are"
                " checked again. What was broken meanwhile is acted on now."
            ),
        )
        for watcher in watchers
        if watcher.user_id in told
    ]


def _told(redis: "Redis", host: str, key: str) -> set[int]:
    rows = _about(host).filter(dedupe_key=key).values_list("user_id", flat=True)
    return set(rows) | told_lately(redis, key)


def _about(host: str) -> QuerySet[Notification]:
    return Notification.objects.filter(
        object_type=OBJECT_TYPE, object_id=host, type=NotificationType.SYSTEM_ALERT
    )


def _names(accounts: Sequence[str]) -> str:
    if not accounts:
        return "its accounts"
    shown = list(accounts[:_MOST_NAMES])
    if len(accounts) > _MOST_NAMES:
        return f"{', '.join(shown)} and {len(accounts) - _MOST_NAMES} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]


def _message(watcher: Watcher, host: str, *, key: str, title: str, body: str) -> Message:
    return Message(
        user_id=watcher.user_id,
        type=NotificationType.SYSTEM_ALERT,
        # Both ways: whoever was woken at night wants to know that they may sleep on.
        priority=Priority.URGENT,
        title=title,
        body=body,
        link="/accounts",
        object_type=OBJECT_TYPE,
        object_id=host,
        dedupe_key=key,
        # Counted with an earlier one, the last word could be the wrong one.
        repeat_key=key,
    )
