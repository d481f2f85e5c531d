"""What a rule does, in one sentence."""

from datetime import time

import pytest

from risk.core.figures import Currency
from risk.core.pairs import Clock
from risk.core.parameters import RuleParameters
from risk.core.responses import Response
from risk.core.rule_sentences import rule_sentence
from risk.core.rule_types import Action, ClosingOrder, RuleType
from risk.tests.core_cases import rule

DAILY, DRAWDOWN, MARGIN = RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN, RuleType.MARGIN_LEVEL
SIZE, COUNT, LEVERAGE = RuleType.MAX_POSITION_SIZE, RuleType.POSITION_LIMIT, RuleType.MAX_LEVERAGE
EXPOSURE, CORRELATION = RuleType.MAX_EXPOSURE, RuleType.MAX_CORRELATION
RISK, STOP, WINDOW = RuleType.RISK_PER_TRADE, RuleType.STOP_LOSS_REQUIRED, RuleType.TRADING_WINDOW
OPPOSITES, TRADES, IDLE = (
    RuleType.NO_CROSS_HEDGING,
    RuleType.MAX_DAILY_TRADES,
    RuleType.INACTIVITY,
)
TARGET, DAYS = RuleType.PROFIT_TARGET, RuleType.MIN_TRADING_DAYS
EVEN = RuleType.CONSISTENCY
USD = Currency("USD")
PRAGUE = Clock(time(0, 0), "Europe/Prague")
DAILY_LOSS = rule(DAILY, "0.05", reference="higher_of_balance_and_equity")


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
            "Reduce the size when more than 5 lots of EURUSD or GBPUSD are held in one "
            "direction, pending orders included",
        ),
        (
            rule(COUNT, "10"),
            Action.CLOSE_POSITION,
            "Close the offending positions when more than 10 positions are open",
        ),
        (rule(LEVERAGE, "30"), Action.ALERT, "Alert when the leverage exceeds 30 times the equity"),
        (
            rule(EXPOSURE, "2", symbols=["EURUSD"]),
            Action.ALERT,
            "Alert when the value held in EURUSD, buys less sells, exceeds 2 times the equity",
        ),
        (
            rule(EXPOSURE, "2", exposure_of="currency"),
            Action.ALERT,
            "Alert when what is held in any one currency, buys less sells, "
            "exceeds 2 times the equity",
        ),
        (
            rule(CORRELATION, "0.8"),
            Action.ALERT,
            "Alert when two open symbols are correlated by more than 0.8, "
            "their directions counted in",
        ),
        (
            rule(RISK, "0.01", magic=77),
            Action.ALERT,
            "Alert when the positions in any one symbol would lose more than 1 % of the balance "
            "at their stops; only trades with the magic number 77 count",
        ),
        (
            rule(STOP, "1"),
            Action.CLOSE_POSITION,
            "Close the offending positions when a position has no stop loss 1 minute after it was "
            "opened",
        ),
        (
            rule(OPPOSITES, "1"),
            Action.BLOCK,
            "Block new orders when two accounts under this rule hold the same symbol "
            "in opposite directions",
        ),
        (
            rule(TRADES, "5"),
            Action.BLOCK,
            "Block new orders when more than 5 positions are opened in one day, "
            "counted from 00:00 Europe/Prague",
        ),
        (rule(IDLE, "30"), Action.ALERT, "Alert when nothing was traded for 30 days"),
        (
            rule(TARGET, "0.08"),
            Action.ALERT,
            "Show the progress, and tell when the closed profit reaches 8 % of the initial balance",
        ),
        (
            rule(TARGET, "500", amount_kind="money"),
            Action.ALERT,
            "Show the progress, and tell when the closed profit reaches 500.00 USD",
        ),
        (
            rule(DAYS, "4"),
            Action.ALERT,
            "Show the progress, and tell when positions were opened on 4 days",
        ),
        (
            rule(EVEN, "0.5"),
            Action.ALERT,
            "Tell when the best day makes more than 50 % of the whole profit",
        ),
        (
            rule(EVEN, "0.5", basis="positive_days"),
            Action.ALERT,
            "Tell when the best day makes more than 50 % of the profit of all winning days",
        ),
        (
            rule(WINDOW, "30", from_time="21:45", until_time="23:00"),
            Action.CLOSE_ALL,
            "Close everything and lock the account when a position or a pending order is open "
            "from Friday 21:45 until Sunday 23:00 by the broker's clock",
        ),
        (
            rule(
                WINDOW,
                "30",
                kind="daily",
                from_time="21:45",
                until_time="23:00",
                zone="Europe/Prague",
                include_pending=False,
            ),
            Action.ALERT,
            "Alert when a position is open between 21:45 and 23:00 Europe/Prague",
        ),
        (
            rule(WINDOW, "2", kind="news", currencies=["USD", "EUR"]),
            Action.ALERT,
            "Alert when a position or a pending order is open from 2 minutes before until "
            "2 minutes after news of high importance on USD or EUR",
        ),
        (
            rule(WINDOW, "2", kind="news", min_importance="low"),
            Action.ALERT,
            "Alert when a position or a pending order is open from 2 minutes before until "
            "2 minutes after news of any importance on its currencies",
        ),
    ],
)
def test_it_says_a_rule_in_one_sentence(
    parameters: RuleParameters, action: Action, words: str
) -> None:
    assert rule_sentence(parameters, action, USD, PRAGUE) == words


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (Response(action=Action.CLOSE_ALL), ""),
        (
            Response(action=Action.CLOSE_ALL, act_at_fraction=0.97, act_after_seconds=5),
            "; it acts at 97 % of that; it acts once that has lasted 5 seconds",
        ),
        (
            Response(
                action=Action.REDUCE_SIZE,
                closing_order=ClosingOrder.NEWEST_FIRST,
                losers_only=True,
                close_fraction=0.5,
            ),
            "; the newest position is closed first; only positions that are losing are closed; "
            "50 % of each position is closed",
        ),
        (
            Response(
                action=Action.BLOCK, closing_order=ClosingOrder.OLDEST_FIRST, losers_only=True
            ),
            "",
        ),
    ],
)
def test_it_says_how_a_rule_answers(response: Response, words: str) -> None:
    plain = rule_sentence(DAILY_LOSS, response.action, USD, PRAGUE)
    assert rule_sentence(DAILY_LOSS, response.action, USD, PRAGUE, response) == plain + words


