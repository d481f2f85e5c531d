"""Orders as the gate sees them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from accounts.symbol_terms import SymbolTerms
from risk.core.gate.book import Book, InFlight, Intent
from risk.models import Order

TermsOf = Callable[[int, str], SymbolTerms | None]
"""The terms of a symbol for a login, None when they are not known (TermsBook.terms)."""

CommissionOf = Callable[[UUID, str], float | None]
"""What one lot of a symbol costs an account in commission each way, None when nobody knows."""

_ALOFT = (Order.State.SENT, Order.State.UNKNOWN)
_ENDED = (Order.State.FILLED, Order.State.PARTIAL, Order.State.PLACED)
_CLOSES = (Order.Kind.CLOSE, Order.Kind.CLOSE_BY)
# A terminal may list a position a moment after it has said that the order was filled.
SETTLING_SECONDS: Final = 1.0


def intent_of(
    order: Order,
    row: int,
    *,
    terms: SymbolTerms | None,
    commission_per_lot: float | None,
    is_expected: bool,
    volume: Decimal | None = None,
) -> Intent:
    """Return an order that opens something as the gate looks at it; `volume` is what was asked."""
    is_buy = order.direction == Order.Direction.BUY
    is_market = order.kind == Order.Kind.OPEN
    price = order.stop_limit_price or order.price
    if is_market:
        price = terms.price_for(is_buy) if terms is not None else None
    return Intent(
        order_id=order.id,
        row=row,
        symbol=order.symbol,
        is_buy=is_buy,
        is_market=is_market,
        volume=asked(order) if volume is None else volume,
        price=price,
        stop_loss=order.stop_loss,
        take_profit=order.take_profit,
        terms=terms,
        commission_per_lot=commission_per_lot,
        is_expected=is_expected,
    )


def aloft(
    orders: Iterable[Order],
    rows: Mapping[UUID, int],
    book: Book,
    *,
    read_at: Sequence[float],
    terms: TermsOf,
    commissions: CommissionOf,
) -> Iterator[InFlight]:
    """List the orders that may be filled without the reading of their account showing it.

    Those that were sent and have not ended, and those that ended about when the reading was taken
    or later; one whose tag the reading shows is left out.
    """
    for order in orders:
        row = rows.get(order.account_id)
        if row is None or _is_shown(order, row, book):
            continue
        # Where positions are netted no tag tells whether a reading shows an order: its time must.
        settling = 0.0 if book.accounts.is_netting[row] else SETTLING_SECONDS
        if not _is_aloft(order, read_at[row] - settling):
            continue
        opens = order.opens
        if not opens and order.kind not in _CLOSES:
            continue
        known = terms(order.login, order.symbol) if opens else None
        commission = commissions(order.account_id, order.symbol) if opens else None
        intent = intent_of(
            order,
            row,
            terms=known,
            commission_per_lot=commission,
            is_expected=True,
            volume=_sent(order),
        )
        yield _flying(intent, book, opens=opens)


def _flying(intent: Intent, book: Book, *, opens: bool) -> InFlight:
    terms, price = intent.terms, intent.price
    notional = margin = None
    if terms is not None and price is not None:
        leverage = int(book.accounts.leverage[intent.row])
        notional = terms.notional_per_lot(price)
        margin = terms.margin_per_lot(intent.is_buy, price, leverage)
    return InFlight(
        row=intent.row,
        symbol=intent.symbol,
        is_buy=intent.is_buy,
        opens=opens,
        lots=float(intent.volume),
        loss_per_lot=intent.loss_per_lot,
        notional_per_lot=notional,
        margin_per_lot=margin,
    )


def _is_aloft(order: Order, read_at: float) -> bool:
    if order.state in _ALOFT:
        return True
    if order.state == Order.State.PENDING:
        return order.gated_at is not None
    ended_at = order.reconciled_at or order.answered_at
    return order.state in _ENDED and not _is_before(ended_at, read_at)


def _is_before(moment: datetime | None, read_at: float) -> bool:
    return moment is not None and moment.timestamp() < read_at


def _is_shown(order: Order, row: int, book: Book) -> bool:
    """Tell whether the reading shows what the order opened or placed."""
    positions = book.positions[book.position_starts[row] : book.position_starts[row + 1]]
    waiting = book.orders[book.order_starts[row] : book.order_starts[row + 1]]
    return bool((positions["magic"] == order.tag).any() or (waiting["magic"] == order.tag).any())


def asked(order: Order) -> Decimal:
    """Return the lots that an order was given with."""
    return order.requested_volume or order.volume or Decimal(0)


def _sent(order: Order) -> Decimal:
    """Return the lots that may be in the market; those that filled once that is known."""
    return order.filled_volume or order.volume or order.requested_volume or Decimal(0)
