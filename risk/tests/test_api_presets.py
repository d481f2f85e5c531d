"""Presets, group templates and the news calendar by API."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.api_clients import Client, client_of
from accounts.tests.factories import NOW, make_account
from groups.models import AccountGroup
from groups.tests.factories import make_group
from risk.models import GroupTemplate, NewsEvent, RiskRule, RulePreset
from risk.tests.factories import make_preset, make_rule, make_template

SIZE = {"name": "Size", "rule_type": "MAX_POSITION_SIZE", "limit": "2"}
EVENT = {"at": "2026-10-02T12:30:00Z", "currency": "USD", "importance": "high", "title": "Payrolls"}


@pytest.fixture
def api(alice: User) -> Client:
    return client_of(alice)


def fields_of(answer: Any) -> set[str]:
    assert answer.status_code == 400, answer.content
    return set(answer.json()["error"]["fields"])


def test_it_lists_the_programs_with_their_source_and_own_presets(
    api: Client, alice: User, bob: User
) -> None:
    make_preset(alice, "Mine")
    make_preset(bob, "Theirs")
    shown = api.ask("GET", "risk-rules/presets").json()
    ftmo = next(each for each in shown["programs"] if each["key"] == "ftmo-2-step")
    assert (ftmo["checked_on"], ftmo["source_page"]) == (
        "2026-10-04", "ftmo.com/en/trading-objectives",
    )  # fmt: skip
    assert [phase["key"] for phase in ftmo["phases"]] == ["phase-1", "phase-2"]
    daily = ftmo["rules"][0]
    assert (daily["limit"], daily["phase"], daily["is_firm_rule"]) == ("0.050000", "", True)
    assert "5 %" in daily["sentence"]
    assert "check with the firm" in ftmo["advice"]
    assert [each["name"] for each in shown["own"]] == ["Mine"]
    assert shown["left_out"]


def test_it_puts_a_program_on_an_account_and_a_group(api: Client, alice: User) -> None:
    account = make_account(alice)
    group = make_group(alice, "Desk", account)
    body = {"preset": "ftmo-2-step", "phase": "phase-2", "accounts": [str(account.pk)]}
    made = api.ask("POST", "risk-rules/presets/apply", body)
    assert made.status_code == 201, made.content
    rules = {rule["rule_type"]: rule for rule in made.json()["results"]}
    assert rules["PROFIT_TARGET"]["limit"] == "0.050000"
    assert rules["MAX_DAILY_LOSS"]["accounts"] == [str(account.pk)]
    assert rules["MAX_DAILY_LOSS"]["armed_accounts"] == []
    again = api.ask("POST", "risk-rules/presets/apply", body)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "preset_is_there")
    on_group = {"preset": "ftmo-2-step", "groups": [str(group.pk)]}
    assert api.ask("POST", "risk-rules/presets/apply", on_group).status_code == 201
    wrong_size = {"preset": "apex-eod-50k", "accounts": [str(account.pk)]}
    refused = api.ask("POST", "risk-rules/presets/apply", wrong_size)
    assert refused.json()["error"]["code"] == "preset_does_not_fit"
    assert "50,000 USD" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "preset"),
        ({"preset": "nothing"}, "preset"),
        ({"preset": "theirs"}, "preset"),
        ({"preset": "ftmo-2-step"}, "accounts"),
        ({"preset": "ftmo-2-step", "phase": "phase-9", "accounts": "mine"}, "phase"),
        ({"preset": "ftmo-2-step", "accounts": "theirs"}, "accounts"),
    ],
)
def test_it_names_what_is_wrong_with_an_application(
    api: Client, alice: User, bob: User, body: dict[str, Any], field: str
) -> None:
    accounts = {"mine": make_account(alice), "theirs": make_account(bob)}
    if "accounts" in body:
        body = {**body, "accounts": [str(accounts[body["accounts"]].pk)]}
    if body.get("preset") == "theirs":
        body = {"preset": str(make_preset(bob).pk), "accounts": [str(accounts["mine"].pk)]}
    assert fields_of(api.ask("POST", "risk-rules/presets/apply", body)) == {field}
    assert not RiskRule.objects.exists()


def test_it_saves_rules_as_a_preset_and_puts_it_on(api: Client, alice: User) -> None:
    rule = make_rule(alice, "Loss", limit=Decimal("0.04"))
    created = api.ask("POST", "risk-rules/presets", {"name": "Mine", "rule_ids": [str(rule.pk)]})
    assert created.status_code == 201, created.content
    preset = created.json()
    assert [each["name"] for each in preset["rules"]] == ["Loss"]
    path = f"risk-rules/presets/{preset['id']}"
    assert api.ask("GET", path).json() == preset
    assert api.ask("PATCH", path, {"rules": [SIZE]}).json()["rules"][0]["limit"] == "2"
    both = {"rules": [SIZE], "rule_ids": [str(rule.pk)]}
    assert fields_of(api.ask("PATCH", path, both)) == {"rule_ids"}
    assert fields_of(api.ask("PUT", path, {"name": "Mine", "rules": [{}]})) == {"rules"}
    assert fields_of(api.ask("POST", "risk-rules/presets", {"name": "Empty"})) == {"rules"}
    body = {"preset": preset["id"], "accounts": [str(make_account(alice).pk)]}
    made = api.ask("POST", "risk-rules/presets/apply", body).json()
    assert [each["name"] for each in made["results"]] == ["Size"]
    assert api.ask("DELETE", path).status_code == 204
    assert not RulePreset.objects.exists()
    assert RiskRule.objects.filter(name="Size").exists()


def test_it_makes_groups_from_templates(api: Client, alice: User) -> None:
    accounts = [make_account(alice, name) for name in ("First", "Second")]
    group = make_group(alice, "Desk", *accounts)
    make_rule(alice, "Loss", groups=[group])
    made = api.ask("POST", "group-templates", {"name": "Like it", "group_id": str(group.pk)})
    assert made.status_code == 201, made.content
    template = made.json()
    assert [rule["name"] for rule in template["rules"]] == ["Loss"]
    path = f"group-templates/{template['id']}"
    assert api.ask("PATCH", path, {"tags": ["eval"]}).json()["tags"] == ["eval"]
    body = {"name": "October", "accounts": [str(account.pk) for account in accounts]}
    applied = api.ask("POST", f"{path}/apply", body)
    assert applied.status_code == 201, applied.content
    assert applied.json()["account_count"] == 2
    october = AccountGroup.objects.get(name="October")
    assert [rule.name for rule in october.risk_rules.all()] == ["Loss"]
    assert fields_of(api.ask("POST", f"{path}/apply", body)) == {"name"}
    assert fields_of(api.ask("POST", f"{path}/apply", {"name": "X"})) == {"accounts"}
    mixed = {"name": "Y", "group_id": str(group.pk), "rules": [SIZE]}
    assert fields_of(api.ask("POST", "group-templates", mixed)) == {"group_id"}
    assert fields_of(api.ask("PATCH", path, {"group_id": str(group.pk)})) == {"group_id"}
    assert api.ask("DELETE", path).status_code == 204
    assert not GroupTemplate.objects.exists()


def test_it_imports_a_calendar_whole_or_not_at_all(api: Client, alice: User) -> None:
    empty = api.ask("GET", "news-events/coverage").json()
    assert empty == {"covers_from_at": None, "covers_until_at": None, "imported_at": None}
    reach = {
        "covers_from_at": "2026-09-28T00:00:00Z",
        "covers_until_at": "2026-10-05T00:00:00Z",
    }
    done = api.ask("POST", "news-events", {"events": [EVENT], **reach})
    assert done.status_code == 201, done.content
    assert (done.json()["added"], done.json()["removed"]) == (1, 0)
    assert api.ask("GET", "news-events/coverage").json().items() >= reach.items()
    text = "at,currency,importance,title\n2026-10-01T08:00:00Z,EUR,low,Speech\n"
    assert api.ask("POST", "news-events", {"csv": text}).status_code == 201
    for body, field in (
        ({}, "events"),
        ({"events": [EVENT], "csv": text}, "events"),
        ({"events": [{**EVENT, "currency": "Dollar"}]}, "events"),
        ({"csv": "nothing"}, "csv"),
    ):
        assert fields_of(api.ask("POST", "news-events", body)) == {field}
    for query, titles in {
        "": ["Speech", "Payrolls"],
        "?currency=usd": ["Payrolls"],
        "?importance=low": ["Speech"],
        "?from=2026-10-02T00:00:00Z": ["Payrolls"],
        "?to=2026-10-02T00:00:00Z": ["Speech"],
        "?search=pay&ordering=-at": ["Payrolls"],
    }.items():
        found = api.ask("GET", f"news-events{query}").json()["results"]
        assert [event["title"] for event in found] == titles, query
    assert api.ask("DELETE", "news-events").status_code == 204
    assert not NewsEvent.objects.exists()


@pytest.mark.parametrize("path", ["group-templates", "news-events", "risk-rules/presets"])
def test_it_asks_the_database_as_often_for_20_rows_as_for_2(
    api: Client, alice: User, path: str
) -> None:
    counts, made = [], 0
    for target in (2, 20):
        for number in range(made, target):
            make_template(alice, str(number))
            make_preset(alice, str(number))
            NewsEvent.objects.create(
                user=alice, at=NOW, currency="USD", importance="low", title=str(number)
            )
        made = target
        with CaptureQueriesContext(connection) as queries:
            answer = api.ask("GET", path).json()
        assert len(answer.get("results", answer.get("own"))) == target
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 2