@pytest.mark.parametrize(
    ("parameters", "condition"),
    [
        (rule(SIZE, "1"), "more than 1 lot of any one symbol is held in one direction"),
        (rule(SIZE, "700"), "more than 700 lots of any one symbol are held in one direction"),
        (rule(COUNT, "1"), "more than 1 position is open"),
        (rule(TRADES, "1"), "more than 1 position is opened in one day"),
        (rule(STOP, "0.1"), "a position has no stop loss 6 seconds after it was opened"),
        (
            rule(WINDOW, "0.5", kind="news"),
            "a position or a pending order is open from 30 seconds before until 30 seconds after",
        ),
        (
            rule(LEVERAGE, "5", gross=True),
            "the leverage exceeds 5 times the equity, buys and sells added up",
        ),
    ],
)
def test_it_says_numbers_as_people_do(parameters: RuleParameters, condition: str) -> None:
    text = rule_sentence(parameters, Action.ALERT, USD, PRAGUE)
    assert text.startswith(f"Alert when {condition}")


@pytest.mark.parametrize("kind", [DAILY, DRAWDOWN])
def test_it_says_where_a_withdrawal_counts_as_a_loss(kind: RuleType) -> None:
    words = "; money that is withdrawn counts as lost"
    firm, own = (rule(kind, "0.05", withdrawals_move_floor=moves) for moves in (False, True))
    assert rule_sentence(firm, Action.ALERT, USD, PRAGUE).endswith(words)
    assert words not in rule_sentence(own, Action.ALERT, USD, PRAGUE)
    # No money is ever withdrawn from a strategy.
    narrowed = rule(kind, "0.05", withdrawals_move_floor=False, magic=7)
    assert words not in rule_sentence(narrowed, Action.ALERT, USD, PRAGUE)


def test_it_says_a_rule_without_knowing_the_accounts() -> None:
    text = rule_sentence(rule(DAILY, "50", amount_kind="money"), Action.ALERT, None, None)
    assert text.endswith(
        "reaches 50.00 in account currency, counted from the balance "
        "at the start of the account's trading day"
    )
