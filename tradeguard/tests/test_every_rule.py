"""Every type of rule over the whole tick: restarts, transfers, missed resets, changes of clocks."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import make_user
from risk.core.rule_types import RuleType
from risk.core.statuses import Status
from risk.tests.factories import make_rule
from risk.tracker import Assessment
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)

WINDOW = {"kind": "daily", "from_time": "19:00", "until_time": "19:30", "zone": "UTC"}

# Limits that nothing comes near, and what is not the default; days begin at 00:00 New York + 7 h.
RULES: dict[RuleType, tuple[str, dict[str, Any]]] = {
    RuleType.MAX_DAILY_LOSS: ("0.05", {}),
    RuleType.MAX_DRAWDOWN: ("0.1", {"kind": "trailing_closed_balance"}),
    RuleType.MARGIN_LEVEL: ("100", {}),
    RuleType.MAX_POSITION_SIZE: ("5", {}),
    RuleType.POSITION_LIMIT: ("5", {}),
    RuleType.MAX_LEVERAGE: ("20", {}),
    RuleType.MAX_EXPOSURE: ("20", {}),
    RuleType.MAX_CORRELATION: ("0.8", {}),
    RuleType.RISK_PER_TRADE: ("0.05", {}),
    RuleType.STOP_LOSS_REQUIRED: ("1440", {}),
    RuleType.MAX_DAILY_TRADES: ("50", {}),
    RuleType.TRADING_WINDOW: ("60", WINDOW),
    RuleType.NO_CROSS_HEDGING: ("1", {}),
    RuleType.INACTIVITY: ("30", {}),
    RuleType.PROFIT_TARGET: ("0.1", {}),
    RuleType.MIN_TRADING_DAYS: ("5", {}),
    RuleType.CONSISTENCY: ("1", {}),
}
# What grows by itself while nothing is traded.
AGES = {RuleType.STOP_LOSS_REQUIRED, RuleType.INACTIVITY}

Numbers = dict[RuleType, tuple[str, float, float]]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        stage.is_acting = False
        stage.server.set_prices("GBPUSD", 1.30000, 1.30002)
        yield stage


@pytest.fixture
def alice() -> User:
    return make_user()


def watch(stage: Stage, user: User) -> ConnectedAccount:
    """Open an account under a rule of each type, and one that holds nothing."""
    account = stage.open(user, "Bold")
    stage.open(user, "Idle")
    for rule_type, (limit, parameters) in RULES.items():
        make_rule(
            user,
            rule_type.value,
            rule_type=rule_type,
            limit=Decimal(limit),
            parameters=parameters,
            action="ALERT",
        )
    stage.run(3)
    return account


def trade(stage: Stage, account: ConnectedAccount) -> Numbers:
    """Close one position with 298.00 in profit, and hold two, one of them without a stop."""
    ticket = stage.buy(account, 1.0)
    stage.run()
    stage.server.set_prices("EURUSD", 1.10300, 1.10302)
    send(stage, account, symbol="EURUSD", volume=1.0, type=1, price=1.10300, position=ticket)
    stage.run()
    stage.buy(account, 0.5)
    send(stage, account, symbol="GBPUSD", volume=0.4, type=0, price=1.30002, sl=1.29000)
    return numbers(stage.run(10))


def send(stage: Stage, account: ConnectedAccount, **request: Any) -> None:
    full = {"action": 1, "type_filling": 1, **request}
    result = stage.server.call("order_send", account.login, full)
    assert result[0] == 10009, result


def numbers(assessment: Assessment) -> Numbers:
    """Return status, used and limit of each type on the account that trades."""
    table, evaluation = assessment.desk.pairs, assessment.evaluation
    found = {}
    for pair in range(len(table)):
        rule = assessment.desk.rules[int(table.rule_index[pair])]
        account = assessment.desk.accounts[int(table.account_index[pair])]
        assert account is not None
        if rule.is_cutoff or account.name != "Bold":
            continue
        status = Status(int(evaluation.status[pair])).text
        found[rule.parameters.rule_type] = (
            status,
            round(float(evaluation.used[pair]), 6),
            round(float(evaluation.limit[pair]), 6),
        )
    return found


def differences(before: Numbers, after: Numbers) -> dict[RuleType, tuple[float, float]]:
    """Return used and limit of each type of which anything differs, ages apart."""
    assert before.keys() == after.keys() == RULES.keys()
    # What is not known is NaN, which is not even equal to itself.
    return {
        rule_type: after[rule_type][1:]
        for rule_type in RULES.keys() - AGES
        if str(before[rule_type]) != str(after[rule_type])
    }


def minutes(told: Numbers, rule_type: RuleType) -> float:
    used = told[rule_type][1]
    return used * 1440 if rule_type is RuleType.INACTIVITY else used


def test_it_begins_with_the_numbers_that_follow_from_the_trades(stage: Stage, alice: User) -> None:
    assert RULES.keys() == set(RuleType)
    told = trade(stage, watch(stage, alice))
    # 0.5 lots at 1.10301 in the mean and 0.4 at 1.30001, on an equity of 100,296.20.
    euro, pound, equity = 0.5 * 110_300, 0.4 * 130_000, 100_296.2
    expected = {
        RuleType.MAX_DAILY_LOSS: (0.0, 5_000.0),
        RuleType.MAX_DRAWDOWN: (1.8, 10_000.0),
        RuleType.MAX_POSITION_SIZE: (0.5, 5.0),
        RuleType.POSITION_LIMIT: (2.0, 5.0),
        RuleType.MAX_LEVERAGE: ((euro + pound) / equity, 20.0),
        RuleType.MAX_EXPOSURE: (euro / equity, 20.0),
        RuleType.RISK_PER_TRADE: (400.8, 5_014.9),
        RuleType.MAX_DAILY_TRADES: (3.0, 50.0),
        RuleType.TRADING_WINDOW: (0.0, 60.0),
        RuleType.NO_CROSS_HEDGING: (0.0, 1.0),
        RuleType.PROFIT_TARGET: (298.0, 10_000.0),
        RuleType.MIN_TRADING_DAYS: (1.0, 5.0),
        RuleType.CONSISTENCY: (1.0, 1.0),
    }
    for rule_type, known in expected.items():
        assert told[rule_type][0] == "safe", rule_type
        assert told[rule_type][1:] == pytest.approx(known, rel=1e-4), rule_type
    assert told[RuleType.MARGIN_LEVEL][1] > 5_000
    # The simulated broker has no 30 days of prices here.
    assert told[RuleType.MAX_CORRELATION][0] == "unknown"


def test_no_type_forgets_anything_over_a_killed_worker(stage: Stage, alice: User) -> None:
    before = trade(stage, watch(stage, alice))
    stage.kill_worker()
    stage.clock[0] += 3_600
    after = numbers(stage.run(5))
    assert differences(before, after) == {}
    for rule_type in AGES:
        grown = minutes(after, rule_type) - minutes(before, rule_type)
        assert grown == pytest.approx(60, abs=0.1)


@pytest.mark.parametrize("amount", [20_000.0, -20_000.0])
@pytest.mark.parametrize("is_watched", [True, False])
def test_a_transfer_changes_only_what_is_held_against_the_money(
    stage: Stage, alice: User, amount: float, is_watched: bool
) -> None:
    """No transfer is a loss, a profit, a trade or a new high; what is measured by equity moves."""
    account = watch(stage, alice)
    before = trade(stage, account)
    if not is_watched:
        stage.kill_worker()
    if amount > 0:
        stage.server.deposit(account.login, amount)
    else:
        stage.server.withdraw(account.login, -amount)
    after = numbers(stage.run(5))
    changed = differences(before, after)
    equity = 100_296.2
    scale = equity / (equity + amount)
    held = (RuleType.MAX_LEVERAGE, RuleType.MAX_EXPOSURE)
    for rule_type in held:
        used, limit = changed.pop(rule_type)
        assert used == pytest.approx(before[rule_type][1] * scale, rel=1e-4)
        assert limit == 20.0
    level, _ = changed.pop(RuleType.MARGIN_LEVEL)
    assert level == pytest.approx(before[RuleType.MARGIN_LEVEL][1] / scale, rel=1e-4)
    risk = changed.pop(RuleType.RISK_PER_TRADE)
    assert risk == pytest.approx((400.8, 0.05 * (100_298 + amount)))
    assert changed == {}


def test_each_type_knows_the_new_day_after_a_reset_that_nobody_saw(
    stage: Stage, alice: User
) -> None:
    before = trade(stage, watch(stage, alice))
    stage.kill_worker()
    stage.clock[0] = datetime(2026, 11, 19, 2, 0, tzinfo=UTC).timestamp()  # the reset was at 22:00
    changed = differences(before, numbers(stage.run(5)))
    # The balance at the reset is that of the deals; what floats counts against it.
    assert changed.pop(RuleType.MAX_DAILY_LOSS) == pytest.approx((1.8, 5_000.0))
    assert changed.pop(RuleType.MAX_DAILY_TRADES) == (0.0, 50.0)
    assert changed == {}


def test_each_type_follows_its_day_over_a_change_of_clocks(stage: Stage, alice: User) -> None:
    """New York's clocks went forward on Sunday, 14 March 2027: its day + 7 h ends at 21:00 UTC."""
    stage.clock[0] = datetime(2027, 3, 12, 12, 0, tzinfo=UTC).timestamp()
    account = watch(stage, alice)
    traded_at = datetime(2027, 3, 15, 19, 45, tzinfo=UTC).timestamp()
    reset = traded_at + 75 * 60
    stage.clock[0] = traded_at
    before = trade(stage, account)
    stage.clock[0] = reset - 1.0
    last = numbers(stage.run(3))
    assert differences(before, last) == {}
    stage.clock[0] = reset
    first = numbers(stage.run(3))
    changed = differences(last, first)
    assert changed.pop(RuleType.MAX_DAILY_LOSS) == pytest.approx((1.8, 5_000.0))
    assert changed.pop(RuleType.MAX_DAILY_TRADES) == (0.0, 50.0)
    assert changed == {}
    stage.clock[0] = reset + 3_600.0
    second = numbers(stage.run(3))
    assert differences(first, second) == {}
    for rule_type in AGES:
        assert minutes(second, rule_type) == pytest.approx(135, abs=0.2)
