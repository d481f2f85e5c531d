"""What the gate says of orders on the host that would send them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from risk.core.arrays import Integers
from risk.core.gate.deciding import decide
from risk.core.gate.verdicts import Check, GateDecision, Verdict
from risk.gate.commissions import LEARNED
from risk.gate.host_book import BOOKS, View
from risk.gate.intents import CommissionOf, TermsOf, aloft, intent_of
from risk.gate.rounds import ledger_rows
from risk.models import AccountLock, GateCheck, Order


def decide_orders(
    view: View,
    orders: Sequence[Order],
    *,
    terms: TermsOf,
    in_flight: Sequence[Order],
    locks: Mapping[UUID, AccountLock],
    now: datetime,
    commissions: CommissionOf | None = None,
) -> list[GateDecision]:
    """Decide on orders of this host's accounts, in their order.

    `in_flight` are orders that may be filled without the view showing it; those that it shows are
    left out. `locks` are the standing locks by account. Several orders of one account see each
    other: an earlier one counts as filled for the later. Closes and cancels always pass; changes
    are for `decide_change`.
    """
    learned = commissions or (lambda account_id, symbol: LEARNED.per_lot(account_id, symbol, now))
    book = BOOKS.book_of(view, locks, now)
    rows = view.assessment.desk.account_index
    flying = list(
        aloft(
            in_flight,
            rows,
            book,
            read_at=view.poll.read_at.tolist(),
            terms=terms,
            commissions=learned,
        )
    )
    opening = [order for order in orders if order.opens and order.account_id in rows]
    intents = [
        intent_of(
            order,
            rows[order.account_id],
            terms=terms(int(book.accounts.logins[rows[order.account_id]]), order.symbol),
            commission_per_lot=learned(order.account_id, order.symbol),
            is_expected=_is_of(order, book.accounts.servers, book.accounts.logins, rows),
        )
        for order in opening
    ]
    decided = dict(zip((order.id for order in opening), decide(book, intents, flying), strict=True))
    return [decided.get(order.id) or passed(order) for order in orders]


def passed(order: Order) -> GateDecision:
    """Let an order pass that opens nothing; refuse one whose account nobody watches here."""
    if order.opens:
        check = Check(
            name="reading",
            verdict=Verdict.BLOCK,
            sentence="This account is not watched here, and an order needs a fresh reading.",
        )
        return GateDecision(order.id, Verdict.BLOCK, None, lambda: (check,))
    check = Check(
        name="opens_nothing", verdict=Verdict.ALLOW, sentence="What opens nothing always passes."
    )
    volume = order.volume if order.volume is not None else order.requested_volume
    return GateDecision(order.id, Verdict.ALLOW, volume, lambda: (check,))


def check_rows(decision: GateDecision, now: datetime) -> list[GateCheck]:
    """Return the rows of a decision for the ledger."""
    return ledger_rows(decision.order_id, decision.checks, now)


def _is_of(
    order: Order, servers: Sequence[str], logins: Integers, rows: Mapping[UUID, int]
) -> bool:
    row = rows[order.account_id]
    return (servers[row], int(logins[row])) == (order.server, order.login)
