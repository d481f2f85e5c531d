"""No copy outlives the position that it was made of, whatever kept its close from coming."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import EventKind
from copytrade.keeping.overlooked import PATIENCE
from copytrade.keeping.rounds import THOROUGH
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.replication.holding import concerned
from tradeguard.tests.copying_stage import event_of, follows, held
from tradeguard.tests.enforcement_stage import pass_time, trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ENOUGH = int((PATIENCE + THOROUGH).total_seconds()) + 5
OPEN, CLOSED = CopyPosition.State.OPEN, CopyPosition.State.CLOSED


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def pair(stage: Stage, alice: User) -> tuple[ConnectedAccount, ConnectedAccount]:
    provider, follower = stage.open(alice, "Provider"), stage.open(alice, "Follower")
    follows(provider, follower)
    pass_time(stage, 3)
    return provider, follower


def told(stage: Stage, provider: ConnectedAccount, kind: EventKind, ticket: int) -> CopyEvent:
    """Store an event that was planned for everybody, though nobody has a copy of it."""
    event = event_of(stage, provider, kind, ticket, planned_at=stage.now)
    event.save(force_insert=True)
    return event


def test_a_copy_that_a_close_has_left_is_closed(
    stage: Stage, pair: tuple[ConnectedAccount, ConnectedAccount]
) -> None:
    provider, follower = pair
    ticket = trade(stage, provider, 1.0)
    pass_time(stage, 3)
    told(stage, provider, EventKind.CLOSE, ticket)
    stage.run(int(PATIENCE.total_seconds()) - 3, seconds=1.0)
    assert CopyPosition.objects.get().state == OPEN
    stage.run(ENOUGH, seconds=1.0)
    assert CopyPosition.objects.get().state == CLOSED
    assert held(stage, [follower]) == [[]]
    assert not CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()


@pytest.mark.parametrize("kind", [EventKind.PARTIAL_CLOSE, EventKind.STOPS])
def test_nothing_but_a_whole_close_ends_a_copy(
    stage: Stage, pair: tuple[ConnectedAccount, ConnectedAccount], kind: EventKind
) -> None:
    provider, _ = pair
    ticket = trade(stage, provider, 1.0)
    pass_time(stage, 3)
    told(stage, provider, kind, ticket)
    stage.run(ENOUGH, seconds=1.0)
    assert CopyPosition.objects.get().state == OPEN


def test_what_was_opened_after_the_close_stays(
    stage: Stage, pair: tuple[ConnectedAccount, ConnectedAccount]
) -> None:
    provider, _ = pair
    ticket = trade(stage, provider, 1.0)
    pass_time(stage, 3)
    close = told(stage, provider, EventKind.CLOSE, ticket)
    opened = CopyEvent.objects.get(kind=EventKind.OPEN)
    # As where a netted position was turned round: the same ticket, the other direction.
    CopyEvent.objects.filter(pk=close.pk).update(
        detected_at=opened.detected_at - timedelta(microseconds=1)
    )
    stage.run(ENOUGH, seconds=1.0)
    assert CopyPosition.objects.get().state == OPEN


@pytest.mark.parametrize("has_turned", [False, True])
def test_an_opposite_order_leaves_no_ticket_of_its_own(
    stage: Stage, pair: tuple[ConnectedAccount, ConnectedAccount], has_turned: bool
) -> None:
    provider, follower = pair
    ticket = trade(stage, provider, 1.0)
    pass_time(stage, 3)
    opened = CopyEvent.objects.filter(kind=EventKind.OPEN)
    opened.update(kind=EventKind.PENDING_PLACED, order_ticket=77, position_ticket=None)
    close = told(stage, provider, EventKind.PARTIAL_CLOSE, ticket)
    CopyEvent.objects.filter(pk=close.pk).update(order_ticket=77)
    if has_turned:
        rest = told(stage, provider, EventKind.OPEN, ticket)
        CopyEvent.objects.filter(pk=rest.pk).update(order_ticket=77)
    stage.run(ENOUGH, seconds=1.0)
    assert CopyPosition.objects.get().state == (OPEN if has_turned else CLOSED)
    assert bool(held(stage, [follower])[0]) is has_turned


def row(direction: str, state: str = OPEN) -> CopyPosition:
    return CopyPosition(direction=direction, state=state)


@pytest.mark.parametrize("kind", [EventKind.CLOSE, EventKind.PARTIAL_CLOSE])
def test_a_close_is_about_its_own_direction(kind: EventKind) -> None:
    sold, bought = row("sell"), row("buy")
    assert concerned([sold, bought], kind, "sell") == [sold]
    assert concerned([sold, bought], kind, "buy") == [bought]
    assert concerned([sold], kind, "buy") == [sold]
    assert concerned([row("sell", CLOSED), bought], kind, "sell") == [bought]
