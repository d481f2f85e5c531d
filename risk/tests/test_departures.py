"""What an account takes along when it leaves a group."""

from datetime import UTC, datetime

import pytest

from accounts.models import User
from accounts.tests.factories import make_account
from groups.services import add_accounts, create_group, delete_group, remove_accounts
from risk.models import RiskRule, RuleArming
from risk.services.arming import arm_rule
from risk.tests.factories import make_rule

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def armed_names(rule: RiskRule) -> list[str]:
    return sorted(RuleArming.objects.filter(rule=rule).values_list("account__name", flat=True))


def test_it_asks_anew_about_an_account_that_comes_back(alice: User) -> None:
    leaver, member = make_account(alice, "Leaver"), make_account(alice, "Member")
    group = create_group(user=alice, name="Desk", accounts=[leaver, member])
    rule = make_rule(alice, action=RiskRule.Action.CLOSE_ALL)
    rule.groups.add(group)
    arm_rule(rule=rule, accounts=[leaver, member], actor=alice, now=NOW)
    remove_accounts(group=group, accounts=[leaver])
    add_accounts(group=group, accounts=[leaver])
    assert armed_names(rule) == ["Member"]


def test_it_disarms_the_members_of_a_group_that_is_deleted(alice: User) -> None:
    member = make_account(alice, "Member")
    group = create_group(user=alice, name="Desk", accounts=[member])
    rule = make_rule(alice, action=RiskRule.Action.CLOSE_ALL)
    rule.groups.add(group)
    arm_rule(rule=rule, accounts=[member], actor=alice, now=NOW)
    delete_group(group=group)
    assert armed_names(rule) == []
