"""What the gate would say of an order now, for whoever is still filling in the ticket."""

from datetime import datetime

from accounts.models import ConnectedAccount
from risk.core.gate.verdicts import Check, GateDecision, Verdict
from risk.models import Order


def preview_order(*, account: ConnectedAccount, draft: Order, now: datetime) -> GateDecision:
    """Return what the gate would decide, from the hot state; the order need not be stored."""
    sentence = "Nothing is known of the account, and opens need a fresh reading."
    check = Check(name="reading", verdict=Verdict.BLOCK, sentence=sentence)
    return GateDecision(draft.id, Verdict.BLOCK, None, lambda: (check,))
