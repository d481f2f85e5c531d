"""The store stage: everything that a tick writes to Redis, in one round trip."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from accounts.hot_state import TABLES_FIELD, pack_accounts, pack_tables
from accounts.portfolio_keys import Holder, PortfolioKeys
from accounts.redis import readings_key, redis_client, sequences_key, tick_key, watched_key
from accounts.sessions.poll import Poll
from tradeguard.tick.frame import Frame

KINDS = ("group", "account")


@dataclass(frozen=True, slots=True)
class Stored:
    """What Redis answered: who is watched now, and the sequence number of each announced update."""

    watched: Mapping[str, frozenset[UUID]]
    sequences: Mapping[tuple[str, UUID], int]


class HotStateWriter:
    """Writes frames of one host; raises redis.RedisError when Redis is away."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._portfolio = PortfolioKeys()
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
        tables, checksum = pack_tables(frame.tables)
        packed = pack_accounts(
            self._fields,
            checksum,
            frame.accounts,
            frame.rules,
            frame.rule_offsets.tolist(),
            frame.positions,
            frame.position_offsets.tolist(),
        )
        pipeline = redis_client().pipeline(transaction=False)
        pipeline.hset(readings_key(self._host), mapping={TABLES_FIELD: tables, **packed})
        pipeline.hset(tick_key(self._host), mapping=dict(facts))
        now = time.time()
        for kind in KINDS:
            pipeline.zrangebyscore(watched_key(kind), now, "+inf")
            pipeline.zremrangebyscore(watched_key(kind), "-inf", now - 60)
        for kind, object_id in announced:
            pipeline.hincrby(sequences_key(kind), str(object_id), 1)
        self._portfolio.add(pipeline, poll.batch, holders)
        try:
            answers = pipeline.execute()
        except Exception:
            # Redis may come back empty: what was written before is not there any more.
            self._portfolio.forget()
            raise
        watched = {
            kind: frozenset(UUID(each.decode()) for each in answers[2 + 2 * place])
            for place, kind in enumerate(KINDS)
        }
        first = 2 + 2 * len(KINDS)
        numbers = answers[first : first + len(announced)]
        return Stored(watched, dict(zip(announced, map(int, numbers), strict=True)))

    def _take_over(self, poll: Poll) -> None:
        gone = set(self._account_ids) - set(poll.account_ids)
        if gone:
            redis_client().hdel(readings_key(self._host), *(str(each) for each in gone))
        self._fields = [str(account_id).encode() for account_id in poll.account_ids]
        self._account_ids = poll.account_ids
