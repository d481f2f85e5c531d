from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.services.accounts import delete_account, update_account
from accounts.tests.factories import NOW, make_account
from groups import services as groups
from groups.tests.factories import make_group
from risk.core.parameters import LossParameters, parse_parameters
from risk.core.rule_types import RuleType
from risk.models import RiskRule, RuleBreach, RuleState
from risk.services.arming import arm_rule
from risk.services.breaches import reset_rule
from risk.services.locks import ViolationLock
from risk.services.rules import create_rule, delete_rule, update_rule
from risk.tests.factories import make_breach, make_rule

LATER = NOW + timedelta(minutes=1)
TYPE = RiskRule.Type


def create(user: User, **fields: Any) -> RiskRule:
    given = {"name": "Daily loss", "rule_type": TYPE.MAX_DAILY_LOSS, "limit": Decimal("0.05")}
    return create_rule(user=user, **{**given, **fields})


def acknowledge(rule: RiskRule, account: ConnectedAccount, reason: str = "Seen.") -> RuleBreach:
    return reset_rule(rule=rule, account=account, actor=rule.user, reason=reason, now=LATER)


def test_it_creates_a_rule_with_its_targets(alice: User) -> None:
    account = make_account(alice)
    group = make_group(alice, "Desk", account)
    parameters = {"reference": "equity", "reset_time": "17:00", "reset_zone": "Europe/Prague"}
    rule = create(alice, parameters=parameters, accounts=[account], groups=[group])
    stored = RiskRule.objects.get(pk=rule.pk)
    assert stored.parameters == parameters
    assert list(stored.accounts.all()) == [account]
    assert list(stored.groups.all()) == [group]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"limit": Decimal(-1)}, {"limit"}),
        ({"limit": Decimal(0)}, {"limit"}),
        ({"limit": Decimal("1.01")}, {"limit"}),
        ({"limit": Decimal("0.0000001")}, {"limit"}),
        ({"limit": Decimal("NaN")}, {"limit"}),
        ({"name": ""}, {"name"}),
        ({"rule_type": "NONSENSE"}, {"rule_type"}),
        ({"action": "EXPLODE"}, {"action"}),
        ({"critical": Decimal("0.4")}, {"critical"}),
        ({"caution": Decimal(1)}, {"caution"}),
        ({"caution": Decimal("-0.1"), "critical": Decimal("-0.1")}, {"caution", "critical"}),
        ({"parameters": {"reset_zone": "Mars/Olympus"}}, {"parameters.reset_zone"}),
        ({"parameters": {"reset_time": "25:00"}}, {"parameters.reset_time"}),
        ({"parameters": {"nonsense": 1}}, {"parameters.nonsense"}),
        ({"parameters": {"caution": 0.5}}, {"parameters.caution"}),
        ({"parameters": {"limit": 1}}, {"parameters.limit"}),
        ({"parameters": ["a", "list"]}, {"parameters"}),
        (
            {"rule_type": TYPE.MAX_POSITION_SIZE, "parameters": {"symbols": ["EUR\x00USD"]}},
            {"parameters.symbols"},
        ),
        ({"rule_type": TYPE.POSITION_LIMIT, "limit": Decimal("1.5")}, {"limit"}),
    ],
)
def test_it_names_the_field_that_is_wrong_and_creates_nothing(
    alice: User, fields: dict[str, Any], wrong: set[str]
) -> None:
    with pytest.raises(ValidationError) as caught:
        create(alice, **fields)
    assert set(caught.value.message_dict) == wrong
    assert not RiskRule.objects.exists()


@pytest.mark.parametrize(
    ("is_firm_rule", "parameters", "moves"),
    [
        (True, {}, False),
        (True, {"withdrawals_move_floor": True}, True),
        (False, {}, True),
        (False, {"withdrawals_move_floor": False}, False),
    ],
)
def test_a_withdrawal_moves_no_floor_of_a_firm_unless_it_is_said(
    alice: User, is_firm_rule: bool, parameters: dict[str, object], moves: bool
) -> None:
    rule = create(
        alice, parameters=parameters, is_firm_rule=is_firm_rule, applies_to_all_accounts=True
    )
    parsed = parse_parameters(RuleType.MAX_DAILY_LOSS, rule.limit, rule.parameters)
    assert isinstance(parsed, LossParameters)
    assert parsed.withdrawals_move_floor is moves


