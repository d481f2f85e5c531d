"""The gate's book of a host, taken from its newest view."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import numpy as np

from accounts.core.kinds import MarginMode
from accounts.sessions.poll import Poll
from accounts.sessions.states import SessionState
from accounts.terminals.readings import STALE_AFTER_SECONDS, ReadingBatch
from risk.core.arrays import Flags, Integers
from risk.core.gate.book import (
    AccountSheet,
    Book,
    PairStanding,
    RuleColumns,
    RuleLabel,
    rule_columns,
)
from risk.core.rule_types import Action
from risk.desk import Desk
from risk.models import AccountLock
from risk.tracker import Assessment


class View(Protocol):
    """What the host knew at its last tick."""

    @property
    def poll(self) -> Poll: ...

    @property
    def assessment(self) -> Assessment: ...


@dataclass(frozen=True, slots=True)
class _Names:
    """What only a new desk changes."""

    desk: Desk
    names: tuple[str, ...]
    servers: tuple[str, ...]
    logins: Integers
    currencies: tuple[str, ...]
    labels: tuple[RuleLabel, ...]
    columns: RuleColumns


class HostBooks:
    """Builds books, and keeps what the views of one desk have in common."""

    def __init__(self) -> None:
        self._names: _Names | None = None

    def book_of(self, view: View, locks: Mapping[UUID, AccountLock], now: datetime) -> Book:
        """Lay out a view as it is to be judged at `now`."""
        assessment, poll = view.assessment, view.poll
        names = self._names_of(assessment.desk)
        evaluation, state = assessment.evaluation, assessment.latches.state
        return Book(
            accounts=_sheet(view, names, locks, now),
            table=assessment.desk.pairs,
            labels=names.labels,
            columns=names.columns,
            standing=PairStanding(
                status=evaluation.status,
                reason=evaluation.reason,
                value=evaluation.value,
                limit=evaluation.limit,
                left=evaluation.left,
                latched=state.latched,
                acknowledged=state.acknowledged,
            ),
            positions=poll.batch.positions,
            orders=poll.batch.orders,
            symbols=poll.batch.symbols,
            surroundings=replace(assessment.surroundings, moment=now.timestamp()),
        )

    def _names_of(self, desk: Desk) -> _Names:
        names = self._names
        if names is None or names.desk is not desk:
            labels = tuple(
                RuleLabel(rule.id, rule.name, Action(rule.action)) for rule in desk.rules
            )
            names = self._names = _Names(
                desk=desk,
                names=tuple(facts.name if facts else "" for facts in desk.accounts),
                servers=tuple(facts.server if facts else "" for facts in desk.accounts),
                logins=np.array(
                    [facts.login if facts else -1 for facts in desk.accounts], dtype=np.int64
                ),
                currencies=tuple(facts.currency if facts else "" for facts in desk.accounts),
                labels=labels,
                columns=rule_columns(desk.pairs, labels),
            )
        return names


BOOKS: Final = HostBooks()


def _sheet(
    view: View, names: _Names, locks: Mapping[UUID, AccountLock], now: datetime
) -> AccountSheet:
    poll, assessment = view.poll, view.assessment
    rows, columns = poll.batch.accounts, assessment.accounts
    age = poll.age_seconds + max((now - poll.now).total_seconds(), 0.0)
    index = assessment.desk.account_index
    return AccountSheet(
        names=names.names,
        servers=names.servers,
        logins=names.logins,
        currencies=names.currencies,
        digits=rows["currency_digits"],
        known=columns.known & (age <= STALE_AFTER_SECONDS),
        age_seconds=age,
        is_connected=poll.states == SessionState.CONNECTED,
        is_expected=_expected(poll.batch, names),
        trade_allowed=rows["trade_allowed"],
        algo_allowed=rows["algo_trading_allowed"],
        is_netting=rows["margin_mode"] != MarginMode.HEDGING,
        leverage=rows["leverage"].astype(np.float64),
        balance=columns.balance,
        equity=columns.equity,
        margin=columns.margin,
        margin_free=np.where(columns.known, rows["margin_free"], np.nan),
        lock_reasons={
            index[account_id]: lock.reason
            for account_id, lock in locks.items()
            if account_id in index
        },
    )


def _expected(batch: ReadingBatch, names: _Names) -> Flags:
    """Tell which accounts' terminals show the login that they stand for."""
    numbers = {name: number for number, name in enumerate(batch.servers)}
    servers = np.array([numbers.get(name, -2) for name in names.servers], dtype=np.int64)
    matches: Flags = (batch.accounts["login"] == names.logins) & (
        batch.accounts["server"] == servers
    )
    return matches
