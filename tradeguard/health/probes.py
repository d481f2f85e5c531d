"""Look at the parts that TradeGuard stands on: database, Redis, simulated broker, ticks."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from django.conf import settings
from django.db import DatabaseError, connection
from redis import Redis, RedisError

from accounts.models import TerminalHost
from accounts.redis import tick_key
from tradeguard.health.broker import broker_problem

# A tick is due every 0.2 s, and a reading is stale after 2 s.
OLDEST_TICK_SECONDS = 5.0
REDIS_TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Finding:
    """What a look at one part showed: a sentence for people, and whether the part works."""

    part: str
    is_working: bool
    message: str


def open_redis() -> Redis:
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        decode_responses=True,
    )


def probe_database() -> Finding:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return Finding("database", False, f"The database does not answer: {error}")
    return Finding("database", True, f"{connection.vendor} answers")


def probe_redis() -> Finding:
    try:
        with closing(open_redis()) as redis:
            redis.ping()
    except (RedisError, OSError) as error:
        return Finding("redis", False, f"Redis does not answer: {error}")
    return Finding("redis", True, "Redis answers")


def probe_broker() -> Finding | None:
    """Look at the simulated broker; None when no host uses it."""
    try:
        is_used = TerminalHost.objects.filter(kind=TerminalHost.Kind.SIMULATED).exists()
    except DatabaseError:
        return None
    if not is_used:
        return None
    problem = broker_problem(settings.SIMULATED_BROKER_HOME)
    return Finding("broker", problem is None, problem or "The simulated broker answers")


def read_tick(redis: Redis, host: str) -> dict[str, str]:
    """Return the facts of the host's last tick; there are none before its first."""
    return cast("dict[str, str]", redis.hgetall(tick_key(host)))


def tick_age_seconds(facts: Mapping[str, str], *, now: datetime) -> float | None:
    """Return how old the tick with these facts is, or None when there was none."""
    return max(0.0, now.timestamp() - float(facts["at"])) if "at" in facts else None


def probe_tick(host: str, *, now: datetime) -> Finding:
    part = f"tick:{host}"
    try:
        with closing(open_redis()) as redis:
            age_seconds = tick_age_seconds(read_tick(redis, host), now=now)
    except (RedisError, OSError):
        return Finding(part, False, f"Without Redis nothing is known of the ticks of {host}")
    if age_seconds is None:
        return Finding(part, False, f"No tick of {host} yet")
    return Finding(
        part,
        age_seconds <= OLDEST_TICK_SECONDS,
        f"The last tick of {host} is {age_seconds:.1f} s old",
    )


def probe_all(*, now: datetime) -> list[Finding]:
    probes: list[Callable[[], Finding | None]] = [probe_database, probe_redis, probe_broker]
    findings = [finding for probe in probes if (finding := probe()) is not None]
    return findings + [probe_tick(host, now=now) for host in settings.TERMINAL_HOSTS]
