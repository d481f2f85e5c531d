"""Rounds of the gate in the ledger, for the tests of what is shown of orders."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np

from accounts.tests.factories import NOW
from risk.core.gate.deciding import decide_round
from risk.core.gate.intents import Intents
from risk.core.rule_types import RuleType
from risk.gate.rounds import round_row
from risk.models import GateRound, Order
from risk.tests.core_cases import rule
from risk.tests.gate_cases import account_row, book_of, intent

RULES = [rule(RuleType.MAX_POSITION_SIZE, "2"), rule(RuleType.MAX_DAILY_LOSS, "0.05")]


def note_round(
    orders: Sequence[Order], volumes: Sequence[str], gated_at: datetime = NOW
) -> list[GateRound]:
    """Let the gate decide about orders together, each on an account of its own; keep that alone."""
    book = book_of(RULES, account=[account_row() for _ in orders])
    intents = Intents(
        [intent()],
        np.zeros(len(orders), dtype=np.int64),
        np.arange(len(orders)),
        [Decimal(volume) for volume in volumes],
        [order.pk for order in orders],
    )
    for order in orders:
        order.gated_at = gated_at
        order.save(update_fields=["gated_at"])
    rows = [round_row(part, gated_at) for part in decide_round(book, intents, []).parts()]
    return GateRound.objects.bulk_create(rows)
