from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.factories import make_account
from groups.tests.factories import make_group
from risk.models import RiskRule, RuleBreach
from risk.tests.factories import make_breach, make_rule


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def fields(**changes: Any) -> dict[str, Any]:
    """Return what a browser sends for a daily loss of 5 %."""
    return {
        "name": "Daily loss",
        "rule_type": "MAX_DAILY_LOSS",
        "limit": "5",
        "amount_kind": "fraction_of_initial",
        "reference": "balance",
        "comparison": "at_or_below",
        "reset_time": "17:00",
        "reset_zone": "America/New_York",
        "withdrawals_move_floor": "on",
        "action": "ALERT",
        "caution": "30",
        "critical": "10",
        "is_active": "on",
        "applies_to_all_accounts": "on",
        **changes,
    }


def test_it_stores_percents_as_fractions(alice: User, page: Client) -> None:
    response = page.post("/rules/new", fields())

    assert response.headers["Location"] == "/rules"
    rule = RiskRule.objects.get()
    assert (rule.user, rule.limit) == (alice, Decimal("0.05"))
    assert (rule.caution, rule.critical) == (Decimal("0.3"), Decimal("0.1"))
    assert rule.parameters == {
        "amount_kind": "fraction_of_initial",
        "reference": "balance",
        "comparison": "at_or_below",
        "reset_time": "17:00",
        "reset_zone": "America/New_York",
        "withdrawals_move_floor": True,
    }


def test_it_stores_money_as_it_is(page: Client) -> None:
    page.post("/rules/new", fields(limit="2500", amount_kind="money"))
    assert RiskRule.objects.get().limit == 2500


@pytest.mark.parametrize(
    ("wrong", "field", "sentence"),
    [
        ({"limit": "-5"}, "limit", "The limit must be more than 0."),
        ({"limit": "0"}, "limit", "The limit must be more than 0."),
        ({"limit": "100.0001"}, "limit", "A share is at most 100 %."),
        ({"limit": "five"}, "limit", "Enter a number."),
        ({"critical": "31"}, "critical", "Critical must not begin before caution does."),
        ({"reset_zone": "Mars/Base"}, "reset_zone", "is not a known time zone"),
        ({"applies_to_all_accounts": ""}, "applies_to_all_accounts", "Choose what it applies to"),
        ({"name": ""}, "name", "This field is required."),
    ],
)
def test_it_tells_at_the_field_what_is_wrong(
    page: Client, wrong: dict[str, str], field: str, sentence: str
) -> None:
    response = page.post("/rules/new", fields(**wrong))

    assert response.status_code == 200
    assert sentence in " ".join(response.context["form"].errors[field])
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not RiskRule.objects.exists()


def test_it_edits_what_it_showed_without_changing_it(alice: User, page: Client) -> None:
    group = make_group(alice, "Desk", make_account(alice))
    rule = make_rule(
        alice,
        groups=[group],
        rule_type="MAX_POSITION_SIZE",
        limit=Decimal("2.5"),
        parameters={"symbols": ["EURUSD", "GBPUSD.r"], "hold_seconds": 30},
    )
    form = page.get(f"/rules/{rule.pk}/edit").context["form"]
    shown = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    page.post(f"/rules/{rule.pk}/edit", {k: v for k, v in shown.items() if v is not False})

    again = RiskRule.objects.get()
    assert (again.limit, again.parameters) == (rule.limit, rule.parameters)
    assert list(again.groups.all()) == [group]


def test_it_offers_the_fields_of_the_type_and_keeps_what_was_typed(page: Client) -> None:
    html = page.get(
        "/rules/fields", {"rule_type": "MAX_DRAWDOWN", "limit": "8", "lock": "at_initial"}
    ).content.decode()
    assert 'name="lock_offset"' in html
    assert 'value="8"' in html
    assert 'value="at_initial" selected' in html
    assert 'name="reference"' not in html


@pytest.mark.parametrize("rule_type", ["PROFIT_TARGET", "MIN_TRADING_DAYS", "CONSISTENCY"])
def test_it_offers_no_action_for_what_is_to_be_reached(page: Client, rule_type: str) -> None:
    html = page.get("/rules/fields", {"rule_type": rule_type}).content.decode()
    assert "When it is violated" not in html
    assert '<input type="hidden" name="action" value="ALERT">' in html
    assert "never refuses or closes anything" in html


def test_it_says_the_rule_in_one_sentence_while_it_is_typed(page: Client) -> None:
    html = page.post("/rules/preview", fields(name="")).content.decode()
    assert "Alert when today's loss reaches 5 % of the initial balance" in html.replace(
        "&#x27;", "'"
    )
    assert "appears here" in page.post("/rules/preview", fields(limit="-1")).content.decode()


def test_it_refuses_targets_of_somebody_else(charlie: User, page: Client) -> None:
    stranger = make_account(charlie)
    response = page.post(
        "/rules/new", fields(applies_to_all_accounts="", accounts=[str(stranger.pk)])
    )
    assert response.context["form"].errors["accounts"]
    assert not RiskRule.objects.exists()


def test_it_acknowledges_a_violation_with_a_reason(alice: User, page: Client) -> None:
    account, rule = make_account(alice), make_rule(alice)
    breach = make_breach(rule, account)
    path = f"/rules/{rule.pk}/accounts/{account.pk}/acknowledge"
    assert breach.message in page.get(path).content.decode()

    assert page.post(path, {"reason": " "}).context["form"].errors["reason"]
    assert RuleBreach.objects.get().acknowledged_at is None
    page.post(path, {"reason": "News spike, I know."})

    breach.refresh_from_db()
    assert breach.acknowledged_reason == "News spike, I know."
    assert breach.cleared_at is None


def test_it_says_why_a_violated_rule_is_not_deleted(alice: User, page: Client) -> None:
    account, rule = make_account(alice), make_rule(alice)
    make_breach(rule, account)

    html = page.post(f"/rules/{rule.pk}/delete", follow=True).content.decode()

    assert "cannot be deleted" in html
    assert RiskRule.objects.exists()


def test_it_deletes_a_rule_that_holds_nothing(alice: User, page: Client) -> None:
    rule = make_rule(alice)
    assert page.get(f"/rules/{rule.pk}/delete").status_code == 200
    assert RiskRule.objects.exists()
    page.post(f"/rules/{rule.pk}/delete")
    assert not RiskRule.objects.exists()


def test_it_shows_friendly_words_without_rules(page: Client) -> None:
    assert "No rules of your own yet." in page.get("/rules").content.decode()
