"""How rules answer, by API: their responses, overrides, arming, dry runs and sizes."""

from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import NOW, make_account
from groups.tests.factories import make_group
from risk.models import RiskRule, RuleArming, RuleOverride
from risk.tests.factories import make_breach, make_rule

CLOSING = {
    "name": "Daily loss",
    "rule_type": "MAX_DAILY_LOSS",
    "limit": "0.05",
    "action": "CLOSE_ALL",
    "magic": 77,
    "act_at_fraction": "0.970",
    "act_after_seconds": "2.5",
    "closing_order": "newest_first",
    "losers_only": True,
    "close_fraction": "0.500",
}
NUMBERS = {"initial_balance": 100_000, "balance": 105_000, "day_balance": 105_000}


@pytest.fixture
def api(alice: User) -> Client:
    return client_of(alice)


@pytest.fixture
def account(alice: User) -> ConnectedAccount:
    return make_account(alice)


@pytest.fixture
def rule(alice: User, account: ConnectedAccount) -> RiskRule:
    return make_rule(alice, accounts=[account], action="CLOSE_ALL")


def fields_of(answer: Any) -> set[str]:
    assert answer.status_code == 400, answer.content
    return set(answer.json()["error"]["fields"])


def test_a_rule_carries_how_it_answers(api: Client, account: ConnectedAccount) -> None:
    made = api.ask("POST", "risk-rules", {**CLOSING, "accounts": [str(account.pk)]})
    assert made.status_code == 201, made.content
    rule = made.json()
    assert {name: rule[name] for name in CLOSING} == {**CLOSING, "limit": "0.050000"}
    assert rule["sentence"].endswith(".")
    assert (rule["is_cutoff"], rule["armed_accounts"], rule["overrides"]) == (False, [], [])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"act_at_fraction": "0.4"}, "act_at_fraction"),
        ({"act_at_fraction": "1.1"}, "act_at_fraction"),
        ({"act_after_seconds": "-1"}, "act_after_seconds"),
        ({"act_after_seconds": "86400.1"}, "act_after_seconds"),
        ({"close_fraction": "0"}, "close_fraction"),
        ({"closing_order": "random"}, "closing_order"),
        ({"magic": -1}, "magic"),
        ({"magic": 2**63}, "magic"),
        ({"rule_type": "MARGIN_LEVEL", "limit": "20"}, "magic"),
        ({"rule_type": "INACTIVITY", "limit": "20"}, "action"),
        ({"rule_type": "PROFIT_TARGET", "limit": "0.1"}, "action"),
        ({"rule_type": "STOP_LOSS_REQUIRED", "limit": "5", "action": "REDUCE_SIZE"}, "action"),
    ],
)
def test_it_names_the_field_that_is_wrong(api: Client, change: dict[str, Any], field: str) -> None:
    assert fields_of(api.ask("POST", "risk-rules", {**CLOSING, **change})) == {field}
    assert not RiskRule.objects.exists()


def test_an_action_that_is_not_possible_is_explained(api: Client) -> None:
    body = {"name": "Idle", "rule_type": "INACTIVITY", "limit": "20", "action": "BLOCK"}
    told = api.ask("POST", "risk-rules", body).json()["error"]["fields"]["action"]
    assert told == ["A rule “inactivity” can only alert."]


def test_opposite_positions_are_looked_for_across_accounts(
    api: Client, alice: User, account: ConnectedAccount
) -> None:
    body = {"name": "Hedging", "rule_type": "NO_CROSS_HEDGING", "limit": "1", "action": "BLOCK"}
    mine = {"accounts": [str(account.pk)]}
    group = {"groups": [str(make_group(alice, "Desk", account).pk)]}
    assert fields_of(api.ask("POST", "risk-rules", {**body, **mine})) == {"accounts"}
    assert fields_of(api.ask("POST", "risk-rules", body)) == {"groups"}
    made = api.ask("POST", "risk-rules", {**body, **group})
    assert made.status_code == 201, made.content
    path = f"risk-rules/{made.json()['id']}"
    assert api.ask("PATCH", path, {"name": "Still"}).status_code == 200
    assert fields_of(api.ask("PATCH", path, {"groups": []})) == {"groups"}
    assert (
        api.ask("PATCH", path, {"groups": [], "applies_to_all_accounts": True}).status_code == 200
    )


