from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts.models import User
from accounts.refusals import Refusal
from accounts.tests.factories import make_account
from risk.models import RiskRule, RuleOverride
from risk.services.cutoff import (
    CutoffTerms,
    cutoff_terms,
    cutoff_terms_on,
    ensure_cutoffs,
    refuse_changing_cutoff,
    set_cutoff,
    stop_out_sentence,
)
from risk.tests.factories import make_breach

pytestmark = pytest.mark.django_db


def test_everybody_has_one_cutoff(alice: User, bob: User) -> None:
    ensure_cutoffs([alice.pk, bob.pk])
    ensure_cutoffs([alice.pk, bob.pk])
    assert RiskRule.objects.filter(is_cutoff=True).count() == 2
    rule = RiskRule.objects.get(user=alice)
    assert (rule.rule_type, rule.limit, rule.action) == ("MARGIN_LEVEL", Decimal(10), "CLOSE_ALL")
    assert (rule.caution, rule.critical) == (Decimal("0.8"), Decimal("0.5"))
    assert rule.applies_to_all_accounts
    rule.full_clean()


def test_it_never_changes_a_cutoff_that_is_there(alice: User) -> None:
    set_cutoff(user=alice, warning_level=Decimal(80), liquidation_level=Decimal(20))
    ensure_cutoffs([alice.pk])
    assert cutoff_terms(alice) == CutoffTerms(Decimal(80), Decimal(20))


def test_it_asks_the_database_once_when_nobody_lacks_one(
    alice: User, django_assert_num_queries: Any
) -> None:
    ensure_cutoffs([alice.pk])
    with django_assert_num_queries(1):
        ensure_cutoffs([alice.pk])


def test_one_account_may_have_levels_of_its_own(alice: User) -> None:
    account, other = make_account(alice), make_account(alice, "Other")
    assert cutoff_terms_on(account) == CutoffTerms(Decimal(50), Decimal(10))
    rule = set_cutoff(user=alice, warning_level=Decimal(80), liquidation_level=Decimal(20))
    RuleOverride.objects.create(
        rule=rule, account=account, limit=Decimal(30), caution=Decimal("0.7")
    )
    assert cutoff_terms_on(account) == CutoffTerms(Decimal(100), Decimal(30))
    assert cutoff_terms_on(other) == CutoffTerms(Decimal(80), Decimal(20))


@pytest.mark.parametrize("warning", ["11", "37", "50", "60", "99.5", "120", "333", "1000"])
def test_the_levels_are_read_back_as_they_were_set(alice: User, warning: str) -> None:
    set_cutoff(user=alice, warning_level=Decimal(warning), liquidation_level=Decimal(10))
    terms = cutoff_terms(alice)
    assert terms.liquidation_level == 10
    assert terms.warning_level == pytest.approx(Decimal(warning), rel=Decimal("0.1"))
    rule = RiskRule.objects.get(user=alice)
    # The warning never comes later than at the level that was asked for.
    assert rule.limit / (1 - rule.caution) >= Decimal(warning)
    assert rule.critical <= rule.caution


@pytest.mark.parametrize(
    ("warning", "liquidation", "field"),
    [
        ("50", "0.99", "liquidation_level"),
        ("1000", "501", "liquidation_level"),
        ("10", "10", "warning_level"),
        ("9", "10", "warning_level"),
        ("1001", "10", "warning_level"),
    ],
)
def test_it_refuses_levels_that_make_no_sense(
    alice: User, warning: str, liquidation: str, field: str
) -> None:
    with pytest.raises(ValidationError) as error:
        set_cutoff(
            user=alice, warning_level=Decimal(warning), liquidation_level=Decimal(liquidation)
        )
    assert field in error.value.message_dict
    assert not RiskRule.objects.exists()


def test_it_cannot_be_made_later_while_it_is_violated(alice: User) -> None:
    rule = set_cutoff(user=alice, warning_level=Decimal(50), liquidation_level=Decimal(10))
    make_breach(rule, make_account(alice, "Bold"))
    with pytest.raises(Refusal):
        set_cutoff(user=alice, warning_level=Decimal(50), liquidation_level=Decimal(9))
    set_cutoff(user=alice, warning_level=Decimal(50), liquidation_level=Decimal(12))


def test_it_stays_what_it_is(alice: User) -> None:
    rule = set_cutoff(user=alice, warning_level=Decimal(50), liquidation_level=Decimal(10))
    with pytest.raises(Refusal):
        refuse_changing_cutoff(rule=rule, changes=None)
    for change in ({"is_active": False}, {"action": "ALERT"}, {"applies_to_all_accounts": False}):
        with pytest.raises(Refusal):
            refuse_changing_cutoff(rule=rule, changes=change)
    with pytest.raises(Refusal):
        refuse_changing_cutoff(rule=rule, changes={}, targets=True)
    refuse_changing_cutoff(rule=rule, changes={"is_active": True, "limit": Decimal(12)})


def test_it_says_that_the_broker_is_first() -> None:
    assert stop_out_sentence(30.0, 10.0).startswith(
        "The broker closes positions by itself at a margin level of 30 %"
    )
