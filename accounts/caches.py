"""A cache that pages can do without, and the form of what lies in a cache."""

import json
import logging
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.redis import RedisCache
from redis import RedisError

logger = logging.getLogger(__name__)


class JsonSerializer:
    """Numbers, texts and lists as JSON: whoever can write to Redis must not run code here."""

    def dumps(self, value: Any) -> int | bytes:
        # Redis counts with bare numbers.
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, stored: bytes) -> Any:
        return json.loads(stored)


class ForgivingRedisCache(RedisCache):
    """Remembers nothing while Redis is away, instead of failing whatever asks.

    What it counts is then not counted: a page stays open rather than locking everybody out. Each
    time leaves a warning.
    """

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return bool(_surviving(super().add, True, *args, **kwargs))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return _surviving(super().get, default, key, default, version)

    def set(self, *args: Any, **kwargs: Any) -> None:
        _surviving(super().set, None, *args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return bool(_surviving(super().touch, False, *args, **kwargs))

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return bool(_surviving(super().delete, False, *args, **kwargs))

    def get_many(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        found: dict[Any, Any] = _surviving(super().get_many, {}, *args, **kwargs)
        return found

    def has_key(self, *args: Any, **kwargs: Any) -> bool:
        return bool(_surviving(super().has_key, False, *args, **kwargs))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return int(_surviving(super().incr, delta, key, delta, version))

    def set_many(self, *args: Any, **kwargs: Any) -> list[Any]:
        failed: list[Any] = _surviving(super().set_many, [], *args, **kwargs)
        return failed

    def delete_many(self, *args: Any, **kwargs: Any) -> None:
        _surviving(super().delete_many, None, *args, **kwargs)

    def clear(self) -> None:
        _surviving(super().clear, None)


def _surviving(call: Callable[..., Any], otherwise: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return call(*args, **kwargs)
    except RedisError as error:
        logger.warning("The cache does not answer: %s", error)
        return otherwise
