"""An event that meets the one before waits for the answers to that, and is planned once then."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.models import CopyEvent, CopyOrder, CopyPosition, CopyRelationship
from copytrade.replication import postponing
from copytrade.replication.desk import CopyDesk
from copytrade.replication.postponing import CALM, CALM_FOR_FEW, LONGEST, Postponed
from risk.models import Order
from tradeguard.tests.copying_stage import (
    Desk,
    copy,
    desk_of,
    event_of,
    follows,
    held,
    replicator_of,
    without_keeper,
)
from tradeguard.tests.stage import Stage, staged

ONE, HALF = Decimal("1.00"), Decimal("0.50")
COUNT = 8
NOTHING: list[Decimal] = []


@pytest.fixture
def stage(db: None) -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def desk(stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(postponing, "FEWEST", 1)
    return desk_of(stage, alice, COUNT)


@pytest.fixture
def waves(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many orders left together as columns each time."""
    sent: list[int] = []
    submit_alike = stage.server.submit_alike

    def noted(orders: Any, answered: Any) -> None:
        sent.append(len(orders))
        submit_alike(orders, answered)

    monkeypatch.setattr(stage.server, "submit_alike", noted)
    return sent


def copying_of(stage: Stage) -> CopyDesk:
    assert stage.tick is not None
    assert stage.tick.acting is not None
    return stage.tick.acting.copying


def busy(stage: Stage, followers: list[ConnectedAccount]) -> list[ConnectedAccount]:
    """Let the answers to the last event be still to be written for these."""
    ids = {each.pk for each in followers}
    Order.objects.filter(account_id__in=ids).update(state=Order.State.SENT, answered_at=None)
    assert copying_of(stage)._desk.claim(ids) == ids
    return followers


def answered(stage: Stage, followers: list[ConnectedAccount]) -> None:
    ids = [each.pk for each in followers]
    Order.objects.filter(account_id__in=ids, state=Order.State.SENT).update(
        state=Order.State.FILLED, answered_at=stage.now
    )
    copying_of(stage)._release(ids)


def opened(stage: Stage, desk: Desk) -> list[ConnectedAccount]:
    """Open a position everywhere, and have that read and taken in."""
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 77))
    stage.run(3, seconds=1.0)
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"open"}
    return desk[1]


def take_up(stage: Stage, seconds: float = 0.0) -> None:
    """Look at what was put off some seconds later, by the readings that there are."""
    copying = copying_of(stage)
    later = stage.now + timedelta(seconds=seconds)
    replicator_of(stage).postponed._clock = lambda: later
    copying._take_up_postponed()


def copies_of(ticket: int) -> Any:
    events = CopyEvent.objects.filter(position_ticket=ticket)
    return CopyOrder.objects.filter(event_id__in=events.values("pk"))


def test_it_leaves_as_one_crowd_once_the_answers_are_there(
    stage: Stage, desk: Desk, waves: list[int]
) -> None:
    followers = busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    assert not copies_of(78).exists()
    assert CopyEvent.objects.get(position_ticket=78).planned_at is None
    answered(stage, followers[:5])
    take_up(stage)
    assert waves == [COUNT]
    answered(stage, followers[5:])
    take_up(stage)
    assert waves == [COUNT, COUNT]
    stage.run(5, seconds=1.0)
    assert held(stage, followers) == [[ONE, ONE]] * COUNT
    assert set(Order.objects.values_list("state", "attempts")) == {("filled", 1)}
    assert not CopyEvent.objects.filter(planned_at=None).exists()


def test_the_next_tick_takes_it_up(stage: Stage, desk: Desk, waves: list[int]) -> None:
    followers = busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    answered(stage, followers)
    stage.run(1)
    assert waves == [COUNT, COUNT]


def test_who_is_answered_late_holds_the_others_up_for_a_moment_alone(
    stage: Stage, desk: Desk, waves: list[int]
) -> None:
    followers = busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    answered(stage, followers[2:])
    calm = CALM.total_seconds()
    take_up(stage)
    take_up(stage, calm - 0.01)
    assert waves == [COUNT]
    take_up(stage, calm)
    assert waves == [COUNT, COUNT - 2]
    assert copies_of(78).count() == COUNT - 2
    # Nobody is planned for twice, however often one looks.
    take_up(stage, calm * 3)
    assert waves == [COUNT, COUNT - 2]
    answered(stage, followers[:2])
    take_up(stage, calm * 3)
    assert copies_of(78).count() == COUNT
    stage.run(5, seconds=1.0)
    assert held(stage, followers) == [[ONE, ONE]] * COUNT
    assert Order.objects.count() == 2 * COUNT


