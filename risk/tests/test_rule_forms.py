"""The form of every rule type, from what is typed to what is stored and back."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.models import User
from accounts.tests.factories import make_account, make_user
from risk.core.rule_types import ARMED_ACTIONS, RuleType, allowed_actions
from risk.forms import RuleForm
from risk.models import RiskRule
from risk.parameter_fields import PARAMETERS
from risk.tests.factories import make_rule
from risk.tests.rule_fields import TYPED, typed

TYPES = [kind.value for kind in RuleType]


@pytest.fixture
def page(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def test_it_knows_every_type() -> None:
    assert list(PARAMETERS) == TYPES
    assert set(TYPED) == set(TYPES)


@pytest.mark.parametrize("rule_type", TYPES)
def test_it_stores_what_is_typed(page: Client, rule_type: str) -> None:
    response = page.post("/rules/new", typed(rule_type))

    assert response.status_code == 302, response.context["form"].errors
    rule = RiskRule.objects.get()
    assert (rule.rule_type, rule.limit) == (rule_type, Decimal(TYPED[rule_type][1]))
    assert rule.act_at_fraction == rule.close_fraction == 1


@pytest.mark.parametrize("rule_type", TYPES)
def test_it_saves_what_it_showed_as_it_was(page: Client, rule_type: str) -> None:
    page.post("/rules/new", typed(rule_type))
    before = RiskRule.objects.values().get()
    form = page.get(f"/rules/{before['id']}/edit").context["form"]
    shown = {name: form[name].value() for name in form.fields}
    sent = {name: value for name, value in shown.items() if value is not None}
    sent = {name: value for name, value in sent.items() if value is not False}

    response = page.post(f"/rules/{before['id']}/edit", sent)

    assert response.status_code == 302, response.context["form"].errors
    after = RiskRule.objects.values().get()
    assert {**after, "updated_at": None} == {**before, "updated_at": None}


@pytest.mark.parametrize("rule_type", TYPES)
def test_it_offers_only_what_a_type_may_do(alice: User, rule_type: str) -> None:
    form = RuleForm(user=alice, initial={"rule_type": rule_type})
    offered = [value for value, _ in form.fields["action"].choices]  # type: ignore[attr-defined]
    assert offered == [action.value for action in allowed_actions(RuleType(rule_type))]
    assert form.may_act == bool(set(offered) & ARMED_ACTIONS)


def test_it_refuses_an_action_that_the_type_does_not_know(page: Client) -> None:
    response = page.post("/rules/new", typed("INACTIVITY", action="CLOSE_ALL"))
    assert response.context["form"].errors["action"]
    assert not RiskRule.objects.exists()


def test_it_stores_how_a_rule_acts(page: Client) -> None:
    changes = {
        "action": "CLOSE_POSITION",
        "act_at_fraction": "97",
        "act_after_seconds": "2.5",
        "closing_order": "newest_first",
        "close_fraction": "50",
        "losers_only": "on",
        "magic": "9007199254740993",
    }
    response = page.post("/rules/new", typed("MAX_LEVERAGE", **changes))

    rule = RiskRule.objects.get()
    assert response.headers["Location"] == f"/rules/{rule.pk}/arming"
    assert (rule.act_at_fraction, rule.close_fraction) == (Decimal("0.97"), Decimal("0.5"))
    assert (rule.act_after_seconds, rule.closing_order) == (Decimal("2.5"), "newest_first")
    assert rule.losers_only
    assert rule.magic == 9007199254740993


def test_it_leads_to_the_arming_only_what_may_close(page: Client) -> None:
    switched_off = typed("MAX_LEVERAGE", action="CLOSE_ALL", is_active="")
    assert page.post("/rules/new", switched_off).headers["Location"] == "/rules"
    blocking = typed("MAX_LEVERAGE", name="Other", action="BLOCK")
    assert page.post("/rules/new", blocking).headers["Location"] == "/rules"


@pytest.mark.parametrize(
    ("rule_type", "wrong", "field"),
    [
        ("MAX_LEVERAGE", {"act_at_fraction": "49.9"}, "act_at_fraction"),
        ("MAX_LEVERAGE", {"act_at_fraction": "100.1"}, "act_at_fraction"),
        ("MAX_LEVERAGE", {"act_after_seconds": "86401"}, "act_after_seconds"),
        ("MAX_LEVERAGE", {"close_fraction": "0"}, "close_fraction"),
        ("MAX_LEVERAGE", {"magic": "-1"}, "magic"),
        ("MAX_CORRELATION", {"limit": "1.01"}, "limit"),
        ("RISK_PER_TRADE", {"limit": "100.01"}, "limit"),
        ("STOP_LOSS_REQUIRED", {"limit": "1441"}, "limit"),
        ("POSITION_LIMIT", {"limit": "1.5"}, "limit"),
        ("TRADING_WINDOW", {"from_time": ""}, "from_time"),
        ("TRADING_WINDOW", {"kind": "daily", "until_time": "21:45"}, "until_time"),
        ("TRADING_WINDOW", {"kind": "news", "currencies": "EURO"}, "currencies"),
        ("MAX_DRAWDOWN", {"lock_offset": ""}, "lock_offset"),
        ("MAX_EXPOSURE", {"symbols": "E" * 33}, "symbols"),
        ("PROFIT_TARGET", {"amount_kind": "fraction_of_reference"}, "amount_kind"),
    ],
)
def test_it_says_at_the_field_what_is_wrong(
    page: Client, rule_type: str, wrong: dict[str, str], field: str
) -> None:
    response = page.post("/rules/new", typed(rule_type, **wrong))

    assert response.status_code == 200
    assert response.context["form"].errors[field]
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not RiskRule.objects.exists()


def test_what_the_page_hides_is_not_asked_for(page: Client) -> None:
    """News need no hours, and a floor that stays where it is nothing that it could lock."""
    news = typed("TRADING_WINDOW", kind="news", from_time="", until_time="")
    assert page.post("/rules/new", news).status_code == 302
    floor = typed("MAX_DRAWDOWN", name="Floor", kind="static")
    assert page.post("/rules/new", floor).status_code == 302
    assert "lock" not in RiskRule.objects.get(name="Floor").parameters


def test_it_leaves_the_cutoff_to_its_own_page(alice: User, page: Client) -> None:
    rule = make_rule(alice, rule_type="MARGIN_LEVEL", limit=Decimal(10), is_cutoff=True)
    assert page.get(f"/rules/{rule.pk}/edit").headers["Location"] == "/rules/cutoff"


GARBAGE = st.text(max_size=12) | st.sampled_from(
    ["", "0", "-1", "NaN", "1e9", "99999999999999999999", "\x00", "𝟙", "MAX_LEVERAGE", "news"]
)
NAMES = sorted({name for fields, _ in TYPED.values() for name in fields} | {"accounts", "groups"})


class TestPreview(TestCase):
    @settings(max_examples=25, deadline=None)
    @given(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(NAMES), GARBAGE, max_size=4))
    def test_it_takes_whatever_is_typed(self, rule_type: str, garbage: dict[str, Any]) -> None:
        alice = make_user("alice")
        make_account(alice, "Alpha 1")
        self.client.force_login(alice)
        for address in ("/rules/preview", "/rules/answers"):
            answer = self.client.post(address, typed(rule_type, **garbage))
            assert answer.status_code == 200
