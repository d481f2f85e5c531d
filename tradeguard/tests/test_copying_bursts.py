"""An event that meets the one before: its orders wait for the answers, and leave together then."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import EventKind
from copytrade.replication import waiting
from copytrade.replication.waiting import TOGETHER_WITHIN, Waiting
from risk.models import Order
from tradeguard.tests.copying_stage import Desk, copy, desk_of, event_of, held
from tradeguard.tests.stage import Stage, staged

ONE = Decimal("1.00")


@pytest.fixture
def stage(db: None) -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def desk(stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(waiting, "FEWEST", 4)
    return desk_of(stage, alice, 4)


@pytest.fixture
def parts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many orders left together each time."""
    sent: list[int] = []
    submit_many = stage.server.submit_many

    def noted(method: str, calls: Any) -> Any:
        sent.extend([len(calls)] if calls else [])
        return submit_many(method, calls)

    monkeypatch.setattr(stage.server, "submit_many", noted)
    return sent


def met(stage: Stage, desk: Desk) -> list[Order]:
    """Let a second open come while the answers to the first are still to be taken in."""
    provider, followers = desk
    assert stage.tick is not None
    assert stage.tick.acting is not None
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(3, seconds=1.0)
    Order.objects.update(state=Order.State.SENT)
    assert len(stage.tick.acting.copying._desk.claim({each.pk for each in followers})) == 4
    copy(stage, event_of(stage, provider, EventKind.OPEN, 78))
    return list(Order.objects.filter(state=Order.State.PENDING))


def answered(stage: Stage, *accounts: ConnectedAccount) -> None:
    assert stage.tick is not None
    assert stage.tick.acting is not None
    ids = [each.pk for each in accounts]
    Order.objects.filter(account_id__in=ids, state=Order.State.SENT).update(
        state=Order.State.FILLED
    )
    stage.tick.acting.copying._release(ids)


def test_few_are_left_to_their_lanes(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "FEWEST", 5)
    assert {order.next_attempt_at for order in met(stage, desk)} == {None}


def test_they_leave_together_once_the_answers_are_there(
    stage: Stage, desk: Desk, parts: list[int]
) -> None:
    orders = met(stage, desk)
    assert {order.next_attempt_at for order in orders} == {stage.now + TOGETHER_WITHIN}
    assert len(orders) == 4
    answered(stage, *desk[1])
    stage.run(1, seconds=1.0)
    assert parts == [4]
    stage.run(5, seconds=1.0)
    assert held(stage, desk[1]) == [[ONE, ONE]] * 4
    assert set(Order.objects.values_list("state", "attempts")) == {("filled", 1)}


def test_whoever_is_answered_late_goes_by_its_lane(
    stage: Stage, desk: Desk, parts: list[int]
) -> None:
    first, *others = desk[1]
    met(stage, desk)
    answered(stage, *others)
    stage.run(1, seconds=1.0)
    assert parts == [3]
    assert Order.objects.filter(state=Order.State.PENDING).get().account_id == first.pk
    stage.run(2, seconds=1.0)
    answered(stage, first)
    stage.run(3, seconds=1.0)
    assert held(stage, desk[1]) == [[ONE, ONE]] * 4
    assert parts == [3]


def test_what_waits_for_something_else_is_its_lanes(
    stage: Stage, desk: Desk, parts: list[int]
) -> None:
    first, *_ = desk[1]
    provider = desk[0]
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(3, seconds=1.0)
    Order.objects.filter(account_id=first.pk).update(state=Order.State.UNKNOWN)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 78))
    waits = Order.objects.get(account_id=first.pk, state=Order.State.PENDING)
    assert waits.next_attempt_at is None


def test_it_is_time_when_all_are_free_or_enough_of_them() -> None:
    accounts, ids = Waiting(), [uuid4() for _ in range(600)]
    assert not accounts.freed(ids)
    for each in ids:
        accounts.add(each)
    assert not accounts.freed(ids[:249])
    assert accounts.freed(ids[249:250])
    assert not accounts.freed(ids[:250])
    assert accounts.freed(ids[250:599])
    assert accounts.freed(ids[599:])
    assert not accounts.freed(ids)
    assert timedelta(seconds=1) < TOGETHER_WITHIN


def test_a_reading_is_waited_for_once() -> None:
    accounts = Waiting()
    assert not accounts.read()
    accounts.want_reading()
    assert accounts.read()
    assert not accounts.read()


def test_who_is_answered_while_the_next_event_is_planned_is_not_forgotten(
    stage: Stage, desk: Desk, parts: list[int]
) -> None:
    provider, followers = desk
    assert stage.tick is not None
    assert stage.tick.acting is not None
    copying = stage.tick.acting.copying
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(3, seconds=1.0)
    # Their answers are being written: the accounts are free, and their rows do not say so yet.
    Order.objects.update(state=Order.State.SENT)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 78))
    Order.objects.filter(state=Order.State.SENT).update(state=Order.State.FILLED)
    assert copying._replicator.waiting.read()
    copying._take_arrivals()
    assert parts == [4]
    stage.run(3, seconds=1.0)
    assert held(stage, followers) == [[ONE, ONE]] * 4
