"""Objectives that are reached: told once, over restarts too, and never acted on."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from unittest.mock import patch

import pytest
from django.db import OperationalError

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import make_user
from notifications.models import Notification, NotificationType
from risk.models import Enforcement, RiskRule, RuleBreach
from risk.tests.factories import make_rule
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)

TARGET, DAYS, BEST_DAY = (
    RiskRule.Type.PROFIT_TARGET,
    RiskRule.Type.MIN_TRADING_DAYS,
    RiskRule.Type.CONSISTENCY,
)
MONEY = {"amount_kind": "money"}


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def alice() -> User:
    return make_user()


def earn(stage: Stage, account: ConnectedAccount, price: float) -> None:
    """Buy one lot at 1.10002 and sell it at a price; 0.00001 is one dollar."""
    stage.server.set_prices("EURUSD", 1.10000, 1.10002)
    ticket = stage.buy(account, 1.0)
    stage.run()
    stage.server.set_prices("EURUSD", price, price + 0.00002)
    request = {
        "action": 1,
        "symbol": "EURUSD",
        "volume": 1.0,
        "type": 1,
        "price": price,
        "position": ticket,
        "type_filling": 1,
    }
    assert stage.server.call("order_send", account.login, request)[0] == 10009
    stage.run(2)


def told() -> list[str]:
    rows = Notification.objects.filter(type=NotificationType.OBJECTIVE).order_by("created_at")
    return [f"{row.title} | {row.body}" for row in rows]


@pytest.mark.parametrize(("price", "is_told"), [(1.10501, False), (1.10502, True), (1.10503, True)])
def test_it_tells_once_that_a_profit_target_is_reached(
    stage: Stage, alice: User, price: float, is_told: bool
) -> None:
    account = stage.open(alice, "Bold")
    make_rule(
        alice, name="Target", rule_type=TARGET, limit=Decimal(500), parameters=MONEY, action="ALERT"
    )
    stage.run(3)
    assert told() == []
    earn(stage, account, price)
    assert bool(told()) is is_told
    stage.run(3)
    stage.kill_worker()
    stage.run(5)
    assert len(told()) == is_told
    if is_told:
        assert told()[0].startswith("Bold: “Target” is reached | Bold: 50")
        assert told()[0].endswith(" USD of 500.00 made, target reached.")
    assert not RuleBreach.objects.exists()
    assert not Enforcement.objects.exists()


def test_it_tells_again_of_another_target(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Bold")
    rule = make_rule(
        alice, name="Target", rule_type=TARGET, limit=Decimal(100), parameters=MONEY, action="ALERT"
    )
    stage.run(3)
    earn(stage, account, 1.10200)
    assert len(told()) == 1
    for limit in (150, 900):
        rule.limit = Decimal(limit)
        rule.save(update_fields=["limit", "updated_at"])
        stage.run(8)
    assert len(told()) == 2
    assert "of 150.00 made" in told()[1]


def test_it_tells_that_there_are_days_enough(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Bold")
    make_rule(alice, name="Days", rule_type=DAYS, limit=Decimal(1), action="ALERT")
    stage.run(3)
    assert told() == []
    stage.buy(account, 0.1)
    stage.run(3)
    assert told() == ["Bold: “Days” is reached | Bold: 1 of 1 trading day, enough."]


def test_it_tells_once_a_day_that_the_best_day_made_too_much(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Bold")
    make_rule(alice, name="Even", rule_type=BEST_DAY, limit=Decimal("0.5"), action="ALERT")
    stage.run(3)
    earn(stage, account, 1.10200)
    stage.run(3)
    assert len(told()) == 1
    assert told()[0].startswith("Bold: “Even” is not kept at present | Bold: the best day made 100")
    next_day = datetime.combine(stage.now.date() + timedelta(days=1), datetime.min.time(), UTC)
    stage.clock[0] = next_day.timestamp()
    stage.run(5)
    assert len(told()) == 2


def test_it_tells_later_what_the_database_does_not_take(stage: Stage, alice: User) -> None:
    account = stage.open(alice, "Bold")
    make_rule(alice, name="Days", rule_type=DAYS, limit=Decimal(1), action="ALERT")
    stage.run(3)
    stage.buy(account, 0.1)
    with patch("risk.objectives.notify", side_effect=OperationalError("away")):
        stage.run(3)
    assert told() == []
    stage.run()
    assert len(told()) == 1
