import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.models import ConnectedAccount, User
from accounts.tests.admin_pages import admin_url, errors_of, messages_of, submit
from accounts.tests.factories import NOW, make_account, make_user, sign_in_staff
from groups.models import AccountGroup
from risk.models import GroupTemplate, Order, RiskRule, RuleBreach, RuleOverride, RulePreset
from risk.tests.factories import make_check, make_order


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    sign_in_staff(client, make_user("boss", is_staff=True, is_superuser=True))
    return client


def make_rule(user: User, **fields: Any) -> RiskRule:
    values: dict[str, Any] = {
        "name": "Daily loss",
        "rule_type": RiskRule.Type.MAX_DAILY_LOSS,
        "limit": Decimal("0.05"),
        "action": RiskRule.Action.BLOCK,
        **fields,
    }
    return RiskRule.objects.create(user=user, **values)


def violate(rule: RiskRule, account: ConnectedAccount) -> RuleBreach:
    return RuleBreach.objects.create(
        user_id=rule.user_id,
        rule_id=rule.pk,
        account_id=account.pk,
        rule_name=rule.name,
        rule_type=rule.rule_type,
        account_name=account.name,
        observed=5012.4,
        limit=5000.0,
        floor=95000.0,
        unit="USD",
        message="Alpha 1 lost 5,012.40 USD of 5,000.00 today",
        latched_at=NOW,
    )


def new_rule(user: User, **changes: Any) -> dict[str, Any]:
    return {
        "user": user.pk,
        "name": "Daily loss",
        "rule_type": "MAX_DAILY_LOSS",
        "limit": "0.05",
        "parameters": '{"reference": "equity"}',
        **changes,
    }


def test_it_creates_a_rule_with_its_targets(staff: Client, alice: User) -> None:
    account = make_account(alice)
    group = AccountGroup.objects.create(user=alice, name="Desk")

    answer = submit(
        staff,
        admin_url(RiskRule, "add"),
        new_rule(alice, accounts=[account.pk], groups=[group.pk]),
    )

    assert answer.status_code == 302
    rule = RiskRule.objects.get()
    assert (rule.limit, rule.parameters) == (Decimal("0.05"), {"reference": "equity"})
    assert (list(rule.accounts.all()), list(rule.groups.all())) == ([account], [group])


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"limit": "-1"}, "limit", "greater than zero"),
        ({"limit": "1.5"}, "limit", "fraction between 0 and 1"),
        ({"parameters": '{"reference": "luck"}'}, "parameters", "reference: Choose one of"),
        ({"parameters": '{"reset_zone": "Nowhere"}'}, "parameters", "reset_zone: "),
        ({"parameters": '{"colour": "red"}'}, "parameters", "colour: "),
        ({"parameters": "[1]"}, "parameters", "Give an object"),
        ({"parameters": "{"}, "parameters", "Enter a valid JSON"),
        ({"caution": "1.2"}, "caution", ""),
        ({"caution": "0.1", "critical": "0.2"}, "critical", "Critical"),
        ({"rule_type": "LUCK"}, "rule_type", "Select a valid choice"),
    ],
)
def test_it_says_at_the_field_what_is_wrong(
    staff: Client, alice: User, changes: dict[str, str], field: str, text: str
) -> None:
    answer = submit(staff, admin_url(RiskRule, "add"), new_rule(alice, **changes))

    assert answer.status_code == 200
    assert text in str(errors_of(answer).get(field, errors_of(answer)))
    assert field in errors_of(answer)
    assert not RiskRule.objects.exists()


@pytest.mark.parametrize("target", ["accounts", "groups"])
@pytest.mark.parametrize("page", ["add", "change"])
def test_it_refuses_targets_of_somebody_else(
    staff: Client, alice: User, bob: User, target: str, page: str
) -> None:
    foreign = {
        "accounts": make_account(bob).pk,
        "groups": AccountGroup.objects.create(user=bob, name="Desk").pk,
    }[target]
    if page == "add":
        answer = submit(staff, admin_url(RiskRule, "add"), new_rule(alice, **{target: [foreign]}))
    else:
        rule = make_rule(alice)
        answer = submit(staff, admin_url(RiskRule, "change", rule.pk), {target: [foreign]})

    assert errors_of(answer) == {target: [f"Choose {target} of the rule's user."]}
    assert not any(getattr(rule, target).exists() for rule in RiskRule.objects.all())


def test_it_leaves_a_rule_with_its_user_and_type(staff: Client, alice: User, bob: User) -> None:
    rule = make_rule(alice)

    submit(
        staff,
        admin_url(RiskRule, "change", rule.pk),
        {"user": bob.pk, "rule_type": "POSITION_LIMIT", "breach_count": 9, "name": "New"},
    )

    rule.refresh_from_db()
    assert (rule.user, rule.rule_type, rule.name) == (alice, "MAX_DAILY_LOSS", "New")
    assert rule.breach_count == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": "0.06"},
        {"is_active": ""},
        {"action": "ALERT"},
        {"parameters": '{"reference": "equity"}'},
        {"accounts": []},
    ],
)
def test_it_does_not_loosen_a_rule_that_is_violated(
    staff: Client, alice: User, changes: dict[str, Any]
) -> None:
    account = make_account(alice)
    rule = make_rule(alice)
    rule.accounts.add(account)
    violate(rule, account)
    before = RiskRule.objects.values().get()

    answer = submit(staff, admin_url(RiskRule, "change", rule.pk), changes)

    assert "is violated on Alpha 1" in errors_of(answer)[""][0]
    assert RiskRule.objects.values().get() == before
    assert list(rule.accounts.all()) == [account]


