"""What a provider does to a position that a pending order has just opened, or added to.

Its followers' own orders are filled at the same moment, and nobody has taken that in yet.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from tradeguard.tests.copying_stage import follows, held, move_stops, without_keeper
from tradeguard.tests.enforcement_stage import (
    MARGIN_MODES,
    crash_price,
    pass_time,
    pendings,
    place,
    terminal_of,
    trade,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE = Decimal("1.00")
HALF = Decimal("0.50")
SECOND = 5  # ticks
MODES = ["hedging", "netting"]


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def desk(
    stage: Stage, user: User, mode: str, other: str, before: float = 0.0
) -> tuple[ConnectedAccount, ConnectedAccount]:
    """Return a provider whose order waits, beside what it held before, and a follower."""
    provider = stage.open(user, "Provider", margin_mode=MARGIN_MODES[mode])
    follower = stage.open(user, "Follower", margin_mode=MARGIN_MODES[other])
    follows(provider, follower, copies_pendings=True)
    pass_time(stage, SECOND)
    if before:
        trade(stage, provider, before)
    place(stage, provider, 1.0, 1.09500)
    pass_time(stage, 3 * SECOND)
    return provider, follower


def fill(stage: Stage, provider: ConnectedAccount) -> int:
    """Let the brokers fill the orders without anybody looking; return the provider's position."""
    crash_price(stage, 1.09400)
    stage.server.step()
    return terminal_of(stage, provider).positions()[-1].ticket


def copy_of(kind: EventKind) -> CopyOrder:
    return CopyOrder.objects.get(event_id=CopyEvent.objects.get(kind=kind).pk)


def total(stage: Stage, follower: ConnectedAccount) -> Any:
    return sum(held(stage, [follower])[0])


def lots_of_ledger() -> Decimal:
    rows = CopyPosition.objects.filter(state__in=CopyPosition.HELD)
    return sum((row.volume for row in rows), Decimal(0))


@pytest.mark.parametrize("other", MODES)
@pytest.mark.parametrize(("mode", "before"), [("hedging", 0.0), ("netting", 0.0), ("netting", 1.0)])
def test_a_part_of_what_has_just_been_filled_is_closed(
    stage: Stage, alice: User, mode: str, before: float, other: str
) -> None:
    provider, follower = desk(stage, alice, mode, other, before)
    ticket = fill(stage, provider)
    lots = (1.0 + before) / 2
    trade(stage, provider, -lots, position=ticket)
    pass_time(stage, 6 * SECOND)
    assert total(stage, follower) == Decimal(str(lots)) == lots_of_ledger()
    assert copy_of(EventKind.PARTIAL_CLOSE).state == CopyOrder.State.DONE


def test_its_stops_are_moved(stage: Stage, alice: User) -> None:
    provider, follower = desk(stage, alice, "hedging", "hedging")
    assert stage.tick is not None
    assert stage.tick.acting is not None
    keeper = stage.tick.acting.keeper
    without_keeper(stage)
    ticket = fill(stage, provider)
    pass_time(stage, 1)
    move_stops(stage, provider, ticket, 1.05, 1.2)
    pass_time(stage, 1)
    assert copy_of(EventKind.STOPS).state == CopyOrder.State.PLANNED
    stage.tick.acting.keeper = keeper
    pass_time(stage, 6 * SECOND)
    (there,) = terminal_of(stage, follower).positions()
    assert (there.stop_loss, there.take_profit) == (1.05, 1.2)
    assert copy_of(EventKind.STOPS).state == CopyOrder.State.DONE


def test_its_stops_are_moved_before_anybody_has_seen_it_filled(stage: Stage, alice: User) -> None:
    provider, follower = desk(stage, alice, "hedging", "hedging")
    without = stage.open(alice, "Without its own orders")
    follows(provider, without)
    pass_time(stage, SECOND)
    move_stops(stage, provider, fill(stage, provider), 1.05, 1.2)
    pass_time(stage, 6 * SECOND)
    for each in (follower, without):
        (there,) = terminal_of(stage, each).positions()
        assert (there.stop_loss, there.take_profit) == (1.05, 1.2)
    assert not CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()


@pytest.mark.parametrize("seconds", [10, 90])
def test_a_part_waits_for_a_follower_that_is_away(stage: Stage, alice: User, seconds: int) -> None:
    provider, follower = desk(stage, alice, "hedging", "hedging")
    stage.server.set_fault(follower.login, FaultKind.DISCONNECT_TERMINAL)
    trade(stage, provider, -0.5, position=fill(stage, provider))
    pass_time(stage, seconds, seconds=1.0)
    assert copy_of(EventKind.PARTIAL_CLOSE).state == CopyOrder.State.PLANNED
    stage.server.clear_faults()
    # It is tried again at some moment, ever more seldom.
    pass_time(stage, 60, seconds=1.0)
    assert held(stage, [follower]) == [[HALF]]
    assert lots_of_ledger() == HALF


def test_a_part_waits_for_no_order_that_its_broker_has_not_filled(
    stage: Stage, alice: User
) -> None:
    provider, follower = desk(stage, alice, "hedging", "hedging")
    (mine,) = pendings(stage, follower)
    request = {"action": 7, "order": mine, "price": 1.09000}
    assert stage.server.call("order_send", follower.login, request)[0] == 10009
    trade(stage, provider, -0.5, position=fill(stage, provider))
    pass_time(stage, 4 * SECOND)
    copy = copy_of(EventKind.PARTIAL_CLOSE)
    assert (copy.state, copy.reason) == (CopyOrder.State.SKIPPED, SkipReason.NOT_HELD)
    assert pendings(stage, follower) == [mine]


def test_a_whole_close_after_the_part_leaves_nothing(stage: Stage, alice: User) -> None:
    provider, follower = desk(stage, alice, "hedging", "hedging")
    ticket = fill(stage, provider)
    trade(stage, provider, -0.5, position=ticket)
    trade(stage, provider, -0.5, position=ticket)
    pass_time(stage, 10 * SECOND)
    assert held(stage, [follower]) == [[]]
    assert not CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()
    assert lots_of_ledger() == 0
