"""The rows of the list of accounts: what the database knows and what the last tick saw."""

import logging
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from redis import RedisError

from accounts.figures import amount
from accounts.hot_state import AccountState, read_accounts
from accounts.models import ConnectedAccount
from accounts.models.connection import ConnectionState
from accounts.screen.cells import age_cell, connection_cell
from accounts.screen.parts import Cell, short
from accounts.terminals.readings import STALE_AFTER_SECONDS

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccountRow:
    account: ConnectedAccount
    connection: Cell
    age: Cell
    equity: Cell

    @property
    def status(self) -> Cell:
        """How safe the account is: told by another address, and so not one of `cells`."""
        return Cell(f"a{short(self.account.pk)}-status", ("Unknown",), "unknown")

    @property
    def cells(self) -> tuple[Cell, ...]:
        return (self.connection, self.age, self.equity)


def account_rows(accounts: Iterable[ConnectedAccount], *, now: datetime) -> list[AccountRow]:
    """Return a row for each account; without Redis nothing is known of any reading."""
    accounts = list(accounts)
    states = _read_states(accounts)
    return [_row(account, states.get(account.pk), now) for account in accounts]


def _read_states(accounts: Iterable[ConnectedAccount]) -> dict[UUID, AccountState]:
    by_host: dict[str, list[UUID]] = defaultdict(list)
    for account in accounts:
        by_host[account.terminal_host_id].append(account.pk)
    try:
        return read_accounts(by_host)
    except RedisError as error:
        logger.warning("The readings of the accounts are not known: %s", error)
        return {}


def _row(account: ConnectedAccount, state: AccountState | None, now: datetime) -> AccountRow:
    prefix = f"a{short(account.pk)}"
    connection = getattr(account, "connection", None)
    link = connection.state if connection else ConnectionState.DISCONNECTED.value
    read_at = float(state.account["read_at"]) if state else math.nan
    seconds = None if math.isnan(read_at) else max(now.timestamp() - read_at, 0.0)
    equity = float(state.account["equity"]) if state and seconds is not None else None
    is_stale = seconds is None or seconds > STALE_AFTER_SECONDS
    return AccountRow(
        account,
        connection_cell(f"{prefix}-link", link, age_seconds=seconds),
        age_cell(f"{prefix}-age", seconds),
        Cell(f"{prefix}-equity", (amount(equity),), "stale" if is_stale else "live"),
    )
