from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import NOW, make_account
from groups.tests.factories import make_group
from risk.models import RiskRule, RuleBreach
from risk.tests.factories import make_breach, make_rule

BODY = {
    "name": "Daily loss",
    "rule_type": "MAX_DAILY_LOSS",
    "limit": "0.05",
    "parameters": {"reference": "higher_of_balance_and_equity", "reset_zone": "Europe/Prague"},
    "applies_to_all_accounts": True,
}


@pytest.fixture
def api(alice: User) -> Client:
    return client_of(alice)


def fields_of(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 400, answer.content
    fields: dict[str, list[str]] = answer.json()["error"]["fields"]
    return fields


def test_it_creates_reads_changes_and_deletes_a_rule(api: Client, alice: User) -> None:
    account, group = make_account(alice), make_group(alice)
    targets = {"accounts": [str(account.pk)], "groups": [str(group.pk)]}
    created = api.ask("POST", "risk-rules", {**BODY, **targets})
    assert created.status_code == 201, created.content
    rule = created.json()
    assert {key: rule[key] for key in targets} == targets
    assert rule["parameters"] == BODY["parameters"]
    assert (rule["is_locked"], rule["breach_count"], rule["caution"]) == (False, 0, "0.300")
    path = f"risk-rules/{rule['id']}"
    assert api.ask("GET", path).json() == rule
    changed = api.ask("PATCH", path, {"limit": 0.03, "breach_count": 9}).json()
    assert (changed["limit"], changed["breach_count"]) == ("0.030000", 0)
    assert changed["accounts"] == targets["accounts"]
    replaced = api.ask("PUT", path, {**BODY, "accounts": [], "groups": []})
    assert replaced.json()["accounts"] == []
    assert api.ask("DELETE", path).status_code == 204
    assert not RiskRule.objects.exists()


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"limit": -1}, "limit"),
        ({"limit": 0}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"limit": "1e400"}, "limit"),
        ({"limit": None}, "limit"),
        ({"rule_type": "NONSENSE"}, "rule_type"),
        ({"action": "EXPLODE"}, "action"),
        ({"critical": "0.5"}, "critical"),
        ({"caution": 2}, "caution"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"reset_zone": "Mars/Olympus"}}, "parameters.reset_zone"),
        ({"parameters": {"reset_time": "noon"}}, "parameters.reset_time"),
        ({"parameters": {"reference": ["x"]}}, "parameters.reference"),
        ({"parameters": {"nonsense": 1}}, "parameters.nonsense"),
        ({"accounts": "x"}, "accounts"),
        ({"groups": ["x"]}, "groups"),
    ],
)
def test_it_names_the_field_that_is_wrong(api: Client, change: dict[str, Any], wrong: str) -> None:
    fields = fields_of(api.ask("POST", "risk-rules", {**BODY, **change}))
    assert set(fields) == {wrong}
    assert fields[wrong][0]
    assert not RiskRule.objects.exists()


