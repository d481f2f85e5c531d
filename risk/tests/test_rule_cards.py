"""The list of rules: cards, what changes every second, filters, the margin cut-off."""

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.screen.parts import short
from accounts.tests.factories import NOW, make_account
from groups.tests.factories import make_group
from risk.core.statuses import Status
from risk.models import RiskRule, RuleArming, RuleOverride
from risk.presentation.rule_cards import RuleNow, action_badge
from risk.services.cutoff import ensure_cutoffs
from risk.tests.factories import make_breach, make_rule
from risk.tests.live_state import leave_readings


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


@pytest.fixture(autouse=True)
def _at_now() -> object:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def patches(page: Client) -> dict[str, Any]:
    return {cell[0]: cell[1:] for cell in page.get("/rules/statuses").json()}


def test_it_names_the_weakest_account_of_a_rule(alice: User, page: Client) -> None:
    accounts = [make_account(alice, f"Alpha {n}", state="connected") for n in (1, 2)]
    rule = make_rule(alice)
    leave_readings(accounts[:1], [rule], read_at=NOW.timestamp(), left=4000, status=Status.SAFE)
    leave_readings(accounts[1:], [rule], read_at=NOW.timestamp(), left=212.4)

    html = page.get("/rules").content.decode()

    assert "Alpha 2, the weakest of 2" in html
    assert "Alpha 2: 212.40 USD of 5,000.00 left today" in html
    assert 'value="95.8"' in html


def test_it_patches_the_cards_from_the_hot_state(alice: User, page: Client) -> None:
    account, rule = make_account(alice, "Alpha 1", state="connected"), make_rule(alice)
    leave_readings([account], [rule], read_at=NOW.timestamp())
    key = f"r{short(rule.pk)}"

    assert patches(page)[f"{key}-status"] == ["Critical", "critical"]
    assert patches(page)[f"{key}-bar"][0] == ["4 % left", "212.40 USD"]
    leave_readings([account], [rule], read_at=(NOW - timedelta(seconds=3)).timestamp())
    assert patches(page)[f"{key}-status"] == ["Unknown", "unknown"]


def test_it_says_that_a_rule_is_off_or_reaches_nothing(alice: User, page: Client) -> None:
    off = make_rule(alice, "Off", is_active=False)
    empty = make_rule(alice, "Empty", groups=[make_group(alice, "Nobody")])
    found = patches(page)
    assert found[f"r{short(off.pk)}-status"][0] == "Switched off"
    assert found[f"r{short(empty.pk)}-status"][0] == "Nothing to watch"


def test_it_shows_nothing_of_other_users(charlie: User, page: Client) -> None:
    make_rule(charlie, "Theirs")
    assert page.get("/rules/statuses").json() == []
    assert "Theirs" not in page.get("/rules").content.decode()


def reached(*, may_trade: bool) -> Any:
    return SimpleNamespace(id=uuid4(), reading={"trade_allowed": may_trade})


def test_it_says_whether_the_action_is_armed() -> None:
    closing = RiskRule(action="CLOSE_ALL")
    able, other = reached(may_trade=True), reached(may_trade=True)
    watching, unread = reached(may_trade=False), SimpleNamespace(id=uuid4(), reading=None)

    def note(members: list[Any], *armed: Any) -> str:
        return action_badge(closing, RuleNow(tuple(members)), [each.id for each in armed]).note

    assert note([able, other]) == "not armed yet"
    assert note([able, other], able) == "armed on 1 of 2"
    assert note([able, other, watching], able, other) == "armed"
    assert note([watching], watching) == "watching only"
    assert note([unread]) == "not armed yet"
    assert note([]) == "reaches no account"
    assert action_badge(RiskRule(action="BLOCK"), RuleNow((able,)), []).note == ""


def test_it_leads_from_the_badge_to_the_arming(alice: User, page: Client) -> None:
    account = make_account(alice, "Alpha 1")
    rule = make_rule(alice, action="CLOSE_ALL")
    assert (
        f'<a href="/rules/{rule.pk}/arming" data-text>not armed yet</a>'
        in page.get("/rules").content.decode()
    )
    RuleArming.objects.create(rule=rule, account=account, armed_at=NOW, armed_by=alice)
    assert ">armed</a>" in page.get("/rules").content.decode()


