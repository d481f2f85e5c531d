"""What each side sees: alice provides, bob follows, charlie is a stranger."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import NOW, make_account
from copytrade.models import CopyPosition, CopyRelationship
from copytrade.selectors.firms import firm_sentences
from copytrade.selectors.relationships import (
    RelationshipView,
    followers_of,
    offers_to,
    providers_of,
    relationships_of,
    visible_to,
)
from copytrade.tests.factories import make_position, make_relationship

State = CopyRelationship.State


@pytest.fixture
def row(alice: User, bob: User) -> CopyRelationship:
    return make_relationship(
        make_account(alice, "Lead"), make_account(bob, "Bob's savings"), alias="Client 7"
    )


def seen(user: User, row: CopyRelationship) -> RelationshipView:
    view = visible_to(user, relationships_of(user).get(pk=row.pk))
    assert view is not None
    return view


def test_the_providers_owner_sees_an_alias(row: CopyRelationship, alice: User) -> None:
    view = seen(alice, row)
    assert (view.provider_name, view.follower_name) == ("Lead", "Client 7")
    assert (view.owns_provider, view.owns_follower) == (True, False)
    assert (view.shows_terms, view.shows_money) == (False, False)
    told = {key: value for key, value in asdict(view).items() if key != "relationship"}
    for secret in ("Bob's savings", str(row.follower.login), row.follower.user.username):
        assert secret not in str(told)


def test_the_followers_owner_sees_everything_of_theirs(row: CopyRelationship, bob: User) -> None:
    view = seen(bob, row)
    assert (view.provider_name, view.follower_name) == ("Lead", "Bob's savings")
    assert (view.provider_owner, view.shows_terms, view.shows_money) == ("alice", True, True)


def test_a_stranger_sees_nothing(row: CopyRelationship, charlie: User) -> None:
    assert visible_to(charlie, row) is None
    assert not relationships_of(charlie).exists()


def test_an_offers_terms_are_seen_by_both(row: CopyRelationship, alice: User, bob: User) -> None:
    CopyRelationship.objects.update(state=State.OFFERED)
    assert seen(alice, row).shows_terms
    assert seen(bob, row).shows_terms
    assert not seen(alice, row).shows_money


def test_a_reason_that_tells_money_is_the_followers(
    row: CopyRelationship, alice: User, bob: User
) -> None:
    sentence = "The equity of 8,999.00 USD is at the stop of 9,000.00."
    CopyRelationship.objects.update(
        state=State.PAUSED, follower_hold="paused", state_cause="equity_stop",
        state_reason=sentence,
    )  # fmt: skip
    assert seen(bob, row).state_reason == sentence
    assert seen(alice, row).state_reason == "The follower's equity stop was reached."


def test_a_persons_reason_is_read_by_both(row: CopyRelationship, alice: User, bob: User) -> None:
    CopyRelationship.objects.update(state=State.PAUSED, state_reason="On holiday.")
    assert seen(alice, row).state_reason == seen(bob, row).state_reason == "On holiday."


@pytest.mark.parametrize(
    ("fields", "alices", "bobs"),
    [
        ({"state": "offered"}, "rename edit terminate", "accept decline"),
        ({"state": "declined"}, "", ""),
        ({"state": "terminated"}, "", ""),
        (
            {"state": "active"},
            "rename pause close_only terminate",
            "edit pause close_only terminate",
        ),
        (
            {"state": "paused", "provider_hold": "paused"},
            "rename close_only resume terminate",
            "edit pause close_only terminate",
        ),
        (
            {"state": "close_only", "follower_hold": "close_only"},
            "rename pause close_only terminate",
            "edit pause resume terminate",
        ),
        ({"state": "close_only", "ending": "as_provider"}, "rename terminate", "edit terminate"),
        (
            {"state": "paused", "follower_hold": "paused", "closing_since_at": NOW},
            "rename pause close_only terminate",
            "edit close_only terminate",
        ),
    ],
)
def test_it_offers_what_each_side_may_do(
    row: CopyRelationship, alice: User, bob: User, fields: Any, alices: str, bobs: str
) -> None:
    CopyRelationship.objects.update(**fields)
    assert " ".join(seen(alice, row).actions) == alices
    assert " ".join(seen(bob, row).actions) == bobs


def test_the_endings_of_each_side(row: CopyRelationship, alice: User, bob: User) -> None:
    assert seen(alice, row).endings == ("keep", "as_provider")
    assert seen(bob, row).endings == ("keep", "as_provider", "close_now")


def test_it_counts_what_is_held(
    row: CopyRelationship, alice: User, django_assert_num_queries: Any
) -> None:
    make_position(row)
    make_position(row, volume=Decimal("0.02"), state=CopyPosition.State.CLOSING)
    make_position(row, volume=Decimal(9), state=CopyPosition.State.CLOSED)
    make_relationship(row.provider, make_account(alice, "Second"))
    with django_assert_num_queries(1):
        views = [visible_to(alice, each) for each in followers_of(row.provider)]
    held = {view.follower_name: (view.held_count, view.held_lots) for view in views if view}
    assert held == {"Client 7": (2, Decimal("0.25")), "Second": (0, Decimal(0))}


def test_what_ended_is_with_its_users_and_not_with_its_accounts(
    row: CopyRelationship, alice: User
) -> None:
    CopyRelationship.objects.update(state=State.TERMINATED)
    assert [*relationships_of(alice)] == [row]
    assert not followers_of(row.provider).exists()
    assert not providers_of(row.follower).exists()


def test_offers_wait_for_the_follower_alone(row: CopyRelationship, alice: User, bob: User) -> None:
    assert not offers_to(bob).exists()
    CopyRelationship.objects.update(state=State.OFFERED)
    assert [*offers_to(bob)] == [row]
    assert not offers_to(alice).exists()


@pytest.mark.parametrize(
    ("fields", "firms"),
    [
        ({"server": "FTMO-Server4"}, ["FTMO"]),
        ({"server": "E8Markets-Live"}, ["E8"]),
        ({"server": "Purple8-Live", "broker": "Purple8"}, []),
        ({"broker": "Alpha Capital Group"}, ["Alpha Capital"]),
        ({"server": "AlphaCapitalGroup-Demo"}, ["Alpha Capital"]),
        ({"server": "the5ers_Live-2"}, ["The5ers"]),
        ({"server": "Example-Demo"}, []),
    ],
)
def test_a_firm_is_known_by_its_name(alice: User, fields: Any, firms: list[str]) -> None:
    account: ConnectedAccount = make_account(alice, **fields)
    found = firm_sentences([account])
    assert [each.firm for each in found] == firms
    assert all(each.sentence and each.source and each.checked_on for each in found)


def test_firms_are_looked_up_in_few_queries(alice: User, django_assert_num_queries: Any) -> None:
    accounts = [make_account(alice, f"A{number}", server="FTMO-Demo") for number in range(5)]
    with django_assert_num_queries(3):
        assert len(firm_sentences(accounts)) == 5