def test_it_tightens_a_rule_that_is_violated(staff: Client, alice: User) -> None:
    account = make_account(alice)
    rule = make_rule(alice)
    violate(rule, account)

    submit(staff, admin_url(RiskRule, "change", rule.pk), {"limit": "0.04"})

    rule.refresh_from_db()
    assert rule.limit == Decimal("0.04")


@pytest.mark.parametrize("is_bulk", [False, True])
def test_it_does_not_delete_a_rule_that_is_violated(
    staff: Client, alice: User, is_bulk: bool
) -> None:
    free, held = make_rule(alice, name="A"), make_rule(alice, name="B")
    violate(held, make_account(alice))
    url = admin_url(RiskRule, "changelist") if is_bulk else admin_url(RiskRule, "delete", held.pk)
    selection = {"action": "delete_selected", "_selected_action": [free.pk, held.pk]}

    answer = staff.post(url, {"post": "yes", **(selection if is_bulk else {})}, follow=True)

    assert "is violated on Alpha 1" in messages_of(answer)[0]
    assert RiskRule.objects.count() == 2
    assert RuleBreach.objects.latched().count() == 1


def test_it_shows_the_evidence_of_a_breach(staff: Client, alice: User) -> None:
    breach = violate(make_rule(alice), make_account(alice))

    text = staff.get(admin_url(RuleBreach, "change", breach.pk)).content.decode()

    for evidence in ("5012.4", "5000.0", "95000.0", "USD", breach.message, str(breach.rule_id)):
        assert evidence in text


def test_it_shows_parameters_as_json_that_can_be_posted_again(staff: Client, alice: User) -> None:
    rule = make_rule(alice, parameters={"reference": "equity", "reset_time": "17:00"})

    form = staff.get(admin_url(RiskRule, "change", rule.pk)).context["adminform"].form

    assert json.loads(form["parameters"].value()) == rule.parameters


def test_staff_let_a_rule_differ_on_an_account(staff: Client, alice: User) -> None:
    account = make_account(alice)
    rule = make_rule(alice, applies_to_all_accounts=True)
    page = admin_url(RiskRule, "change", rule.pk)

    new = {"overrides-0-account": account.pk, "overrides-0-limit": "0.03"}
    assert submit(staff, page, new).status_code == 302

    override = RuleOverride.objects.get()
    assert (override.account, override.limit) == (account, Decimal("0.03"))
    submit(staff, page, {"overrides-0-limit": "0.02"})
    override.refresh_from_db()
    assert override.limit == Decimal("0.02")
    rule.refresh_from_db()
    assert rule.limit == Decimal("0.05")
    submit(staff, page, {"overrides-0-DELETE": "on"})
    assert not RuleOverride.objects.exists()


@pytest.mark.parametrize("reason", ["wrong", "foreign", "held"])
def test_staff_cannot_let_it_differ_in_every_way(
    staff: Client, alice: User, bob: User, reason: str
) -> None:
    account = make_account(bob if reason == "foreign" else alice)
    rule = make_rule(alice, applies_to_all_accounts=True)
    if reason == "held":
        violate(rule, account)
    limit = "2" if reason == "wrong" else "0.03"

    answer = submit(
        staff,
        admin_url(RiskRule, "change", rule.pk),
        {"overrides-0-account": account.pk, "overrides-0-limit": limit},
    )

    assert answer.status_code == 200
    assert not RuleOverride.objects.exists()


@pytest.mark.parametrize("model", [RulePreset, GroupTemplate])
def test_staff_write_presets_and_templates(
    staff: Client, alice: User, model: type[RulePreset | GroupTemplate]
) -> None:
    stored = '[{"name": "Size", "rule_type": "MAX_POSITION_SIZE", "limit": 2}]'
    row = {"user": alice.pk, "name": "Mine", "rules": stored}
    for wrong in ('[{"name": "Size"}]', '{"name": "Size"}', "7"):
        answer = submit(staff, admin_url(model, "add"), {**row, "rules": wrong})
        assert set(errors_of(answer)) == {"rules"}, wrong
    assert not model._default_manager.exists()
    assert submit(staff, admin_url(model, "add"), row).status_code == 302
    made = model._default_manager.get()
    assert made.rules[0]["action"] == "ALERT"
    submit(staff, admin_url(model, "change", made.pk), {"name": "Ours"})
    made.refresh_from_db()
    assert made.name == "Ours"


def test_staff_see_what_the_gate_said(staff: Client, alice: User) -> None:
    order = make_order(make_account(alice), state="rejected")
    make_check(order, sentence="5,000.00 of 5,000.00 USD are lost.", verdict="block")
    text = staff.get(admin_url(Order, "change", order.pk)).content.decode()
    assert "Blocked: 5,000.00 of 5,000.00 USD are lost." in text
