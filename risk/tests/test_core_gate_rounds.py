"""Orders of one account that see each other, what is in flight, netting, and what is reduced."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.core.gate.deciding import decide
from risk.core.gate.verdicts import Verdict
from risk.core.rule_types import Action, RuleType
from risk.tests.core_cases import rule
from risk.tests.gate_cases import account_row, book_of, check_of, flying, intent, one, position

DAILY_LOSS = rule(RuleType.MAX_DAILY_LOSS, "0.05")


def test_netting_counts_an_opposite_order_as_what_it_closes() -> None:
    account = account_row(margin_mode=0)
    rules = [DAILY_LOSS, rule(RuleType.STOP_LOSS_REQUIRED, "5")]
    book = book_of(
        rules, account=account, positions=[position(2.0)], state={"latched": [True, False]}
    )
    closing = intent("2", selling=True, stop_loss=None)

    assert one(book, closing).verdict is Verdict.ALLOW
    assert one(book, replace(closing, volume=Decimal("2.01"))).verdict is Verdict.BLOCK
    # A close that may have taken the position already makes an opening of it.
    gone = flying(2.0, is_buy=False, opens=False)
    assert one(book, closing, gone).verdict is Verdict.BLOCK


def test_a_reduced_order_may_pass_what_would_block_it_whole() -> None:
    size = rule(RuleType.MAX_POSITION_SIZE, "2")
    book = book_of([size, DAILY_LOSS])
    labels = tuple(
        replace(label, action=Action.REDUCE_SIZE if number == 0 else Action.BLOCK)
        for number, label in enumerate(book.labels)
    )

    decision = one(replace(book, labels=labels), intent("10"))

    assert (decision.verdict, decision.volume) == (Verdict.REDUCE, Decimal(2))
    assert check_of(decision, "MAX_DAILY_LOSS").value == pytest.approx(2000.0)


def test_what_is_in_flight_counts_as_filled() -> None:
    book = book_of([DAILY_LOSS])

    assert one(book, intent("2"), flying(2.9)).verdict is Verdict.ALLOW
    assert one(book, intent("2"), flying(3.0)).verdict is Verdict.BLOCK
    assert one(book, intent("2"), flying(0.1, loss_per_lot=None)).verdict is Verdict.BLOCK
    elsewhere = book_of([DAILY_LOSS], account=[account_row(), account_row()])
    assert one(elsewhere, intent("2"), flying(9.0, row=1)).verdict is Verdict.ALLOW


def test_several_orders_of_one_account_see_each_other() -> None:
    book = book_of([DAILY_LOSS], Action.REDUCE_SIZE)

    decisions = decide(book, [intent("3"), intent("3"), intent("1")], ())

    assert [decision.volume for decision in decisions] == [
        Decimal(3), Decimal("1.99"), Decimal(0),
    ]  # fmt: skip
    assert [decision.verdict for decision in decisions] == [
        Verdict.ALLOW, Verdict.REDUCE, Verdict.BLOCK,
    ]  # fmt: skip


@given(
    lots=st.integers(1, 2000),
    held=st.integers(0, 500),
    limit=st.integers(1, 1500),
    selling=st.booleans(),
)
def test_what_is_allowed_never_breaks_the_rule_and_one_step_more_does(
    lots: int, held: int, limit: int, selling: bool
) -> None:
    size = rule(RuleType.MAX_POSITION_SIZE, str(Decimal(limit) / 100))
    positions = [position(held / 100, selling=selling)] if held else []
    book = book_of([size], Action.REDUCE_SIZE, positions=positions, state={"acknowledged": True})

    decision = one(book, intent(str(Decimal(lots) / 100)))

    room = max(limit - (0 if selling else held), 0)
    assert decision.volume == Decimal(min(lots, room)) / 100
