"""Stops that are moved or removed: tighter ones always pass, looser ones must fit the rules."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.core.gate.book import Book
from risk.core.gate.changes import StopChange, decide_stop
from risk.core.gate.verdicts import Verdict
from risk.core.parameters import RuleParameters
from risk.core.rule_types import Action, RuleType
from risk.tests.core_cases import rule
from risk.tests.gate_cases import EURUSD, account_row, book_of, flying, position

DAILY_LOSS = rule(RuleType.MAX_DAILY_LOSS, "0.05")  # 5,000 of 100,000
LENIENT = rule(RuleType.MAX_DAILY_LOSS, "0.05", comparison="below")  # the limit is allowed
DRAWDOWN = rule(RuleType.MAX_DRAWDOWN, "0.10", comparison="below")
RISK = rule(RuleType.RISK_PER_TRADE, "0.02")
REQUIRED = rule(RuleType.STOP_LOSS_REQUIRED, "5")
SIZE = rule(RuleType.MAX_POSITION_SIZE, "0.5")


def change(stop: float, former: float = 1.09, **fields: Any) -> StopChange:
    """Return another stop for a long position of 1 lot at 1.1, which loses 10 per pip."""
    defaults: dict[str, Any] = {
        "order_id": uuid.uuid4(), "row": 0, "ticket": 1, "symbol": "EURUSD", "magic": 0,
        "is_buy": True, "lots": 1.0, "entry_price": 1.1, "present_price": 1.1,
        "former_stop": former, "stop_loss": stop, "terms": EURUSD, "costs_per_lot": 0.0,
    }  # fmt: skip
    return StopChange(**{**defaults, **fields})


def told(book: Book, wanted: StopChange, *aloft: Any) -> tuple[Verdict, str]:
    decision = decide_stop(book, wanted, aloft)
    return decision.verdict, decision.sentence


def book(rules: RuleParameters, action: Action = Action.BLOCK, **given: Any) -> Book:
    return book_of([rules], action, **given)


@pytest.mark.parametrize(
    ("former", "stop", "is_buy", "loosens"),
    [
        (1.09, 1.0899, True, True),
        (1.09, 1.09, True, False),
        (1.09, 1.0901, True, False),
        (1.09, 0.0, True, True),
        (0.0, 1.01, True, False),
        (0.0, 0.0, True, False),
        (1.11, 1.1101, False, True),
        (1.11, 1.1099, False, False),
        (1.11, 0.0, False, True),
    ],
)
def test_a_stop_loosens_when_more_may_be_lost(
    former: float, stop: float, is_buy: bool, loosens: bool
) -> None:
    assert change(stop, former, is_buy=is_buy).loosens is loosens


@given(
    former=st.floats(1.0, 1.0999),
    closer=st.floats(0, 0.05),
    known=st.booleans(),
    action=st.sampled_from(Action),
)
def test_a_tighter_stop_passes_whatever_the_rules_say(
    former: float, closer: float, known: bool, action: Action
) -> None:
    rows = book_of(
        [DAILY_LOSS, RISK, REQUIRED], action, state={"latched": True},
        account=account_row(equity=100_000.0 if known else float("nan")),
        lock_reasons={0: "Locked."},
    )  # fmt: skip
    assert told(rows, change(former + closer, former))[0] is Verdict.ALLOW


@pytest.mark.parametrize(
    ("stop", "verdict"),
    [(1.05001, Verdict.ALLOW), (1.05, Verdict.ALLOW), (1.04999, Verdict.BLOCK)],
)
def test_a_looser_stop_must_fit_into_what_is_left_of_a_loss(stop: float, verdict: Verdict) -> None:
    assert told(book(LENIENT), change(stop))[0] is verdict


def test_a_limit_that_must_not_be_reached_is_not() -> None:
    strict = rule(RuleType.MAX_DAILY_LOSS, "0.05", comparison="at_or_below")

    verdict, sentence = told(book(strict), change(1.05))

    assert verdict is Verdict.BLOCK
    assert sentence.endswith(
        "if the stop is hit, 5,000.00 of 5,000.00 USD are lost; a stop at 1.05001 would pass."
    )
    assert told(book(strict), change(1.05001))[0] is Verdict.ALLOW


def test_the_check_has_its_numbers() -> None:
    decision = decide_stop(book(DAILY_LOSS), change(1.0, costs_per_lot=3.5), ())

    (check,) = decision.checks
    assert (check.name, check.verdict, check.unit) == ("MAX_DAILY_LOSS", Verdict.BLOCK, "USD")
    assert check.value == pytest.approx(10_003.5)
    assert check.limit == pytest.approx(5000.0)
    assert "a stop at 1.05004 would pass" in check.sentence


def test_what_is_lost_counts_from_the_present_price_and_with_what_is_in_flight() -> None:
    # The floating profit of 2,000 is in the equity: it is lost on the way to the stop, too.
    risen = change(1.06, entry_price=1.1, present_price=1.12)
    assert told(book(DAILY_LOSS), risen)[0] is Verdict.BLOCK
    assert told(book(DAILY_LOSS), change(1.06))[0] is Verdict.ALLOW
    assert told(book(DAILY_LOSS), change(1.06), flying(1.1))[0] is Verdict.BLOCK
    assert told(book(DAILY_LOSS), change(1.06), flying(9.0, row=1))[0] is Verdict.ALLOW
    assert told(book(DAILY_LOSS), change(1.06), flying(loss_per_lot=None))[0] is Verdict.BLOCK


def test_a_short_position_is_measured_upwards() -> None:
    short = {"is_buy": False, "former": 1.11}
    assert told(book(DRAWDOWN), change(1.2, **short))[0] is Verdict.ALLOW
    verdict, sentence = told(book(DRAWDOWN), change(1.20001, **short))
    assert verdict is Verdict.BLOCK
    assert "a stop at 1.20000 would pass" in sentence


@pytest.mark.parametrize("action", list(Action))
def test_only_a_rule_that_alerts_lets_a_stop_be_removed(action: Action) -> None:
    expected = Verdict.WARN if action is Action.ALERT else Verdict.BLOCK
    for rules in (DAILY_LOSS, DRAWDOWN, REQUIRED):
        assert told(book(rules, action), change(0.0))[0] is expected


def test_without_such_a_rule_a_stop_may_be_removed() -> None:
    for rules in ([], [SIZE], [rule(RuleType.MAX_DAILY_LOSS, "0.05", magic=42)]):
        assert told(book_of(rules), change(0.0))[0] is Verdict.ALLOW
    assert told(book(REQUIRED), change(1.0))[0] is Verdict.ALLOW


def test_a_rule_on_a_strategy_looks_at_its_own_positions() -> None:
    of_strategy = book(rule(RuleType.STOP_LOSS_REQUIRED, "5", magic=42))
    assert told(of_strategy, change(0.0, magic=42))[0] is Verdict.BLOCK
    assert told(of_strategy, change(0.0, magic=43))[0] is Verdict.ALLOW


def test_the_risk_of_a_trade_counts_from_its_entry_with_the_others_of_its_symbol() -> None:
    held = [
        position(1.0, ticket=1, sl=1.09), position(0.5, ticket=2, sl=1.08),
    ]  # fmt: skip
    rows = book(RISK, positions=held)
    # The other position risks 1,000 of the 2,000.
    assert told(rows, change(1.09001))[0] is Verdict.ALLOW
    assert told(rows, change(1.09, former=1.095))[0] is Verdict.ALLOW
    verdict, sentence = told(rows, change(1.08999))
    assert verdict is Verdict.BLOCK
    assert "2,001.00 of 2,000.00 USD would be at risk at the stops of EURUSD" in sentence
    assert "a stop at 1.09000 would pass" in sentence
    assert told(rows, change(1.0, entry_price=0.9))[0] is Verdict.ALLOW  # it has won more
    other = book(rule(RuleType.RISK_PER_TRADE, "0.02", symbols=["GBPUSD"]), positions=held)
    assert told(other, change(1.0))[0] is Verdict.ALLOW


def test_it_fails_closed_where_a_rule_or_a_price_is_not_known() -> None:
    unread = book_of([DAILY_LOSS], account=account_row(equity=float("nan")))
    assert told(unread, change(1.0899)) == (
        Verdict.BLOCK, "Rule 0: what it would say is not known now, so no stop is loosened.",
    )  # fmt: skip
    assert told(book(DAILY_LOSS), change(1.0899, terms=None))[0] is Verdict.BLOCK


def test_a_violation_loosens_no_stop_until_it_is_acknowledged() -> None:
    latched = book(DAILY_LOSS, state={"latched": True})
    assert told(latched, change(1.0899)) == (
        Verdict.BLOCK, "Rule 0: it is violated, so no stop is loosened.",
    )  # fmt: skip
    seen = book(DAILY_LOSS, state={"latched": True, "acknowledged": True})
    assert told(seen, change(1.0899))[0] is Verdict.ALLOW


def test_a_locked_account_loosens_no_stop() -> None:
    locked = book_of([], lock_reasons={0: "Alice pressed close all."})
    assert told(locked, change(0.0)) == (
        Verdict.BLOCK,
        "The account is locked, so no stop is loosened: Alice pressed close all.",
    )
