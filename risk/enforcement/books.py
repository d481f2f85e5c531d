"""An account as its terminal or the newest tick shows it, laid out for the core."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from accounts.core.zones import broker_zone, to_broker_epoch
from accounts.symbol_terms import SymbolTerms
from accounts.terminals.readings import Rows
from risk.core.closing import OpenPosition, PendingOrder
from risk.core.offending import Book
from risk.desk import AccountFacts
from risk.orders.terminal import ENTRY_IN, AccountReading, AccountTerminal, Position, lots
from risk.orders.terminal import PendingOrder as TerminalOrder
from risk.orders.view import HostView

_SELL = 1
_CLOSE_BY_FLAG = 64  # SYMBOL_ORDER_CLOSEBY
_PENDING_TYPES = range(2, 8)  # ORDER_TYPE_BUY_LIMIT to _SELL_STOP_LIMIT
_DAY_SECONDS = 86_400


def is_under_way(order: TerminalOrder) -> bool:
    """Tell whether the broker is carrying an order out at this moment: it no longer waits."""
    return order.type not in _PENDING_TYPES


def rows_of(rows: Rows, row: int) -> Rows:
    """Return the positions or orders of one account; they are sorted by account."""
    start, end = np.searchsorted(rows["account"], [row, row + 1])
    found: Rows = rows[start:end]
    return found


def book_of_view(view: HostView, row: int) -> Book:
    """Lay out what the newest tick saw of an account."""
    batch = view.poll.batch
    return book_of_rows(
        batch.accounts[row],
        rows_of(batch.positions, row),
        rows_of(batch.orders, row),
        batch.symbols,
    )


def book_of_rows(account: np.void, positions: Rows, orders: Rows, symbols: Sequence[str]) -> Book:
    """Lay out a reading; steps are not known there, so volumes are close guesses."""
    return Book(
        positions=tuple(
            OpenPosition(
                ticket=int(each["ticket"]),
                symbol=symbols[int(each["symbol"])],
                is_sell=int(each["type"]) == _SELL,
                volume=lots(float(each["volume"])),
                profit=float(each["profit"] + each["swap"]),
                price_open=float(each["price_open"]),
                price_current=float(each["price_current"]),
                stop_loss=float(each["sl"]),
                notional=_known(each["notional"]),
                opened_msc=int(each["time_msc"]),
                magic=int(each["magic"]),
            )
            for each in positions
        ),
        orders=tuple(
            PendingOrder(
                ticket=int(each["ticket"]),
                symbol=symbols[int(each["symbol"])],
                is_sell=bool(int(each["type"]) & 1),
                volume=lots(float(each["volume"])),
                placed_msc=int(each["time_msc"]),
                magic=int(each["magic"]),
            )
            for each in orders
            if int(each["type"]) in _PENDING_TYPES
        ),
        equity=float(account["equity"]),
        balance=float(account["balance"]),
        margin=float(account["margin"]),
        moment_msc=int(account["tick_msc"]),
    )


def book_of_terminal(
    reading: AccountReading,
    positions: Sequence[Position],
    orders: Sequence[TerminalOrder],
    terms: Mapping[str, SymbolTerms],
    seen: Book | None,
) -> Book:
    """Lay out what a terminal answered now; what it does not tell comes from what a tick saw."""
    value = _value_per_lot(seen)
    magics = {order.ticket: order.placed_msc for order in seen.orders} if seen else {}
    return Book(
        positions=tuple(
            OpenPosition(
                ticket=each.ticket,
                symbol=each.symbol,
                is_sell=not each.is_buy,
                volume=each.volume,
                profit=each.profit + each.swap,
                price_open=each.price_open,
                price_current=each.price_current,
                stop_loss=each.stop_loss,
                notional=float(each.volume) * value.get(each.symbol, 0.0),
                opened_msc=each.time_msc,
                magic=each.magic,
                **_of_symbol(terms.get(each.symbol)),
            )
            for each in positions
        ),
        orders=tuple(
            PendingOrder(
                ticket=each.ticket,
                symbol=each.symbol,
                is_sell=bool(each.type & 1),
                volume=each.volume_left,
                placed_msc=magics.get(each.ticket, each.ticket),
                magic=each.magic,
            )
            for each in orders
            if each.type in _PENDING_TYPES
        ),
        equity=reading.equity,
        balance=seen.balance if seen else 0.0,
        margin=reading.margin,
        moment_msc=seen.moment_msc if seen else 0,
        correlations=seen.correlations if seen else {},
        currencies=seen.currencies if seen else {},
        news_currencies=seen.news_currencies if seen else frozenset(),
    )


def _of_symbol(terms: SymbolTerms | None) -> dict[str, Any]:
    if terms is None:
        return {}
    return {
        "step": Decimal(str(terms.volume_step)),
        "min_volume": Decimal(str(terms.volume_min)),
        "is_close_by_allowed": bool(terms.order_mode & _CLOSE_BY_FLAG),
    }


def opened_since(
    terminal: AccountTerminal, facts: AccountFacts, positions: Iterable[Position], start: float
) -> tuple[int, ...]:
    """Return the tickets of what was opened since a UTC epoch, in order; gone ones as 0."""
    zone = broker_zone(facts.terms.broker_zone)
    first = to_broker_epoch(start, zone)
    tickets = {each.identifier: each.ticket for each in positions}
    deals = terminal.history_deals(first, first + 2 * _DAY_SECONDS)
    opening = sorted((deal.ticket, deal.position) for deal in deals if deal.entry == ENTRY_IN)
    return tuple(tickets.get(position, 0) for _, position in opening)


def _value_per_lot(seen: Book | None) -> dict[str, float]:
    values: dict[str, float] = {}
    for position in seen.positions if seen else ():
        if position.volume > 0:
            values[position.symbol] = position.notional / float(position.volume)
    return values


def _known(value: float) -> float:
    return 0.0 if value != value else float(value)
