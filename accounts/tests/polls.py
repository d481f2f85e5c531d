"""Polls made by hand, for what is recorded of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from accounts.models import ConnectedAccount
from accounts.sessions.merging import empty_batch
from accounts.sessions.poll import Poll
from accounts.terminals.readings import DEAL_DTYPE, ReadingBatch, Rows

SERVERS = ("Example-Demo", "Other-Live")


def deal_rows(*deals: dict[str, Any]) -> Rows:
    """Return deals: buys of 0.1 EURUSD unless they say otherwise."""
    rows = np.zeros(len(deals), DEAL_DTYPE)
    for row, deal in zip(rows, deals, strict=True):
        for name, value in {"volume": 0.1, "price": 1.1, **deal}.items():
            row[name] = value
    return rows


def poll_of(
    accounts: Sequence[ConnectedAccount] | tuple[Any, ...],
    now: datetime,
    *,
    equity: Sequence[float] | float = 100_000.0,
    accepted: Sequence[bool] | bool = True,
    deals: Rows | None = None,
    account_ids: tuple[Any, ...] | None = None,
    server: int = 0,
) -> Poll:
    """Return what a tick reads of these accounts; give the same `account_ids` object each time."""
    count = len(accounts)
    blank = empty_batch(count, now.timestamp())
    rows = blank.accounts
    rows["login"] = [account.login for account in accounts]
    rows["server"], rows["currency"] = server, 0
    rows["equity"], rows["balance"], rows["margin"] = equity, 100_000.0, 12.5
    rows["position_count"] = 2
    batch = ReadingBatch(
        taken_at=now.timestamp(),
        accounts=rows,
        positions=blank.positions,
        orders=blank.orders,
        deals=blank.deals if deals is None else deals,
        prices=blank.prices,
        symbols=("EURUSD", "GBPUSD"),
        servers=SERVERS,
        currencies=("USD",),
    )
    is_accepted = np.broadcast_to(np.asarray(accepted, dtype=bool), count).copy()
    return Poll(
        now=now,
        monotonic=now.timestamp(),
        running_seconds=0.0,
        roster_version=1,
        account_ids=account_ids or tuple(account.pk for account in accounts),
        batch=batch,
        accepted_now=is_accepted,
        read_at=np.full(count, now.timestamp()),
        age_seconds=np.zeros(count),
        states=np.full(count, 2, dtype=np.int8),
        changes=(),
        failed_retries=(),
        is_read=True,
        identity_checks=np.zeros(count, dtype=np.int64),
        identity_failures=np.zeros(count, dtype=np.int64),
    )
