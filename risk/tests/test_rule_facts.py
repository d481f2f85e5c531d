"""Rules with what differs on single accounts."""

from decimal import Decimal
from typing import Any

import pytest

from accounts.models import User
from accounts.tests.factories import make_account, make_user
from risk.core.parameters import PositionLimit
from risk.core.responses import Response
from risk.core.rule_types import Action, ClosingOrder
from risk.desk import desk_fingerprint, load_desk
from risk.models import RiskRule, RuleArming, RuleOverride
from risk.rule_facts import facts_of, load_rules
from risk.surroundings import rule_families
from risk.tests.factories import make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> User:
    return make_user()


def count_rule(user: User, name: str = "Count", **fields: Any) -> RiskRule:
    kind = RiskRule.Type.POSITION_LIMIT
    return make_rule(user, name, rule_type=kind, limit=Decimal(5), **fields)


def test_it_reads_how_a_rule_answers(alice: User) -> None:
    rule = count_rule(
        alice,
        action="CLOSE_POSITION",
        act_at_fraction=Decimal("0.970"),
        act_after_seconds=Decimal("2.5"),
        closing_order="newest_first",
        losers_only=True,
        close_fraction=Decimal("0.500"),
        magic=12,
    )
    facts = facts_of(rule)
    assert facts.response == Response(
        action=Action.CLOSE_POSITION,
        act_at_fraction=0.97,
        act_after_seconds=2.5,
        closing_order=ClosingOrder.NEWEST_FIRST,
        losers_only=True,
        close_fraction=0.5,
    )
    assert facts.parameters.magic == 12


def test_what_an_override_leaves_empty_stays_as_the_rule_has_it(alice: User) -> None:
    rule = count_rule(alice, parameters={"include_pending": True, "hold_seconds": 5})
    override = RuleOverride(rule=rule, parameters={"hold_seconds": 9}, critical=Decimal("0.05"))
    facts = facts_of(rule, override)
    assert isinstance(facts.parameters, PositionLimit)
    assert (int(facts.parameters.limit), facts.parameters.hold_seconds) == (5, 9.0)
    assert facts.parameters.include_pending
    thresholds = facts.parameters.thresholds
    assert (thresholds.caution, thresholds.critical) == (0.3, 0.05)


def test_accounts_with_the_same_override_share_a_variant(alice: User) -> None:
    rule = count_rule(alice)
    accounts = [make_account(alice, f"A{number}") for number in range(4)]
    for account, limit in zip(accounts, (2, 2, 3, None), strict=True):
        if limit:
            RuleOverride.objects.create(rule=rule, account=account, limit=Decimal(limit))
    book = load_rules([alice.pk])
    limits = [int(each.parameters.limit) for each in book.rules]
    assert (limits[0], sorted(limits)) == (5, [2, 3, 5])
    places = [book.place_for(0, account.pk) for account in accounts]
    assert [limits[place] for place in places if place is not None] == [2, 2, 3, 5]
    assert {each.id for each in book.rules} == {rule.pk}


def test_an_override_that_makes_no_sense_leaves_the_rule_as_it_is(
    alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    rule, account = count_rule(alice), make_account(alice, "Bold")
    RuleOverride.objects.create(rule=rule, account=account, parameters={"nonsense": 1})
    book = load_rules([alice.pk])
    assert [int(each.parameters.limit) for each in book.rules] == [5]
    assert book.place_for(0, account.pk) == 0
    assert "makes no sense" in caplog.text


def test_a_rule_is_one_family_however_it_differs(alice: User) -> None:
    one, other = count_rule(alice, name="A"), count_rule(alice, name="B")
    bold, calm = make_account(alice, "Bold"), make_account(alice, "Calm")
    RuleOverride.objects.create(rule=one, account=bold, limit=Decimal(2))
    desk = load_desk([bold.pk, calm.pk], desk_fingerprint())
    families = dict(
        zip(
            ((rule.id, int(rule.parameters.limit)) for rule in desk.rules),
            rule_families(desk).tolist(),
            strict=True,
        )
    )
    assert families[(one.pk, 5)] == families[(one.pk, 2)] != families[(other.pk, 5)]


@pytest.mark.parametrize("change", ["override", "edit", "arm", "disarm", "response"])
def test_the_desk_notices_what_changes_an_answer(alice: User, change: str) -> None:
    rule, account = count_rule(alice), make_account(alice, "Bold")
    override = RuleOverride.objects.create(rule=rule, account=account, limit=Decimal(2))
    arming = RuleArming.objects.create(rule=rule, account=account, armed_at=rule.created_at)
    before = desk_fingerprint()
    if change == "override":
        override.delete()
    elif change == "edit":
        override.limit = Decimal(3)
        override.save(update_fields=["limit", "updated_at"])
    elif change == "arm":
        arming.delete()
        RuleArming.objects.create(rule=rule, account=account, armed_at=rule.created_at)
    elif change == "disarm":
        arming.delete()
    else:
        rule.losers_only = True
        rule.save(update_fields=["losers_only", "updated_at"])
    assert desk_fingerprint() != before
