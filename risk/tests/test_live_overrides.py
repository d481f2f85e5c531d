"""What is shown of rules that differ on single accounts, before any tick has judged them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.tests.factories import NOW, make_account, make_user
from risk.live import load_members
from risk.models import RiskRule, RuleOverride
from risk.tests.factories import make_breach, make_rule

pytestmark = pytest.mark.django_db


def test_it_shows_a_rule_as_it_is_on_each_account() -> None:
    alice = make_user()
    names = ("Bold", "Calm", "Daring")
    bold, calm, daring = (make_account(alice, name) for name in names)
    rule = make_rule(alice, rule_type=RiskRule.Type.POSITION_LIMIT, limit=Decimal(5), magic=7)
    RuleOverride.objects.create(rule=rule, account=calm, limit=Decimal(2), action="BLOCK")
    RuleOverride.objects.create(rule=rule, account=daring, is_excluded=True)
    members = load_members([bold, calm, daring], now=NOW)
    shown = {
        name: [(int(view.parameters.limit), view.action, view.parameters.magic) for view in listed]
        for name, listed in (
            (account.name, [row.rule for row in members[account.pk].rows])
            for account in (bold, calm, daring)
        )
    }
    assert shown == {"Bold": [(5, "ALERT", 7)], "Calm": [(2, "BLOCK", 7)], "Daring": []}


@pytest.mark.parametrize("is_violated", [True, False])
def test_what_was_latched_early_is_no_violation(is_violated: bool) -> None:
    alice = make_user()
    account = make_account(alice, "Bold")
    rule = make_rule(alice)
    violated_at = NOW + timedelta(seconds=1) if is_violated else None
    make_breach(rule, account, is_early=True, violated_at=violated_at)
    member = load_members([account], now=NOW)[account.pk]
    assert (member.rows[0].full()["status"] == "violated") == is_violated