@pytest.mark.parametrize("limit", [Decimal("0.000001"), Decimal(1)])
def test_it_takes_fractions_up_to_the_ends_of_their_range(alice: User, limit: Decimal) -> None:
    assert create(alice, limit=limit).limit == limit


def test_it_reaches_no_strangers_rows(alice: User, bob: User) -> None:
    with pytest.raises(ValidationError) as caught:
        create(alice, accounts=[make_account(bob)], groups=[make_group(bob)])
    assert set(caught.value.message_dict) == {"accounts", "groups"}
    rule = make_rule(alice)
    with pytest.raises(ValidationError):
        update_rule(rule=rule, accounts=[make_account(bob, "Other")])
    assert not rule.accounts.exists()


def test_it_changes_only_what_it_was_told(alice: User) -> None:
    account = make_account(alice)
    rule = make_rule(alice, accounts=[account])
    RiskRule.objects.filter(pk=rule.pk).update(breach_count=3)
    changed = update_rule(rule=rule, limit=Decimal("0.5"), is_active=False)
    stored = RiskRule.objects.get(pk=rule.pk)
    assert (changed.limit, stored.limit, stored.is_active) == (Decimal("0.5"),) * 2 + (False,)
    assert stored.breach_count == 3
    assert list(stored.accounts.all()) == [account]
    assert stored.updated_at > rule.updated_at


def test_it_keeps_its_type(alice: User) -> None:
    rule = make_rule(alice)
    with pytest.raises(ValidationError) as caught:
        update_rule(rule=rule, rule_type=TYPE.MARGIN_LEVEL)
    assert set(caught.value.message_dict) == {"rule_type"}
    update_rule(rule=rule, rule_type=TYPE.MAX_DAILY_LOSS, name="The same type is fine")


LOOSER: list[dict[str, Any]] = [
    {"is_active": False},
    {"limit": Decimal("0.050001")},
    {"parameters": {"reference": "equity"}},
    {"action": "BLOCK"},
    {"is_firm_rule": False},
    {"applies_to_all_accounts": False},
    {"accounts": []},
    {"groups": []},
]
HARMLESS: list[dict[str, Any]] = [
    {"name": "Another name"},
    {"caution": Decimal("0.5"), "critical": Decimal("0.2")},
    {"limit": Decimal("0.05")},
    {"limit": Decimal("0.049999")},
    {"action": "CLOSE_ALL"},
    {"is_active": True, "parameters": {}},
]


def violated_rule(user: User, **fields: Any) -> tuple[RiskRule, ConnectedAccount]:
    account = make_account(user)
    given: dict[str, Any] = {
        "applies_to_all_accounts": True,
        "is_firm_rule": True,
        "action": "CLOSE_POSITION",
        **fields,
    }
    rule = make_rule(
        user,
        accounts=[account],
        groups=[make_group(user, "Desk", account)],
        **given,
    )
    make_breach(rule, account)
    return rule, account


@pytest.mark.parametrize("changes", LOOSER, ids=lambda changes: next(iter(changes)))
def test_it_loosens_no_violated_rule_until_somebody_acknowledged(
    alice: User, changes: dict[str, Any]
) -> None:
    rule, account = violated_rule(alice)
    before = RiskRule.objects.filter(pk=rule.pk).values().get()
    with pytest.raises(Refusal, match="until somebody has acknowledged") as caught:
        update_rule(rule=rule, **changes)
    assert caught.value.code == "locked"
    assert RiskRule.objects.filter(pk=rule.pk).values().get() == before
    assert rule.accounts.count() == rule.groups.count() == 1
    acknowledge(rule, account)
    update_rule(rule=rule, **changes)
    assert RiskRule.objects.get(pk=rule.pk).updated_at > before["updated_at"]


