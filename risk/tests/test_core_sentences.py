"""What people read."""

from collections.abc import Sequence
from datetime import time

import pytest

from risk.core.figures import (
    Currency,
    amount_text,
    fraction_text,
    left_percent_text,
    left_text,
    used_percent_text,
    used_text,
)
from risk.core.pair_numbers import known, pair_numbers
from risk.core.pairs import Clock
from risk.core.parameters import RuleParameters
from risk.core.rule_sentences import rule_sentence
from risk.core.rule_types import Action, RuleType
from risk.core.sentences import breach_sentence, risk_sentence, unit_of, unknown_sentence
from risk.core.statuses import Reason
from risk.tests.core_cases import SYMBOLS, Row, batch, evaluated, pairs_of, rule, state_of

DAILY, DRAWDOWN, MARGIN = RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN, RuleType.MARGIN_LEVEL
SIZE, COUNT, LEVERAGE = RuleType.MAX_POSITION_SIZE, RuleType.POSITION_LIMIT, RuleType.MAX_LEVERAGE
USD, YEN = Currency("USD"), Currency("JPY", 0)
PRAGUE = Clock(time(0, 0), "Europe/Prague")
HELD = [{"symbol": 0, "type": 1, "volume": 4.5, "notional": 450_000.0}]


def say(
    parameters: RuleParameters,
    account: Row,
    *,
    positions: Sequence[Row] = (),
    currency: Currency = USD,
    breach: bool = False,
    **state: float,
) -> str:
    table = pairs_of([parameters])
    pair_state = state_of(table, **{"day_balance": 100_000.0, "day_equity": 100_000.0} | state)
    result = evaluated(table, pair_state, batch([account], positions))
    numbers = pair_numbers(result, pair_state, 0, SYMBOLS)
    sentence = breach_sentence if breach else risk_sentence
    return sentence("Alpha 3", parameters, numbers, currency)


DAILY_LOSS = rule(DAILY, "0.05", reference="higher_of_balance_and_equity")


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (4_787.6, "212.40 USD of 5,000.00 left today (4 %)"),
        (0.0, "5,000.00 USD of 5,000.00 left today (100 %)"),
        (0.01, "4,999.99 USD of 5,000.00 left today (99 %)"),
        (4_980.0, "20.00 USD of 5,000.00 left today (under 1 %)"),
        (5_000.0, "0.00 USD of 5,000.00 left today (0 %)"),
        (5_150.0, "5,150.00 USD of 5,000.00 lost today, 150.00 USD beyond the limit"),
    ],
)
def test_it_says_how_much_may_still_be_lost_today(loss: float, words: str) -> None:
    assert say(DAILY_LOSS, {"balance": 100_000.0 - loss}) == f"Alpha 3: {words}"


@pytest.mark.parametrize(
    ("parameters", "account", "words"),
    [
        (
            rule(DRAWDOWN, "0.10"),
            {"balance": 91_000.0},
            "1,000.00 USD of 10,000.00 left before the maximum loss (10 %)",
        ),
        (
            rule(MARGIN, "150"),
            {"equity": 1_999.96, "margin": 1_000.0, "margin_level": 199.996},
            "margin level 199.9 %, the limit is 150 %",
        ),
        (
            rule(MARGIN, "150"),
            {"equity": 500.0, "margin": 1_000.0, "margin_level": 50.0},
            "margin level 50.0 %, below the limit of 150 %",
        ),
        (rule(MARGIN, "150"), {"balance": 1.0}, "no margin in use"),
        (rule(SIZE, "5"), {}, "4.50 of 5.00 lots EURUSD sell open (10 % left)"),
        (rule(SIZE, "4"), {}, "4.50 of 4.00 lots EURUSD sell open, 0.50 beyond the limit"),
        (rule(COUNT, "10"), {}, "1 of 10 positions open (90 % left)"),
        (
            rule(LEVERAGE, "10"),
            {"balance": 50_000.0},
            "leverage 9.00 of 10.00 allowed (10 % left)",
        ),
    ],
)
def test_it_says_every_rule_in_its_unit(
    parameters: RuleParameters, account: Row, words: str
) -> None:
    assert say(parameters, account, positions=HELD) == f"Alpha 3: {words}"


def test_it_says_what_is_not_known_and_why() -> None:
    text = say(DAILY_LOSS, {"balance": 1.0}, day_equity=float("nan"), day_started_at=1.0)
    assert text.startswith("Alpha 3: not known, the reset passed unseen")
    for reason in Reason:
        assert unknown_sentence(reason).endswith(".")


def test_it_says_that_a_violation_stays() -> None:
    account = {"balance": 99_000.0}
    assert say(DAILY_LOSS, account, latched=1.0).endswith("(80 %); violated before")
    acknowledged = say(DAILY_LOSS, account, latched=1.0, acknowledged=1.0)
    assert acknowledged.endswith("(80 %); violated, acknowledged")
    assert say(DAILY_LOSS, account, day_reconstructed=1.0).endswith("; day start estimated")