@pytest.mark.parametrize(
    ("change", "stays_armed"),
    [
        ({"name": "Other"}, True),
        ({"caution": "0.4"}, True),
        ({"limit": "0.05"}, True),
        ({"limit": "0.04"}, False),
        ({"parameters": {"reference": "equity"}}, False),
        ({"magic": 5}, False),
        ({"action": "REDUCE_SIZE"}, False),
        ({"act_at_fraction": "0.9"}, False),
        ({"close_fraction": "0.5"}, False),
        ({"applies_to_all_accounts": True}, False),
    ],
)
def test_an_edit_disarms(
    api: Client,
    rule: RiskRule,
    account: ConnectedAccount,
    change: dict[str, Any],
    stays_armed: bool,
) -> None:
    RuleArming.objects.create(rule=rule, account=account, armed_at=NOW)
    assert api.ask("PATCH", f"risk-rules/{rule.pk}", change).status_code == 200
    assert RuleArming.objects.exists() is stays_armed


def test_other_targets_disarm_and_the_same_do_not(
    api: Client, alice: User, rule: RiskRule, account: ConnectedAccount
) -> None:
    RuleArming.objects.create(rule=rule, account=account, armed_at=NOW)
    path, same = f"risk-rules/{rule.pk}", {"accounts": [str(account.pk)], "groups": []}
    assert api.ask("PATCH", path, same).json()["armed_accounts"] == [str(account.pk)]
    more = {"accounts": [str(account.pk), str(make_account(alice, "More").pk)]}
    assert api.ask("PATCH", path, more).json()["armed_accounts"] == []


def test_an_edit_is_no_way_to_disarm_what_is_violated(
    api: Client, rule: RiskRule, account: ConnectedAccount
) -> None:
    RuleArming.objects.create(rule=rule, account=account, armed_at=NOW)
    make_breach(rule, account)
    assert api.ask("PATCH", f"risk-rules/{rule.pk}", {"limit": "0.04"}).status_code == 200
    assert RuleArming.objects.exists()
    answer = api.ask("POST", f"risk-rules/{rule.pk}/disarm", {})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "locked")


def test_it_arms_and_disarms(
    api: Client, alice: User, rule: RiskRule, account: ConnectedAccount
) -> None:
    other = make_account(alice, "Other")
    rule.accounts.add(other)
    path = f"risk-rules/{rule.pk}"
    shown = api.ask("GET", f"{path}/arming").json()["results"]
    assert [(each["account_name"], each["is_armed"]) for each in shown] == [
        ("Alpha 1", False), ("Other", False),
    ]  # fmt: skip
    assert all(each["sentence"] for each in shown)
    one = api.ask("POST", f"{path}/arm", {"account_ids": [str(other.pk)]}).json()["results"]
    assert [each["is_armed"] for each in one] == [False, True]
    api.ask("POST", f"{path}/arm", {})
    assert RuleArming.objects.count() == 2
    assert set(RuleArming.objects.values_list("armed_by", flat=True)) == {alice.pk}
    api.ask("POST", f"{path}/disarm", {"account_ids": [str(account.pk)]})
    assert [arming.account for arming in RuleArming.objects.all()] == [other]
    elsewhere = make_account(alice, "Elsewhere")
    refused = api.ask("POST", f"{path}/arm", {"account_ids": [str(elsewhere.pk)]})
    assert refused.json()["error"]["code"] == "not_reached"
    alert = make_rule(alice, "Alert")
    assert api.ask("POST", f"risk-rules/{alert.pk}/arm", {}).json()["error"]["code"] == "alerts"


def test_it_differs_on_an_account(
    api: Client, alice: User, rule: RiskRule, account: ConnectedAccount
) -> None:
    path = f"risk-rules/{rule.pk}/overrides"
    own = f"{path}/{account.pk}"
    answer = api.ask("PUT", own, {"limit": "0.03", "parameters": {"reference": "equity"}})
    assert answer.status_code == 200, answer.content
    shown = answer.json()
    assert (shown["account_id"], shown["limit"], shown["action"]) == (
        str(account.pk), "0.030000", "",
    )  # fmt: skip
    assert api.ask("GET", path).json() == {"results": [shown]}
    whole = api.ask("GET", f"risk-rules/{rule.pk}").json()
    assert (whole["limit"], whole["overrides"]) == ("0.050000", [shown])
    wrong = api.ask("PUT", own, {"parameters": {"reference": "luck"}})
    assert fields_of(wrong) == {"parameters.reference"}
    elsewhere = make_account(alice, "Elsewhere")
    assert api.ask("PUT", f"{path}/{elsewhere.pk}", {"limit": "0.03"}).status_code == 404
    make_breach(rule, account)
    assert api.ask("DELETE", own).json()["error"]["code"] == "locked"
    rule_breach = RuleOverride.objects.get()
    assert rule_breach.limit is not None


