"""A provider and its followers as a group by themselves."""

import json
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.models.connection import ConnectionState
from accounts.tests.factories import NOW, make_account, make_host
from copytrade.models import CopyRelationship
from copytrade.selectors.group_risk import copy_group_risk
from copytrade.tests.factories import make_relationship
from risk.core.statuses import Status
from risk.models import RiskRule
from risk.tests.factories import make_rule
from risk.tests.live_state import leave_readings


def connected(user: User, name: str) -> ConnectedAccount:
    # A host of its own: what stands in the hot state is written one host at a time.
    host = make_host(name.replace(" ", "-"))
    return make_account(user, name, state=ConnectionState.CONNECTED, terminal_host=host)


def leave(account: ConnectedAccount, rule: RiskRule, status: Status, left: float) -> None:
    leave_readings([account], [rule], read_at=NOW.timestamp(), status=status, left=left)


@pytest.fixture
def group(alice: User, bob: User) -> dict[str, Any]:
    """Alice's provider and follower, safe; Bob's follower, close to its limit."""
    lead, second = connected(alice, "Lead"), connected(alice, "Second")
    others = connected(bob, "Bob's savings")
    rules = {user: make_rule(user, applies_to_all_accounts=True) for user in (alice, bob)}
    for account in (lead, second):
        leave(account, rules[alice], Status.SAFE, 4_000.0)
    leave(others, rules[bob], Status.CRITICAL, 77.25)
    return {
        "lead": lead,
        "second": make_relationship(lead, second, alias="Second"),
        "bobs": make_relationship(lead, others, alias="Client 7"),
        "rules": rules,
    }


def test_its_weakest_account_decides(group: dict[str, Any]) -> None:
    risk = copy_group_risk(group["lead"], now=NOW)

    assert (risk["group_id"], risk["name"]) == (str(group["lead"].pk), "Lead")
    assert risk["status"] == "critical"
    assert risk["weakest_account"] == {
        "id": str(group["bobs"].pk),
        "name": "Client 7",
        "status": "critical",
        "buffer": None,
        "relationship_id": str(group["bobs"].pk),
    }
    assert [(each["name"], each["status"]) for each in risk["accounts"]] == [
        ("Lead", "safe"),
        ("Second", "safe"),
        ("Client 7", "critical"),
    ]


def test_it_tells_nothing_else_of_anothers_follower(group: dict[str, Any], bob: User) -> None:
    told = json.dumps(copy_group_risk(group["lead"], now=NOW))

    follower = group["bobs"].follower
    rule = group["rules"][bob]
    for secret in (follower.name, str(follower.login), str(follower.pk), str(rule.pk), "77.25"):
        assert secret not in told
    assert "95077.25" not in told


def test_own_accounts_are_shown_in_full(group: dict[str, Any]) -> None:
    risk = copy_group_risk(group["lead"], now=NOW)

    lead, second, bobs = risk["accounts"]
    assert (lead["relationship_id"], lead["is_own"], lead["equity"]) == (None, True, 99_000.0)
    assert second["relationship_id"] == str(group["second"].pk)
    assert (bobs["is_own"], bobs["equity"], bobs["rules"]) == (False, None, [])
    assert len(risk["rules"]) == 1


def test_an_own_follower_may_be_the_weakest(group: dict[str, Any], alice: User) -> None:
    leave(group["second"].follower, group["rules"][alice], Status.VIOLATED, -3.0)
    risk = copy_group_risk(group["lead"], now=NOW)

    assert risk["status"] == "violated"
    assert risk["weakest_account"]["name"] == "Second"
    assert risk["weakest_account"]["relationship_id"] == str(group["second"].pk)
    assert risk["weakest_account"]["buffer"] == pytest.approx(-3.0 / 5000.0)


def test_a_silent_follower_is_unknown(group: dict[str, Any], redis: Any) -> None:
    redis.delete(*redis.keys("*Bob*"))
    risk = copy_group_risk(group["lead"], now=NOW)

    assert risk["status"] == "unknown"
    assert risk["unknown_accounts"] == [str(group["bobs"].pk)]


@pytest.mark.parametrize("state", ["offered", "declined", "terminated"])
def test_who_does_not_copy_is_no_member(group: dict[str, Any], state: str) -> None:
    CopyRelationship.objects.filter(pk=group["bobs"].pk).update(state=state)
    risk = copy_group_risk(group["lead"], now=NOW)

    assert risk["status"] == "safe"
    assert len(risk["accounts"]) == 2


def test_a_provider_without_followers_is_a_group_of_one(alice: User) -> None:
    risk = copy_group_risk(connected(alice, "Alone"), now=NOW)
    assert (risk["status"], len(risk["accounts"])) == ("unknown", 1)


def test_many_followers_cost_no_more_queries(
    group: dict[str, Any], alice: User, django_assert_max_num_queries: Any
) -> None:
    for number in range(18):
        make_relationship(group["lead"], connected(alice, f"More {number}"))
    with django_assert_max_num_queries(9):
        assert len(copy_group_risk(group["lead"], now=NOW)["accounts"]) == 21
