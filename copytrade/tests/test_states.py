"""Holding back, going on and ending: alice provides, bob follows."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.tests.factories import NOW, make_account
from copytrade.core.kinds import EventKind
from copytrade.models import CopyOrder, CopyPosition, CopyRelationship
from copytrade.services.states import (
    close_only,
    pause,
    resume,
    settle_endings,
    stop_copying,
    terminate,
)
from copytrade.tests.factories import (
    make_copy,
    make_event,
    make_position,
    make_relationship,
    make_waiting_copy,
)
from risk.models import Order

LATER = NOW + timedelta(minutes=1)
State = CopyRelationship.State
Cause = CopyRelationship.Cause
Service = Callable[..., CopyRelationship]


@pytest.fixture
def shared(alice: User, bob: User) -> CopyRelationship:
    """A relationship of two owners."""
    return make_relationship(make_account(alice, "Lead"), make_account(bob, "Bob's"))


@pytest.fixture
def own(alice: User) -> CopyRelationship:
    return make_relationship(make_account(alice, "Alpha"), make_account(alice, "Beta"))


def stored(row: CopyRelationship) -> CopyRelationship:
    return CopyRelationship.objects.get(pk=row.pk)


@pytest.mark.parametrize(("service", "state"), [(pause, "paused"), (close_only, "close_only")])
def test_it_is_held_back_and_goes_on(
    own: CopyRelationship, alice: User, service: Service, state: str
) -> None:
    held = service(relationship=own, actor=alice, now=LATER, reason="A holiday.")
    assert (held.state, held.state_reason, held.state_changed_at) == (state, "A holiday.", LATER)
    assert stored(own).state == state

    resume(relationship=own, actor=alice, now=LATER)
    again = stored(own)
    assert (again.state, again.state_reason, again.started_at) == (State.ACTIVE, "", NOW)


def test_the_stricter_of_both_holds_counts(
    shared: CopyRelationship, alice: User, bob: User
) -> None:
    pause(relationship=shared, actor=bob, now=LATER)
    assert close_only(relationship=shared, actor=alice, now=LATER).state == State.CLOSE_ONLY
    assert resume(relationship=shared, actor=alice, now=LATER).state == State.PAUSED
    assert resume(relationship=shared, actor=bob, now=LATER).state == State.ACTIVE


def test_one_side_does_not_resume_for_the_other(
    shared: CopyRelationship, alice: User, bob: User
) -> None:
    pause(relationship=shared, actor=alice, now=LATER)
    with pytest.raises(Refusal, match="The provider's owner holds it back"):
        resume(relationship=shared, actor=bob, now=LATER)
    pause(relationship=shared, actor=bob, now=LATER)
    assert resume(relationship=shared, actor=bob, now=LATER).state == State.PAUSED
    assert stored(shared).state == State.PAUSED


def test_an_active_one_is_resumed_without_effect(own: CopyRelationship, alice: User) -> None:
    assert resume(relationship=own, actor=alice, now=LATER).state_changed_at == NOW


def test_the_same_hold_twice_changes_nothing(own: CopyRelationship, alice: User) -> None:
    pause(relationship=own, actor=alice, now=LATER, reason="First.")
    again = pause(relationship=own, actor=alice, now=LATER + timedelta(hours=1), reason="Second.")
    assert (again.state_changed_at, again.state_reason) == (LATER, "First.")


@pytest.mark.parametrize("service", [pause, close_only, resume, terminate])
def test_a_stranger_changes_nothing(
    shared: CopyRelationship, charlie: User, service: Service
) -> None:
    with pytest.raises(Refusal) as caught:
        service(relationship=shared, actor=charlie, now=LATER)
    assert caught.value.code == "not_yours"
    assert stored(shared).state == State.ACTIVE


@pytest.mark.parametrize("state", [State.OFFERED, State.DECLINED, State.TERMINATED])
@pytest.mark.parametrize("service", [pause, close_only, resume])
def test_what_does_not_copy_is_not_held(
    own: CopyRelationship, alice: User, service: Service, state: str
) -> None:
    CopyRelationship.objects.update(state=state)
    with pytest.raises(Refusal) as caught:
        service(relationship=own, actor=alice, now=LATER)
    assert caught.value.code == "not_copying"
    assert stored(own).state == state


@pytest.mark.parametrize("reason", ["x" * 256, "two\nlines"])
def test_a_reason_is_one_line(own: CopyRelationship, alice: User, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        pause(relationship=own, actor=alice, now=LATER, reason=reason)
    assert list(caught.value.message_dict) == ["reason"]
    assert stored(own).state == State.ACTIVE


def test_keeping_leaves_the_positions_to_the_follower(own: CopyRelationship, alice: User) -> None:
    position = make_position(own)
    under_way = make_position(own, state=CopyPosition.State.OPENING)
    ended = terminate(relationship=own, actor=alice, now=LATER)

    position.refresh_from_db()
    under_way.refresh_from_db()
    assert (ended.state, ended.ending) == (State.TERMINATED, "keep")
    assert (position.state, position.closed_at) == (CopyPosition.State.KEPT, LATER)
    assert under_way.state == CopyPosition.State.OPENING

    CopyPosition.objects.filter(pk=under_way.pk).update(state=CopyPosition.State.OPEN)
    settle_endings(now=LATER)
    under_way.refresh_from_db()
    assert under_way.state == CopyPosition.State.KEPT


def test_with_nothing_held_every_ending_is_at_once(alice: User) -> None:
    for number, ending in enumerate(CopyRelationship.Ending.values):
        ends = [make_account(alice, f"{side} {number}") for side in ("Lead", "Copy")]
        row = terminate(relationship=make_relationship(*ends), actor=alice, now=NOW, ending=ending)
        assert (row.state, row.closing_since_at) == (State.TERMINATED, None)


@pytest.mark.parametrize("ending", ["as_provider", "close_now"])
def test_it_ends_when_the_last_position_is_closed(
    own: CopyRelationship, alice: User, ending: str
) -> None:
    first, last = make_position(own), make_position(own)
    row = terminate(relationship=own, actor=alice, now=LATER, ending=ending, reason="Enough.")
    since = LATER if ending == "close_now" else None
    assert (row.state, row.ending, row.closing_since_at) == (State.CLOSE_ONLY, ending, since)

    first.state = CopyPosition.State.CLOSED
    first.save(update_fields=["state"])
    assert settle_endings(now=LATER) == []
    assert stored(own).state == State.CLOSE_ONLY

    last.state = CopyPosition.State.LEFT
    last.save(update_fields=["state"])
    assert settle_endings(now=LATER) == [own.pk]
    ended = stored(own)
    assert (ended.state, ended.state_cause) == (State.TERMINATED, Cause.FLAT)
    assert settle_endings(now=LATER) == []


@pytest.mark.parametrize("state", CopyOrder.State.values)
def test_it_waits_for_copies_under_way(own: CopyRelationship, alice: User, state: str) -> None:
    make_copy(own, make_event(own, EventKind.OPEN), state=state)
    row = terminate(relationship=own, actor=alice, now=LATER, ending="as_provider")
    is_under_way = state in CopyOrder.UNFINISHED
    assert row.state == (State.CLOSE_ONLY if is_under_way else State.TERMINATED)


@pytest.mark.parametrize("ending", ["as_provider", "close_now"])
def test_it_waits_for_an_open_that_is_being_planned(
    own: CopyRelationship, alice: User, ending: str
) -> None:
    event = make_event(own, EventKind.OPEN, detected_at=LATER)
    row = terminate(relationship=own, actor=alice, now=LATER, ending=ending)
    assert row.state == State.CLOSE_ONLY
    assert settle_endings(now=LATER) == []
    copy = make_copy(own, event, state=CopyOrder.State.SKIPPED)
    assert settle_endings(now=LATER) == [own.pk]
    assert stored(own).state == State.TERMINATED
    assert copy.order_id is None


def test_an_open_that_nobody_plans_holds_no_end_up_for_ever(
    own: CopyRelationship, alice: User
) -> None:
    make_event(own, EventKind.OPEN, detected_at=LATER)
    terminate(relationship=own, actor=alice, now=LATER, ending="as_provider")
    deadline = LATER + timedelta(seconds=own.open_deadline_seconds + 10)
    assert settle_endings(now=deadline - timedelta(microseconds=1)) == []
    assert settle_endings(now=deadline) == [own.pk]


@pytest.mark.parametrize("service", [pause, close_only, resume])
def test_what_is_ending_is_not_held(own: CopyRelationship, alice: User, service: Service) -> None:
    make_position(own)
    terminate(relationship=own, actor=alice, now=LATER, ending="as_provider")
    with pytest.raises(Refusal) as caught:
        service(relationship=own, actor=alice, now=LATER)
    assert caught.value.code == "ending"


def test_another_ending_may_follow(own: CopyRelationship, alice: User) -> None:
    make_position(own)
    terminate(relationship=own, actor=alice, now=LATER, ending="as_provider")
    row = terminate(relationship=own, actor=alice, now=LATER, ending="close_now")
    assert (row.ending, row.closing_since_at) == ("close_now", LATER)
    row = terminate(relationship=own, actor=alice, now=LATER, ending="keep")
    assert (row.state, row.closing_since_at) == (State.TERMINATED, None)


def test_what_has_ended_stays_as_it_is(own: CopyRelationship, alice: User) -> None:
    terminate(relationship=own, actor=alice, now=LATER, reason="First.")
    row = terminate(relationship=own, actor=alice, now=LATER, ending="close_now", reason="Second.")
    assert (row.ending, row.state_reason) == ("keep", "First.")


def test_another_ending_is_refused_by_name(own: CopyRelationship, alice: User) -> None:
    with pytest.raises(ValidationError) as caught:
        terminate(relationship=own, actor=alice, now=LATER, ending="burn")
    assert list(caught.value.message_dict) == ["ending"]


def test_only_the_follower_closes_its_positions_now(
    shared: CopyRelationship, alice: User, bob: User
) -> None:
    make_position(shared)
    with pytest.raises(Refusal, match="not yours to close"):
        terminate(relationship=shared, actor=alice, now=LATER, ending="close_now")
    assert stored(shared).state == State.ACTIVE
    row = terminate(relationship=shared, actor=bob, now=LATER, ending="close_now")
    assert row.closing_since_at == LATER


def test_tradeguard_holds_for_the_follower_and_closes(
    shared: CopyRelationship, alice: User, bob: User
) -> None:
    position = make_position(shared)
    told: dict[str, Any] = {
        "cause": Cause.EQUITY_STOP,
        "reason": "The equity of 8,999.00 USD is at the stop of 9,000.00.",
        "closes": True,
    }
    assert stop_copying(relationship=shared, now=LATER, **told)
    row = stored(shared)
    assert (row.state, row.follower_hold, row.provider_hold) == (State.PAUSED, "paused", "")
    assert (row.closing_since_at, row.state_cause) == (LATER, Cause.EQUITY_STOP)
    assert not stop_copying(relationship=shared, now=LATER, **told)

    with pytest.raises(Refusal) as caught:
        resume(relationship=shared, actor=bob, now=LATER)
    assert caught.value.code == "closing"
    CopyPosition.objects.filter(pk=position.pk).update(state=CopyPosition.State.CLOSED)
    assert settle_endings(now=LATER) == [shared.pk]
    row = stored(shared)
    assert (row.state, row.closing_since_at) == (State.PAUSED, None)
    with pytest.raises(Refusal, match="The follower's owner holds it back"):
        resume(relationship=shared, actor=alice, now=LATER)
    assert resume(relationship=shared, actor=bob, now=LATER).state == State.ACTIVE


def test_an_equity_stop_closes_what_was_only_paused(own: CopyRelationship, alice: User) -> None:
    make_position(own)
    pause(relationship=own, actor=alice, now=NOW)
    assert stop_copying(
        relationship=own, cause=Cause.EQUITY_STOP, reason="At the stop.", now=LATER, closes=True
    )
    assert stored(own).closing_since_at == LATER


def test_an_equity_stop_loosens_nothing(own: CopyRelationship, alice: User) -> None:
    make_position(own)
    close_only(relationship=own, actor=alice, now=NOW)
    stop_copying(relationship=own, cause=Cause.EQUITY_STOP, reason="", now=LATER, closes=True)
    assert stored(own).state == State.CLOSE_ONLY


@pytest.mark.parametrize("service", [pause, close_only, terminate])
def test_waiting_copies_are_cancelled_once(
    own: CopyRelationship, alice: User, service: Service
) -> None:
    _, placed = make_waiting_copy(own)
    service(relationship=own, actor=alice, now=LATER)

    cancel = Order.objects.get(kind=Order.Kind.CANCEL)
    assert (cancel.order_ticket, cancel.account_id) == (placed.order_ticket, own.follower_id)
    assert (cancel.origin, cancel.state) == (Order.Origin.COPY, Order.State.PENDING)
    assert (cancel.host, cancel.send_by_at) == (own.follower.terminal_host_id, None)
    if stored(own).state == State.PAUSED:
        close_only(relationship=own, actor=alice, now=LATER)
    assert Order.objects.filter(kind=Order.Kind.CANCEL).count() == 1


@pytest.mark.parametrize("kind", [EventKind.PENDING_CANCELLED, EventKind.PENDING_FILLED])
def test_what_waits_no_more_is_not_cancelled(
    own: CopyRelationship, alice: User, kind: EventKind
) -> None:
    event, _ = make_waiting_copy(own)
    make_event(own, kind, order_ticket=event.order_ticket)
    pause(relationship=own, actor=alice, now=LATER)
    assert not Order.objects.filter(kind=Order.Kind.CANCEL).exists()


def test_the_waiting_copies_of_others_stay(own: CopyRelationship, alice: User, bob: User) -> None:
    make_waiting_copy(make_relationship(own.provider, make_account(bob, "Bob's")))
    pause(relationship=own, actor=alice, now=LATER)
    assert not Order.objects.filter(kind=Order.Kind.CANCEL).exists()


def test_it_ends_after_the_cancels(own: CopyRelationship, alice: User) -> None:
    make_waiting_copy(own)
    row = terminate(relationship=own, actor=alice, now=LATER, ending="as_provider")
    assert row.state == State.CLOSE_ONLY
    Order.objects.filter(kind=Order.Kind.CANCEL).update(state=Order.State.FILLED)
    assert settle_endings(now=LATER) == [own.pk]


def test_settling_asks_little(
    own: CopyRelationship, shared: CopyRelationship, django_assert_num_queries: Any
) -> None:
    for row in (own, shared):
        make_position(row)
    with django_assert_num_queries(2):
        settle_endings(now=LATER)


def test_the_accounts_stay_their_owners(shared: CopyRelationship, bob: User, alice: User) -> None:
    assert list(ConnectedAccount.objects.owned_by(bob)) == [shared.follower]
    assert list(CopyRelationship.objects.seen_by(alice)) == [shared]