def test_few_are_waited_for_a_shorter_time(
    stage: Stage, desk: Desk, waves: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponing, "_FEW", 0.25)
    followers = busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    answered(stage, followers[2:])
    assert replicator_of(stage).postponed.is_nearly_free()
    take_up(stage)
    assert waves == [COUNT]
    take_up(stage, CALM_FOR_FEW.total_seconds())
    assert waves == [COUNT, COUNT - 2]


def test_the_others_leave_at_once_where_few_are_busy(
    stage: Stage, desk: Desk, waves: list[int]
) -> None:
    followers = opened(stage, desk)
    first = busy(stage, followers[:1])
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    assert waves == [COUNT, COUNT - 1]
    assert copies_of(78).count() == COUNT - 1
    answered(stage, first)
    take_up(stage)
    stage.run(3, seconds=1.0)
    assert held(stage, followers) == [[ONE, ONE]] * COUNT


def test_nobody_waits_for_fewer_than_are_worth_it(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postponing, "FEWEST", COUNT + 1)
    busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    assert set(copies_of(78).values_list("state", flat=True)) == {"ordered"}
    assert Order.objects.filter(state=Order.State.PENDING).count() == COUNT


def test_it_is_written_as_waiting_when_the_answers_take_too_long(stage: Stage, desk: Desk) -> None:
    followers = busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    stage.run(1, seconds=LONGEST.total_seconds() - 0.01)
    assert not copies_of(78).exists()
    stage.run(1, seconds=0.01)
    assert copies_of(78).count() == COUNT
    assert Order.objects.filter(state=Order.State.PENDING).count() == COUNT
    assert not replicator_of(stage).postponed
    answered(stage, followers)
    stage.run(8, seconds=1.0)
    assert held(stage, followers) == [[ONE, ONE]] * COUNT
    assert Order.objects.count() == 2 * COUNT


def test_an_open_is_put_off_only_while_there_is_time(stage: Stage, desk: Desk) -> None:
    CopyRelationship.objects.update(open_deadline_seconds=3, updated_at=stage.now)
    followers = busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    stage.run(1, seconds=0.99)
    assert not copies_of(78).exists()
    stage.run(1, seconds=0.01)
    assert Order.objects.filter(state=Order.State.PENDING).count() == COUNT
    answered(stage, followers)
    stage.run(1, seconds=0.5)
    assert held(stage, followers) == [[ONE, ONE]] * COUNT


def test_a_close_that_meets_its_open_waits_for_the_fill_and_leaves_as_a_crowd(
    stage: Stage, desk: Desk, waves: list[int]
) -> None:
    provider, followers = desk
    assert stage.tick is not None
    assert stage.tick.acting is not None
    keeper = stage.tick.acting.keeper
    without_keeper(stage)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77))
    stage.run(2)
    assert waves == [COUNT]
    assert CopyOrder.objects.count() == COUNT
    stage.tick.acting.keeper = keeper
    stage.run(3, seconds=0.5)
    assert waves == [COUNT, COUNT]
    assert held(stage, followers) == [NOTHING] * COUNT
    stage.run(5, seconds=1.0)
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}
    assert set(CopyOrder.objects.values_list("state", flat=True)) == {"done"}
    assert Order.objects.count() == 2 * COUNT


def test_a_close_waits_for_a_reading_that_shows_what_was_sent_before(
    stage: Stage, desk: Desk, waves: list[int]
) -> None:
    followers = opened(stage, desk)
    part = event_of(stage, desk[0], EventKind.PARTIAL_CLOSE, 77, volume=HALF)
    copy(stage, part)
    copy(stage, event_of(stage, desk[0], EventKind.CLOSE, 77, volume_before=HALF))
    take_up(stage)
    assert waves == [COUNT, COUNT]
    assert held(stage, followers) == [[HALF]] * COUNT
    stage.run(1)
    assert waves == [COUNT] * 3
    assert held(stage, followers) == [NOTHING] * COUNT


def test_a_close_waits_for_no_reading_of_what_was_done_to_other_positions(
    stage: Stage, desk: Desk, waves: list[int]
) -> None:
    followers = opened(stage, desk)
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    stage.run(3, seconds=3.0)
    for ticket in (77, 78):
        copy(stage, event_of(stage, desk[0], EventKind.CLOSE, ticket))
    assert waves == [COUNT] * 4
    assert held(stage, followers) == [NOTHING] * COUNT
    stage.run(5, seconds=1.0)
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}
    assert Order.objects.count() == 4 * COUNT


