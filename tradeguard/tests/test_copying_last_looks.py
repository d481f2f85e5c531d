"""What changes between the writing of copies and their leaving, and what fails there."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import ConnectedAccount, TerminalHost, User
from copytrade.core.kinds import EventKind
from copytrade.models import CopyBatch, CopyEvent, CopyOrder, CopyPosition, CopyRelationship
from copytrade.replication import ids
from copytrade.replication.folding import Folds
from copytrade.services.states import close_only, pause, terminate
from risk.models import Order
from risk.orders.drafts import new_tag
from tradeguard.tests.copying_deaths import LostFence, after_writing
from tradeguard.tests.copying_stage import (
    Desk,
    close,
    copy,
    desk_of,
    event_of,
    held,
    replicator_of,
    view_of,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE = Decimal("1.00")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def desk(stage: Stage, alice: User) -> Desk:
    """Return a provider and four followers whose sessions are connected."""
    return desk_of(stage, alice, 4)


def states() -> list[str]:
    return sorted(row.state for row in CopyOrder.objects.all())


def test_an_open_that_took_too_long_to_write_does_not_leave(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    with monkeypatch.context() as patch:
        patch.setattr(replicator_of(stage), "_clock", lambda: stage.now)

        def suspend() -> None:
            stage.clock[0] += 120.0

        after_writing(patch, suspend)
        stage.buy(provider, 1.0)
        stage.run(1)
    stage.run(10, seconds=1.0)
    assert held(stage, followers) == [[]] * 4
    assert set(states()) <= {"failed", "skipped"}
    assert set(Order.objects.values_list("attempts", flat=True)) == {1}


def test_who_lost_the_host_while_writing_leaves_it_to_the_next(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    one = replicator_of(stage)
    with monkeypatch.context() as patch:
        after_writing(patch, lambda: patch.setattr(one.hand_over, "_fence", LostFence()))
        ticket = stage.buy(provider, 1.0)
        stage.run(1)
        assert set(Order.objects.values_list("state", flat=True)) == {"pending"}
        assert held(stage, followers) == [[]] * 4
    stage.run(5, seconds=1.0)
    assert held(stage, followers) == [[ONE]] * 4
    with monkeypatch.context() as patch:
        after_writing(patch, lambda: patch.setattr(one.hand_over, "_fence", LostFence()))
        close(stage, provider, ticket)
        stage.run(1)
        assert held(stage, followers) == [[ONE]] * 4
    stage.run(8, seconds=1.0)
    assert held(stage, followers) == [[]] * 4
    assert states() == ["done"] * 8


@pytest.mark.parametrize("is_folded", [False, True])
@pytest.mark.parametrize("service", [pause, close_only, terminate])
def test_nothing_opens_after_a_pause_although_it_waits_in_a_lane(
    stage: Stage,
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    alice: User,
    service: Callable[..., object],
    is_folded: bool,
) -> None:
    provider, followers = desk
    paused = CopyRelationship.objects.get(follower=followers[0])
    one = replicator_of(stage)

    def hold() -> None:
        service(relationship=paused, actor=alice, now=stage.now)

    def leave_to_lanes() -> None:
        patch.setattr(one.hand_over, "_fence", LostFence())
        if is_folded:
            hold()

    with monkeypatch.context() as patch:
        after_writing(patch, leave_to_lanes)
        stage.buy(provider, 1.0)
        stage.run(1)
    if not is_folded:
        assert set(Order.objects.values_list("state", flat=True)) == {"pending"}
        hold()
    stage.run(5, seconds=1.0)
    assert held(stage, followers) == [[], [ONE], [ONE], [ONE]]
    copy = CopyOrder.objects.get(follower_id=followers[0].pk)
    assert copy.state == "failed"
    assert copy.sentence.endswith("before the order was sent.")
    assert not CopyPosition.objects.filter(
        follower_id=followers[0].pk, state__in=CopyPosition.HELD
    ).exists()


@pytest.mark.parametrize("ending", ["as_provider", "close_now"])
def test_what_ends_while_an_open_is_planned_does_not_keep_it(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, alice: User, ending: str
) -> None:
    provider, followers = desk
    ended = CopyRelationship.objects.get(follower=followers[0])
    write = Folds.write

    def slow(*arguments: Any) -> Any:
        terminate(relationship=ended, actor=alice, now=stage.now, ending=ending)
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Folds, "write", slow)
        ticket = stage.buy(provider, 1.0)
        stage.run(1)
    stage.run(5, seconds=1.0)
    if ending == "as_provider":
        assert held(stage, followers) == [[ONE]] * 4
        close(stage, provider, ticket)
        stage.run(8, seconds=1.0)
        assert held(stage, followers) == [[]] * 4
    else:
        assert held(stage, followers) == [[], [ONE], [ONE], [ONE]]
    ended.refresh_from_db()
    assert ended.state == "terminated"
    assert set(CopyPosition.objects.filter(follower_id=followers[0].pk).values_list("state")) == {
        ("closed",)
    }


@pytest.mark.parametrize("is_sent", [False, True])
def test_accounts_are_free_again_when_handing_over_fails(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, is_sent: bool
) -> None:
    provider, followers = desk
    submit = stage.server.submit

    def failing(*arguments: Any) -> Any:
        if is_sent:
            submit(*arguments)
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(stage.server, "submit", failing)
        ticket = stage.buy(provider, 1.0)
        stage.run(1)
    stage.run(20, seconds=1.0)
    # Their lanes have found out what became of them.
    assert held(stage, followers) == ([[ONE]] if is_sent else [[]]) * 4
    assert states() == ["done" if is_sent else "failed"] * 4

    close(stage, provider, ticket)
    stage.run(8, seconds=1.0)
    assert held(stage, followers) == [[]] * 4


@pytest.mark.parametrize("is_sent", [False, True])
def test_accounts_are_free_again_when_a_crowd_cannot_be_handed_over(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch, is_sent: bool
) -> None:
    provider, followers = desk
    submit = stage.server.submit_alike

    def failing(orders: Any, answered: Any) -> None:
        def half(answers: Any, waited: float = 0.0) -> None:
            answered([each for each in answers if each[0] < 2], waited)

        if is_sent:
            submit(orders, half)
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(stage.server, "submit_alike", failing)
        ticket = stage.buy(provider, 1.0)
        stage.run(1)
    stage.run(20, seconds=1.0)
    assert held(stage, followers) == ([[ONE]] if is_sent else [[]]) * 4
    assert states() == ["done" if is_sent else "failed"] * 4

    close(stage, provider, ticket)
    stage.run(8, seconds=1.0)
    assert held(stage, followers) == [[]] * 4


def test_a_tag_that_somebody_has_is_not_sent_again(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    stage.buy(provider, 1.0)
    stage.run(5)
    taken = sorted(Order.objects.values_list("tag", flat=True))
    given = iter([taken[2]])
    with monkeypatch.context() as patch:
        patch.setattr(ids, "new_tag", lambda: next(given, None) or new_tag())
        second = stage.buy(provider, 0.5)
        stage.run(5)
    assert next(given, None) is None
    assert Order.objects.count() == 8
    close(stage, provider, second, 0.5)
    stage.run(8, seconds=1.0)
    assert held(stage, followers) == [[ONE]] * 4
    assert states() == ["done"] * 12


def test_an_addition_whose_turn_somebody_took_is_closed_as_well(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(5)
    first = CopyPosition.objects.filter(follower_id=followers[0].pk).get()

    def taken() -> None:
        # As by a pending order that was filled meanwhile.
        CopyPosition.objects.create(
            id=uuid4(),
            relationship_id=first.relationship_id,
            provider_id=first.provider_id,
            follower_id=first.follower_id,
            provider_position=77,
            turn=1,
            provider_volume=ONE,
            symbol=first.symbol,
            direction=first.direction,
            volume=first.volume,
            state=CopyPosition.State.CLOSED,
            opened_at=first.opened_at,
        )

    with monkeypatch.context() as patch:
        after_writing(patch, taken)
        copy(stage, event_of(stage, provider, EventKind.OPEN, 77, volume_before=ONE))
    stage.run(2)
    assert held(stage, followers) == [[ONE, ONE]] * 4
    rows = CopyPosition.objects.filter(follower_id=followers[0].pk).order_by("turn")
    assert [(row.turn, row.state) for row in rows] == [(0, "open"), (1, "closed"), (2, "open")]


def test_what_only_others_wait_for_is_looked_at_once_a_second(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    # Its host is away.
    TerminalHost.objects.create(name="far")
    ConnectedAccount.objects.filter(pk=followers[3].pk).update(terminal_host="far")
    stage.run(2, seconds=1.0)
    one, event = replicator_of(stage), event_of(stage, provider, EventKind.OPEN, 77)
    copy(stage, event)
    assert held(stage, followers[:3]) == [[ONE]] * 3
    began, view = stage.now, view_of(stage)
    for milliseconds, is_due in ((250, False), (999, False), (1000, True)):
        now = began + timedelta(milliseconds=milliseconds)
        monkeypatch.setattr(one, "_clock", lambda now=now: now)
        assert one.is_due(event, view) is is_due


def test_a_batch_that_nobody_can_read_stops_nothing_else(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk
    first = event_of(stage, provider, EventKind.OPEN, 76)
    first.save()
    batch = CopyBatch.objects.create(
        id=uuid4(),
        event_id=first.pk,
        provider_id=provider.pk,
        host="local",
        number=0,
        created_at=stage.now,
        payload=b"what no version wrote",
    )
    ticket = stage.buy(provider, 1.0)
    stage.run(5, seconds=1.0)
    # Its own event is not sent again: somebody may have got it.
    assert held(stage, followers) == [[ONE]] * 4
    close(stage, provider, ticket)
    stage.run(8, seconds=1.0)
    assert held(stage, followers) == [[]] * 4
    batch.refresh_from_db()
    assert batch.unfolded_at is None
    assert CopyEvent.objects.get(planned_at=None) == first
