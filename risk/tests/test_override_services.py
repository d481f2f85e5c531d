"""A shared rule that differs on single accounts."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.tests.factories import NOW, make_account
from groups.tests.factories import make_group
from risk.models import RiskRule, RuleArming, RuleOverride
from risk.selectors import reached_accounts
from risk.services.overrides import (
    clear_override,
    effective_rule,
    override_sentence,
    reaches,
    set_override,
)
from risk.services.rules import create_rule, update_rule
from risk.tests.factories import make_breach, make_lock, make_rule


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice)


@pytest.fixture
def rule(alice: User, account: ConnectedAccount) -> RiskRule:
    return create_rule(
        user=alice,
        name="Daily loss",
        rule_type="MAX_DAILY_LOSS",
        limit=Decimal("0.05"),
        parameters={"reference": "balance", "reset_time": "17:00"},
        action="CLOSE_ALL",
        accounts=[account],
    )


def test_it_never_edits_the_shared_rule(
    alice: User, rule: RiskRule, account: ConnectedAccount
) -> None:
    before = RiskRule.objects.values("limit", "parameters", "action", "caution").get()
    given: dict[str, Any] = {
        "limit": Decimal("0.03"),
        "parameters": {"reference": "equity"},
        "action": "BLOCK",
        "caution": Decimal("0.5"),
    }
    override = set_override(rule=rule, account=account, actor=alice, **given)
    assert RiskRule.objects.values("limit", "parameters", "action", "caution").get() == before
    merged = effective_rule(rule, override)
    assert (merged.limit, merged.action, merged.caution) == (
        Decimal("0.03"), "BLOCK", Decimal("0.5"),
    )  # fmt: skip
    assert merged.parameters == {"reference": "equity", "reset_time": "17:00"}
    assert effective_rule(rule, None).limit == Decimal("0.05")
    sentence = override_sentence(rule, override)
    assert "limit 0.03" in sentence
    assert "reference equity" in sentence


def test_setting_it_again_replaces_it_all(
    alice: User, rule: RiskRule, account: ConnectedAccount
) -> None:
    first = set_override(rule=rule, account=account, actor=alice, limit=Decimal("0.03"))
    second = set_override(rule=rule, account=account, actor=alice, is_excluded=True)
    assert (first.pk, RuleOverride.objects.count()) == (second.pk, 1)
    second.refresh_from_db()
    assert (second.limit, second.is_excluded) == (None, True)
    assert override_sentence(rule, second) == "left out"
    clear_override(rule=rule, account=account, actor=alice)
    clear_override(rule=rule, account=account, actor=alice)
    assert not RuleOverride.objects.exists()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"limit": Decimal(2)}, "limit"),
        ({"limit": Decimal(-1)}, "limit"),
        ({"parameters": {"reference": "luck"}}, "parameters.reference"),
        ({"parameters": {"colour": 1}}, "parameters.colour"),
        ({"parameters": ["x"]}, "parameters"),
        ({"caution": Decimal("0.05")}, "critical"),
        ({"action": "EXPLODE"}, "action"),
    ],
)
def test_the_merged_rule_must_make_sense(
    alice: User, rule: RiskRule, account: ConnectedAccount, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as error:
        set_override(rule=rule, account=account, actor=alice, **given)
    assert set(error.value.message_dict) == {field}
    assert not RuleOverride.objects.exists()


def test_it_takes_own_accounts_that_the_rule_reaches(
    alice: User, bob: User, rule: RiskRule, account: ConnectedAccount
) -> None:
    elsewhere, theirs = make_account(alice, "Elsewhere"), make_account(bob)
    for other, actor in ((elsewhere, alice), (theirs, alice), (account, bob)):
        with pytest.raises(ValidationError) as error:
            set_override(rule=rule, account=other, actor=actor, limit=Decimal("0.03"))
        assert set(error.value.message_dict) == {"account"}
    with pytest.raises(ValidationError):
        clear_override(rule=rule, account=account, actor=bob)
    make_group(alice, "Desk", elsewhere).risk_rules.add(rule)
    assert reaches(rule, elsewhere)
    assert set_override(rule=rule, account=elsewhere, actor=alice, limit=Decimal("0.03"))
    assert list(reached_accounts(rule)) == [account, elsewhere]
    assert list(reached_accounts(make_rule(bob, "Theirs"))) == [theirs]


@pytest.mark.parametrize("change", ["set", "clear"])
def test_nothing_changes_while_a_violation_or_lock_holds_it(
    alice: User, rule: RiskRule, account: ConnectedAccount, change: str
) -> None:
    set_override(rule=rule, account=account, actor=alice, limit=Decimal("0.03"))
    breach = make_breach(rule, account)
    lock = make_lock(account, rule_id=rule.pk, cause="rule")

    def attempt() -> None:
        if change == "set":
            set_override(rule=rule, account=account, actor=alice, limit=Decimal("0.02"))
        else:
            clear_override(rule=rule, account=account, actor=alice)

    for _ in range(2):
        with pytest.raises(Refusal) as refusal:
            attempt()
        assert refusal.value.code == "locked"
        breach.acknowledged_at = NOW
        breach.save(update_fields=["acknowledged_at"])
    assert RuleOverride.objects.get().limit == Decimal("0.03")
    lock.delete()
    attempt()


def test_it_disarms_the_rule_there_and_nowhere_else(
    alice: User, rule: RiskRule, account: ConnectedAccount
) -> None:
    other = make_account(alice, "Other")
    rule.accounts.add(other)
    for each in (account, other):
        RuleArming.objects.create(rule=rule, account=each, armed_at=NOW)
    before = rule.updated_at
    set_override(rule=rule, account=account, actor=alice, limit=Decimal("0.03"))
    assert [arming.account for arming in RuleArming.objects.all()] == [other]
    rule.refresh_from_db()
    assert rule.updated_at > before  # the hosts look at that


def test_a_rule_changes_only_to_what_makes_sense_where_it_differs(
    alice: User, rule: RiskRule, account: ConnectedAccount
) -> None:
    set_override(rule=rule, account=account, actor=alice, caution=Decimal("0.15"))
    with pytest.raises(ValidationError, match=f"On {account.name}") as error:
        update_rule(rule=rule, critical=Decimal("0.2"))
    assert set(error.value.message_dict) == {"critical"}
    rule.refresh_from_db()
    assert rule.critical == Decimal("0.100")


def test_it_ends_where_the_rule_reaches_no_more(
    alice: User, rule: RiskRule, account: ConnectedAccount
) -> None:
    other = make_account(alice, "Other")
    set_override(rule=rule, account=account, actor=alice, limit=Decimal("0.03"))
    update_rule(rule=rule, accounts=[account, other])
    assert RuleOverride.objects.exists()
    update_rule(rule=rule, accounts=[other])
    assert not RuleOverride.objects.exists()


def test_the_cutoff_differs_in_its_levels_only(alice: User, account: ConnectedAccount) -> None:
    cutoff = make_rule(alice, "Cut-off", rule_type="MARGIN_LEVEL", limit=10, is_cutoff=True)
    attempts: list[dict[str, Any]] = [
        {"is_excluded": True},
        {"action": "ALERT"},
        {"parameters": {"hold_seconds": 5}},
    ]
    for given in attempts:
        with pytest.raises(ValidationError):
            set_override(rule=cutoff, account=account, actor=alice, **given)
    assert set_override(rule=cutoff, account=account, actor=alice, limit=Decimal(20)).limit == 20