def test_it_tries_a_rule_without_saving_it(
    api: Client, alice: User, account: ConnectedAccount
) -> None:
    rule = {"rule_type": "MAX_DAILY_LOSS", "limit": "0.05", "action": "CLOSE_ALL"}
    said = api.ask("POST", "risk-rules/test", {**rule, "numbers": {**NUMBERS, "equity": 100_000}})
    assert said.status_code == 200, said.content
    answer = said.json()["results"][0]
    assert (answer["status"], answer["floor"], answer["left"]) == ("violated", 100_000.0, 0.0)
    assert "closed everything" in answer["would_act"]
    on_account = api.ask("POST", "risk-rules/test", rule).json()["results"]
    assert [each["account_id"] for each in on_account] == [str(account.pk)]
    assert on_account[0]["status"] == "unknown"
    assert on_account[0]["sentence"].startswith("Alpha 1: ")
    for change, field in (
        ({"limit": 2}, "limit"),
        ({"numbers": {}}, "numbers.balance"),
        ({"numbers": {"balance": 10**400}}, "numbers.balance"),
        ({"account_ids": []}, "account_ids"),
    ):
        assert fields_of(api.ask("POST", "risk-rules/test", {**rule, **change})) == {field}
    assert not RiskRule.objects.exists()


def test_a_size_is_refused_with_the_reason(api: Client, account: ConnectedAccount) -> None:
    question = {
        "account_id": str(account.pk), "symbol": "EURUSD", "direction": "buy", "stop_loss": 1.08,
    }  # fmt: skip
    path = "risk-rules/calculate-position-size"
    answer = api.ask("POST", path, {**question, "risk_money": "100"})
    assert answer.status_code == 200, answer.content
    size = answer.json()
    assert (size["is_refused"], size["lots"], size["limited_by"]) == (True, "0.00000000", "unknown")
    assert size["sentence"]
    both = {**question, "risk_money": "100", "risk_fraction": "0.01"}
    assert fields_of(api.ask("POST", path, both)) == {"risk_fraction"}
    assert fields_of(api.ask("POST", path, question)) == {"risk_fraction"}
    assert fields_of(api.ask("POST", path, {**question, "stop_loss": "x"})) >= {"stop_loss"}


def test_a_portfolio_is_told_of_all_some_or_a_group(
    api: Client, alice: User, bob: User, account: ConnectedAccount
) -> None:
    euro = make_account(alice, "Euro", currency="EUR")
    group = make_group(alice, "Desk", euro)
    path = "risk-rules/portfolio-risk"
    everything = api.ask("GET", path).json()
    assert set(everything["account_ids"]) == {str(account.pk), str(euro.pk)}
    assert set(everything["unknown_accounts"]) == set(everything["account_ids"])
    assert (everything["account_value"], everything["currency"]) == (None, None)
    assert "EUR and USD" in everything["reasons"]["total"]
    assert [each["currency"] for each in everything["by_currency"]] == ["EUR", "USD"]
    of_group = api.ask("GET", f"{path}?group_id={group.pk}").json()
    assert (of_group["account_ids"], of_group["currency"]) == ([str(euro.pk)], "EUR")
    assert "no fresh reading" in of_group["reasons"]["account_value"]
    one = api.ask("GET", f"{path}?account_ids={account.pk}").json()
    assert one["account_ids"] == [str(account.pk)]
    theirs = make_account(bob)
    for query, field in {
        f"account_ids={account.pk},{theirs.pk}": "account_ids",
        "account_ids=x": "account_ids",
        f"group_id={make_group(bob, 'Theirs').pk}": "group_id",
        f"account_ids={account.pk}&group_id={group.pk}": "group_id",
    }.items():
        assert fields_of(api.ask("GET", f"{path}?{query}")) == {field}
