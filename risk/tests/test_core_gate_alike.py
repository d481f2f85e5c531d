"""Orders that share a form are judged like each of them alone."""

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from risk.core.gate.deciding import decide
from risk.core.gate.intents import Intents
from risk.core.rule_types import Action, RuleType
from risk.tests.core_cases import rule
from risk.tests.gate_cases import account_row, book_of, flying, intent

FORMS = (
    intent(),
    intent(selling=True),
    intent(stop_loss=None),
    replace(intent(), terms=None, price=None),
    replace(intent(), is_expected=False),
)
RULES = [
    rule(RuleType.MAX_DAILY_LOSS, "0.05"),
    rule(RuleType.MAX_POSITION_SIZE, "2"),
    rule(RuleType.MAX_LEVERAGE, "10"),
    rule(RuleType.MARGIN_LEVEL, "150"),
]
ACCOUNTS = [account_row(), account_row(leverage=30), account_row(margin_mode=0)]
orders = st.tuples(
    st.integers(0, len(FORMS) - 1),
    st.integers(0, len(ACCOUNTS) - 1),
    st.sampled_from(["0.01", "0.015", "1", "1.5", "1.99", "2", "2.01", "60"]).map(Decimal),
)


@given(st.lists(orders, max_size=8), st.sampled_from([Action.BLOCK, Action.REDUCE_SIZE]))
def test_alike_orders_are_judged_like_each_alone(
    asked: list[tuple[int, int, Decimal]], action: Action
) -> None:
    book = book_of(RULES, action, account=ACCOUNTS)
    ids = [UUID(int=number + 1) for number in range(len(asked))]
    alike = Intents(
        FORMS,
        np.array([form for form, _, _ in asked], dtype=np.int64),
        np.array([row for _, row, _ in asked], dtype=np.int64),
        [volume for _, _, volume in asked],
        ids,
    )
    each = [
        replace(FORMS[form], order_id=order_id, row=row, volume=volume)
        for order_id, (form, row, volume) in zip(ids, asked, strict=True)
    ]
    assert list(alike) == each
    together, alone = decide(book, alike, [flying(0.5)]), decide(book, each, [flying(0.5)])
    assert together == alone
    # NaN is none of its own kind, but it is worded alike.
    assert [repr(one.checks) for one in together] == [repr(one.checks) for one in alone]
