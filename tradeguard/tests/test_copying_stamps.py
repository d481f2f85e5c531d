"""One statement tells of an event what the questions that it stands for would tell."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import EventKind
from copytrade.models import CopyBatch, CopyEvent, CopyOrder, CopyPosition, CopyRelationship
from copytrade.replication.flights import Flights
from copytrade.replication.order_of_events import held_back
from copytrade.replication.pendings import held_pendings
from copytrade.replication.replicator import oldest
from copytrade.replication.stamps import Stamp, version_of
from copytrade.replication.writing import copied_to
from risk.models import AccountLock, Order
from tradeguard.tests.copying_stage import copy, event_of, follows, view_of
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

Desk = tuple[ConnectedAccount, list[CopyRelationship]]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def desk(stage: Stage, alice: User) -> Desk:
    provider = stage.open(alice, "Provider")
    followers = [stage.open(alice, f"Follower {number}") for number in range(3)]
    related = [follows(provider, each) for each in followers]
    stage.run(3)
    return provider, related


def stamp_of(stage: Stage, event: CopyEvent) -> Stamp:
    return Stamp.of(event, "local", oldest(view_of(stage), stage.now))


def asked(stage: Stage, event: CopyEvent) -> tuple[bool, ...]:
    """Return what the questions themselves find."""
    related = list(CopyRelationship.objects.values_list("pk", flat=True))
    ticket = event.position_ticket
    assert ticket is not None
    has_copies = CopyPosition.objects.filter(
        provider_id=event.provider_id, provider_position=ticket
    ).exists()
    return (
        bool(copied_to(event)),
        bool(held_back(event, related)),
        has_copies or bool(held_pendings(event, lambda _: None)),
        AccountLock.objects.standing().exists(),
        bool(Flights.on_host("local", oldest(view_of(stage), stage.now)).orders),
    )


def told(stamp: Stamp) -> tuple[bool, ...]:
    return (
        stamp.is_copied,
        stamp.has_earlier,
        stamp.has_copies,
        stamp.has_locks,
        stamp.has_flights,
    )


def lock(stage: Stage, account_id: UUID) -> None:
    AccountLock.objects.create(
        account_id=account_id, user_id=1, account_name="A", reason="x", locked_at=stage.now
    )


def earlier(stage: Stage, provider: ConnectedAccount) -> None:
    before = event_of(stage, provider, EventKind.STOPS, 77)
    before.id, before.detected_at = uuid4(), stage.now - timedelta(seconds=1)
    before.save()


WAYS: list[tuple[Callable[[Stage, Desk], object], tuple[bool, ...]]] = [
    (lambda stage, desk: None, (False, False, False, False, False)),
    (lambda stage, desk: earlier(stage, desk[0]), (False, True, False, False, False)),
    (lambda stage, desk: lock(stage, desk[1][0].follower_id), (False, False, False, True, False)),
    (
        lambda stage, desk: copy(stage, event_of(stage, desk[0], EventKind.OPEN, 78)),
        (False, False, False, False, True),
    ),
]


@pytest.mark.parametrize(("way", "expected"), WAYS)
def test_it_tells_what_each_question_would(
    stage: Stage,
    desk: Desk,
    way: Callable[[Stage, Desk], object],
    expected: tuple[bool, ...],
) -> None:
    way(stage, desk)
    event = event_of(stage, desk[0], EventKind.OPEN, 77)
    event.save()
    stamp = stamp_of(stage, event)
    assert not stamp.has_batches
    assert told(stamp) == asked(stage, event) == expected


def test_it_finds_what_was_copied_and_what_ended_long_ago_is_no_flight(
    stage: Stage, desk: Desk
) -> None:
    event = event_of(stage, desk[0], EventKind.OPEN, 77)
    copy(stage, event)
    assert stamp_of(stage, event) == Stamp(version_of(desk[0].pk), *[True] * 6)
    CopyBatch.objects.all().delete()
    assert told(stamp_of(stage, event)) == asked(stage, event) == (True, False, True, False, True)
    stage.run(8, seconds=1.0)
    assert not Order.objects.unfinished().exists()
    assert told(stamp_of(stage, event)) == asked(stage, event) == (True, False, True, False, False)
    assert CopyOrder.objects.count() == 3


def test_what_is_folded_may_be_anything(stage: Stage, desk: Desk) -> None:
    other, event = (event_of(stage, desk[0], EventKind.OPEN, ticket) for ticket in (76, 77))
    other.save()
    event.save()
    CopyBatch.objects.create(
        id=uuid4(),
        event_id=other.pk,
        provider_id=desk[0].pk,
        host="elsewhere",
        number=0,
        payload=b"",
        created_at=stage.now,
    )
    stamp = stamp_of(stage, event)
    assert stamp.has_batches
    assert told(stamp) == (True,) * 5


def test_its_version_changes_with_each_follower(stage: Stage, desk: Desk) -> None:
    provider, related = desk
    event = event_of(stage, provider, EventKind.OPEN, 77)
    versions = [stamp_of(stage, event).followers]
    related[0].multiplier = Decimal("0.5")
    related[0].save()
    versions.append(stamp_of(stage, event).followers)
    account = related[1].follower
    account.name = "Another"
    account.save()
    versions.append(stamp_of(stage, event).followers)
    related[2].state = CopyRelationship.State.TERMINATED
    related[2].save(update_fields=["state"])
    versions.append(stamp_of(stage, event).followers)
    assert len(set(versions)) == 4
    assert versions[-1] == version_of(provider.pk)