@pytest.mark.parametrize("changes", HARMLESS, ids=str)
def test_it_lets_a_violated_rule_be_tightened_and_renamed(
    alice: User, changes: dict[str, Any]
) -> None:
    rule, _ = violated_rule(alice)
    changed = update_rule(rule=rule, **changes)
    assert all(getattr(changed, name) == value for name, value in changes.items())


def test_it_may_gain_targets_while_violated(alice: User) -> None:
    rule, account = violated_rule(alice)
    another = make_account(alice, "Another")
    update_rule(rule=rule, accounts=[account, another], groups=list(rule.groups.all()))
    assert rule.accounts.count() == 2


@pytest.mark.parametrize(("limit", "is_looser"), [("99.999999", True), ("100", False), ("101", 0)])
def test_it_knows_that_a_lower_margin_level_is_looser(
    alice: User, limit: str, is_looser: bool
) -> None:
    rule, _ = violated_rule(alice, rule_type=TYPE.MARGIN_LEVEL, limit=Decimal(100))
    if is_looser:
        with pytest.raises(Refusal, match="looser limit"):
            update_rule(rule=rule, limit=Decimal(limit))
    else:
        assert update_rule(rule=rule, limit=Decimal(limit)).limit == Decimal(limit)


def test_a_rule_that_sleeps_is_not_armed_when_it_wakes(alice: User) -> None:
    account = make_account(alice)
    rule = create(alice, accounts=[account], action="CLOSE_ALL")
    arm_rule(rule=rule, accounts=[account], actor=alice, now=NOW)
    update_rule(rule=rule, name="Another name", caution=Decimal("0.4"))
    assert rule.armings.count() == 1
    update_rule(rule=rule, is_active=False)
    update_rule(rule=rule, is_active=True)
    assert not rule.armings.exists()


def test_it_deletes_no_violated_rule_until_somebody_acknowledged(alice: User) -> None:
    rule, account = violated_rule(alice)
    with pytest.raises(Refusal, match="cannot be deleted"):
        delete_rule(rule=rule, now=LATER)
    assert RiskRule.objects.filter(pk=rule.pk).exists()
    acknowledge(rule, account)
    delete_rule(rule=rule, now=LATER)
    breach = RuleBreach.objects.get()
    assert (breach.cleared_at, breach.cleared_reason) == (LATER, "The rule was deleted.")


def test_a_violation_holds_its_account_until_somebody_acknowledged(alice: User) -> None:
    rule, account = violated_rule(alice)
    with pytest.raises(Refusal, match="“Daily loss” is violated"):
        delete_account(account=account, now=LATER)
    with pytest.raises(Refusal, match="deactivated"):
        update_account(account=account, is_active=False, now=LATER)
    update_account(account=make_account(alice, "Free"), is_active=False, now=LATER)
    acknowledge(rule, account)
    delete_account(account=account, now=LATER)
    breach = RuleBreach.objects.get()
    assert (breach.cleared_at, breach.cleared_reason) == (LATER, "The account was deleted.")


def test_a_violation_holds_its_account_in_groups_that_have_rules(alice: User) -> None:
    rule, account = violated_rule(alice)
    [group] = rule.groups.all()
    plain = make_group(alice, "Only for looking at", account)
    with pytest.raises(Refusal, match="cannot leave the group “Desk”"):
        groups.remove_accounts(group=group, accounts=[account])
    with pytest.raises(Refusal, match="cannot leave"):
        groups.delete_group(group=group)
    assert group.accounts.count() == 1
    groups.delete_group(group=plain)
    acknowledge(rule, account)
    groups.remove_accounts(group=group, accounts=[account])
    assert group.accounts.count() == 0


