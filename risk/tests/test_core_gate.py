"""The gate, rule by rule: what an order does to each as if it were filled."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from risk.core.gate.book import Book
from risk.core.gate.verdicts import Verdict
from risk.core.rule_types import Action, Importance, RuleType
from risk.core.statuses import Status
from risk.core.surroundings import Calendar, CalendarEvent, Correlations, Surroundings
from risk.tests.core_cases import NOON, rule
from risk.tests.gate_cases import (
    EURUSD,
    account_row,
    book_of,
    check_of,
    flying,
    intent,
    one,
    position,
)

# One lot of EURUSD with a stop 100 pips away loses 1,000 USD.
DAILY_LOSS = rule(RuleType.MAX_DAILY_LOSS, "0.05")


def test_an_order_that_breaks_nothing_passes_with_a_row_for_each_check() -> None:
    decision = one(book_of([DAILY_LOSS]), intent())

    assert (decision.verdict, decision.volume) == (Verdict.ALLOW, Decimal(1))
    assert {check.verdict for check in decision.checks} == {Verdict.ALLOW}
    assert len(decision.checks) == 12
    assert all(check.sentence.endswith(".") for check in decision.checks)


@pytest.mark.parametrize(
    ("lots", "verdict"),
    [("4.99", Verdict.ALLOW), ("5", Verdict.BLOCK), ("5.01", Verdict.BLOCK)],
)
def test_a_loss_rule_counts_the_loss_at_the_stop(lots: str, verdict: Verdict) -> None:
    decision = one(book_of([DAILY_LOSS]), intent(lots))

    assert decision.verdict is verdict
    check = check_of(decision, "MAX_DAILY_LOSS")
    assert check.value == pytest.approx(float(lots) * 1000)
    assert (check.limit, check.unit) == (5000.0, "USD")
    assert check.allowed_volume == pytest.approx(5.0)


def test_a_loss_rule_that_allows_its_limit_lets_exactly_it_pass() -> None:
    book = book_of([rule(RuleType.MAX_DAILY_LOSS, "0.05", comparison="below")])

    assert one(book, intent("5")).verdict is Verdict.ALLOW
    assert one(book, intent("5.01")).verdict is Verdict.BLOCK


def test_commission_for_both_ways_is_part_of_the_loss() -> None:
    book = book_of([DAILY_LOSS], Action.REDUCE_SIZE)

    decision = one(book, intent("10", commission_per_lot=3.5))

    assert decision.verdict is Verdict.REDUCE
    assert decision.volume == Decimal("4.96")  # 5,000 / 1,007 = 4.965
    assert one(book, intent("1", commission_per_lot=None)).verdict is Verdict.ALLOW
    told = check_of(one(book, intent("1", commission_per_lot=None)), "MAX_DAILY_LOSS")
    assert "commission is not known" in told.sentence


def test_an_order_without_a_stop_is_refused_where_a_loss_rule_acts() -> None:
    decision = one(book_of([DAILY_LOSS]), intent(stop_loss=None))

    assert (decision.verdict, decision.volume) == (Verdict.BLOCK, Decimal(0))
    assert "needs one" in decision.sentence
    assert one(book_of([DAILY_LOSS], Action.ALERT), intent(stop_loss=None)).is_allowed


@pytest.mark.parametrize(
    ("action", "verdict", "volume"),
    [
        (Action.ALERT, Verdict.WARN, "10"),
        (Action.BLOCK, Verdict.BLOCK, "0"),
        (Action.REDUCE_SIZE, Verdict.REDUCE, "4.99"),
        (Action.CLOSE_POSITION, Verdict.BLOCK, "0"),
        (Action.CLOSE_ALL, Verdict.BLOCK, "0"),
    ],
)
def test_the_action_of_the_rule_decides(action: Action, verdict: Verdict, volume: str) -> None:
    decision = one(book_of([DAILY_LOSS], action), intent("10"))

    assert (decision.verdict, decision.volume) == (verdict, Decimal(volume))


def test_a_block_names_the_largest_volume_that_would_pass() -> None:
    decision = one(book_of([rule(RuleType.MAX_POSITION_SIZE, "1.13")]), intent("2"))

    assert decision.sentence == (
        "Rule 0: 2 of 1.13 lots of EURUSD would be bought, pending orders included;"
        " 1.13 lots would pass."
    )


@pytest.mark.parametrize(
    ("lots", "verdict"),
    [("0.99", Verdict.ALLOW), ("1", Verdict.ALLOW), ("1.01", Verdict.BLOCK)],
)
def test_a_size_counts_what_is_held_and_waiting(lots: str, verdict: Verdict) -> None:
    book = book_of(
        [rule(RuleType.MAX_POSITION_SIZE, "2.5")],
        positions=[position(1.0), position(2.5, selling=True)],
        orders=[{"symbol": 0, "type": 2, "volume": 0.5}, {"symbol": 1, "type": 2, "volume": 2.0}],
    )

    assert one(book, intent(lots)).verdict is verdict


def test_a_size_rule_on_other_symbols_does_not_look() -> None:
    book = book_of([rule(RuleType.MAX_POSITION_SIZE, "0.5", symbols=["GBPUSD"])])

    decision = one(book, intent("3"))

    assert decision.verdict is Verdict.ALLOW
    assert "does not look at EURUSD" in check_of(decision, "MAX_POSITION_SIZE").sentence


def test_a_count_of_positions_adds_one_unless_netting_joins_them() -> None:
    limit = rule(RuleType.POSITION_LIMIT, "1")
    hedging = book_of([limit], positions=[position()])
    netting = book_of([limit], account=account_row(margin_mode=0), positions=[position()])

    assert one(hedging, intent()).verdict is Verdict.BLOCK
    assert one(netting, intent()).verdict is Verdict.ALLOW
    assert one(book_of([limit]), intent()).verdict is Verdict.ALLOW


def test_leverage_is_net_unless_the_rule_says_gross() -> None:
    held = [position(1.0, selling=True)]
    net = book_of([rule(RuleType.MAX_LEVERAGE, "2")], positions=held)
    gross = book_of([rule(RuleType.MAX_LEVERAGE, "2", gross=True)], positions=held)

    # 110,000 sold and 110,020 per lot bought against 200,000 allowed.
    assert one(net, intent("2.8")).verdict is Verdict.ALLOW
    assert one(net, intent("2.82")).verdict is Verdict.BLOCK
    assert one(gross, intent("0.81")).verdict is Verdict.ALLOW
    assert one(gross, intent("0.82")).verdict is Verdict.BLOCK


def test_what_makes_an_excess_smaller_passes() -> None:
    over = [position(9.0)]
    limit = [rule(RuleType.MAX_LEVERAGE, "2")]
    # Acknowledged, so that only the numbers decide.
    state = {"acknowledged": True}
    book = book_of(limit, positions=over, state=state)

    assert one(book, intent("1", selling=True)).verdict is Verdict.ALLOW
    assert one(book, intent("0.01")).verdict is Verdict.BLOCK


def test_exposure_by_symbol_leaves_other_symbols_out() -> None:
    held = [position(1.0, symbol=1, notional=130_000.0)]
    book = book_of([rule(RuleType.MAX_EXPOSURE, "1.5")], positions=held)

    # 150,000 at 110,020 per lot; the 130,000 in GBPUSD stand aside.
    assert one(book, intent("1.36")).verdict is Verdict.ALLOW
    assert one(book, intent("1.37")).verdict is Verdict.BLOCK


def test_exposure_by_currency_takes_the_currency_with_less_room() -> None:
    held = [position(1.0, symbol=1, notional=130_000.0)]  # long GBP, short USD
    limit = [rule(RuleType.MAX_EXPOSURE, "2", exposure_of="currency")]
    book = book_of(limit, positions=held)

    # USD: -130,000 already, so 70,000 more; EUR alone would have room for 200,000.
    assert one(book, intent("0.63")).verdict is Verdict.ALLOW
    assert one(book, intent("0.64")).verdict is Verdict.BLOCK
    unknown = replace(book, surroundings=Surroundings(moment=NOON))
    assert one(unknown, intent("0.01")).verdict is Verdict.BLOCK


def test_correlation_counts_the_order_with_what_is_held() -> None:
    matrix = np.array([[1.0, 0.8], [0.8, 1.0]])
    around = Surroundings(
        moment=NOON, correlations={"Demo": Correlations(("EURUSD", "GBPUSD"), matrix)}
    )
    held = [position(1.0, symbol=1)]
    book = book_of(
        [rule(RuleType.MAX_CORRELATION, "0.7")], positions=held, surroundings=around,
        servers=("Demo",),
    )  # fmt: skip

    refused = one(book, intent())

    assert refused.verdict is Verdict.BLOCK
    assert check_of(refused, "MAX_CORRELATION").value == pytest.approx(0.8)
    assert one(book, intent(selling=True)).verdict is Verdict.ALLOW
    without = replace(book, surroundings=Surroundings(moment=NOON))
    assert one(without, intent()).verdict is Verdict.BLOCK


@pytest.mark.parametrize(
    ("lots", "verdict"),
    [("0.9", Verdict.ALLOW), ("0.91", Verdict.BLOCK)],
)
def test_the_margin_level_counts_the_margin_of_the_order(lots: str, verdict: Verdict) -> None:
    account = account_row(balance=10_000.0, margin_free=10_000.0)
    book = book_of([rule(RuleType.MARGIN_LEVEL, "1000")], account=account)

    decision = one(book, intent(lots))  # 1,100.20 of margin per lot; 1,000 are allowed

    assert decision.verdict is verdict
    # The spread of 20 a lot is lost as soon as it is filled.
    assert check_of(decision, "MARGIN_LEVEL").value == pytest.approx(
        (10_000 - 20 * float(lots)) / (1100.2 * float(lots)) * 100
    )


def test_of_several_rules_that_block_it_names_the_one_that_allows_the_least() -> None:
    strict = rule(RuleType.RISK_PER_TRADE, "0.01")  # 1,000 USD

    refused = one(book_of([DAILY_LOSS, strict]), intent("10"))

    assert check_of(refused, "MAX_DAILY_LOSS").verdict is Verdict.BLOCK
    assert refused.sentence == check_of(refused, "RISK_PER_TRADE").sentence
    allowed = check_of(refused, "RISK_PER_TRADE").allowed_volume
    assert one(book_of([DAILY_LOSS, strict]), intent("1")).is_allowed
    assert allowed == pytest.approx(1.0, abs=0.001)


def test_free_margin_is_needed_whatever_the_rules_say() -> None:
    book = book_of([], account=account_row(margin_free=1100.2))

    assert one(book, intent("1")).verdict is Verdict.ALLOW
    refused = one(book, intent("1.01"))
    assert refused.verdict is Verdict.BLOCK
    assert "; 1 lot would pass" in refused.sentence


def test_covered_lots_of_a_hedged_account_take_less_margin() -> None:
    account = account_row(margin_free=0.0)
    half = replace(EURUSD, margin_hedged=50_000.0)
    book = book_of([], account=account, positions=[position(2.0, selling=True)])

    # Two covered lots set two halves free, which pay for one more.
    assert one(book, intent("3", terms=half)).verdict is Verdict.ALLOW
    assert one(book, intent("3.01", terms=half)).verdict is Verdict.BLOCK


def test_risk_per_trade_adds_up_the_symbol() -> None:
    held = [position(1.0, sl=1.095)]  # 500 at risk
    book = book_of([rule(RuleType.RISK_PER_TRADE, "0.01")], positions=held)

    assert one(book, intent("0.5")).verdict is Verdict.ALLOW
    assert one(book, intent("0.51")).verdict is Verdict.BLOCK
    assert one(book, intent("9", stop_loss=None)).verdict is Verdict.ALLOW


def test_a_stop_is_required_of_orders() -> None:
    book = book_of([rule(RuleType.STOP_LOSS_REQUIRED, "5")])

    assert one(book, intent()).verdict is Verdict.ALLOW
    assert one(book, intent(stop_loss=None)).verdict is Verdict.BLOCK


def test_trades_of_the_day_are_counted_with_those_in_flight() -> None:
    book = book_of([rule(RuleType.MAX_DAILY_TRADES, "3")])
    standing = book.standing
    one_done = replace(book, standing=replace(standing, value=np.array([1.0])))
    unknown = replace(standing, value=np.array([np.nan]), status=np.array([Status.UNKNOWN]))

    assert one(one_done, intent(), flying()).verdict is Verdict.ALLOW
    assert one(one_done, intent(), flying(), flying()).verdict is Verdict.BLOCK
    assert one(replace(book, standing=unknown), intent()).verdict is Verdict.BLOCK


def test_nothing_opens_in_a_window() -> None:
    def book_at(from_time: str, until_time: str) -> Book:
        window = rule(
            RuleType.TRADING_WINDOW, "15", kind="daily", from_time=from_time,
            until_time=until_time, zone="UTC",
        )  # fmt: skip
        return book_of([window])

    assert one(book_at("12:00", "13:00"), intent()).verdict is Verdict.BLOCK
    assert one(book_at("12:01", "13:00"), intent()).verdict is Verdict.ALLOW
    assert one(book_at("11:00", "12:00"), intent()).verdict is Verdict.ALLOW


def test_news_concern_the_currencies_of_the_order() -> None:
    def around(currency: str) -> Surroundings:
        events = (CalendarEvent(NOON + 60, currency, Importance.HIGH),)
        calendar = Calendar(NOON - 9000, NOON + 9000, events)
        return Surroundings(moment=NOON, users=np.array([1]), calendars={1: calendar})

    window = [rule(RuleType.TRADING_WINDOW, "2", kind="news")]
    assert one(book_of(window, surroundings=around("USD")), intent()).verdict is Verdict.BLOCK
    assert one(book_of(window, surroundings=around("JPY")), intent()).verdict is Verdict.ALLOW
    assert one(book_of(window), intent()).verdict is Verdict.BLOCK  # no calendar: unknown


def test_no_account_opens_against_another() -> None:
    accounts = [account_row(), account_row()]
    held = [position(1.0, account=1, selling=True)]
    book = book_of([rule(RuleType.NO_CROSS_HEDGING, "1")], account=accounts, positions=held)

    assert one(book, intent()).verdict is Verdict.BLOCK
    assert one(book, intent(selling=True)).verdict is Verdict.ALLOW
    assert one(book, intent(row=1)).verdict is Verdict.ALLOW  # against itself is no matter


def test_a_violated_rule_that_blocks_refuses_every_open() -> None:
    limit = [rule(RuleType.MAX_POSITION_SIZE, "5", symbols=["GBPUSD"])]
    held = [position(6.0, symbol=1)]

    assert one(book_of(limit, positions=held), intent("0.01")).verdict is Verdict.BLOCK
    alert = book_of(limit, Action.ALERT, positions=held)
    assert one(alert, intent("0.01")).verdict is Verdict.ALLOW
    seen = book_of(limit, positions=held, state={"acknowledged": True})
    assert one(seen, intent("0.01")).verdict is Verdict.ALLOW


def test_a_latch_holds_when_the_numbers_are_fine_again() -> None:
    book = book_of([DAILY_LOSS], state={"latched": True})

    decision = one(book, intent("0.01"))

    assert decision.verdict is Verdict.BLOCK
    assert "nothing may be opened" in decision.sentence


def test_an_unknown_rule_blocks_unless_it_only_alerts() -> None:
    state = {"day_balance": np.nan}

    assert one(book_of([DAILY_LOSS], state=state), intent()).verdict is Verdict.BLOCK
    alert = one(book_of([DAILY_LOSS], Action.ALERT, state=state), intent())
    assert (alert.verdict, alert.volume) == (Verdict.WARN, Decimal(1))
    assert "it only warns" in next(c.sentence for c in alert.checks if c.verdict is Verdict.WARN)


def test_a_rule_on_a_strategy_and_an_objective_are_not_asked() -> None:
    strategy = rule(RuleType.MAX_POSITION_SIZE, "0.01", magic=7)
    objective = rule(RuleType.PROFIT_TARGET, "0.1")

    decision = one(book_of([strategy, objective]), intent("5"))

    assert decision.verdict is Verdict.ALLOW
    assert "one strategy" in check_of(decision, "MAX_POSITION_SIZE").sentence
    assert "PROFIT_TARGET" not in {check.name for check in decision.checks}
