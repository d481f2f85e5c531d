"""The ledger of breaches, as pages."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.tests.factories import NOW, make_account
from risk.models import Enforcement, RiskRule
from risk.tests.factories import make_breach, make_order, make_rule, make_run

EVIDENCE = {
    "account": {"balance": 98_000.0, "equity": 94_987.5, "leverage": 100, "server": "Example"},
    "positions": [
        {
            "ticket": 50_000_485, "symbol": "USDCAD", "side": "buy", "volume": 0.77,
            "price_open": 1.36068, "price_current": 1.36053, "sl": 1.35963, "tp": 0.0,
            "profit": -8.49,
        }
    ],
}  # fmt: skip


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture(autouse=True)
def _at_now() -> object:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def shown(page: Client, query: str = "") -> set[str]:
    rows = page.get(f"/rules/breaches?{query}").context["rows"]
    return {row.breach.rule_name for row in rows}


def test_it_lists_what_was_violated(alice: User, charlie: User, page: Client) -> None:
    assert "Nothing was violated so far." in page.get("/rules/breaches").content.decode()
    account = make_account(alice, "Alpha 1")
    breach = make_breach(make_rule(alice, "Day"), account, observed=94_987.5)
    make_breach(make_rule(charlie, "Theirs"), make_account(charlie))

    html = page.get("/rules/breaches").content.decode()

    assert f"/rules/breaches/{breach.pk}" in html
    assert "equity 94,987.50 USD" in html
    assert "floor 95,000.00 USD" in html
    assert "Theirs" not in html


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"Open", "Known", "Over", "Early"}),
        ("state=open", {"Open", "Known", "Early"}),
        ("state=waiting", {"Open", "Early"}),
        ("state=acknowledged", {"Known"}),
        ("state=cleared", {"Over"}),
        ("state=early", {"Early"}),
        ("period=7", {"Open", "Known", "Early"}),
        ("rule={rule}", {"Over"}),
        ("account={account}&state=open", {"Open", "Known", "Early"}),
        ("account=nonsense&period=x", {"Open", "Known", "Over", "Early"}),
    ],
)
def test_it_filters(alice: User, page: Client, query: str, names: set[str]) -> None:
    account = make_account(alice, "Alpha 1")

    def breach(name: str, **fields: Any) -> RiskRule:
        rule = make_rule(alice, name)
        make_breach(rule, account, **fields)
        return rule

    breach("Open")
    breach("Known", acknowledged_at=NOW, acknowledged_reason="I know.")
    breach("Early", is_early=True)
    old = breach("Over", latched_at=NOW - timedelta(days=8), cleared_at=NOW)
    assert shown(page, query.format(rule=old.pk, account=account.pk)) == names


def test_it_compares_what_has_no_floor_with_its_limit(alice: User, page: Client) -> None:
    account, rule = make_account(alice), make_rule(alice, rule_type="POSITION_LIMIT", limit=4)
    make_breach(rule, account, observed=5.0, limit=4.0, floor=None, unit="positions")
    window = make_rule(alice, "Window", rule_type="TRADING_WINDOW", limit=30)
    make_breach(window, account, observed=-754.9, limit=30.0, floor=None, unit="minutes")
    rows = page.get("/rules/breaches").context["rows"]
    assert {(row.observed, row.limit) for row in rows} == {
        ("5 positions", "4 positions"),
        ("inside the window", "30 minutes"),
    }


def test_it_turns_pages_and_keeps_the_filters(alice: User, page: Client) -> None:
    rule, account = make_rule(alice, "Day"), make_account(alice)
    for minutes in range(51):
        at = NOW - timedelta(minutes=minutes)
        make_breach(rule, account, latched_at=at, cleared_at=at)
    html = page.get(f"/rules/breaches?rule={rule.pk}").content.decode()
    assert f"?rule={rule.pk}&amp;page=2" in html
    second = page.get(f"/rules/breaches?rule={rule.pk}&page=2")
    assert len(second.context["rows"]) == 1
    assert page.get("/rules/breaches?page=x").status_code == 200


def test_it_shows_the_account_and_positions_of_that_moment(alice: User, page: Client) -> None:
    breach = make_breach(make_rule(alice), make_account(alice), evidence=EVIDENCE)
    html = page.get(f"/rules/breaches/{breach.pk}").content.decode()
    assert "94,987.50" in html
    assert "USDCAD" in html
    assert "50000485" in html
    assert "1.36068" in html
    assert "−8.49" in html
    assert "Acknowledge…" in html


@pytest.mark.parametrize(
    "evidence",
    [{}, [], {"account": None, "positions": "x"}, {"positions": [None, {}, {"volume": "x"}]}],
)
def test_it_stands_evidence_that_says_little(alice: User, page: Client, evidence: Any) -> None:
    breach = make_breach(make_rule(alice), make_account(alice), evidence=evidence)
    assert page.get(f"/rules/breaches/{breach.pk}").status_code == 200


def test_it_tells_in_order_what_was_done_and_by_whom(alice: User, page: Client) -> None:
    account, rule = make_account(alice, "Alpha 1"), make_rule(alice, "Day", action="CLOSE_ALL")
    at = [NOW - timedelta(minutes=minutes) for minutes in (9, 8, 7, 6, 5)]
    breach = make_breach(
        rule,
        account,
        is_early=True,
        latched_at=at[0],
        violated_at=at[1],
        acknowledged_at=at[3],
        acknowledged_by_id=alice.pk,
        acknowledged_reason="A news spike.",
        cleared_at=at[4],
        cleared_reason="The day was reset.",
    )
    run = make_run(
        account,
        cause=Enforcement.Cause.RULE,
        breach_id=breach.pk,
        rule_id=rule.pk,
        rule_name=rule.name,
        created_at=at[2],
        last_sent_at=None,
        confirmed_at=None,
    )
    make_order(account, enforcement_id=run.pk, kind="close", position_ticket=4711)
    make_order(account, kind="close", position_ticket=4712)

    answer = page.get(f"/rules/breaches/{breach.pk}")
    html = answer.content.decode()

    texts = [moment.text for moment in answer.context["moments"]]
    order = [
        "Acted before the limit was reached",
        "The limit itself was reached",
        "Close everything",
        "Acknowledged by alice",
        "Cleared by itself",
    ]
    assert [text for text in texts if text in order] == order
    assert "A news spike." in html
    assert "position 4711" in html
    assert "4712" not in html
    assert "Acknowledge…" not in html


def test_it_outlives_its_rule_and_account(alice: User, page: Client) -> None:
    rule, account = make_rule(alice, "Day"), make_account(alice, "Alpha 1")
    breach = make_breach(rule, account, cleared_at=NOW)
    rule.delete()
    account.delete()
    html = page.get(f"/rules/breaches/{breach.pk}").content.decode()
    assert "the rule “Day” was deleted" in html
    assert "Alpha 1 is not here any more" in html


def test_a_breach_of_somebody_else_is_not_there(charlie: User, page: Client) -> None:
    breach = make_breach(make_rule(charlie), make_account(charlie))
    assert page.get(f"/rules/breaches/{breach.pk}").status_code == 404


def test_it_asks_as_often_for_20_as_for_2(alice: User, page: Client) -> None:
    account, counts = make_account(alice), []
    page.get("/rules/breaches")
    for number in range(20):
        make_breach(make_rule(alice, f"Rule {number}"), account)
        if number in (1, 19):
            with CaptureQueriesContext(connection) as queries:
                page.get("/rules/breaches")
            counts.append(len(queries))
    assert counts[0] == counts[1]
