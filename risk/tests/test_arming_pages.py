"""Arming and acknowledging as pages: nobody arms what they have not seen."""

from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import make_account
from risk.models import RiskRule, RuleArming, RuleBreach
from risk.tests.factories import make_breach, make_rule
from risk.tests.live_state import leave_readings

MODAL = {"HX-Request": "true", "HX-Target": "modal-body"}


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice, "Alpha 1", state="connected")


@pytest.fixture
def closing_rule(alice: User, account: ConnectedAccount) -> RiskRule:
    return make_rule(alice, accounts=[account], action="CLOSE_ALL")


def test_a_rule_is_armed_after_somebody_has_looked(
    page: Client, account: ConnectedAccount, closing_rule: RiskRule
) -> None:
    assert (
        "1 rule may not act yet" in page.get(f"/accounts/{account.pk}/arming/hint").content.decode()
    )
    html = page.get(f"/rules/{closing_rule.pk}/arming", headers=MODAL).content.decode()
    pair = f"{closing_rule.pk}:{account.pk}"
    assert f'value="{pair}" checked' in html

    page.post(f"/rules/{closing_rule.pk}/arming", {"pair": pair, "do": "arm"}, headers=MODAL)

    assert RuleArming.objects.get().account == account
    assert "may not act" not in page.get(f"/accounts/{account.pk}/arming/hint").content.decode()


def test_it_does_not_call_quiet_what_nobody_has_looked_at(
    page: Client, account: ConnectedAccount, closing_rule: RiskRule
) -> None:
    leave_readings([account], [], read_at=timezone.now().timestamp())
    html = page.get(f"/rules/{closing_rule.pk}/arming", headers=MODAL).content.decode()
    assert "where the rule stands is not known yet" in html
    assert "Nothing right now" not in html


def test_an_armed_rule_is_disarmed(
    page: Client, account: ConnectedAccount, closing_rule: RiskRule
) -> None:
    address, pair = f"/accounts/{account.pk}/arming", f"{closing_rule.pk}:{account.pk}"
    page.post(address, {"pair": pair, "do": "arm"})
    page.post(address, {"pair": pair, "do": "disarm"})
    assert not RuleArming.objects.exists()


@pytest.mark.parametrize("pair", [[], ["x"], ["x:y"], [f"{uuid4()}:{uuid4()}"]])
def test_it_arms_nothing_that_was_not_shown(
    page: Client, account: ConnectedAccount, closing_rule: RiskRule, pair: list[str]
) -> None:
    for address in (f"/accounts/{account.pk}/arming", f"/rules/{closing_rule.pk}/arming"):
        answer = page.post(address, {"pair": pair, "do": "arm"})
        assert answer.status_code == 200
        assert "Choose at least one." in answer.content.decode()
    assert not RuleArming.objects.exists()


@pytest.mark.parametrize(("is_firm_rule", "is_offered"), [(False, True), (True, False)])
def test_only_a_loss_of_ones_own_rule_can_be_counted_anew(
    alice: User, page: Client, account: ConnectedAccount, is_firm_rule: bool, is_offered: bool
) -> None:
    rule = make_rule(alice, accounts=[account], is_firm_rule=is_firm_rule)
    make_breach(rule, account)
    address = f"/rules/{rule.pk}/accounts/{account.pk}/acknowledge"

    html = page.get(address, headers=MODAL).content.decode()
    assert ("Count anew from here" in html) is is_offered

    page.post(address, {"reason": "Agreed."}, headers=MODAL)
    breach = RuleBreach.objects.get()
    assert (breach.acknowledged_reason, breach.cleared_at) == ("Agreed.", None)
