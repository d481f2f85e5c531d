"""Who was told of a state that lasts, besides the notification's row, which its reader may delete.

Whoever clears the notification centre while a host is away must not be told of it again by the next
look. Kept in Redis; where that is away or full the rows alone are asked.
"""

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from redis import Redis, RedisError

logger = logging.getLogger(__name__)

KEPT: Final = timedelta(days=7)


def told_lately(redis: "Redis", key: str) -> set[int]:
    """Return the users who were told of this."""
    try:
        told: Any = redis.smembers(_key(key))
    except RedisError as error:
        logger.warning("Nothing is known of who was told of %s: %s", key, error)
        return set()
    return {int(user_id) for user_id in told}


def note_told(redis: "Redis", key: str, user_ids: Iterable[int]) -> None:
    """Remember for a week that these users were told of this."""
    told = sorted(set(user_ids))
    if not told:
        return
    try:
        redis.sadd(_key(key), *told)
        redis.expire(_key(key), KEPT)
    except RedisError as error:
        logger.warning("Who was told of %s could not be noted: %s", key, error)


def _key(key: str) -> str:
    return f"told_lately:{key}"
