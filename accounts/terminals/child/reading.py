"""One look at a terminal: the fewest calls that prove what its account holds."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from accounts.terminals.base import TerminalError
from accounts.terminals.child.deals import Deals
from accounts.terminals.child.frames import reading_body
from accounts.terminals.child.package import Package, ask
from accounts.terminals.child.rows import (
    account_row,
    order_row,
    position_row,
    price_row,
    unanswered_row,
)
from accounts.terminals.child.symbols import Symbols
from accounts.terminals.codes import CALL_FAILED, IPC_TIMEOUT
from accounts.terminals.readings import Outcome

# Balance, credit and profit are each rounded to the currency's digits before they are added up.
_ROUNDING_UNITS: Final = 2.0
_PER_POSITION_UNITS: Final = 0.5
_RELATIVE_SLACK: Final = 1e-12
# What comes of an answer with fields that are no such numbers: then nothing of it is known.
_NONSENSE: Final = (ArithmeticError, TypeError, ValueError, struct.error)


@dataclass(frozen=True, slots=True)
class Identity:
    """The account that a terminal is expected to show."""

    login: int
    server: str

    def is_of(self, account: Any) -> bool:
        return bool(account.login == self.login and account.server == self.server)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the calls of one look answered, as the package's result tuples."""

    account: Any
    positions: Sequence[Any]
    orders: Sequence[Any]

    @property
    def contents(self) -> tuple[Any, ...]:
        """What differs after any deal and any change of orders, but not after a mere quote."""
        account = self.account
        return (
            account.balance,
            account.credit,
            [(position.ticket, position.volume) for position in self.positions],
            [(order.ticket, order.volume_current) for order in self.orders],
        )

    def fits_together(self) -> bool:
        """Tell whether equity = balance + credit + profit, and profit = Σ (profit + swap)."""
        account = self.account
        unit = 10.0**-account.currency_digits
        slack = _RELATIVE_SLACK * (abs(account.balance) + abs(account.profit))
        slack += _ROUNDING_UNITS * unit
        floating = sum(position.profit + position.swap for position in self.positions)
        total = account.balance + account.credit + account.profit
        return bool(
            abs(account.equity - total) <= slack
            and abs(floating - account.profit)
            <= slack + _PER_POSITION_UNITS * len(self.positions) * unit
        )


class Reader:
    """Reads one account through a terminal that has been logged in to it."""

    def __init__(self, package: Package, identity: Identity) -> None:
        self._package = package
        self._identity = identity
        self._symbols = Symbols(package)
        self._contents: tuple[Any, ...] | None = None
        self._prices: dict[tuple[str, int], float] = {}
        self.deals = Deals(package, self._symbols)

    def read(self, now: float) -> bytes:
        """Return the body of a READING; a call that failed makes it one without content.

        ``now`` is monotonic seconds.
        """
        try:
            return self._answered(now)
        except TerminalError as error:
            return _unanswered(error)
        except _NONSENSE as error:
            return _unanswered(TerminalError(CALL_FAILED, type(error).__name__))

    def _answered(self, now: float) -> bytes:
        snapshot = self._snapshot()
        if not snapshot.fits_together():
            snapshot = self._snapshot()  # torn by a quote or a trade between the calls
        account = snapshot.account
        terminal = ask(self._package, "terminal_info")
        is_mine = self._identity.is_of(account)
        if is_mine:
            self._look_for_deals(snapshot, now)
        tables = self._tables(snapshot, self.deals.raw if is_mine else b"", now)
        row = account_row(
            account,
            terminal,
            position_count=len(snapshot.positions),
            order_count=len(snapshot.orders),
            last_deal=self.deals.newest if is_mine else 0,
            tick_msc=self._symbols.newest_msc,
        )
        return reading_body(row, tables, self._symbols.names, account.server, account.currency)

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            account=ask(self._package, "account_info"),
            positions=ask(self._package, "positions_get"),
            orders=ask(self._package, "orders_get"),
        )

    def _is_mine(self) -> bool:
        return self._identity.is_of(ask(self._package, "account_info"))

    def _look_for_deals(self, snapshot: Snapshot, now: float) -> None:
        contents = snapshot.contents
        has_moved = contents != self._contents
        self.deals.look(now, has_moved=has_moved, is_mine=self._is_mine)
        self._contents = contents

    def _tables(
        self, snapshot: Snapshot, deals: bytes, now: float
    ) -> tuple[bytes, bytes, bytes, bytes]:
        quotes = self._symbols.quotes(self._traded(snapshot), now)
        if not quotes:
            self._symbols.look_at_clock(now)
        number = self._symbols.number
        prices = [price_row(tick, number(name)) for name, tick in quotes.items()]
        waiting = [order_row(order, number(order.symbol)) for order in snapshot.orders]
        held = self._position_rows(snapshot, now)
        return b"".join(held), b"".join(waiting), deals, b"".join(prices)

    def _position_rows(self, snapshot: Snapshot, now: float) -> list[bytes]:
        symbols, account = self._symbols, snapshot.account
        scale = 10.0**account.currency_digits
        rows = []
        for position in snapshot.positions:
            terms = symbols.terms(position.symbol, account.currency, now)
            value = position.volume * position.price_current * terms.price_value
            notional = round(value * scale) / scale
            number = symbols.number(position.symbol)
            rows.append(position_row(position, number, terms.digits, notional))
        return rows

    def _traded(self, snapshot: Snapshot) -> dict[str, bool]:
        """Return the symbols in use, each with whether a price of it has moved."""
        traded: dict[str, bool] = {}
        prices: dict[tuple[str, int], float] = {}
        for rows in (snapshot.positions, snapshot.orders):
            for row in rows:
                key = (row.symbol, row.type)
                prices[key] = row.price_current
                moved = self._prices.get(key) != row.price_current
                traded[row.symbol] = traded.get(row.symbol, False) or moved
        self._prices = prices
        return traded


def _unanswered(error: TerminalError) -> bytes:
    row = unanswered_row(outcome_of(error), error.code)
    return reading_body(row, (b"", b"", b"", b""), (), "", "")


def outcome_of(error: TerminalError) -> Outcome:
    """Return how a terminal answered whose call failed so."""
    if error.is_refused_login:
        return Outcome.REFUSED
    if error.code == IPC_TIMEOUT:
        return Outcome.SILENT
    return Outcome.NO_TERMINAL if error.is_connection_lost else Outcome.NONE
