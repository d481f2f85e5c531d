"""What people read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from risk.core.figures import (
    Currency,
)
from risk.core.pair_numbers import known, pair_numbers
from risk.core.parameters import RuleParameters
from risk.core.rule_types import RuleType
from risk.core.sentences import breach_sentence, risk_sentence, unit_of, unknown_sentence
from risk.core.statuses import Reason
from risk.core.surroundings import Calendar, Correlations, Surroundings
from risk.tests.core_cases import (
    AROUND,
    NOON,
    SYMBOLS,
    Row,
    batch,
    evaluated,
    pairs_of,
    rule,
    state_of,
    terms,
)

DAILY, DRAWDOWN, MARGIN = RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN, RuleType.MARGIN_LEVEL
SIZE, COUNT, LEVERAGE = RuleType.MAX_POSITION_SIZE, RuleType.POSITION_LIMIT, RuleType.MAX_LEVERAGE
USD, YEN = Currency("USD"), Currency("JPY", 0)
EXPOSURE, CORRELATION = RuleType.MAX_EXPOSURE, RuleType.MAX_CORRELATION
RISK, STOP, WINDOW = RuleType.RISK_PER_TRADE, RuleType.STOP_LOSS_REQUIRED, RuleType.TRADING_WINDOW
OPPOSITES, TRADES, IDLE = (
    RuleType.NO_CROSS_HEDGING,
    RuleType.MAX_DAILY_TRADES,
    RuleType.INACTIVITY,
)
TARGET, DAYS = RuleType.PROFIT_TARGET, RuleType.MIN_TRADING_DAYS
EVEN = RuleType.CONSISTENCY
HELD = [{"symbol": 0, "type": 1, "volume": 4.5, "notional": 450_000.0}]


def say(
    parameters: RuleParameters,
    account: Row,
    *,
    positions: Sequence[Row] = (),
    currency: Currency = USD,
    breach: bool = False,
    around: Surroundings = AROUND,
    counted: Mapping[str, float] | None = None,
    **state: float,
) -> str:
    table = pairs_of([parameters])
    start = {"day_balance": 100_000.0, "day_equity": 100_000.0}
    pair_state = state_of(table, **(start | state | dict(counted or {})))
    result = evaluated(table, pair_state, batch([account], positions), surroundings=around)
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
        (rule(SIZE, "5"), {}, "4.5 of 5 lots EURUSD sell open (10 % left)"),
        (rule(SIZE, "4"), {}, "4.5 of 4 lots EURUSD sell open, 0.5 beyond the limit"),
        (rule(COUNT, "10"), {}, "1 of 10 positions open (90 % left)"),
        (
            rule(LEVERAGE, "10"),
            {"balance": 50_000.0},
            "leverage 9.00 of 10 times the equity (10 % left)",
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
            "position size limit: 4.5 lots EURUSD sell, the limit is 4 lots.",
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


OPEN = {
    "symbol": 0,
    "type": 0,
    "volume": 1.0,
    "notional": 110_000.0,
    "price_open": 1.105,
    "price_current": 1.1,
    "time_msc": round((NOON - 150 + 3 * 3_600) * 1_000),
}
STOPPED = {**OPEN, "sl": 1.1}
BOUGHT = {**OPEN, "symbol": 1, "notional": 50_000.0}
ALIKE = replace(
    AROUND,
    correlations={"Demo": Correlations(SYMBOLS, np.array([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1.0]]))},
    calendars={0: Calendar(NOON - 86_400, NOON + 86_400, ())},
)


def window(begin: str, end: str, limit: str = "60") -> RuleParameters:
    return rule(WINDOW, limit, kind="daily", from_time=begin, until_time=end, zone="UTC")


@pytest.mark.parametrize(
    ("parameters", "positions", "state", "breach"),
    [
        (
            rule(EXPOSURE, "2"),
            [STOPPED],
            "exposure 1.10 of 2 times the equity, most of it EURUSD buy (45 % left)",
            "exposure limit: exposure 1.10 times the equity, most of it EURUSD buy, "
            "the limit is 2 times.",
        ),
        (
            rule(EXPOSURE, "1.5", exposure_of="currency"),
            [STOPPED, BOUGHT],
            "currency exposure 1.60 of 1.5 times the equity, most of it EURUSD buy, "
            "0.10 beyond the limit",
            "exposure limit: exposure 1.60 times the equity, most of it EURUSD buy, "
            "the limit is 1.5 times.",
        ),
        (
            rule(CORRELATION, "0.8"),
            [STOPPED, BOUGHT],
            "correlation 0.90 of 0.8 allowed, with EURUSD buy, 0.10 beyond the limit",
            "correlation limit: correlation 0.90 with EURUSD buy, the limit is 0.8.",
        ),
        (
            rule(RISK, "0.01"),
            [STOPPED],
            "500.00 USD of 1,000.00 at risk in EURUSD buy (50 % left)",
            "risk per trade: 500.00 USD at risk in EURUSD buy, the limit is 1,000.00 USD.",
        ),
        (
            rule(RISK, "0.001"),
            [STOPPED],
            "500.00 USD of 100.00 at risk in EURUSD buy, 400.00 USD beyond the limit",
            "risk per trade: 500.00 USD at risk in EURUSD buy, the limit is 100.00 USD.",
        ),
        (
            rule(STOP, "5"),
            [OPEN],
            "EURUSD buy without a stop loss for 2.5 minutes of 5 minutes (50 % left)",
            "stop loss rule: EURUSD buy has had no stop loss for 2.5 minutes, "
            "the limit is 5 minutes.",
        ),
        (
            rule(STOP, "1"),
            [OPEN],
            "EURUSD buy without a stop loss for 2.5 minutes of 1 minute, "
            "90 seconds beyond the limit",
            "stop loss rule: EURUSD buy has had no stop loss for 2.5 minutes, "
            "the limit is 1 minute.",
        ),
        (
            rule(STOP, "5"),
            [STOPPED],
            "no position is without a stop loss",
            "stop loss rule: a position has had no stop loss for 0 seconds, "
            "the limit is 5 minutes.",
        ),
        (
            window("12:25", "13:00"),
            [OPEN],
            "nothing may be open in 25 minutes",
            "trading window: something is open 25 minutes before the time in which nothing may be.",
        ),
        (
            window("11:57", "13:00"),
            [OPEN],
            "something is open, 3 minutes into the time in which nothing may be",
            "trading window: something is open, 3 minutes into the time in which nothing may be.",
        ),
        (
            window("12:00", "13:00"),
            [OPEN],
            "something is open as the time begins in which nothing may be",
            "trading window: something is open as the time begins in which nothing may be.",
        ),
        (window("12:25", "13:00"), [], "nothing is open", None),
        (rule(WINDOW, "5", kind="news"), [OPEN], "no news ahead in the calendar", None),
        (rule(OPPOSITES, "1"), [OPEN], "nothing is held against another account", None),
        (rule(TRADES, "5"), [], "2 of 5 trades opened today (60 % left)", None),
        (
            rule(TRADES, "1"),
            [],
            "2 of 1 trade opened today, 1 beyond the limit",
            "limit of trades a day: 2 trades today, the limit is 1 trade.",
        ),
        (
            rule(IDLE, "4"),
            [],
            "2.5 of 4 days without a trade (37 % left)",
            "inactivity limit: no trade for 2.5 days, the limit is 4 days.",
        ),
        (rule(TARGET, "0.08"), [], "3,200.00 USD of 8,000.00 made", None),
        (rule(TARGET, "0.03"), [], "3,200.00 USD of 3,000.00 made, target reached", None),
        (rule(DAYS, "5"), [], "4 of 5 trading days", None),
        (rule(DAYS, "1"), [], "4 of 1 trading day, enough", None),
        (
            rule(EVEN, "0.5"),
            [],
            "the best day made 50 % of the profit, within the 50 % allowed",
            None,
        ),
        (
            rule(EVEN, "0.4"),
            [],
            "the best day made 50 % of the profit, more than the 40 % allowed",
            None,
        ),
    ],
)
def test_it_says_the_rules_on_trades_and_times(
    parameters: RuleParameters, positions: Sequence[Row], state: str, breach: str | None
) -> None:
    counts = {
        "day_started_at": NOON - 3_600,
        "day_trades": 2.0,
        "trading_days": 3.0,
        "total_profit": 3_200.0,
        "best_day": 1_600.0,
        "last_trade_at": NOON - 2.5 * 86_400,
    }
    account = {"balance": 100_000.0}
    said = say(parameters, account, positions=positions, around=ALIKE, counted=counts)
    assert said == f"Alpha 3: {state}"
    if breach is not None:
        said = say(
            parameters, account, positions=positions, around=ALIKE, breach=True, counted=counts
        )
        assert said == f"Alpha 3 broke its {breach}"


@pytest.mark.parametrize(
    ("symbols", "words"), [((0,), "EURUSD buy is held"), ((0, 1), "2 symbols")]
)
def test_it_says_what_is_held_against_another_account(symbols: Sequence[int], words: str) -> None:
    parameters = rule(OPPOSITES, "1")
    table = pairs_of([parameters], [terms(), terms()])
    state = state_of(table)
    held = [{"symbol": symbol, "type": 0, "volume": 1.0} for symbol in symbols]
    against = [{**row, "account": 1, "type": 1} for row in held]
    result = evaluated(table, state, batch([{}, {}], [*held, *against]))
    numbers = pair_numbers(result, state, 0, SYMBOLS)
    assert words in risk_sentence("Alpha 3", parameters, numbers, USD)
    assert breach_sentence("Alpha 3", parameters, numbers, USD) == (
        "Alpha 3 broke its rule against opposite positions: "
        "EURUSD buy is held against another account."
    )


@pytest.mark.parametrize(
    ("parameters", "account", "words"),
    [
        (DAILY_LOSS, {"balance": 95_150.0}, "used 97 % of its daily loss limit: 4,850.00 USD lost"),
        (
            rule(MARGIN, "150"),
            {"equity": 1_550.0, "margin": 1_000.0, "margin_level": 155.0},
            "came near its margin level limit: margin level 155.0 %, the limit is 150 %.",
        ),
    ],
)
def test_it_says_that_it_acts_before_the_limit(
    parameters: RuleParameters, account: Row, words: str
) -> None:
    table = pairs_of([parameters])
    state = state_of(table, day_balance=100_000.0, day_equity=100_000.0)
    result = evaluated(table, state, batch([account]))
    numbers = pair_numbers(result, state, 0, SYMBOLS)
    said = breach_sentence("Alpha 3", parameters, numbers, USD, is_early=True)
    assert said.startswith(f"Alpha 3 {words}")


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


def test_it_says_that_money_was_lost_and_none_made_yet() -> None:
    counts = {"day_started_at": NOON - 3_600, "total_profit": -4.301}
    said = say(rule(TARGET, "0.08"), {"balance": 100_000.0}, around=ALIKE, counted=counts)
    assert said == "Alpha 3: 4.31 USD lost so far, the target is 8,000.00 made"
