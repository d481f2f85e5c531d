"""What the gate says of changes of positions and pending orders, on their host."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import numpy as np

from accounts.symbol_terms import SymbolTerms
from risk.core.gate.book import Book, InFlight
from risk.core.gate.changes import StopChange, decide_stop
from risk.core.gate.deciding import decide
from risk.core.gate.verdicts import Check, GateDecision, Verdict
from risk.gate.commissions import LEARNED
from risk.gate.host_book import BOOKS, View
from risk.gate.intents import CommissionOf, TermsOf, aloft, intent_of
from risk.models import AccountLock, Order
from risk.orders.terminal import PendingOrder, Position


def decide_change(
    view: View,
    order: Order,
    before: Position | PendingOrder,
    *,
    terms: TermsOf,
    in_flight: Sequence[Order],
    locks: Mapping[UUID, AccountLock],
    now: datetime,
    commissions: CommissionOf | None = None,
) -> GateDecision:
    """Decide on other stops, or another price, of what the terminal shows as `before`.

    `order` says all of them, also those that stay. A pending order that is moved could be filled at
    once, so it is checked like a new one that takes its place; nothing can be reduced.
    """
    learned = commissions or (lambda account_id, symbol: LEARNED.per_lot(account_id, symbol, now))
    book = BOOKS.book_of(view, locks, now)
    rows = view.assessment.desk.account_index
    row = rows[order.account_id]
    others = [other for other in in_flight if other.tag != before.magic]
    read_at = view.poll.read_at.tolist()
    flying = list(aloft(others, rows, book, read_at=read_at, terms=terms, commissions=learned))
    if isinstance(before, PendingOrder) and is_moved(order, before):
        return _placed_anew(order, before, without(book, {row: before.ticket}), flying,
                            rows=rows, terms=terms, learned=learned)  # fmt: skip
    change = stop_change(
        order,
        before,
        row,
        terms=terms(order.login, order.symbol),
        commission_per_lot=learned(order.account_id, order.symbol),
    )
    return decide_stop(book, change, flying)


def stop_change(
    order: Order,
    before: Position | PendingOrder,
    row: int,
    *,
    terms: SymbolTerms | None,
    commission_per_lot: float | None,
) -> StopChange:
    """Return a change that leaves a price as it is as the gate looks at it."""
    # A position has paid its way in; what waits pays both ways.
    if isinstance(before, PendingOrder):
        lots, present, ways = before.volume_left, _filled_at(before), 2.0
    else:
        lots, present, ways = before.volume, before.price_current, 1.0
    return StopChange(
        order_id=order.id,
        row=row,
        ticket=before.ticket,
        symbol=order.symbol,
        magic=before.magic,
        is_buy=order.direction == Order.Direction.BUY,
        lots=float(lots),
        entry_price=_filled_at(before),
        present_price=present,
        former_stop=before.stop_loss,
        stop_loss=order.stop_loss or 0.0,
        terms=terms,
        costs_per_lot=None if commission_per_lot is None else commission_per_lot * ways,
    )


def _filled_at(before: Position | PendingOrder) -> float:
    """Return at what price a position was opened, or a waiting order would be."""
    if isinstance(before, PendingOrder):
        return before.stop_limit_price or before.price_open
    return before.price_open


def is_moved(order: Order, before: PendingOrder) -> bool:
    """Tell whether a change, with all that it leaves as it is, gives a waiting order other prices.

    Then it could be filled at once, and is checked like a new one that takes its place.
    """
    former = before.price_open, before.stop_limit_price
    return (order.price or 0.0, order.stop_limit_price or 0.0) != former


def without(book: Book, tickets: Mapping[int, int]) -> Book:
    """Return a book without the waiting orders that are moved, one each, by their account's row."""
    orders, moved = book.orders, np.zeros(len(book.accounts), dtype=np.int64)
    moved[list(tickets)] = list(tickets.values())
    return replace(book, orders=orders[orders["ticket"] != moved[orders["account"]]])


def _placed_anew(
    order: Order,
    before: PendingOrder,
    book: Book,
    flying: Sequence[InFlight],
    *,
    rows: Mapping[UUID, int],
    terms: TermsOf,
    learned: CommissionOf,
) -> GateDecision:
    intent = intent_of(
        order,
        rows[order.account_id],
        terms=terms(order.login, order.symbol),
        commission_per_lot=learned(order.account_id, order.symbol),
        is_expected=True,
        volume=before.volume_left,
    )
    (decision,) = decide(book, [intent], flying)
    if decision.verdict is not Verdict.REDUCE:
        return decision

    def explain() -> list[Check]:
        # A change says no volume, so what would reduce an order blocks its change.
        return [
            replace(check, verdict=Verdict.BLOCK) if check.verdict is Verdict.REDUCE else check
            for check in decision.checks
        ]

    return GateDecision(order.id, Verdict.BLOCK, None, explain)
