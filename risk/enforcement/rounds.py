"""One round of a run: the orders that go now, and what their answers mean for the next."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from risk.core.closing import Close, plan_closes
from risk.core.offending import Book, Offence
from risk.desk import AccountFacts
from risk.enforcement.goals import NO_CLOSE_BY, response_of
from risk.models import Enforcement, Order
from risk.orders.drafts import draft_cancel, draft_close, draft_close_by
from risk.orders.retcodes import INVALID_ORDER, MARKET_CLOSED, MAYBE_GONE, PRICE_MOVED
from risk.orders.terminal import PendingOrder, Position

_ORIGINS = {
    Enforcement.Cause.PANIC: Order.Origin.PANIC,
    Enforcement.Cause.LOCK: Order.Origin.LOCK,
    Enforcement.Cause.CASCADE: Order.Origin.CASCADE,
}
_CLOSING = (Order.Kind.CLOSE, Order.Kind.CLOSE_BY)


@dataclass(frozen=True, slots=True)
class Look:
    """What the terminal holds now, as it said it and as the core reads it."""

    positions: Sequence[Position]
    orders: Sequence[PendingOrder]
    book: Book
    is_hedging: bool


@dataclass(slots=True)
class Verdict:
    """What a round came to; `blocked` has the sentences of orders that did not get through."""

    has_progressed: bool = False
    has_moved: bool = False  # only the price was in the way
    closed_symbols: set[str] = field(default_factory=set)
    blocked: list[str] = field(default_factory=list)
    refuses_close_by: bool = False


def busy_tickets(doubtful: Collection[Order], look: Look) -> set[int]:
    """Return the positions and orders that must not be touched before a doubt is settled.

    On a hedging account a whole position is closed by its ticket: what has gone cannot go twice.
    A part of one, and everything on a netting account, could.
    """
    volumes = {position.ticket: position.volume for position in look.book.positions}
    symbols = set()
    busy = _cancelling(doubtful)
    for order in doubtful:
        if order.kind not in _CLOSING:
            continue
        symbols.add(order.symbol)
        ticket = order.position_ticket
        is_part = order.volume is None or order.volume != volumes.get(ticket or 0)
        if ticket is not None and is_part and order.kind == Order.Kind.CLOSE:
            busy.add(ticket)
    if not look.is_hedging:
        busy |= {each.ticket for each in look.book.positions if each.symbol in symbols}
    return busy


def _cancelling(doubtful: Iterable[Order]) -> set[int]:
    return {
        order.order_ticket
        for order in doubtful
        if order.kind == Order.Kind.CANCEL and order.order_ticket is not None
    }


def draft_round(
    run: Enforcement,
    account: AccountFacts,
    look: Look,
    found: Offence,
    *,
    busy: Collection[int],
    asleep: Callable[[str], bool],
    now: datetime,
) -> tuple[list[Order], list[Order]]:
    """Draft the cancels and the closes of a round; what is busy or asleep waits for another."""
    origin = _ORIGINS.get(Enforcement.Cause(run.cause), Order.Origin.RULE)
    pending = {order.ticket: order for order in look.orders}
    cancels = [
        draft_cancel(account, pending[ticket], origin=origin, enforcement_id=run.pk, now=now)
        for ticket in found.cancels
        if ticket in pending and ticket not in busy and not asleep(pending[ticket].symbol)
    ]
    positions = {position.ticket: position for position in look.positions}
    closes = [
        _draft(run, account, close, positions, origin, now)
        for close in _planned(run, look, found)
        if not {close.ticket, close.by} & set(busy) and not asleep(positions[close.ticket].symbol)
    ]
    return cancels, closes


def _planned(run: Enforcement, look: Look, found: Offence) -> list[Close]:
    return plan_closes(
        found.parts,
        {each.ticket: each for each in look.book.positions},
        order=response_of(run).closing_order,
        is_hedging=look.is_hedging,
        closes_by=not run.options.get(NO_CLOSE_BY, False),
    )


def _draft(
    run: Enforcement,
    account: AccountFacts,
    close: Close,
    positions: Mapping[int, Position],
    origin: str,
    now: datetime,
) -> Order:
    position = positions[close.ticket]
    if close.by is not None:
        return draft_close_by(
            account, position, positions[close.by], origin=origin, enforcement_id=run.pk, now=now
        )
    return draft_close(
        account, position, close.volume, origin=origin, enforcement_id=run.pk, now=now
    )


def judge(orders: Iterable[Order]) -> Verdict:
    """Read off the answers what the next round has to do differently."""
    verdict = Verdict()
    for order in orders:
        if order.state in (Order.State.FILLED, Order.State.PARTIAL, Order.State.UNKNOWN):
            # After an unknown outcome the volume is read again, and so it is after progress.
            verdict.has_progressed = True
        elif order.retcode == MARKET_CLOSED:
            verdict.closed_symbols.add(order.symbol)
        elif order.kind == Order.Kind.CLOSE_BY and order.retcode == INVALID_ORDER:
            verdict.refuses_close_by = verdict.has_progressed = True
        elif order.retcode in PRICE_MOVED | MAYBE_GONE:
            verdict.has_moved = True
        else:
            verdict.blocked.append(order.message)
    return verdict
