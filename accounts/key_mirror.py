"""Keys of the hot state that mirror rows of the database.

A register in Redis names what is written, so that a process which starts removes what does not hold
any more, and one that finds Redis emptied writes all of it again.
"""

import json
from collections.abc import Mapping
from typing import Any

from redis.client import Pipeline

from accounts.redis import redis_client

Fields = Mapping[str, str | int | float]
# A hash, or a set of members.
Value = Fields | frozenset[str]


class KeyMirror:
    """Keeps keys as they are wanted; for one thread."""

    def __init__(self, register: str) -> None:
        self._register = register
        self._wanted: Mapping[str, Value] | None = None
        self._written: dict[str, str] | None = None

    def write(self, wanted: Mapping[str, Value]) -> int:
        """Write what changed, remove what is not wanted; return how many keys that were.

        The very mapping of the last call costs no more than to see that Redis still has it. Raises
        redis.RedisError when Redis is away: then nothing is believed to be written.
        """
        try:
            if wanted is self._wanted and self._is_intact():
                return 0
            changed = self._write(wanted)
        except Exception:
            self._written = None
            raise
        self._wanted = wanted
        return changed

    def _is_intact(self) -> bool:
        """Tell whether Redis still has what was written, by the length of the register."""
        known = self._written
        if known is None:
            return False
        if redis_client().hlen(self._register) == len(known):
            return True
        self._written = None
        return False

    def _write(self, wanted: Mapping[str, Value]) -> int:
        written = self._recalled()
        packed = {key: _packed(value) for key, value in wanted.items()}
        changed = [key for key, text in packed.items() if written.get(key) != text]
        gone = written.keys() - packed.keys()
        pipeline = redis_client().pipeline(transaction=False)
        for key in gone:
            pipeline.delete(key)
            pipeline.hdel(self._register, key)
        for key in changed:
            _add(pipeline, key, wanted[key], written.get(key))
            pipeline.hset(self._register, key, packed[key])
        pipeline.hlen(self._register)
        registered = pipeline.execute()[-1]
        # Emptied in the middle: all of it is written by the next call.
        self._written = packed if registered == len(packed) else None
        return len(changed) + len(gone)

    def _recalled(self) -> dict[str, str]:
        if self._written is None:
            register: Any = redis_client().hgetall(self._register)
            self._written = {}
            if register:
                self._written = {key.decode(): text.decode() for key, text in register.items()}
        return self._written


def _packed(value: Value) -> str:
    if isinstance(value, frozenset):
        return json.dumps(sorted(value))
    return json.dumps(value, sort_keys=True)


def _add(pipeline: Pipeline, key: str, value: Value, before: str | None) -> None:
    """Queue the change of a key; nobody ever finds it half empty."""
    known = json.loads(before) if before else None
    if isinstance(value, frozenset):
        left = set(known or ()) - value
        pipeline.sadd(key, *sorted(value))
        if left:
            pipeline.srem(key, *sorted(left))
        return
    dropped = [name for name in known or () if name not in value]
    pipeline.hset(key, mapping=dict(value))
    if dropped:
        pipeline.hdel(key, *dropped)
