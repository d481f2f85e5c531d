"""The portfolio keys of the hot state: what each account holds, written when it changes.

Replication reads them without asking a terminal, so they never say "flat" of an account that has
not been read. A register in Redis names what is written: a process that starts, or finds Redis
again, takes over from there and removes what does not hold any more.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import numpy as np
from redis.client import Pipeline

from accounts.redis import (
    PORTFOLIO_UPDATES,
    account_config_key,
    holding_key,
    market_key,
    orders_index_key,
    portfolio_key,
    portfolio_written_key,
    redis_client,
    symbol_holders_key,
)
from accounts.terminals.readings import ReadingBatch, Rows
from accounts.terminals.row_marks import row_marks

_HELD_FIELDS = ("ticket", "symbol", "type", "volume", "price_open", "sl", "tp", "magic")
_ACCOUNT_FIELDS = ("balance", "credit", "leverage", "margin_mode", "trade_allowed")


@dataclass(frozen=True, slots=True)
class Holder:
    """An account as the portfolio keys name it."""

    account_id: UUID
    portfolio_role: str
    login: int
    server: str
    currency: str

    def is_same_portfolio(self, other: "Holder") -> bool:
        mine = (self.portfolio_role, self.login, self.server)
        return mine == (other.portfolio_role, other.login, other.server)


@dataclass(frozen=True, slots=True)
class _Written:
    holder: Holder
    tickets: frozenset[int] = frozenset()
    symbols: frozenset[str] = frozenset()


class PortfolioKeys:
    """Adds the commands for what changed on one host to a pipeline; remembers what it has written.

    Call `recall` before `add`, and `forget` when the pipeline failed.
    """

    def __init__(self, host: str) -> None:
        self._register = portfolio_written_key(host)
        self._is_recalled = False
        self._written: dict[UUID, _Written] = {}
        self._marks: dict[UUID, tuple[int, Holder]] = {}
        self._prices: dict[tuple[int, int], tuple[float, float]] = {}
        self._holders: Sequence[Holder | None] = ()

    def recall(self) -> None:
        """Learn from Redis what is written there; raises redis.RedisError when it is away."""
        if self._is_recalled:
            return
        register: Any = redis_client().hgetall(self._register)
        self._written = {
            written.holder.account_id: written for written in map(_unpacked, register.values())
        }
        self._is_recalled = True

    def forget(self) -> None:
        """Write everything again next time, as after Redis was away or has lost its content."""
        self._is_recalled = False
        self._written.clear()
        self._marks.clear()
        self._prices.clear()
        self._holders = ()

    def is_intact(self, registered: int) -> bool:
        """Tell whether Redis still has what was written, by the length of the register."""
        return registered == len(self._written)

    def add(
        self, pipeline: Pipeline, batch: ReadingBatch, holders: Sequence[Holder | None]
    ) -> None:
        """Queue the keys of the accounts whose holdings changed, and the new prices.

        `holders` belong to the rows of the batch; None leaves an account out. The last command
        queued asks for the length of the register.
        """
        self._add_prices(pipeline, batch)
        if holders is not self._holders:
            self._remove_departed(pipeline, holders)
        changed = [
            (row, holder, mark)
            for row, (holder, mark) in enumerate(zip(holders, holding_marks(batch), strict=True))
            if holder is not None and mark and self._marks.get(holder.account_id) != (mark, holder)
        ]
        if changed:
            starts = np.searchsorted(batch.positions["account"], np.arange(len(holders) + 1))
            for row, holder, mark in changed:
                positions = batch.positions[starts[row] : starts[row + 1]]
                self._add_account(pipeline, batch, row, holder, positions)
                self._marks[holder.account_id] = mark, holder
            ids = [str(holder.account_id) for _, holder, _ in changed]
            pipeline.publish(PORTFOLIO_UPDATES, json.dumps({"account_ids": ids}))
        pipeline.hlen(self._register)

    def _remove_departed(self, pipeline: Pipeline, holders: Sequence[Holder | None]) -> None:
        """Remove accounts that left the host, and what another login or role has left behind."""
        if not holders and not self._holders:
            return  # a worker that has just started does not know its accounts yet
        self._holders = holders
        present = {holder.account_id: holder for holder in holders if holder is not None}
        for account_id, written in list(self._written.items()):
            holder = present.get(account_id)
            if holder is None or not holder.is_same_portfolio(written.holder):
                self._remove(pipeline, written)
                del self._written[account_id]
                self._marks.pop(account_id, None)

    def _remove(self, pipeline: Pipeline, written: _Written) -> None:
        role, account_id = written.holder.portfolio_role, written.holder.account_id
        pipeline.delete(
            portfolio_key(role, account_id),
            account_config_key(role, account_id),
            orders_index_key(role, account_id),
            *(holding_key(role, account_id, ticket) for ticket in written.tickets),
        )
        for symbol in written.symbols:
            pipeline.srem(symbol_holders_key(symbol, role), str(account_id))
        pipeline.hdel(self._register, str(account_id))

    def _add_account(
        self, pipeline: Pipeline, batch: ReadingBatch, row: int, holder: Holder, positions: Rows
    ) -> None:
        role, account_id = holder.portfolio_role, holder.account_id
        account = batch.accounts[row]
        written = _Written(
            holder,
            frozenset(positions["ticket"].tolist()),
            frozenset(batch.symbols[number] for number in positions["symbol"]),
        )
        pipeline.hset(
            portfolio_key(role, account_id),
            mapping={
                "balance": float(account["balance"]),
                "credit": float(account["credit"]),
                "positions": len(positions),
                "updated_at": batch.taken_at,
            },
        )
        pipeline.hset(account_config_key(role, account_id), mapping=_config(holder, account))
        for position in positions:
            pipeline.hset(
                holding_key(role, account_id, int(position["ticket"])),
                mapping=_holding(position, batch.symbols),
            )
        self._add_index(pipeline, written)
        pipeline.hset(self._register, str(account_id), _packed(written))
        self._written[account_id] = written

    def _add_index(self, pipeline: Pipeline, written: _Written) -> None:
        role, account_id = written.holder.portfolio_role, written.holder.account_id
        before = self._written.get(account_id) or _Written(written.holder)
        index = orders_index_key(role, account_id)
        closed = before.tickets - written.tickets
        pipeline.delete(index, *(holding_key(role, account_id, ticket) for ticket in closed))
        if written.tickets:
            pipeline.sadd(index, *written.tickets)
        for symbol in written.symbols:
            pipeline.sadd(symbol_holders_key(symbol, role), str(account_id))
        for symbol in before.symbols - written.symbols:
            pipeline.srem(symbol_holders_key(symbol, role), str(account_id))

    def _add_prices(self, pipeline: Pipeline, batch: ReadingBatch) -> None:
        for price in batch.prices:
            key, now = (int(price["server"]), int(price["symbol"])), price[["bid", "ask"]].item()
            if self._prices.get(key) == now:
                continue
            self._prices[key] = now
            pipeline.hset(
                market_key(batch.servers[key[0]], batch.symbols[key[1]]),
                mapping={"bid": now[0], "ask": now[1], "time_msc": int(price["time_msc"])},
            )


def holding_marks(batch: ReadingBatch) -> list[int]:
    """Return a number per account that changes with what its keys say; 0 if it was never read."""
    accounts, positions = batch.accounts, batch.positions
    marks = row_marks(accounts, _ACCOUNT_FIELDS)
    np.add.at(marks, positions["account"], row_marks(positions, _HELD_FIELDS))
    listed: list[int] = np.where(accounts["login"] > 0, marks | np.uint64(1), 0).tolist()
    return listed


def _packed(written: _Written) -> str:
    holder = asdict(written.holder) | {"account_id": str(written.holder.account_id)}
    return json.dumps([holder, sorted(written.tickets), sorted(written.symbols)])


def _unpacked(packed: bytes) -> _Written:
    holder, tickets, symbols = json.loads(packed)
    holder["account_id"] = UUID(holder["account_id"])
    return _Written(Holder(**holder), frozenset(tickets), frozenset(symbols))


def _config(holder: Holder, account: np.void) -> dict[str, str | int]:
    return {
        "login": holder.login,
        "server": holder.server,
        "currency": holder.currency,
        "leverage": int(account["leverage"]),
        "margin_mode": int(account["margin_mode"]),
        "trade_allowed": int(account["trade_allowed"]),
    }


def _holding(position: np.void, symbols: Sequence[str]) -> dict[str, str | int | float]:
    return {
        "ticket": int(position["ticket"]),
        "symbol": symbols[int(position["symbol"])],
        "side": "sell" if position["type"] else "buy",
        "volume": float(position["volume"]),
        "price_open": float(position["price_open"]),
        "sl": float(position["sl"]),
        "tp": float(position["tp"]),
        "magic": int(position["magic"]),
        "time_msc": int(position["time_msc"]),
    }
