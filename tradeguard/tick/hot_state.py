"""The store stage: everything that a tick writes to Redis, in one round trip."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from redis.client import Pipeline

from accounts.hot_state import TABLES_FIELD, Details, pack_accounts, pack_tables
from accounts.portfolio_keys import Holder, PortfolioKeys
from accounts.redis import readings_key, redis_client, sequences_key, tick_key, watched_key
from accounts.sessions.poll import Poll
from tradeguard.tick.frame import Frame

KINDS = ("group", "account")
_WATCHED_KEPT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Stored:
    """What Redis answered: who is watched now, and the sequence number of each announced update."""

    watched: Mapping[str, frozenset[UUID]]
    sequences: Mapping[tuple[str, UUID], int]


class HotStateWriter:
    """Writes frames of one host; raises redis.RedisError when Redis is away."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._portfolio = PortfolioKeys(host)
        self._account_ids: tuple[UUID, ...] = ()
        self._fields: list[bytes] = []

    def write(
        self,
        poll: Poll,
        frame: Frame,
        holders: Sequence[Holder | None],
        announced: Sequence[tuple[str, UUID]],
        facts: Mapping[str, str | int | float],
    ) -> Stored:
        """Write a frame and the facts of its tick; `announced` are the updates to be published."""
        if poll.account_ids is not self._account_ids:
            self._take_over(poll)
        self._portfolio.recall()
        pipeline = redis_client().pipeline(transaction=False)
        _add_watched(pipeline, time.time())
        for kind, object_id in announced:
            pipeline.hincrby(sequences_key(kind), str(object_id), 1)
        pipeline.hset(readings_key(self._host), mapping=self._packed(frame))
        pipeline.hset(tick_key(self._host), mapping=dict(facts))
        self._portfolio.add(pipeline, poll.batch, holders)
        try:
            answers = pipeline.execute()
        except Exception:
            # Nobody knows how much of it was written.
            self._portfolio.forget()
            raise
        if not self._portfolio.is_intact(answers[-1]):
            self._portfolio.forget()
        return _stored(answers, announced)

    def _packed(self, frame: Frame) -> dict[bytes, bytes]:
        tables, checksum = pack_tables(frame.tables)
        packed = pack_accounts(
            self._fields,
            checksum,
            frame.accounts,
            rules=Details(frame.rules, frame.rule_offsets.tolist()),
            positions=Details(frame.positions, frame.position_offsets.tolist()),
            orders=Details(frame.orders, frame.order_offsets.tolist()),
        )
        return {TABLES_FIELD: tables, **packed}

    def _take_over(self, poll: Poll) -> None:
        """Follow a new list of accounts, and remove what an earlier one has left in the hash."""
        fields = [str(account_id).encode() for account_id in poll.account_ids]
        if fields or self._fields:
            key = readings_key(self._host)
            present: Any = redis_client().hkeys(key)
            gone = set(present) - {TABLES_FIELD, *fields}
            if gone:
                redis_client().hdel(key, *gone)
        self._fields, self._account_ids = fields, poll.account_ids


def _add_watched(pipeline: Pipeline, now: float) -> None:
    for kind in KINDS:
        pipeline.zrangebyscore(watched_key(kind), now, "+inf")
        pipeline.zremrangebyscore(watched_key(kind), "-inf", now - _WATCHED_KEPT_SECONDS)


def _stored(answers: Sequence[Any], announced: Sequence[tuple[str, UUID]]) -> Stored:
    """Read the answers to `_add_watched` and to the counting of what is announced."""
    watched = {
        kind: frozenset(UUID(each.decode()) for each in answers[2 * place])
        for place, kind in enumerate(KINDS)
    }
    first = 2 * len(KINDS)
    numbers = map(int, answers[first : first + len(announced)])
    return Stored(watched, dict(zip(announced, numbers, strict=True)))
