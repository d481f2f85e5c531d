"""The portfolio keys of the hot state: what each account holds, written when it changes.

Replication reads them without asking a terminal. They are rebuilt from the sessions at any
time: an account whose keys this process has not written yet is written whole.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
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
    symbol_holders_key,
)
from accounts.terminals.readings import ReadingBatch, Rows


@dataclass(frozen=True, slots=True)
class Holder:
    """An account as the portfolio keys name it."""

    account_id: UUID
    portfolio_role: str
    login: int
    server: str
    currency: str


@dataclass(slots=True)
class _Written:
    role: str
    tickets: set[int] = field(default_factory=set)
    symbols: set[str] = field(default_factory=set)


class PortfolioKeys:
    """Adds the commands for what changed to a pipeline; remembers what it has written."""

    def __init__(self) -> None:
        self._written: dict[UUID, _Written] = {}
        self._signatures: dict[UUID, float] = {}
        self._prices: dict[tuple[int, int], tuple[float, float]] = {}

    def forget(self) -> None:
        """Write everything again next time, for example after Redis has lost its content."""
        self._written.clear()
        self._signatures.clear()
        self._prices.clear()

    def add(self, pipeline: Pipeline, batch: ReadingBatch, holders: Sequence[Holder | None]) -> int:
        """Queue the keys of the accounts whose holdings changed, and the new prices.

        `holders` belong to the rows of the batch; None leaves an account out. Returns how many
        accounts were queued.
        """
        self._add_prices(pipeline, batch)
        signatures = holding_signatures(batch, len(holders))
        changed = [
            (row, holder)
            for row, (holder, signature) in enumerate(zip(holders, signatures, strict=True))
            if holder is not None and self._signatures.get(holder.account_id) != signature
        ]
        if not changed:
            return 0
        starts = np.searchsorted(batch.positions["account"], np.arange(len(holders) + 1))
        for row, holder in changed:
            rows = batch.positions[starts[row] : starts[row + 1]]
            self._add_account(pipeline, batch, row, holder, rows)
            self._signatures[holder.account_id] = signatures[row]
        ids = [str(holder.account_id) for _, holder in changed]
        pipeline.publish(PORTFOLIO_UPDATES, json.dumps({"account_ids": ids}))
        return len(changed)

    def _add_account(
        self,
        pipeline: Pipeline,
        batch: ReadingBatch,
        row: int,
        holder: Holder,
        positions: Rows,
    ) -> None:
        role, account_id = holder.portfolio_role, holder.account_id
        account = batch.accounts[row]
        before = self._written.get(account_id) or _Written(role)
        index = orders_index_key(role, account_id)
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
        tickets = {int(ticket) for ticket in positions["ticket"]}
        pipeline.delete(
            index, *(holding_key(role, account_id, t) for t in before.tickets - tickets)
        )
        if tickets:
            pipeline.sadd(index, *tickets)
        for position in positions:
            pipeline.hset(
                holding_key(role, account_id, int(position["ticket"])),
                mapping=_holding(position, batch.symbols),
            )
        symbols = {batch.symbols[number] for number in positions["symbol"]}
        for symbol in symbols - before.symbols:
            pipeline.sadd(symbol_holders_key(symbol, role), str(account_id))
        for symbol in before.symbols - symbols:
            pipeline.srem(symbol_holders_key(symbol, role), str(account_id))
        self._written[account_id] = _Written(role, tickets, symbols)

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


def holding_signatures(batch: ReadingBatch, count: int) -> list[float]:
    """Return a number per account that changes with its positions, their stops and its balance."""
    positions = batch.positions
    weights = (
        (positions["ticket"] % 1_000_003) * positions["volume"]
        + positions["sl"] * 3.0
        + positions["tp"] * 7.0
    )
    held = np.bincount(positions["account"], weights, minlength=count)
    known = np.where(batch.accounts["login"] > 0, batch.accounts["balance"], np.nan)
    signatures: list[float] = (held + np.nan_to_num(known, nan=-1.0) * 1e-3).tolist()
    return signatures


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