@pytest.mark.parametrize(
    ("rule_type", "limit", "is_firm_rule", "is_cleared"),
    [
        (TYPE.MAX_DAILY_LOSS, "0.05", False, False),
        (TYPE.MAX_DRAWDOWN, "0.1", False, False),
        (TYPE.MAX_DRAWDOWN, "0.1", True, False),
        (TYPE.MAX_LEVERAGE, "20", True, False),
        (TYPE.MAX_LEVERAGE, "20", False, True),
        (TYPE.POSITION_LIMIT, "3", False, True),
        (TYPE.MAX_DAILY_TRADES, "5", False, False),
        (TYPE.INACTIVITY, "30", False, False),
    ],
)
def test_acknowledging_ends_only_what_has_no_floor_and_is_the_users_own(
    alice: User, rule_type: str, limit: str, is_firm_rule: bool, is_cleared: bool
) -> None:
    account = make_account(alice)
    rule = make_rule(alice, rule_type=rule_type, limit=Decimal(limit), is_firm_rule=is_firm_rule)
    make_breach(rule, account)
    acknowledge(rule, account, "  My stop was too wide. ")
    breach = RuleBreach.objects.get()
    told = (breach.acknowledged_at, breach.acknowledged_by_id, breach.acknowledged_reason)
    assert told == (LATER, alice.pk, "My stop was too wide.")
    assert (breach.cleared_at is not None) is is_cleared
    assert (breach.cleared_by_id == alice.pk) is is_cleared


def test_it_acknowledges_once_and_only_what_is_violated(alice: User) -> None:
    rule, account = violated_rule(alice)
    with pytest.raises(Refusal, match="not violated on Free"):
        acknowledge(rule, make_account(alice, "Free"))
    acknowledge(rule, account, "First.")
    with pytest.raises(Refusal, match="already"):
        acknowledge(rule, account, "Second.")
    assert RuleBreach.objects.get().acknowledged_reason == "First."


@pytest.mark.parametrize("reason", ["", "   ", "r" * 256])
def test_it_wants_a_reason_of_sensible_length(alice: User, reason: str) -> None:
    rule, account = violated_rule(alice)
    with pytest.raises(ValidationError) as caught:
        acknowledge(rule, account, reason)
    assert set(caught.value.message_dict) == {"reason"}
    assert RuleBreach.objects.get().acknowledged_at is None


def test_a_deleted_account_leaves_its_rules(alice: User) -> None:
    account, other = make_account(alice, "Alpha"), make_account(alice, "Beta")
    rule = make_rule(alice, accounts=[account, other], applies_to_all_accounts=False)
    for each in (account, other):
        RuleState.objects.create(
            rule=rule, account=each, login=each.login, started_at=LATER, updated_at=LATER
        )
    delete_account(account=account, now=LATER)
    targets = RiskRule.accounts.through._default_manager
    assert list(targets.values_list("connectedaccount_id", flat=True)) == [other.pk]
    assert list(RuleState.objects.values_list("account_id", flat=True)) == [other.pk]


def test_what_acted_within_its_safety_margin_holds_like_a_violation(alice: User) -> None:
    account = make_account(alice, "Bold")
    rule = make_rule(alice, limit=Decimal("0.05"))
    breach = make_breach(rule, account, is_early=True, violated_at=None)
    with pytest.raises(Refusal) as refusal:
        update_rule(rule=rule, limit=Decimal("0.06"))
    assert refusal.value.code == "locked"
    assert "The rule is close to its limit on Bold, so it cannot be given" in str(refusal.value)
    assert ViolationLock().reasons(account_ids=[account.pk]) == {
        account.pk: f"the rule “{rule.name}” is close to its limit"
    }
    breach.violated_at = NOW
    breach.save(update_fields=["violated_at"])
    assert ViolationLock().reasons(account_ids=[account.pk]) == {
        account.pk: f"the rule “{rule.name}” is violated"
    }


def test_a_rule_that_looks_at_another_strategy_counts_anew(alice: User) -> None:
    account, rule = make_account(alice), make_rule(alice, limit=Decimal("0.05"))

    def count(**fields: Any) -> int:
        RuleState.objects.update_or_create(
            rule=rule, account=account,
            defaults={
                "server": account.server, "login": account.login, "started_at": NOW,
                "updated_at": NOW, "day_trades": 3,
            },
        )  # fmt: skip
        update_rule(rule=rule, **fields)
        return RuleState.objects.count()

    assert count(limit=Decimal("0.04"), magic=None) == 1
    assert count(magic=42) == 0
    assert count(magic=42) == 1
    assert count(magic=None) == 0
