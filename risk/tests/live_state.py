"""What a tick leaves in the hot state, written by hand: every rule on every account alike."""

from collections.abc import Sequence

import numpy as np

from accounts.hot_state import (
    ACCOUNT_STATE_DTYPE,
    RULE_STATE_DTYPE,
    TABLES_FIELD,
    Details,
    Tables,
    pack_accounts,
    pack_tables,
)
from accounts.models import ConnectedAccount
from accounts.redis import readings_key, redis_client
from accounts.terminals.readings import ORDER_DTYPE, POSITION_DTYPE
from risk.core.statuses import Status
from risk.models import RiskRule


def leave_readings(
    accounts: Sequence[ConnectedAccount],
    rules: Sequence[RiskRule],
    *,
    read_at: float,
    left: float = 212.4,
    status: Status = Status.CRITICAL,
    ticket: int = 7,
    margin_mode: int = 2,
    trade_allowed: bool = True,
    currency: str = "USD",
) -> None:
    """Write a reading of each account: one position, and `left` of 5,000.00 on each rule."""
    count, pairs = len(accounts), len(accounts) * len(rules)
    states = np.zeros(count, ACCOUNT_STATE_DTYPE)
    states["read_at"], states["currency_digits"], states["leverage"] = read_at, 2, 100
    states["margin_mode"] = margin_mode
    states["trade_allowed"], states["balance"] = trade_allowed, 100_000.0
    states["equity"], states["profit"] = 95_000.0 + left, left - 5000.0
    states["margin"], states["margin_level"] = 108.77, 87_535.5
    numbers = np.zeros(pairs, RULE_STATE_DTYPE)
    numbers["rule"] = np.tile(np.arange(len(rules)), count)
    numbers["status"] = numbers["present"] = status
    numbers["used"], numbers["limit"], numbers["left"] = 5000.0 - left, 5000.0, left
    numbers["reset_at"] = np.nan
    numbers["floor"], numbers["buffer"], numbers["symbol"] = 95_000.0, left / 5000.0, -1
    positions = np.zeros(count, POSITION_DTYPE)
    positions["ticket"], positions["volume"], positions["tp"] = ticket, 0.1, 1.2
    positions["price_open"], positions["price_digits"] = 1.087, 5
    positions["profit"] = left - 5000.0
    tables = Tables(read_at, ("EURUSD",), (currency,), tuple(str(rule.pk) for rule in rules))
    packed_tables, checksum = pack_tables(tables)
    packed = pack_accounts(
        [str(account.pk).encode() for account in accounts],
        checksum,
        states,
        rules=Details(numbers, [row * len(rules) for row in range(count + 1)]),
        positions=Details(positions, range(count + 1)),
        orders=Details(np.zeros(0, ORDER_DTYPE), [0] * (count + 1)),
    )
    key = readings_key(accounts[0].terminal_host_id)
    redis_client().hset(key, mapping={TABLES_FIELD: packed_tables, **packed})
