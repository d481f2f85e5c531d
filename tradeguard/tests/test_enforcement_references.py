"""A loss rule of the user's own that is counted anew, and those whose floor never moves."""

from collections.abc import Iterator
from typing import Any

import pytest

from accounts.refusals import Refusal
from accounts.tests.factories import make_user
from risk.models import RuleBreach, RuleState
from risk.services.breaches import reset_rule
from risk.tests.factories import make_breach
from tradeguard.tests.enforcement_stage import (
    crash_price,
    rule_on,
    trade,
    watched,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.mark.parametrize("is_unsaved", [False, True])
def test_a_rule_of_ones_own_may_be_counted_anew(stage: Stage, is_unsaved: bool) -> None:
    account = watched(stage, make_user())
    rule = rule_on(account, "MAX_DAILY_LOSS", "0.05", action="BLOCK")
    stage.run(3)
    trade(stage, account, 10.0)
    crash_price(stage)
    stage.run(3)
    assert RuleBreach.objects.latched().filter(rule_id=rule.pk).exists()
    if is_unsaved:
        # What the host has just counted is written over the baselines when it loads them again.
        trade(stage, account, 0.01, symbol="EURUSD")
        stage.run(1)
    asked: dict[str, Any] = {
        "rule": rule,
        "account": account,
        "actor": account.user,
        "reason": "A new start.",
    }
    breach = reset_rule(**asked, now=stage.now, new_reference=True)
    assert breach.cleared_at == stage.now
    stage.run(20)
    assert not RuleBreach.objects.latched().filter(rule_id=rule.pk).exists()
    crash_price(stage, 1.08510)
    stage.run(5)
    assert not RuleBreach.objects.latched().filter(rule_id=rule.pk).exists()
    crash_price(stage, 1.08400)
    stage.run(5)
    again = RuleBreach.objects.latched().get(rule_id=rule.pk)
    assert again.floor == pytest.approx(89_980.0 - 5_000.0, abs=0.05)
    assert not RuleState.objects.exclude(new_reference_at=None).exists()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"is_firm_rule": True}, "firm_rule"),
        ({"rule_type": "MAX_DRAWDOWN"}, "no_reference"),
        ({"magic": 7}, "no_reference"),
    ],
)
def test_no_other_floor_moves(stage: Stage, fields: dict[str, Any], code: str) -> None:
    account = watched(stage, make_user())
    kind = fields.pop("rule_type", "MAX_DAILY_LOSS")
    rule = rule_on(account, kind, "0.05", action="BLOCK", **fields)
    make_breach(rule, account)
    asked: dict[str, Any] = {
        "rule": rule,
        "account": account,
        "actor": account.user,
        "reason": "A new start.",
    }
    with pytest.raises(Refusal) as refusal:
        reset_rule(**asked, now=stage.now, new_reference=True)
    assert refusal.value.code == code
    assert RuleBreach.objects.get().acknowledged_at is None
