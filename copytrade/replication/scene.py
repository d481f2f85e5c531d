"""A host's accounts at one moment of planning, as its newest readings show them."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final
from uuid import UUID

import numpy as np
from redis import RedisError

from accounts.core.kinds import MarginMode
from accounts.hot_state import AccountState, read_accounts
from accounts.terminals.readings import STALE_AFTER_SECONDS
from copytrade.core.facts import (
    AccountFigures,
)
from copytrade.replication.flights import Flights
from copytrade.replication.markets import Kind, kind_of
from copytrade.replication.pendings import waiting_copies
from risk.core.arrays import Flags
from risk.core.gate.book import AccountSheet, Book
from risk.gate.host_book import BOOKS
from risk.gate.intents import SETTLING_SECONDS
from risk.models import AccountLock
from risk.orders.terminal import lots
from risk.orders.view import HostView

logger = logging.getLogger(__name__)

# Who is away for longer is not waited for: copies say so at once.
LATELY_SECONDS: Final = 30.0
# So long after a worker's start accounts are read for the first time.
BEGINNING_SECONDS: Final = 60.0


class Figures:
    """What accounts of a proven, fresh reading are worth; put together when somebody asks."""

    def __init__(self, sheet: AccountSheet, rows: Mapping[UUID, int]) -> None:
        self.is_proven: Flags = sheet.known & sheet.is_connected & sheet.is_expected
        self._sheet = sheet
        self._rows = rows
        self._elsewhere: dict[UUID, AccountFigures] = {}

    def __contains__(self, account_id: UUID) -> bool:
        row = self._rows.get(account_id)
        return account_id in self._elsewhere or (row is not None and bool(self.is_proven[row]))

    def get(self, account_id: UUID) -> AccountFigures | None:
        row, sheet = self._rows.get(account_id), self._sheet
        if row is None or not self.is_proven[row]:
            return self._elsewhere.get(account_id)
        return AccountFigures(
            currency=sheet.currencies[row],
            equity=float(sheet.equity[row]),
            balance=float(sheet.balance[row]),
            free_margin=float(sheet.margin_free[row]),
            currency_digits=int(sheet.digits[row]),
        )

    def tell(self, account_id: UUID, figures: AccountFigures) -> None:
        """Take in what another host said of one of its accounts."""
        self._elsewhere[account_id] = figures


@dataclass
class Scene:
    """A host's accounts at one moment of planning; rows are those of the view."""

    view: HostView
    book: Book
    rows: Mapping[UUID, int]
    flights: Flights
    locks: Mapping[UUID, AccountLock]
    now: datetime
    figures: Figures
    elsewhere: Mapping[UUID, AccountState] = field(default_factory=dict)
    hosts: dict[UUID, str] = field(default_factory=dict)  # of accounts elsewhere
    positions: dict[UUID, dict[int, Any]] = field(default_factory=dict)
    kinds: dict[UUID, Kind] = field(default_factory=dict)

    @classmethod
    def at(
        cls, view: HostView, flights: Flights, locks: Mapping[UUID, AccountLock], now: datetime
    ) -> "Scene":
        book = BOOKS.book_of(view, locks, now)
        rows = view.assessment.desk.account_index
        return cls(view, book, rows, flights, locks, now, Figures(book.accounts, rows))

    @cached_property
    def is_plain(self) -> Flags:
        """Of whom everything is known, who does not net and is not locked; by row."""
        sheet = self.book.accounts
        money = np.isfinite(sheet.equity + sheet.balance + sheet.margin_free)
        is_read = ~np.isnan(self.view.poll.read_at)
        is_plain: Flags = self.figures.is_proven & is_read & money & ~sheet.is_netting
        is_plain[list(sheet.lock_reasons)] = False
        return is_plain

    @property
    def has_netting(self) -> bool:
        """Tell whether any account that is known here nets."""
        return bool(self.book.accounts.is_netting.any()) or bool(self.elsewhere)

    def places_of(self, account_ids: Iterable[UUID]) -> list[int]:
        """Return the rows of accounts in the view, -1 for those of other hosts."""
        get = self.rows.get
        return [get(account_id, -1) for account_id in account_ids]

    def look_elsewhere(self, accounts: Iterable[tuple[UUID, str]]) -> None:
        """Learn what other hosts' last ticks said of accounts, given with their hosts.

        Nothing is known of an account whose host has not said anything for too long.
        """
        by_host: dict[str, list[UUID]] = defaultdict(list)
        for account_id, host in accounts:
            if account_id not in self.rows:
                by_host[host].append(account_id)
                self.hosts[account_id] = host
        if not by_host:
            return
        try:
            told = read_accounts(by_host)
        except RedisError as error:
            logger.warning("Nothing is known of accounts on other hosts: %s", error)
            return
        self.elsewhere = {**self.elsewhere, **told}
        for account_id, state in told.items():
            figures = _figures_of(state, self.now)
            if figures is not None:
                self.figures.tell(account_id, figures)

    def knows_mode(self, account_id: UUID) -> bool:
        """Tell whether it was ever read, since this worker began, if an account nets."""
        row = self.rows.get(account_id)
        if row is not None:
            return not np.isnan(self.view.poll.read_at[row])
        state = self.elsewhere.get(account_id)
        return state is not None and not np.isnan(state.account["read_at"])

    def _age_elsewhere(self, state: AccountState) -> float:
        return self.now.timestamp() - float(state.account["read_at"])

    def was_read_lately(self, account_id: UUID) -> bool:
        """Tell whether an account is likely to be read again soon, or for the first time."""
        row = self.rows.get(account_id)
        if row is None:
            # Where Redis was emptied, or was away, the next tick of its host tells more.
            state = self.elsewhere.get(account_id)
            return state is None or self._age_elsewhere(state) <= LATELY_SECONDS
        age_seconds = self.view.age_seconds(row, self.now)
        is_new = np.isinf(age_seconds) and self.view.poll.running_seconds < BEGINNING_SECONDS
        return bool(is_new) or age_seconds <= LATELY_SECONDS

    def is_netting(self, account_id: UUID) -> bool:
        """Tell whether an account nets; of one whose mode is not known that means nothing."""
        row = self.rows.get(account_id)
        if row is not None:
            return bool(self.book.accounts.is_netting[row])
        state = self.elsewhere.get(account_id)
        return state is not None and int(state.account["margin_mode"]) != MarginMode.HEDGING

    def kind_of(self, account_id: UUID, server: str, currency: str) -> Kind:
        kind = self.kinds.get(account_id)
        if kind is None:
            kind = self.kinds[account_id] = kind_of(
                server, currency, self._leverage(account_id), self.hosts.get(account_id, "")
            )
        return kind

    def _leverage(self, account_id: UUID) -> int:
        row, state = self.rows.get(account_id), self.elsewhere.get(account_id)
        if row is not None:
            return int(self.book.accounts.leverage[row])
        return 0 if state is None else int(state.account["leverage"])

    def read_at(self, account_id: UUID) -> float | None:
        """Return when the reading of an account was taken, an epoch; None without a proven one."""
        row, state = self.rows.get(account_id), self.elsewhere.get(account_id)
        if account_id not in self.figures:
            return None
        if row is not None:
            return float(self.view.poll.read_at[row])
        return None if state is None else float(state.account["read_at"])

    def positions_of(self, account_id: UUID) -> Mapping[int, Any] | None:
        """Return the positions of an account by ticket as its reading shows them.

        None where the reading proves nothing, or may be older than the account's last fill.
        """
        read_at = self.read_at(account_id)
        if read_at is None or not self.flights.are_shown_by(account_id, read_at):
            return None
        return self._listed(account_id)

    def _listed(self, account_id: UUID) -> Mapping[int, Any]:
        found = self.positions.get(account_id)
        if found is None:
            held = self._held_by(account_id)
            found = self.positions[account_id] = {int(one["ticket"]): one for one in held}
        return found

    def _held_by(self, account_id: UUID) -> Iterable[Any]:
        row = self.rows.get(account_id)
        if row is None:
            return self.elsewhere[account_id].positions
        first, last = self.book.position_starts[row : row + 2].tolist()
        held: Iterable[Any] = self.book.positions[first:last]
        return held

    def pending_of(self, account_id: UUID, ticket: int) -> Any:
        """Return a pending order of an account of this host, None where its reading shows none."""
        row = self.rows.get(account_id)
        if row is None:
            return None
        first, last = self.book.order_starts[row : row + 2].tolist()
        waiting = self.book.orders[first:last]
        found = np.flatnonzero(waiting["ticket"] == ticket)
        return waiting[found[0]] if len(found) else None

    def symbol_of(self, account_id: UUID, position: Any) -> str:
        """Return the name of the symbol of one of an account's positions, or orders."""
        is_here = account_id in self.rows
        names = self.book.symbols if is_here else self.elsewhere[account_id].tables.symbols
        return names[int(position["symbol"])]

    def lots_of(self, account_id: UUID, ticket: int) -> Decimal | None:
        """Return what a position holds, 0 when it is gone; None while nobody can tell."""
        read_at = self.read_at(account_id)
        if read_at is None:
            return None
        # What was done to its other positions changes nothing of this one, unless they are netted.
        own = None if self.is_netting(account_id) else ticket
        there = self._listed(account_id).get(ticket)
        if there is not None and self.flights.are_shown_by(account_id, read_at, ticket=own):
            return lots(float(there["volume"]))
        return Decimal(0) if there is None and self._is_settled(account_id) else None

    def net_lots(self, account_id: UUID, symbol: str) -> Decimal | None:
        """Return what is held of a symbol, below 0 when sold; None while nobody can tell."""
        positions = self.positions_of(account_id)
        # What is missing of a netted position does not show as a ticket that is not there.
        if positions is None or not self._is_settled(account_id):
            return None
        # It may be in there already, and in no row of a copy yet.
        if (account_id, symbol) in self.filled_unseen:
            return None
        total = Decimal(0)
        for one in positions.values():
            if self.symbol_of(account_id, one) == symbol:
                total += lots(float(one["volume"])) * (-1 if int(one["type"]) else 1)
        return total

    @cached_property
    def filled_unseen(self) -> frozenset[tuple[UUID, str]]:
        """The symbols, by account that nets, of copied pending orders that wait no more.

        What became of them nobody has taken in yet. To be asked before the rows of copies are read.
        """
        accounts = [*self.rows, *(self.elsewhere.keys() - self.rows.keys())]
        found = set()
        waiting: dict[UUID, set[int]] = {}
        netting = [each for each in accounts if self.is_netting(each)]
        for account_id, symbol, ticket in waiting_copies(netting):
            if account_id not in waiting:
                waiting[account_id] = self.waiting_at(account_id)
            if ticket not in waiting[account_id]:
                found.add((account_id, symbol))
        return frozenset(found)

    def waiting_at(self, account_id: UUID) -> set[int]:
        """Return the tickets of the pending orders that an account's reading shows."""
        row, state = self.rows.get(account_id), self.elsewhere.get(account_id)
        if row is not None:
            orders = self.view.poll.batch.orders
            return set(orders["ticket"][orders["account"] == row].tolist())
        return set() if state is None else set(state.orders["ticket"].tolist())

    def _is_settled(self, account_id: UUID) -> bool:
        """Tell whether a reading lists all that was filled.

        A terminal may list a position a moment after it has said that the order was filled.
        """
        read_at = self.read_at(account_id) or 0.0
        return self.flights.are_shown_by(account_id, read_at, SETTLING_SECONDS)


def _figures_of(state: AccountState, now: datetime) -> AccountFigures | None:
    account = state.account
    if not now.timestamp() - float(account["read_at"]) <= STALE_AFTER_SECONDS:
        return None
    figures = AccountFigures(
        currency=state.tables.currencies[int(account["currency"])],
        equity=float(account["equity"]),
        balance=float(account["balance"]),
        free_margin=float(account["margin_free"]),
        currency_digits=int(account["currency_digits"]),
    )
    return figures if np.isfinite([figures.equity, figures.balance]).all() else None
