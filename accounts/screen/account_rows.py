"""The rows of the list of accounts: what the database knows and what the last tick saw."""

import math
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from accounts.figures import amount
from accounts.hot_state import AccountState
from accounts.models import ConnectedAccount
from accounts.models.connection import ConnectionState
from accounts.screen.cells import age_cell, connection_cell
from accounts.screen.parts import Cell, short
from accounts.selectors import last_states
from accounts.sessions.states import Reason
from accounts.terminals.readings import STALE_AFTER_SECONDS


@dataclass(frozen=True, slots=True)
class AccountRow:
    account: ConnectedAccount
    connection: Cell
    reason: Cell
    age: Cell
    equity: Cell
    equity_amount: float | None

    @property
    def status(self) -> Cell:
        """How safe the account is: told by another address, and so not one of `cells`."""
        return Cell(f"a{short(self.account.pk)}-status", ("Unknown",), "unknown")

    @property
    def cells(self) -> tuple[Cell, ...]:
        return (self.connection, self.reason, self.age, self.equity)


def account_rows(accounts: Iterable[ConnectedAccount], *, now: datetime) -> list[AccountRow]:
    """Return a row for each account; without Redis nothing is known of any reading."""
    accounts = list(accounts)
    return rows_of(accounts, last_states(accounts), now=now)


def rows_of(
    accounts: Iterable[ConnectedAccount], states: Mapping[UUID, AccountState], *, now: datetime
) -> list[AccountRow]:
    return [_row(account, states.get(account.pk), now) for account in accounts]


def dashboard_cells(rows: Sequence[AccountRow]) -> tuple[Cell, ...]:
    """Return all that moves on the page of accounts, for `rows` of all accounts of a user.

    A cell whose row is on another page of the list finds no element and changes nothing.
    """
    cells = [cell for row in rows for cell in row.cells]
    return (*cells, *summary_cells(rows), structure_cell(row.account for row in rows))


def summary_cells(rows: Sequence[AccountRow]) -> tuple[Cell, ...]:
    """Return how many accounts are connected or in error, and what they hold per currency."""
    connected = sum(row.connection.status == ConnectionState.CONNECTED for row in rows)
    failed = sum(row.connection.status == ConnectionState.ERROR for row in rows)
    totals: dict[str, float] = defaultdict(float)
    for row in rows:
        if row.equity_amount is not None:
            totals[row.account.currency] += row.equity_amount
    sums = [f"{amount(total)} {currency}" for currency, total in sorted(totals.items())]
    return (
        Cell("accounts-connected", (f"{connected} of {len(rows)} connected",)),
        Cell("accounts-failed", (f"{failed} with an error",), "error" if failed else "none"),
        Cell("accounts-equity", (" · ".join(sums),), "some" if sums else "none"),
    )


def structure_cell(accounts: Iterable[ConnectedAccount]) -> Cell:
    """Return a sum over everything that a row shows and no other cell tells.

    When it changes (an account came, went, was renamed), the page asks for its table again.
    """
    seen = sorted(
        f"{account.pk}{account.updated_at.timestamp()}{_is_wanted(account)}" for account in accounts
    )
    return Cell("accounts-structure", (f"{zlib.crc32(''.join(seen).encode()):08x}",))


def _is_wanted(account: ConnectedAccount) -> bool:
    connection = getattr(account, "connection", None)
    return connection is not None and connection.is_wanted


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
        Cell(f"{prefix}-reason", (_reason(account, None if is_stale else state),)),
        age_cell(f"{prefix}-age", seconds),
        Cell(f"{prefix}-equity", (amount(equity),), "stale" if is_stale else "live"),
        None if is_stale else equity,
    )


def _reason(account: ConnectedAccount, live: AccountState | None) -> str:
    """Say what is wrong with a connection, in as few words as a table has room for."""
    connection = getattr(account, "connection", None)
    if connection is None:
        return ""
    if connection.state != ConnectionState.CONNECTED:
        return str(connection.last_error)
    if live is None:
        return ""
    if not live.account["trade_allowed"]:
        return "Watching only: this login may not trade."
    return "" if live.account["algo_trading_allowed"] else Reason.ALGO_TRADING_OFF.sentence
