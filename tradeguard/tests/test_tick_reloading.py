"""What runs on over a reload of the desk, which anybody's edit of anything brings about."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from accounts.models import ConnectedAccount
from accounts.tests.factories import make_user
from risk.models import Enforcement, RiskRule, RuleBreach
from tradeguard.tests.enforcement_stage import rule_on, trade, volumes, watched
from tradeguard.tests.stage import Stage, daily_loss, staged

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def edit_another_rule(account: ConnectedAccount) -> None:
    rule = RiskRule.objects.filter(name="Daily loss").first() or daily_loss(account.user)
    rule.save(update_fields=["updated_at"])


def test_an_action_that_waits_for_its_seconds_waits_no_longer(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule_on(account, "POSITION_LIMIT", "1", action="CLOSE_POSITION", act_after_seconds=Decimal(6))
    stage.run(3)
    trade(stage, account, 1.0)
    trade(stage, account, 1.0)
    stage.run(10, seconds=0.4)
    edit_another_rule(account)
    stage.run(3, seconds=0.4)
    assert not Enforcement.objects.exists()
    stage.run(4, seconds=0.4)
    assert Enforcement.objects.exists()
    stage.run(10)
    assert len(volumes(stage, account)) == 1


def test_a_hold_time_ends_when_it_would_have_ended(stage: Stage) -> None:
    account = watched(stage, make_user())
    rule = rule_on(account, "POSITION_LIMIT", "1", action="BLOCK", parameters={"hold_seconds": "6"})
    stage.run(3)
    tickets = [trade(stage, account, 1.0), trade(stage, account, 1.0)]
    stage.run(2)
    assert RuleBreach.objects.latched().filter(rule_id=rule.pk).exists()
    request = {
        "action": 1, "symbol": "EURUSD", "volume": 1.0, "type": 1, "position": tickets[0],
        "type_filling": 1,
    }  # fmt: skip
    assert stage.server.trade_by_hand(account.login, request)[0] == 10009
    stage.run(10, seconds=0.4)
    edit_another_rule(account)
    stage.run(3, seconds=0.4)
    assert RuleBreach.objects.latched().filter(rule_id=rule.pk).exists()
    stage.run(4, seconds=0.4)
    assert not RuleBreach.objects.latched().filter(rule_id=rule.pk).exists()
