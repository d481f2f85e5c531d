"""Presets, group templates, exceptions and the news calendar, as pages."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from accounts.tests.factories import make_account
from groups.models import AccountGroup
from groups.tests.factories import make_group
from risk.models import GroupTemplate, NewsCalendar, NewsEvent, RiskRule, RuleOverride, RulePreset
from risk.presets.catalogue import firm_presets
from risk.tests.factories import make_breach, make_preset, make_rule, make_template

FTMO = "/rules/presets/ftmo-2-step/use"


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def test_it_shows_every_program_with_its_source_and_day(page: Client) -> None:
    html = page.get("/rules/presets").content.decode()
    for preset in firm_presets():
        assert preset.program in html
        assert f"/rules/presets/{preset.key}/use" in html
    assert html.count("Checked on 4 October 2026, check with the firm.") == len(firm_presets())
    assert "Copying is allowed between your own accounts only." in html
    assert "today&#x27;s loss exceeds 5" in html


def test_it_puts_a_program_on_an_account_and_leads_to_the_arming(alice: User, page: Client) -> None:
    account = make_account(alice, "Alpha 1")
    answer = page.post(FTMO, {"phase": "phase-2", "accounts": [str(account.pk)]})

    assert answer.headers["Location"] == f"/accounts/{account.pk}/arming"
    rules = RiskRule.objects.filter(user=alice)
    assert {rule.rule_type for rule in rules} == {
        "MAX_DAILY_LOSS", "MAX_DRAWDOWN", "PROFIT_TARGET", "MIN_TRADING_DAYS"
    }  # fmt: skip
    assert all(list(rule.accounts.all()) == [account] for rule in rules)
    assert rules.get(rule_type="PROFIT_TARGET").limit == Decimal("0.05")


def test_it_puts_a_program_on_a_group_from_the_modal(alice: User, page: Client) -> None:
    group = make_group(alice, "Desk", make_account(alice))
    headers = {"HX-Request": "true", "HX-Target": "modal-body"}
    form = page.get(f"{FTMO}?group={group.pk}", headers=headers)
    assert f'value="{group.pk}"' in form.content.decode()
    assert "<html" not in form.content.decode()
    assert form.context["form"]["groups"].value() == [str(group.pk)]

    answer = page.post(FTMO, {"phase": "phase-1", "groups": [str(group.pk)]}, headers=headers)
    assert answer.headers["HX-Redirect"] == f"/rules?group={group.pk}"
    assert RiskRule.objects.filter(groups=group).count() == 4


def test_it_keeps_the_target_that_was_chosen_above(
    alice: User, charlie: User, page: Client
) -> None:
    group, strange = make_group(alice, "Desk"), make_group(charlie, "Theirs")
    assert (
        f"use?group={group.pk}" in page.get(f"/rules/presets?for=group:{group.pk}").content.decode()
    )
    for wrong in (f"group:{strange.pk}", "group:x", "nonsense", f"account:{group.pk}"):
        assert "use?" not in page.get("/rules/presets", {"for": wrong}).content.decode()


def test_it_says_why_a_program_does_not_go_there(alice: User, charlie: User, page: Client) -> None:
    account, strange = make_account(alice, "Alpha 1"), make_account(charlie)
    nothing = page.post(FTMO, {"phase": "phase-1"})
    assert nothing.context["form"].errors["accounts"]
    theirs = page.post(FTMO, {"phase": "phase-1", "accounts": [str(strange.pk)]})
    assert theirs.context["form"].errors["accounts"]
    other = page.post("/rules/presets/topstep-combine-50k/use", {"accounts": [str(account.pk)]})
    assert other.status_code in (200, 404)
    wrong_phase = page.post(FTMO, {"phase": "phase-9", "accounts": [str(account.pk)]})
    assert wrong_phase.context["form"].errors["phase"]
    assert not RiskRule.objects.exists()


def test_a_preset_of_somebody_else_is_not_there(charlie: User, page: Client) -> None:
    theirs = make_preset(charlie)
    for address in ("use", "edit", "delete"):
        assert page.get(f"/rules/presets/{theirs.pk}/{address}").status_code == 404
    assert page.get("/rules/presets/no-such-preset/use").status_code == 404


def test_it_saves_changes_and_deletes_a_preset(alice: User, page: Client) -> None:
    rule = make_rule(alice, "Day")
    data = {"name": "Mine", "description": "For tests", "rules": [str(rule.pk)]}
    assert page.post("/rules/presets/new", data).status_code == 302
    row = RulePreset.objects.get()
    assert [each["name"] for each in row.rules] == ["Day"]
    assert "Mine" in page.get("/rules/presets").content.decode()

    nothing = page.post("/rules/presets/new", {"name": "Empty"})
    assert nothing.context["form"].errors["rules"]
    twice = page.post("/rules/presets/new", data)
    assert twice.context["form"].errors["name"]

    page.post(f"/rules/presets/{row.pk}/edit", {"name": "Renamed"})
    row.refresh_from_db()
    assert (row.name, [each["name"] for each in row.rules]) == ("Renamed", ["Day"])

    assert page.get(f"/rules/presets/{row.pk}/delete").status_code == 200
    page.post(f"/rules/presets/{row.pk}/delete")
    assert not RulePreset.objects.exists()
    assert RiskRule.objects.filter(pk=rule.pk).exists()


def test_it_makes_a_template_of_rules_and_a_preset(alice: User, page: Client) -> None:
    rule = make_rule(alice, "Lots", rule_type="MAX_POSITION_SIZE", limit=Decimal(2))
    data = {
        "name": "Evaluation",
        "tags": "eval, phase 1",
        "preset": "ftmo-2-step/phase-1",
        "rules": [str(rule.pk)],
    }
    assert page.post("/rules/templates/new", data).status_code == 302
    row = GroupTemplate.objects.get()
    assert (len(row.rules), row.tags) == (5, ["eval", "phase 1"])

    page.post(f"/rules/templates/{row.pk}/edit", {"name": "Evaluation", "tags": "eval"})
    row.refresh_from_db()
    assert (len(row.rules), row.tags) == (5, ["eval"])
    page.post(f"/rules/templates/{row.pk}/delete")
    assert not GroupTemplate.objects.exists()


def test_it_makes_a_group_of_a_template(alice: User, charlie: User, page: Client) -> None:
    account, row = make_account(alice, "Alpha 1"), make_template(alice)
    unnamed = page.post(f"/rules/templates/{row.pk}/use", {"group_name": " "})
    assert unnamed.context["form"].errors["group_name"]
    make_group(alice, "Taken")
    taken = page.post(f"/rules/templates/{row.pk}/use", {"group_name": "Taken"})
    assert taken.context["form"].errors
    assert AccountGroup.objects.count() == 1

    data = {"group_name": "Desk", "accounts": [str(account.pk)]}
    answer = page.post(f"/rules/templates/{row.pk}/use", data)
    group = AccountGroup.objects.get(name="Desk")
    assert answer.headers["Location"] == f"/groups/{group.pk}"
    assert list(group.accounts.all()) == [account]
    assert [tag.name for tag in account.tags.all()] == row.tags
    assert group.risk_rules.count() == len(row.rules)
    assert page.get(f"/rules/templates/{make_template(charlie).pk}/use").status_code == 404


def test_it_lets_a_rule_differ_on_one_account(alice: User, page: Client) -> None:
    account, other = make_account(alice, "Alpha 1"), make_account(alice, "Alpha 2")
    rule = make_rule(alice, "Day")
    address = f"/rules/{rule.pk}/accounts/{account.pk}"

    assert page.post(address, {"limit": "4", "action": "BLOCK"}).status_code == 302
    override = RuleOverride.objects.get()
    assert (override.account, override.limit, override.action) == (
        account,
        Decimal("0.04"),
        "BLOCK",
    )
    rule.refresh_from_db()
    assert rule.limit == Decimal("0.05")
    html = page.get(f"/rules/{rule.pk}/accounts").content.decode()
    assert "differs here" in html
    assert f"{address}" in html
    assert page.get(address).context["form"]["limit"].value() == "4"

    page.post(f"/rules/{rule.pk}/accounts/{other.pk}", {"is_excluded": "on"})
    assert "left out" in page.get(f"/rules/{rule.pk}/accounts").content.decode()
    page.post(address, {"clear": "1"})
    assert [each.account for each in RuleOverride.objects.all()] == [other]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "100.5"}, "limit"),
        ({"limit": "four"}, "limit"),
        ({"critical": "50", "caution": "20"}, "critical"),
        ({"action": "DANCE"}, "action"),
    ],
)
def test_it_says_what_is_wrong_with_an_exception(
    alice: User, page: Client, wrong: dict[str, str], field: str
) -> None:
    account, rule = make_account(alice), make_rule(alice)
    answer = page.post(f"/rules/{rule.pk}/accounts/{account.pk}", wrong)
    assert answer.context["form"].errors[field]
    assert not RuleOverride.objects.exists()


def test_a_violation_holds_the_exceptions(alice: User, page: Client) -> None:
    account, rule = make_account(alice), make_rule(alice)
    make_breach(rule, account)
    answer = page.post(f"/rules/{rule.pk}/accounts/{account.pk}", {"is_excluded": "on"})
    assert "until somebody has acknowledged" in answer.content.decode()
    assert not RuleOverride.objects.exists()


def news_file(text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("calendar.csv", text.encode(), content_type="text/csv")


def test_it_imports_a_calendar_and_shows_what_comes(alice: User, page: Client) -> None:
    soon = timezone.now() + timedelta(days=1)
    rows = f"at,currency,importance,title\n{soon:%Y-%m-%dT%H:%M}:00Z,USD,high,Payrolls\n"
    assert page.post("/rules/news", {"file": news_file(rows)}).status_code == 302

    html = page.get("/rules/news").content.decode()
    assert "Payrolls" in html
    assert "Coverage" in html
    assert page.get("/rules/news/clear").status_code == 405
    page.post("/rules/news/clear")
    assert not NewsEvent.objects.exists()
    assert not NewsCalendar.objects.exists()


def test_a_calendar_may_be_complete_beyond_its_events(page: Client) -> None:
    soon = timezone.localtime() + timedelta(days=1)
    rows = f"at,currency,importance,title\n{soon:%Y-%m-%dT%H:%M}:00Z,USD,high,Payrolls\n"
    page.post("/rules/news", {"file": news_file(rows)})
    assert "until then rules around news are unknown" in page.get("/rules/news").content.decode()

    today = timezone.localdate()
    days = {"covers_from": f"{today}", "covers_until": f"{today + timedelta(days=9)}"}
    page.post("/rules/news", {"file": news_file(rows), **days})
    calendar = NewsCalendar.objects.get()
    assert timezone.localtime(calendar.covers_from_at).date() == today
    assert calendar.covers_until_at - calendar.covers_from_at >= timedelta(days=9, hours=22)
    assert "until then" not in page.get("/rules/news").content.decode()

    late = {**days, "covers_from": f"{today + timedelta(days=5)}"}
    wrong = page.post("/rules/news", {"file": news_file(rows), **late})
    assert wrong.context["form"].errors["file"]
    endless = page.post("/rules/news", {"file": news_file(rows), "covers_until": "9999-12-31"})
    assert endless.context["form"].errors["covers_until"]


def test_it_says_which_row_of_a_calendar_is_wrong(page: Client) -> None:
    rows = "at,currency,importance,title\n2026-12-04 13:30,USD,high,Payrolls\nx,Dollar,high,Other\n"
    html = page.post("/rules/news", {"file": news_file(rows)}).content.decode()
    assert "Line 2: the time is written with its offset from UTC" in html
    assert "Line 3: the currency is three letters" in html
    assert "Nothing was imported" in html
    assert not NewsEvent.objects.exists()
    assert page.post("/rules/news", {}).context["form"].errors["file"]


@pytest.mark.parametrize("address", ["/rules/presets", "/rules/templates"])
def test_it_asks_as_often_for_20_as_for_2(alice: User, page: Client, address: str) -> None:
    counts = []
    page.get(address)
    for number in range(20):
        make_preset(alice, f"Preset {number}")
        make_template(alice, f"Template {number}")
        if number in (1, 19):
            with CaptureQueriesContext(connection) as queries:
                page.get(address)
            counts.append(len(queries))
    assert counts[0] == counts[1]
