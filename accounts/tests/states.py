"""What a tick leaves in the hot state of accounts, written by hand: no rules."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from accounts.hot_state import (
    ACCOUNT_STATE_DTYPE,
    RULE_STATE_DTYPE,
    TABLES_FIELD,
    AccountState,
    Details,
    Tables,
    pack_accounts,
    pack_tables,
)
from accounts.models import ConnectedAccount
from accounts.redis import readings_key, redis_client
from accounts.terminals.readings import ORDER_DTYPE, POSITION_DTYPE, Rows

TABLES = Tables(0.0, ("EURUSD", "GBPUSD"), ("USD",), ())


def account_row(*, read_at: float, count: int = 1, **fields: Any) -> Rows:
    """Return rows of accounts that are fine: hedging, demo, stop out at 5 %."""
    rows = np.zeros(count, ACCOUNT_STATE_DTYPE)
    told: dict[str, Any] = {
        "read_at": read_at,
        "currency_digits": 2,
        "leverage": 100,
        "margin_mode": 2,
        "trade_mode": 0,
        "trade_allowed": True,
        "algo_trading_allowed": True,
        "balance": 100_000.0,
        "equity": 95_212.4,
        "margin": 108.77,
        "margin_free": 95_103.63,
        "margin_level": 87_535.5,
        "stop_out_mode": 0,
        "stop_out_call": 10.0,
        "stop_out_level": 5.0,
        "clock_offset": np.nan,
        **fields,
    }
    told.setdefault("profit", told["equity"] - told["balance"])
    for name, value in told.items():
        rows[name] = value
    return rows


def state_of(**fields: Any) -> AccountState:
    """Return the state of one account without positions and orders."""
    [row] = account_row(**fields)
    none = (np.zeros(0, RULE_STATE_DTYPE), np.zeros(0, POSITION_DTYPE), np.zeros(0, ORDER_DTYPE))
    return AccountState(row, *none, TABLES)


def leave_states(
    accounts: Sequence[ConnectedAccount],
    *,
    read_at: float,
    positions: Rows | None = None,
    orders: Rows | None = None,
    **fields: Any,
) -> None:
    """Write a reading of each account, each with the same positions and orders."""
    count = len(accounts)
    held = np.zeros(0, POSITION_DTYPE) if positions is None else positions
    waiting = np.zeros(0, ORDER_DTYPE) if orders is None else orders
    packed_tables, checksum = pack_tables(TABLES)
    packed = pack_accounts(
        [str(account.pk).encode() for account in accounts],
        checksum,
        account_row(read_at=read_at, count=count, **fields),
        rules=Details(np.zeros(0, RULE_STATE_DTYPE), [0] * (count + 1)),
        positions=_repeated(held, count),
        orders=_repeated(waiting, count),
    )
    key = readings_key(accounts[0].terminal_host_id)
    redis_client().hset(key, mapping={TABLES_FIELD: packed_tables, **packed})


def _repeated(rows: Rows, count: int) -> Details:
    return Details(np.tile(rows, count), [len(rows) * number for number in range(count + 1)])