def test_a_page_that_is_open_learns_that_a_rule_was_armed(alice: User, page: Client) -> None:
    account = make_account(alice, "Alpha 1")
    rule = make_rule(alice, action="CLOSE_ALL")

    badge = f"r{short(rule.pk)}-badge"

    assert patches(page)[badge] == [["Close everything and lock", "not armed yet"], "disarmed"]
    RuleArming.objects.create(rule=rule, account=account, armed_at=NOW, armed_by=alice)
    assert patches(page)[badge] == [["Close everything and lock", "armed"], "armed"]


def test_a_card_tells_when_and_how_the_rule_acts(alice: User, page: Client) -> None:
    make_rule(
        alice,
        action="CLOSE_ALL",
        act_at_fraction=Decimal("0.97"),
        act_after_seconds=5,
        losers_only=True,
    )
    html = page.get("/rules").content.decode()
    assert "it acts at 97 % of that" in html
    assert "it acts once that has lasted 5 seconds" in html
    assert "only positions that are losing are closed" in html


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"Day", "Lots", "Closer"}),
        ("type=MAX_POSITION_SIZE", {"Lots"}),
        ("account={account}", {"Day", "Closer"}),
        ("group={group}", {"Lots"}),
        ("state=violated", {"Day"}),
        ("state=disarmed", {"Closer"}),
        ("state=off", set()),
        ("state=nonsense&type=nonsense", {"Day", "Lots", "Closer"}),
        ("account=00000000-0000-0000-0000-000000000000", {"Day", "Lots", "Closer"}),
    ],
)
def test_it_filters(alice: User, page: Client, query: str, names: set[str]) -> None:
    account, other = make_account(alice, "Alpha 1"), make_account(alice, "Beta 1")
    group = make_group(alice, "Desk", other)
    make_breach(make_rule(alice, "Day"), account)
    make_rule(alice, "Lots", groups=[group], rule_type="MAX_POSITION_SIZE", limit=Decimal(2))
    closer = make_rule(alice, "Closer", accounts=[account], action="CLOSE_ALL")
    make_breach(closer, account, is_early=True)

    cards = page.get("/rules?" + query.format(account=account.pk, group=group.pk)).context["cards"]

    assert {card.rule.name for card in cards} == names


def test_it_leads_to_the_presets_where_there_is_no_rule(page: Client) -> None:
    html = page.get("/rules").content.decode()
    assert "No rules of your own yet." in html
    assert "Choose your firm’s program" in html
    assert "Margin cut-off" in html
    assert not RiskRule.objects.exists()


def test_the_cutoff_stands_first_and_shows_its_levels(alice: User, page: Client) -> None:
    ensure_cutoffs([alice.pk])
    make_rule(alice, "A rule")
    cards = page.get("/rules").context["cards"]
    assert cards[0].rule.is_cutoff
    assert (cards[0].cutoff.warning_level, cards[0].cutoff.liquidation_level) == (50, 10)
    html = page.get("/rules").content.decode()
    assert "Warns at 50&nbsp;%, closes everything at 10&nbsp;%." in html
    form = page.get("/rules/cutoff").context["form"]
    assert [field.value() for field in form] == ["50", "10"]


def test_it_changes_the_levels_of_the_cutoff(alice: User, page: Client) -> None:
    levels = {"warning_level": "80", "liquidation_level": "20"}
    assert page.post("/rules/cutoff", levels).status_code == 302
    assert RiskRule.objects.get(user=alice, is_cutoff=True).limit == 20

    wrong = page.post("/rules/cutoff", {"warning_level": "10", "liquidation_level": "20"})
    assert wrong.context["form"].errors["warning_level"]
    assert RiskRule.objects.get(user=alice, is_cutoff=True).limit == 20


@pytest.mark.parametrize("address", ["/rules", "/rules/statuses"])
def test_it_asks_as_often_for_20_rules_as_for_2(alice: User, page: Client, address: str) -> None:
    counts = []
    page.get(address)
    for number in range(20):
        account = make_account(alice, f"Alpha {number}")
        group = make_group(alice, f"Desk {number}", account)
        rule = make_rule(alice, f"Rule {number}", accounts=[account], groups=[group])
        make_breach(rule, account)
        RuleOverride.objects.create(rule=rule, account=account, limit="0.04")
        if number in (1, 19):
            with CaptureQueriesContext(connection) as queries:
                page.get(address)
            counts.append(len(queries))
    assert counts[0] == counts[1]
