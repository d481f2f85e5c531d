"""What relationships mean for the accounts in them: changed, deleted, disconnected."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.services.accounts import delete_account, update_account
from accounts.services.watching import disconnect_account
from accounts.tests.factories import NOW, make_account
from copytrade.core.kinds import EventKind
from copytrade.models import CopyBatch, CopyPosition, CopyRelationship
from copytrade.tests.factories import (
    make_event,
    make_position,
    make_relationship,
    make_waiting_copy,
)
from risk.models import Order

LATER = NOW + timedelta(minutes=1)
State = CopyRelationship.State


@pytest.fixture
def row(alice: User, bob: User) -> CopyRelationship:
    return make_relationship(make_account(alice, "Lead"), make_account(bob, "Bob's"))


@pytest.mark.parametrize("side", ["provider", "follower"])
@pytest.mark.parametrize("state", [State.OFFERED, State.ACTIVE, State.PAUSED, State.CLOSE_ONLY])
def test_a_deleted_account_ends_its_relationships(
    row: CopyRelationship, side: str, state: str
) -> None:
    CopyRelationship.objects.update(state=state)
    delete_account(account=getattr(row, side), now=LATER)

    row.refresh_from_db()
    assert (row.state, row.state_cause) == (State.TERMINATED, "account_deleted")
    assert (row.state_changed_at, row.state_changed_by_id) == (LATER, None)


@pytest.mark.parametrize("side", ["provider", "follower"])
@pytest.mark.parametrize("held", CopyPosition.HELD)
def test_an_account_is_not_deleted_while_copies_are_open(
    row: CopyRelationship, side: str, held: str
) -> None:
    make_position(row, state=held)
    account = getattr(row, side)

    with pytest.raises(Refusal, match=f"1 copied position is open .* {account.name}") as caught:
        delete_account(account=account, now=LATER)

    assert caught.value.code == "in_use"
    assert ConnectedAccount.objects.filter(pk=account.pk, archived_at=None).exists()
    row.refresh_from_db()
    assert row.state == State.ACTIVE


@pytest.mark.parametrize("side", ["provider", "follower"])
def test_an_account_is_not_deleted_while_copies_are_only_written_ahead(
    row: CopyRelationship, side: str
) -> None:
    batch = CopyBatch.objects.create(
        id=uuid4(),
        event_id=uuid4(),
        provider_id=row.provider_id,
        host="local",
        number=0,
        payload=b"",
        created_at=NOW,
    )
    with pytest.raises(Refusal, match="being sent at this moment"):
        delete_account(account=getattr(row, side), now=LATER)

    batch.unfolded_at = LATER
    batch.save()
    delete_account(account=getattr(row, side), now=LATER)


@pytest.mark.parametrize("side", ["provider", "follower"])
@pytest.mark.parametrize(
    ("age_seconds", "kind", "is_planned", "is_barred"),
    [
        (0, EventKind.OPEN, False, True),
        (0, EventKind.PENDING_PLACED, False, True),
        (0, EventKind.STOPS, False, False),
        (0, EventKind.OPEN, True, False),
        (65, EventKind.OPEN, False, True),
        (70, EventKind.OPEN, False, False),
    ],
)
def test_an_account_is_not_deleted_while_opens_are_planned(
    row: CopyRelationship,
    side: str,
    age_seconds: int,
    kind: EventKind,
    is_planned: bool,
    is_barred: bool,
) -> None:
    detected_at = timezone.now() - timedelta(seconds=age_seconds)
    planned_at = detected_at if is_planned else None
    make_event(row, kind, detected_at=detected_at, planned_at=planned_at)
    account = getattr(row, side)
    if is_barred:
        with pytest.raises(Refusal, match="being sent at this moment"):
            delete_account(account=account, now=LATER)
    else:
        delete_account(account=account, now=LATER)


@pytest.mark.parametrize("left", ["closed", "left", "kept"])
def test_it_is_deleted_once_nothing_is_held(row: CopyRelationship, left: str) -> None:
    position = make_position(row, state=left)
    delete_account(account=row.provider, now=LATER)

    position.refresh_from_db()
    assert position.state == left


def test_positions_of_an_ended_relationship_bar_nothing(row: CopyRelationship) -> None:
    make_position(row, state=CopyPosition.State.OPENING)
    CopyRelationship.objects.update(state=State.TERMINATED)
    delete_account(account=row.follower, now=LATER)
    assert not ConnectedAccount.objects.filter(pk=row.follower_id).exists()


def test_other_relationships_go_on(row: CopyRelationship, alice: User, charlie: User) -> None:
    other = make_relationship(row.provider, make_account(charlie, "Charlie's"))
    delete_account(account=row.follower, now=LATER)
    other.refresh_from_db()
    assert other.state == State.ACTIVE


@pytest.mark.parametrize("side", ["provider", "follower"])
@pytest.mark.parametrize("changes", [{"login": 77_000_001}, {"server": "Other-Live"}])
def test_an_account_keeps_its_login_while_it_copies(
    row: CopyRelationship, side: str, changes: Any
) -> None:
    account = getattr(row, side)
    with pytest.raises(Refusal, match="End them first") as caught:
        update_account(account=account, now=LATER, **changes)
    assert caught.value.code == "in_use"

    CopyRelationship.objects.update(state=State.TERMINATED)
    update_account(account=account, now=LATER, **changes)
    assert ConnectedAccount.objects.filter(pk=account.pk, **changes).exists()


def test_an_offer_bars_no_other_login(row: CopyRelationship) -> None:
    CopyRelationship.objects.update(state=State.OFFERED)
    update_account(account=row.provider, now=LATER, login=77_000_001)
    assert ConnectedAccount.objects.get(pk=row.provider_id).login == 77_000_001


def test_a_disconnected_account_stays_in_its_relationships(row: CopyRelationship) -> None:
    make_position(row)
    disconnect_account(account=row.provider, now=LATER)
    update_account(account=row.follower, is_active=False, now=LATER)
    row.refresh_from_db()
    assert row.state == State.ACTIVE


def test_a_user_who_goes_takes_their_relationships_along(row: CopyRelationship, bob: User) -> None:
    delete_account(account=row.follower, now=LATER)
    bob.api_keys.all().delete()
    bob.delete()
    assert not CopyRelationship.objects.exists()
    assert ConnectedAccount.objects.filter(pk=row.provider_id).exists()


def test_what_waits_at_the_followers_is_cancelled_when_the_provider_goes(
    row: CopyRelationship,
) -> None:
    _, placed = make_waiting_copy(row)
    delete_account(account=row.provider, now=LATER)
    cancel = Order.objects.get(kind=Order.Kind.CANCEL)
    assert (cancel.order_ticket, cancel.account_id) == (placed.order_ticket, row.follower_id)
    assert cancel.state == Order.State.PENDING


def test_nobody_cancels_for_a_follower_that_is_deleted(row: CopyRelationship) -> None:
    make_waiting_copy(row)
    delete_account(account=row.follower, now=LATER)
    assert not Order.objects.filter(kind=Order.Kind.CANCEL).exists()