def test_a_close_of_what_is_never_known_to_be_filled_is_not_given_up(
    stage: Stage, desk: Desk
) -> None:
    provider, followers = desk
    without_keeper(stage)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77))
    assert CopyOrder.objects.count() == COUNT
    stage.run(1, seconds=LONGEST.total_seconds())
    # From now on keeping goes on with them.
    waiting = CopyOrder.objects.filter(state=CopyOrder.State.PLANNED, order_id=None)
    assert waiting.count() == COUNT
    stage.kill_worker()
    stage.run(10, seconds=1.0)
    assert held(stage, followers) == [NOTHING] * COUNT


def test_what_comes_later_waits_for_what_was_put_off_before(stage: Stage, desk: Desk) -> None:
    provider, followers = desk
    busy(stage, opened(stage, desk))
    for ticket in (78, 79):
        stage.clock[0] += 0.01
        copy(stage, event_of(stage, provider, EventKind.OPEN, ticket))
    copying = copying_of(stage)
    Order.objects.filter(state=Order.State.SENT).update(
        state=Order.State.FILLED, answered_at=stage.now
    )
    copying._desk.release({each.pk for each in followers})
    stage.clock[0] += 0.01
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 78))
    assert not copies_of(78).exists()
    assert not copies_of(79).exists()
    stage.run(10, seconds=0.2)
    stage.run(5, seconds=1.0)
    assert held(stage, followers) == [[ONE, ONE]] * COUNT
    sent = Order.objects.filter(pk__in=copies_of(78).values("order_id"), kind=Order.Kind.OPEN)
    later = Order.objects.filter(pk__in=copies_of(79).values("order_id"))
    assert max(sent.values_list("sent_at")) <= min(later.values_list("sent_at"))
    assert Order.objects.count() == 4 * COUNT


def test_another_worker_goes_on_with_it(stage: Stage, desk: Desk, waves: list[int]) -> None:
    followers = opened(stage, desk)
    assert copying_of(stage)._desk.claim({each.pk for each in followers})
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    stage.kill_worker()
    stage.run(5, seconds=1.0)
    assert waves == [COUNT, COUNT]
    assert held(stage, followers) == [[ONE, ONE]] * COUNT


def test_terms_are_those_of_the_moment_when_it_is_planned(stage: Stage, desk: Desk) -> None:
    followers = busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    CopyRelationship.objects.update(
        state="paused", state_changed_at=stage.now, updated_at=stage.now
    )
    answered(stage, followers)
    stage.run(5, seconds=1.0)
    assert set(copies_of(78).values_list("reason", flat=True)) == {SkipReason.PAUSED}
    assert held(stage, followers) == [[ONE]] * COUNT


def test_the_followers_of_others_do_not_wait(stage: Stage, desk: Desk, alice: User) -> None:
    other, alone = stage.open(alice, "Other"), stage.open(alice, "Alone")
    follows(other, alone)
    busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    copy(stage, event_of(stage, other, EventKind.OPEN, 99))
    assert copies_of(99).count() == 1
    assert held(stage, [alone]) == [[ONE]]


def test_what_cannot_be_looked_at_is_among_what_is_left_over(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    followers = busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.CLOSE, 77))
    answered(stage, followers)

    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("away")

    monkeypatch.setattr(Postponed, "_unready", away)
    take_up(stage)
    assert not replicator_of(stage).postponed
    monkeypatch.undo()
    stage.run(5, seconds=1.0)
    assert held(stage, followers) == [NOTHING] * COUNT


def test_what_fails_when_it_is_taken_up_is_among_what_is_left_over(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    followers = busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    answered(stage, followers)

    def fails(*_: Any) -> Any:
        raise OperationalError("away")

    monkeypatch.setattr(Postponed, "put_off", fails)
    take_up(stage)
    assert not replicator_of(stage).postponed
    monkeypatch.undo()
    stage.run(5, seconds=1.0)
    assert held(stage, followers) == [[ONE, ONE]] * COUNT


def test_answers_that_are_to_be_written_are_waited_for(
    stage: Stage, desk: Desk, waves: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    followers = busy(stage, opened(stage, desk))
    copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78))
    answered(stage, followers[4:])
    postponed = replicator_of(stage).postponed
    monkeypatch.setattr(postponed, "_has_answers", lambda: True)
    calm = CALM.total_seconds()
    take_up(stage)
    take_up(stage, calm)
    monkeypatch.setattr(postponed, "_has_answers", lambda: False)
    take_up(stage, calm * 1.5)
    assert waves == [COUNT]
    take_up(stage, calm * 2)
    assert waves == [COUNT, COUNT - 4]