def test_it_refuses_to_loosen_a_violated_rule(api: Client, alice: User) -> None:
    rule, account = make_rule(alice), make_account(alice)
    make_breach(rule, account)
    path = f"risk-rules/{rule.pk}"
    assert api.ask("GET", path).json()["is_locked"] is True
    for method, body in (("PATCH", {"is_active": False}), ("DELETE", None)):
        answer = api.ask(method, path, body)
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "locked"
        assert "Alpha 1" in answer.json()["error"]["message"]
    answer = api.ask("DELETE", f"accounts/{account.pk}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "locked")
    assert RiskRule.objects.get().is_active


def test_it_acknowledges_with_a_reason(api: Client, alice: User) -> None:
    rule, account = make_rule(alice), make_account(alice)
    make_breach(rule, account)
    path, body = f"risk-rules/{rule.pk}/reset", {"account_id": str(account.pk)}
    assert set(fields_of(api.ask("POST", path, body))) == {"reason"}
    assert set(fields_of(api.ask("POST", path, {"reason": "Seen."}))) == {"account_id"}
    answer = api.ask("POST", path, {**body, "reason": "My stop was too wide."})
    assert answer.status_code == 200
    assert answer.json()["acknowledged_reason"] == "My stop was too wide."
    assert answer.json()["cleared_at"] is None
    again = api.ask("POST", path, {**body, "reason": "Once more."})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_acknowledged")
    assert api.ask("GET", f"risk-rules/{rule.pk}").json()["is_locked"] is False


def test_it_acknowledges_no_strangers_account(api: Client, alice: User, bob: User) -> None:
    rule, theirs = make_rule(alice), make_account(bob)
    make_breach(rule, theirs)
    body = {"account_id": str(theirs.pk), "reason": "Not mine."}
    answer = api.ask("POST", f"risk-rules/{rule.pk}/reset", body)
    assert fields_of(answer) == {"account_id": ["not found"]}
    assert RuleBreach.objects.get().acknowledged_at is None


def test_it_lists_and_filters_the_ledger(api: Client, alice: User, bob: User) -> None:
    first, second = make_account(alice, "First"), make_account(alice, "Second")
    rule = make_rule(alice)
    make_breach(rule, first, cleared_at=NOW)
    make_breach(rule, second, acknowledged_at=NOW)
    make_breach(make_rule(bob), make_account(bob, "Theirs"))
    for query, names in {
        "ordering=account_name": ["First", "Second"],
        "latched=true": ["Second"],
        "latched=false": ["First"],
        "acknowledged=true": ["Second"],
        "acknowledged=false": ["First"],
        f"account_id={first.pk}": ["First"],
        f"rule_id={rule.pk}&search=second": ["Second"],
        "rule_type=MAX_DRAWDOWN": [],
        "since=2026-11-20T12:00:00.000001Z": [],
        "since=2026-11-20T12:00:00Z&ordering=-account_name": ["Second", "First"],
    }.items():
        found = api.ask("GET", f"risk-rules/breaches?{query}").json()["results"]
        assert [breach["account_name"] for breach in found] == names, query


def test_only_one_breach_by_itself_has_its_evidence(api: Client, alice: User) -> None:
    evidence = {"account": {"equity": 93_980.0}, "position_count": 1, "positions": [{"ticket": 7}]}
    rule, account = make_rule(alice), make_account(alice)
    breach = make_breach(rule, account, evidence=evidence)
    with CaptureQueriesContext(connection) as queries:
        (listed,) = api.ask("GET", "risk-rules/breaches").json()["results"]
    assert not any('"evidence"' in query["sql"] for query in queries)
    assert "evidence" not in listed
    one = api.ask("GET", f"risk-rules/breaches/{breach.pk}").json()
    assert one == {**listed, "evidence": evidence}
    body = {"account_id": str(account.pk), "reason": "Seen."}
    reset = api.ask("POST", f"risk-rules/{rule.pk}/reset", body).json()
    assert reset["evidence"] == evidence


def test_a_breach_tells_who_acknowledged_and_cleared_it(
    api: Client, alice: User, bob: User
) -> None:
    rule, account = make_rule(alice), make_account(alice)
    own = make_rule(alice, "Leverage", rule_type="MAX_LEVERAGE", limit=20)
    make_breach(rule, account)
    make_breach(own, account)
    body = {"account_id": str(account.pk), "reason": "Seen."}
    for each, cleared_by in ((rule, None), (own, alice.username)):
        answer = api.ask("POST", f"risk-rules/{each.pk}/reset", body).json()
        assert (answer["acknowledged_by"], answer["cleared_by"]) == (alice.username, cleared_by)
    make_breach(make_rule(alice, "Old"), account, acknowledged_at=NOW, acknowledged_by_id=999_999)
    listed = api.ask("GET", "risk-rules/breaches").json()["results"]
    assert {(each["rule_name"], each["acknowledged_by"]) for each in listed} == {
        (rule.name, alice.username),
        ("Leverage", alice.username),
        ("Old", None),
    }


def test_it_filters_rules_by_what_they_name(api: Client, alice: User) -> None:
    account = make_account(alice)
    group = make_group(alice, "Desk", account)
    make_rule(alice, "A", accounts=[account])
    make_rule(alice, "B", groups=[group], is_active=False)
    make_rule(alice, "C", rule_type="MAX_LEVERAGE", limit=20)
    for query, names in {
        f"account={account.pk}": ["A"],
        f"group={group.pk}": ["B"],
        "is_active=false": ["B"],
        "rule_type=MAX_LEVERAGE": ["C"],
        "applies_to_all_accounts=true": ["C"],
        "search=c": ["C"],
        "ordering=-name": ["C", "B", "A"],
    }.items():
        found = api.ask("GET", f"risk-rules?{query}").json()["results"]
        assert [rule["name"] for rule in found] == names, query


@pytest.mark.parametrize("path", ["risk-rules", "risk-rules/breaches"])
def test_it_asks_the_database_as_often_for_20_rows_as_for_2(
    api: Client, alice: User, path: str
) -> None:
    accounts, counts = [make_account(alice, str(number)) for number in range(3)], []
    group = make_group(alice, "Desk", *accounts)
    for target in (2, 20):
        for number in range(RiskRule.objects.count(), target):
            rule = make_rule(alice, f"Rule {number}", accounts=accounts, groups=[group])
            make_breach(rule, accounts[0])
        with CaptureQueriesContext(connection) as queries:
            assert len(api.ask("GET", path).json()["results"]) == target
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


def test_only_a_loss_rule_of_ones_own_takes_a_new_reference(api: Client, alice: User) -> None:
    account = make_account(alice)
    rule = make_rule(alice, is_firm_rule=True)
    make_breach(rule, account)
    body = {"account_id": str(account.pk), "reason": "Start over.", "new_reference": True}
    refused = api.ask("POST", f"risk-rules/{rule.pk}/reset", body)
    assert refused.status_code == 409
    assert RuleBreach.objects.get().acknowledged_at is None
