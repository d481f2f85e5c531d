"""The accounts of a dry run as one reading: from the hot state, or imagined."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np

from accounts.hot_state import AccountState
from accounts.models import ConnectedAccount
from accounts.terminals.readings import (
    ACCOUNT_DTYPE,
    DEAL_DTYPE,
    ORDER_DTYPE,
    POSITION_DTYPE,
    PRICE_DTYPE,
    ReadingBatch,
    Rows,
)
from risk.core.arrays import Flags, Floats
from risk.core.figures import Currency
from risk.core.pairs import AccountTerms, Clock
from risk.live import load_members

_AMOUNTS = ("balance", "credit", "equity", "profit", "margin", "margin_free", "margin_level")


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of the accounts at one moment; one element per account.

    `accepted` tells whose reading counts; `read_at` is NaN where there is none.
    """

    ids: tuple[UUID | None, ...]
    names: tuple[str, ...]
    money: tuple[Currency, ...]
    terms: tuple[AccountTerms, ...]
    batch: ReadingBatch
    accepted: Flags
    read_at: Floats


def situation_of(accounts: Sequence[ConnectedAccount], *, now: datetime) -> Situation:
    """Read the accounts as the last tick left them; a stale one is not known."""
    members = load_members(accounts, now=now)
    listed = [members[account.pk] for account in accounts]
    states = [member.state if member.is_fresh else None for member in listed]
    return Situation(
        ids=tuple(account.pk for account in accounts),
        names=tuple(account.name for account in accounts),
        money=tuple(member.money for member in listed),
        terms=tuple(terms_of_account(account) for account in accounts),
        batch=_batch(accounts, states, now),
        accepted=np.array([state is not None for state in states], dtype=np.bool_),
        read_at=np.array(
            [np.nan if state is None else float(state.account["read_at"]) for state in states]
        ),
    )


def terms_of_account(account: ConnectedAccount) -> AccountTerms:
    return AccountTerms(
        initial_balance=float(account.initial_balance),
        broker_zone=account.broker_time_zone,
        trading_day=Clock(account.day_reset_time, account.day_reset_zone),
    )


def reading_batch(
    accounts: Rows,
    positions: Rows,
    orders: Rows,
    *,
    symbols: Sequence[str],
    servers: Sequence[str],
    currencies: Sequence[str],
    now: datetime,
) -> ReadingBatch:
    return ReadingBatch(
        taken_at=now.timestamp(),
        accounts=accounts,
        positions=positions,
        orders=orders,
        deals=np.zeros(0, DEAL_DTYPE),
        prices=np.zeros(0, PRICE_DTYPE),
        symbols=tuple(symbols),
        servers=tuple(servers),
        currencies=tuple(currencies),
    )


def _batch(
    accounts: Sequence[ConnectedAccount], states: Sequence[AccountState | None], now: datetime
) -> ReadingBatch:
    """Put the packed states together; each host numbers its symbols in its own way."""
    symbols, servers, currencies = _Names(), _Names(), _Names()
    rows = np.zeros(len(accounts), ACCOUNT_DTYPE)
    positions, orders = [np.zeros(0, POSITION_DTYPE)], [np.zeros(0, ORDER_DTYPE)]
    for number, (account, state) in enumerate(zip(accounts, states, strict=True)):
        row = rows[number]
        row["login"], row["server"] = account.login, servers.number(account.server)
        row["currency"] = currencies.number(account.currency)
        for name in _AMOUNTS:
            row[name] = np.nan if state is None else state.account[name]
        if state is None:
            continue
        row["connected"], row["trade_allowed"] = True, state.account["trade_allowed"]
        for name in ("margin_mode", "leverage", "currency_digits"):
            row[name] = state.account[name]
        positions.append(_moved(state.positions, number, state, symbols))
        orders.append(_moved(state.orders, number, state, symbols))
    return reading_batch(
        rows,
        np.concatenate(positions),
        np.concatenate(orders),
        symbols=symbols.names,
        servers=servers.names,
        currencies=currencies.names,
        now=now,
    )


def _moved(rows: Rows, account: int, state: AccountState, symbols: "_Names") -> Rows:
    own = rows.copy()
    own["account"] = account
    own["symbol"] = [
        symbols.number(state.tables.symbols[number]) for number in rows["symbol"].tolist()
    ]
    return own


class _Names:
    """Numbers names in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    @property
    def names(self) -> list[str]:
        return list(self._numbers)