@pytest.mark.parametrize(
    ("parameters", "account", "words"),
    [
        (
            DAILY_LOSS,
            {"balance": 94_987.7},
            "daily loss limit: 5,012.30 USD lost today, the limit is 5,000.00 USD "
            "(equity 94,987.70, floor 95,000.00).",
        ),
        (
            rule(SIZE, "4"),
            {},
            "position size limit: 4.50 lots EURUSD sell, the limit is 4.00 lots.",
        ),
        (
            rule(MARGIN, "150"),
            {"equity": 500.0, "margin": 1_000.0, "margin_level": 50.0},
            "margin level limit: margin level 50.0 %, the limit is 150 %.",
        ),
    ],
)
def test_it_names_rule_value_limit_and_unit_in_a_breach(
    parameters: RuleParameters, account: Row, words: str
) -> None:
    text = say(parameters, account, positions=HELD, breach=True)
    assert text == f"Alpha 3 broke its {words}"


def test_it_writes_the_digits_of_the_currency() -> None:
    text = say(DAILY_LOSS, {"balance": 99_000.5}, currency=YEN)
    assert text == "Alpha 3: 4,000 JPY of 5,000 left today (80 %)"


@pytest.mark.parametrize(
    ("parameters", "action", "words"),
    [
        (
            DAILY_LOSS,
            Action.ALERT,
            "Alert when today's loss reaches 5 % of the initial balance, counted from the "
            "higher of balance and equity at 00:00 Europe/Prague",
        ),
        (
            rule(DAILY, "0.045", amount_kind="fraction_of_reference", comparison="below"),
            Action.BLOCK,
            "Block new orders when today's loss exceeds 4.5 % of the balance "
            "at 00:00 Europe/Prague",
        ),
        (
            rule(DAILY, "1500", amount_kind="money", reset_time="17:00"),
            Action.CLOSE_ALL,
            "Close everything and lock the account when today's loss reaches 1,500.00 USD, "
            "counted from the balance at 17:00 Europe/Prague",
        ),
        (
            rule(DRAWDOWN, "0.10"),
            Action.ALERT,
            "Alert when the loss reaches 10 % of the initial balance",
        ),
        (
            rule(DRAWDOWN, "0.06", kind="trailing_closed_balance", lock="at_initial"),
            Action.ALERT,
            "Alert when the loss reaches 6 % of the initial balance, counted from the highest "
            "closed balance; the floor stops rising at the initial balance",
        ),
        (
            rule(
                DRAWDOWN,
                "2000",
                amount_kind="money",
                kind="trailing_end_of_day",
                lock="at_offset",
                lock_offset=100,
            ),
            Action.ALERT,
            "Alert when the loss reaches 2,000.00 USD, counted from the highest balance at 00:00 "
            "Europe/Prague; the floor stops rising 100.00 USD above the initial balance",
        ),
        (rule(MARGIN, "150"), Action.ALERT, "Alert when the margin level falls to 150 %"),
        (
            rule(SIZE, "5", symbols=["EURUSD", "GBPUSD"]),
            Action.REDUCE_SIZE,
            "Reduce the size when more than 5.00 lots of EURUSD or GBPUSD are held in one "
            "direction, pending orders included",
        ),
        (
            rule(COUNT, "10"),
            Action.CLOSE_POSITION,
            "Close the offending positions when more than 10 positions are open",
        ),
        (rule(LEVERAGE, "30"), Action.ALERT, "Alert when the leverage exceeds 30"),
    ],
)
def test_it_says_a_rule_in_one_sentence(
    parameters: RuleParameters, action: Action, words: str
) -> None:
    assert rule_sentence(parameters, action, USD, PRAGUE) == words


def test_it_says_a_rule_without_knowing_the_accounts() -> None:
    text = rule_sentence(rule(DAILY, "50", amount_kind="money"), Action.ALERT, None, None)
    assert text.endswith(
        "reaches 50.00 in account currency, counted from the balance "
        "at the start of the account's trading day"
    )


def test_it_rounds_towards_the_cautious_side() -> None:
    assert left_text(95_212.4 - 95_000, 2) == "212.40"  # 212.39999999999418 as a double
    assert (left_text(0.999, 2), used_text(0.001, 2)) == ("0.99", "0.01")
    assert (left_text(-0.001, 2), amount_text(-0.0001, 2)) == ("-0.01", "0.00")
    assert [left_percent_text(buffer) for buffer in (1.0, 0.9999, 0.0424, 0.004, 0.0, -0.031)] == [
        "100 %",
        "99 %",
        "4 %",
        "under 1 %",
        "0 %",
        "-4 %",
    ]
    assert [used_percent_text(used) for used in (0.0, 0.001, 0.961, 0.996, 1.0, 1.001)] == [
        "0 %",
        "1 %",
        "97 %",
        "99 %",
        "100 %",
        "101 %",
    ]
    assert fraction_text(rule(DAILY, "0.055").limit) == "5.5 %"


def test_it_has_a_unit_for_every_rule() -> None:
    assert [unit_of(rule_type, "EUR") for rule_type in RuleType] == [
        "EUR",
        "EUR",
        "%",
        "lots",
        "positions",
        "x",
        "x",
        "coefficient",
        "EUR",
        "minutes",
        "trades",
        "minutes",
        "symbols",
        "days",
        "EUR",
        "days",
        "share",
    ]
    assert known(float("nan")) is None
    assert known(float("inf")) is None
    assert known(0.0) == 0.0
