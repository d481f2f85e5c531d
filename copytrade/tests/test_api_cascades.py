"""The cascades of a relationship in the API: alice provides, she and bob followed and fell."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import User
from accounts.tests.api_clients import client_of
from accounts.tests.factories import NOW, make_account
from copytrade.cascade.liquidations import Liquidation, Liquidator
from copytrade.cascade.running import STORY
from copytrade.models import CopyRelationship
from copytrade.tests.factories import make_relationship
from risk.enforcement.goals import COPIED_LOTS
from risk.models import Enforcement


def fall(row: CopyRelationship, liquidation: Liquidation, **fields: Any) -> Enforcement:
    """Leave the finished run of a cascade."""
    follower = row.follower
    story = {
        "liquidation": str(liquidation.id), "relationship_id": str(row.pk),
        "provider_id": str(row.provider_id), "provider_name": row.provider.name,
        "by": liquidation.by.value, "level_percent": liquidation.level_percent,
        "sentence": liquidation.sentence, "scope": "copied", "closed_by_copies": 1,
    }  # fmt: skip
    return Enforcement.objects.create(
        user_id=follower.user_id,
        account_id=follower.pk,
        account_name=follower.name,
        host=follower.terminal_host_id,
        cause=Enforcement.Cause.CASCADE,
        action=Enforcement.Action.CLOSE_POSITION,
        stage=Enforcement.Stage.DONE,
        options={"lock": False, COPIED_LOTS: {"1": "0.23"}, STORY: story},
        reason=liquidation.sentence,
        message="Everything of 1,234.56 USD is closed.",
        triggered_at=liquidation.at,
        created_at=liquidation.at,
        confirmed_at=liquidation.at + timedelta(seconds=2),
        finished_at=liquidation.at + timedelta(seconds=2),
        positions_closed=1,
        **fields,
    )


@pytest.fixture
def rows(alice: User, bob: User) -> tuple[CopyRelationship, CopyRelationship]:
    lead = make_account(alice, "Lead")
    mine = make_relationship(lead, make_account(alice, "Own"), alias="Own")
    bobs = make_relationship(lead, make_account(bob, "Bob's savings"), alias="Client 7")
    liquidation = Liquidation(uuid4(), lead.pk, lead.name, Liquidator.CUTOFF, NOW, 9.7)
    for row in (mine, bobs):
        fall(row, liquidation)
    return mine, bobs


def told(user: User, row: CopyRelationship) -> Any:
    answer = client_of(user).ask("GET", f"copy-relationships/{row.pk}/cascades")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_cascade_tells_who_when_why_and_how_long(
    rows: tuple[CopyRelationship, CopyRelationship], bob: User
) -> None:
    [story] = told(bob, rows[1])
    assert (story["by"], story["level_percent"], story["at"]) == (
        "cutoff", 9.7, "2026-11-20T12:00:00Z",
    )  # fmt: skip
    assert story["reason"] == "Lead was liquidated at a margin level of 9.7 %."
    assert (story["is_over"], story["seconds"], story["provider_name"]) == (True, 2.0, "Lead")
    [fallen] = story["followers"]
    assert (fallen["follower_name"], fallen["stage"], fallen["seconds"]) == (
        "Bob's savings", "done", 2.0,
    )  # fmt: skip
    assert (fallen["positions_closed"], fallen["closed_by_copies"], fallen["lots"]) == (1, 1, [])
    assert fallen["run_id"] == str(Enforcement.objects.get(account_id=rows[1].follower_id).pk)


def test_a_provider_knows_anothers_follower_by_its_alias(
    rows: tuple[CopyRelationship, CopyRelationship], alice: User
) -> None:
    [story] = told(alice, rows[1])
    [fallen] = story["followers"]
    assert (fallen["follower_name"], fallen["is_own"], fallen["message"], fallen["run_id"]) == (
        "Client 7", False, "", None,
    )  # fmt: skip
    assert not any(secret in str(story) for secret in ("Bob", "1,234", str(rows[1].follower_id)))
    assert told(alice, rows[0])[0]["followers"][0]["follower_name"] == "Own"


def test_strangers_and_other_followers_find_nothing(
    rows: tuple[CopyRelationship, CopyRelationship], bob: User, charlie: User
) -> None:
    for user, row in ((charlie, rows[1]), (bob, rows[0])):
        path = f"copy-relationships/{row.pk}/cascades"
        assert client_of(user).ask("GET", path).status_code == 404
