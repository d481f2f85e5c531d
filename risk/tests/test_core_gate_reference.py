"""The gate against the evaluation itself, with the order put among the positions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from risk.core.gate.deciding import decide
from risk.core.gate.verdicts import Verdict
from risk.core.rule_types import RuleType
from risk.core.statuses import Status
from risk.tests.core_cases import rule
from risk.tests.gate_cases import ASK, BID, account_row, book_of, intent, position

RULES = (
    rule(RuleType.MAX_POSITION_SIZE, "3"),
    rule(RuleType.POSITION_LIMIT, "3"),
    rule(RuleType.MAX_LEVERAGE, "4"),
    rule(RuleType.MAX_LEVERAGE, "6", gross=True),
    rule(RuleType.MAX_EXPOSURE, "3"),
    rule(RuleType.MAX_EXPOSURE, "3", exposure_of="currency"),
    rule(RuleType.RISK_PER_TRADE, "0.03"),
)
ACCOUNT = account_row(margin_free=1e9)

HELD = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 300), st.booleans(), st.booleans()), max_size=4
)


def row_of(symbol: int, lots: float, selling: bool, has_stop: bool) -> dict[str, object]:
    stop = (1.11 if selling else 1.09) if has_stop else 0.0
    return position(lots, selling=selling, symbol=symbol, sl=stop)


@pytest.mark.parametrize("number", range(len(RULES)))
@given(held=HELD, lots=st.integers(1, 600), selling=st.booleans())
def test_it_says_what_the_evaluation_would_say_of_the_filled_order(
    number: int, held: Any, lots: int, selling: bool
) -> None:
    rows = [row_of(symbol, size / 100, *flags) for symbol, size, *flags in held]
    limit = [RULES[number]]
    before = book_of(limit, account=ACCOUNT, positions=rows)
    assume(before.standing.status[0] != Status.VIOLATED)
    order = intent(f"{lots / 100}", selling=selling)
    assert order.terms is not None
    assert order.price is not None
    # It is valued on the other side of the book, so the spread is lost at once.
    value = ASK if selling else BID
    filled = {
        **row_of(0, lots / 100, selling, has_stop=True),
        "price_open": order.price,
        "price_current": value,
        "notional": (order.terms.notional_per_lot(value) or np.nan) * lots / 100,
        "sl": order.stop_loss,
    }
    lost = (ASK - BID) * 100_000.0 * lots / 100
    account = {**ACCOUNT, "profit": -lost}
    after = book_of(limit, account=account, positions=[*rows, filled])

    (decision,) = decide(before, [order], ())

    is_violated = after.standing.status[0] == Status.VIOLATED
    # What only makes an excess smaller is none; here nothing is in excess before.
    assert (decision.verdict is Verdict.BLOCK) == is_violated
