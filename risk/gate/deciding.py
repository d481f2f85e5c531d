"""What the gate says of orders on the host that would send them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from accounts.sessions.poll import Poll
from accounts.symbol_terms import SymbolTerms
from risk.core.gate.verdicts import Check, GateDecision, Verdict
from risk.models import AccountLock, GateCheck, Order
from risk.tracker import Assessment

TermsOf = Callable[[int, str], SymbolTerms | None]
"""The terms of a symbol for a login, None when they are not known (TermsBook.terms)."""

CommissionOf = Callable[[UUID, str], float | None]
"""What one lot of a symbol costs an account in commission each way, None when nobody knows."""


class View(Protocol):
    """What the host knew at its last tick."""

    @property
    def poll(self) -> Poll: ...

    @property
    def assessment(self) -> Assessment: ...


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
    other: an earlier one counts as filled for the later.
    """
    return [_not_known(order) for order in orders]


def check_rows(decision: GateDecision, now: datetime) -> list[GateCheck]:
    """Return the rows of a decision for the ledger."""
    return [
        GateCheck(
            order_id=decision.order_id,
            number=number,
            check_name=check.name,
            rule_id=check.rule_id,
            rule_name=check.rule_name[:64],
            verdict=check.verdict.value,
            value=check.value,
            limit=check.limit,
            unit=check.unit[:16],
            allowed_volume=check.allowed_volume,
            sentence=check.sentence[:255],
            created_at=now,
        )
        for number, check in enumerate(decision.checks)
    ]


def _not_known(order: Order) -> GateDecision:
    if order.opens:
        sentence = "Nothing is known of the account, and opens need a fresh reading."
        check = Check(name="reading", verdict=Verdict.BLOCK, sentence=sentence)
        return GateDecision(order.id, Verdict.BLOCK, None, lambda: (check,))
    check = Check(name="closing", verdict=Verdict.ALLOW, sentence="Closing is always allowed.")
    return GateDecision(order.id, Verdict.ALLOW, order.requested_volume, lambda: (check,))
