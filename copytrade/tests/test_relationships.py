"""Offering, answering and changing relationships: alice provides, bob follows, charlie may not."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.services.accounts import delete_account
from accounts.tests.factories import NOW, make_account
from copytrade.core.kinds import Sizing
from copytrade.models import CopyRelationship
from copytrade.services import offering
from copytrade.services.offering import MOST_TO_ONE_ACCOUNT
from copytrade.services.relationships import (
    accept,
    decline,
    offer_relationship,
    terminate,
    update_relationship,
)
from copytrade.tests.factories import make_relationship
from notifications.models import Notification
from risk.models import RiskRule
from risk.tests.live_state import leave_readings

LATER = NOW + timedelta(minutes=1)
State = CopyRelationship.State


@pytest.fixture
def provider(alice: User) -> ConnectedAccount:
    return make_account(alice, "Lead")


@pytest.fixture
def own(alice: User) -> ConnectedAccount:
    return make_account(alice, "Second")


@pytest.fixture
def others(bob: User) -> ConnectedAccount:
    return make_account(bob, "Bob's")


def offer(provider: ConnectedAccount, follower: ConnectedAccount, **fields: Any) -> Any:
    told = {"actor": provider.user, "now": NOW, **fields}
    return offer_relationship(provider=provider, follower=follower, **told)


def test_it_begins_at_once_on_an_own_account(
    provider: ConnectedAccount, own: ConnectedAccount
) -> None:
    row = offer(provider, own, sizing="multiplier", multiplier=Decimal(2))

    row.refresh_from_db()
    assert (row.state, row.alias, row.sizing) == (State.ACTIVE, "Second", Sizing.MULTIPLIER)
    assert row.accepted_at == row.started_at == row.created_at == NOW
    assert not Notification.objects.exists()


def test_both_accounts_get_their_roles(provider: ConnectedAccount, own: ConnectedAccount) -> None:
    offer(provider, own)

    roles = dict(ConnectedAccount.objects.values_list("name", "role"))
    assert roles == {"Lead": "strategy_provider", "Second": "copy_follower"}


def test_a_follower_that_is_copied_keeps_its_role(
    provider: ConnectedAccount, own: ConnectedAccount, alice: User
) -> None:
    offer(provider, own)
    offer(own, make_account(alice, "Third"))

    assert ConnectedAccount.objects.get(pk=own.pk).role == "copy_follower"


def test_another_is_asked_first(
    provider: ConnectedAccount, others: ConnectedAccount, bob: User
) -> None:
    row = offer(provider, others)

    assert (row.state, row.alias, row.started_at) == (State.OFFERED, "Follower 1", None)
    assert ConnectedAccount.objects.get(pk=others.pk).role == "trading"
    told = Notification.objects.get()
    assert told.user == bob
    assert told.title == "alice offers Bob's to copy Lead"

    accepted = accept(relationship=row, actor=bob, now=LATER)

    assert (accepted.state, accepted.started_at) == (State.ACTIVE, LATER)
    assert accepted.state_changed_by_id == bob.pk
    assert ConnectedAccount.objects.get(pk=others.pk).role == "copy_follower"


def test_the_answer_names_the_alias_alone(
    provider: ConnectedAccount, others: ConnectedAccount, alice: User, bob: User
) -> None:
    row = offer(provider, others, alias="Client 7")
    decline(relationship=row, actor=bob, now=LATER, reason="Not now.")

    told = Notification.objects.get(user=alice)
    assert (told.title, told.body) == ("Client 7 declined to copy Lead", "Not now.")
    assert CopyRelationship.objects.get().state == State.DECLINED


def test_an_answer_is_given_once(
    provider: ConnectedAccount, others: ConnectedAccount, bob: User
) -> None:
    row = offer(provider, others)
    accept(relationship=row, actor=bob, now=LATER)
    again = accept(relationship=row, actor=bob, now=LATER + timedelta(hours=1))

    assert again.started_at == LATER
    with pytest.raises(Refusal, match="it is active"):
        decline(relationship=row, actor=bob, now=LATER)


def test_nobody_else_answers(
    provider: ConnectedAccount, others: ConnectedAccount, alice: User, charlie: User
) -> None:
    row = offer(provider, others)
    for actor, sentence in ((alice, "answered by the follower's owner"), (charlie, "not yours")):
        for service in (accept, decline):
            with pytest.raises(Refusal, match=sentence):
                service(relationship=row, actor=actor, now=LATER)

    assert CopyRelationship.objects.get().state == State.OFFERED


def test_a_withdrawn_offer_cannot_be_accepted(
    provider: ConnectedAccount, others: ConnectedAccount, alice: User, bob: User
) -> None:
    row = offer(provider, others)
    terminate(relationship=row, actor=alice, now=LATER)

    with pytest.raises(Refusal, match="it is terminated"):
        accept(relationship=row, actor=bob, now=LATER)
    assert CopyRelationship.objects.get().state == State.TERMINATED


def test_what_is_accepted_is_what_was_read(
    provider: ConnectedAccount, others: ConnectedAccount, alice: User, bob: User
) -> None:
    row = offer(provider, others)
    update_relationship(relationship=row, actor=alice, now=LATER, multiplier=Decimal(50))

    with pytest.raises(Refusal) as caught:
        accept(relationship=row, actor=bob, now=LATER, seen_at=NOW)
    assert caught.value.code == "offer_changed"
    assert accept(relationship=row, actor=bob, now=LATER, seen_at=LATER).state == State.ACTIVE


def test_nobody_offers_anothers_account(
    provider: ConnectedAccount, others: ConnectedAccount, bob: User
) -> None:
    with pytest.raises(ValidationError) as caught:
        offer(provider, others, actor=bob)
    assert "provider" in caught.value.message_dict
    assert not CopyRelationship.objects.exists()


def test_an_account_cannot_copy_itself(provider: ConnectedAccount) -> None:
    with pytest.raises(ValidationError) as caught:
        offer(provider, provider)
    assert "follower" in caught.value.message_dict


def test_an_offer_tells_nothing_of_anothers_account(provider: ConnectedAccount, bob: User) -> None:
    """Else who guesses logins, or who copies whom, would be told when right."""
    twin = make_account(bob, server=provider.server, login=provider.login)
    idle = make_account(bob, "Idle", is_active=False)
    copied = make_account(bob, "Copied")
    make_relationship(copied, provider)
    rows = [offer(provider, each) for each in (twin, idle, copied)]
    assert {row.state for row in rows} == {State.OFFERED}
    codes = []
    for row in rows:
        with pytest.raises(Refusal) as caught:
            accept(relationship=row, actor=bob, now=LATER)
        codes.append(caught.value.code)
    assert codes == ["same_login", "inactive", "loop"]


def test_another_is_not_asked_again_and_again(
    provider: ConnectedAccount, others: ConnectedAccount, alice: User, bob: User
) -> None:
    for number in range(MOST_TO_ONE_ACCOUNT):
        row = offer(provider, others, now=NOW + timedelta(hours=number))
        terminate(relationship=row, actor=alice, now=LATER)
    told = Notification.objects.filter(user=bob).count()
    for when, wait in ((timedelta(hours=3), 21), (timedelta(hours=23, minutes=30), 0.5)):
        with pytest.raises(Refusal, match="3 offers to this account within a day") as caught:
            offer(make_account(alice, f"P{wait}"), others, now=NOW + when)
        assert (caught.value.code, caught.value.wait_seconds) == ("too_many_offers", wait * 3600)
    assert Notification.objects.filter(user=bob).count() == told
    assert offer(provider, make_account(bob, "Other"), now=LATER).state == State.OFFERED
    assert offer(provider, others, now=NOW + timedelta(days=1)).state == State.OFFERED


def test_offers_to_others_are_counted_and_own_followers_are_not(
    provider: ConnectedAccount, own: ConnectedAccount, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offering, "MOST_TO_OTHERS", 2)
    for number in range(2):
        offer(provider, make_account(bob, f"B{number}"))
    with pytest.raises(Refusal, match="2 offers to others within a day"):
        offer(provider, make_account(bob, "B3"))
    assert offer(provider, own).state == State.ACTIVE


def test_two_accounts_have_one_living_relationship(
    provider: ConnectedAccount, own: ConnectedAccount, alice: User
) -> None:
    row = offer(provider, own)
    with pytest.raises(Refusal) as caught:
        offer(provider, own)
    assert caught.value.code == "relationship_exists"

    terminate(relationship=row, actor=alice, now=LATER)
    assert offer(provider, own, now=LATER).state == State.ACTIVE


def test_the_database_keeps_it_to_one_as_well(
    provider: ConnectedAccount, own: ConnectedAccount
) -> None:
    make_relationship(provider, own)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_relationship(provider, own, state=State.OFFERED)


def test_a_loop_is_refused_with_its_way(
    provider: ConnectedAccount, own: ConnectedAccount, alice: User
) -> None:
    third = make_account(alice, "Third")
    offer(provider, own)
    offer(own, third)

    with pytest.raises(Refusal) as caught:
        offer(third, provider)
    assert caught.value.code == "loop"
    assert "Third → Lead → Second → Third" in caught.value.sentence


def test_a_loop_over_another_does_not_name_their_account(
    provider: ConnectedAccount, own: ConnectedAccount, others: ConnectedAccount, bob: User
) -> None:
    make_relationship(provider, others)
    make_relationship(others, own)

    with pytest.raises(Refusal) as caught:
        offer(own, provider)
    assert "Second → Lead → another trader's account → Second" in caught.value.sentence


def test_a_loop_over_a_login_that_two_users_watch_is_refused(
    provider: ConnectedAccount, others: ConnectedAccount, bob: User, alice: User
) -> None:
    make_relationship(provider, others)
    twin = make_account(bob, "Twin", server=provider.server, login=provider.login)

    with pytest.raises(Refusal) as caught:
        offer(others, twin, actor=bob)
    assert caught.value.code == "loop"


def test_of_two_offers_that_close_a_loop_one_begins(
    provider: ConnectedAccount, others: ConnectedAccount, alice: User, bob: User
) -> None:
    there, back = offer(provider, others), offer(others, provider)
    accept(relationship=there, actor=bob, now=LATER)

    with pytest.raises(Refusal) as caught:
        accept(relationship=back, actor=alice, now=LATER)
    assert caught.value.code == "loop"
    back.refresh_from_db()
    assert back.state == State.OFFERED


def test_what_ended_closes_no_loop(
    provider: ConnectedAccount, own: ConnectedAccount, alice: User
) -> None:
    terminate(relationship=offer(provider, own), actor=alice, now=LATER)

    assert offer(own, provider, now=LATER).state == State.ACTIVE


@pytest.mark.parametrize("side", ["provider", "follower"])
def test_an_inactive_account_takes_no_part(
    provider: ConnectedAccount, own: ConnectedAccount, side: str
) -> None:
    idle = provider if side == "provider" else own
    ConnectedAccount.objects.filter(pk=idle.pk).update(is_active=False)

    with pytest.raises(Refusal) as caught:
        offer(provider, own)
    assert caught.value.code == "inactive"
    assert not CopyRelationship.objects.exists()


def test_a_deleted_account_takes_no_part(provider: ConnectedAccount, own: ConnectedAccount) -> None:
    delete_account(account=own, now=NOW)

    with pytest.raises(ValidationError) as caught:
        offer(provider, own)
    assert "follower" in caught.value.message_dict


def test_a_login_that_may_only_watch_follows_nobody(
    provider: ConnectedAccount, own: ConnectedAccount
) -> None:
    leave_readings([own], [], read_at=NOW.timestamp())
    assert offer(provider, own).state == State.ACTIVE

    other = make_account(provider.user, "Investor")
    leave_readings([other], [], read_at=NOW.timestamp(), trade_allowed=False)
    with pytest.raises(Refusal) as caught:
        offer(provider, other)
    assert caught.value.code == "watching_only"


def test_it_does_not_begin_before_the_firms_sentence_was_confirmed(
    provider: ConnectedAccount, own: ConnectedAccount
) -> None:
    ConnectedAccount.objects.filter(pk=own.pk).update(server="FTMO-Server4")
    with pytest.raises(ValidationError) as caught:
        offer(provider, own)
    told = " ".join(caught.value.message_dict["confirms_firm_terms"])
    assert "Second (FTMO): Copying is allowed between your own accounts only." in told
    assert not CopyRelationship.objects.exists()

    row = offer(provider, own, confirms_firm_terms=True)
    assert (row.provider_confirmed_at, row.follower_confirmed_at) == (None, NOW)


def test_each_owner_confirms_for_their_own_account(
    provider: ConnectedAccount, others: ConnectedAccount, bob: User
) -> None:
    ConnectedAccount.objects.filter(pk=others.pk).update(broker="E8 Markets")
    row = offer(provider, others)

    with pytest.raises(ValidationError) as caught:
        accept(relationship=row, actor=bob, now=LATER)
    assert "confirms_firm_terms" in caught.value.message_dict
    accept(relationship=row, actor=bob, now=LATER, confirms_firm_terms=True)
    row.refresh_from_db()
    assert (row.provider_confirmed_at, row.follower_confirmed_at) == (None, LATER)


def test_a_firm_is_known_by_its_rules_too(
    provider: ConnectedAccount, own: ConnectedAccount, alice: User
) -> None:
    rule = RiskRule.objects.create(
        user=alice,
        name="The5ers High Stakes: daily loss",
        rule_type="MAX_DAILY_LOSS",
        limit=Decimal("0.05"),
        is_firm_rule=True,
    )
    rule.accounts.add(provider)

    with pytest.raises(ValidationError, match="The5ers"):
        offer(provider, own)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="Only PostgreSQL has such locks.")
def test_relationships_are_made_one_at_a_time(
    provider: ConnectedAccount, own: ConnectedAccount
) -> None:
    offer(provider, own)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert cursor.fetchone()[0] >= 1
