"""Who hears that copying was held back, goes on or has ended: whoever did not do it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from accounts.models import User
from accounts.tests.factories import NOW, make_account
from copytrade.models import CopyRelationship
from copytrade.services.departures import forget_account
from copytrade.services.states import (
    close_only,
    pause,
    resume,
    settle_endings,
    stop_copying,
    terminate,
)
from copytrade.tests.factories import make_position, make_relationship
from notifications.models import Notification

MONEY = "The equity of 99,400.00 USD is at the stop of 99,500.00."


@pytest.fixture
def shared(alice: User, bob: User) -> CopyRelationship:
    return make_relationship(
        make_account(alice, "Lead"), make_account(bob, "Bob's"), alias="Number 7", accepted_at=NOW
    )


def after(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


def titles(user: User) -> list[str]:
    rows = Notification.objects.filter(user=user, type="copy_relationship")
    return list(rows.order_by("created_at", "pk").values_list("title", flat=True))


def test_the_other_side_hears_each_change(shared: CopyRelationship, alice: User, bob: User) -> None:
    pause(relationship=shared, actor=alice, now=after(1), reason="A holiday.")
    resume(relationship=shared, actor=alice, now=after(2))
    close_only(relationship=shared, actor=alice, now=after(3))
    assert titles(alice) == []
    assert titles(bob) == [
        "Bob's copies Lead no more: paused",
        "Bob's copies Lead again",
        "Bob's copies no new trades of Lead, only its closes",
    ]
    assert Notification.objects.filter(user=bob).order_by("created_at")[0].body == "A holiday."
    make_position(shared)
    terminate(relationship=shared, actor=bob, now=after(4), ending="as_provider")
    assert titles(alice) == ["Number 7 stops copying Lead, and closes with it what it copied"]


def test_an_equity_stop_tells_money_to_its_owner_alone(
    shared: CopyRelationship, alice: User, bob: User
) -> None:
    make_position(shared)
    stop: dict[str, Any] = {"relationship": shared, "cause": "equity_stop", "reason": MONEY}
    assert stop_copying(**stop, now=after(1), closes=True)
    assert not stop_copying(**stop, now=after(2), closes=True)
    mine, theirs = Notification.objects.get(user=bob), Notification.objects.get(user=alice)
    assert mine.title == "Bob's copies Lead no more: what it copied is being closed"
    assert (mine.body, mine.priority) == (MONEY, "high")
    assert theirs.title == "Number 7 copies Lead no more: what it copied is being closed"
    assert (theirs.body, theirs.priority) == ("", "medium")


@pytest.mark.parametrize("is_flat_first", [False, True])
def test_an_end_that_came_by_itself_is_told_to_both(
    shared: CopyRelationship, alice: User, bob: User, *, is_flat_first: bool
) -> None:
    if is_flat_first:
        forget_account(account_id=shared.follower_id, now=after(1))
    else:
        held = make_position(shared)
        terminate(relationship=shared, actor=bob, now=after(1), ending="close_now")
        Notification.objects.all().delete()
        held.delete()
        settle_endings(now=after(2))
    assert titles(bob) == ["Bob's has stopped copying Lead"]
    assert titles(alice) == ["Number 7 has stopped copying Lead"]


def test_whoever_owns_both_sides_hears_of_what_they_did_not_do(alice: User) -> None:
    own = make_relationship(
        make_account(alice, "Alpha"), make_account(alice, "Beta"), accepted_at=NOW
    )
    pause(relationship=own, actor=alice, now=after(1))
    assert titles(alice) == []
    resume(relationship=own, actor=alice, now=after(2))
    stop_copying(relationship=own, cause="equity_stop", reason=MONEY, now=after(3))
    assert titles(alice) == ["Beta copies Alpha no more: paused"]


def test_an_offer_that_nobody_accepted_is_answered_and_no_more(alice: User, bob: User) -> None:
    offer = make_relationship(
        make_account(alice, "Lead"), make_account(bob, "Bob's"), state="offered", accepted_at=None
    )
    terminate(relationship=offer, actor=alice, now=after(1))
    assert titles(bob) == []


def test_an_offer_that_its_follower_ends_counts_as_declined(alice: User, bob: User) -> None:
    offer = make_relationship(
        make_account(alice, "Lead"), make_account(bob, "Bob's"), alias="Number 7",
        state=CopyRelationship.State.OFFERED, started_at=None,
    )  # fmt: skip
    terminate(relationship=offer, actor=bob, now=after(1))
    assert titles(alice) == ["Number 7 declined to copy Lead"]
    assert titles(bob) == []
