"""Copies that wait for what is not known yet, and what is netted away: nothing is lost by it."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.models import CopyEvent, CopyOrder, CopyPosition, CopyRelationship
from copytrade.tests.factories import make_copy
from risk.models import Order
from tradeguard.tests.copying_stage import copy, event_of, follows, held
from tradeguard.tests.enforcement_stage import MARGIN_MODES, pass_time, trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE, HALF = Decimal("1.00"), Decimal("0.50")
State = CopyPosition.State


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def pair(
    stage: Stage, user: User, mode: str = "hedging", **terms: object
) -> tuple[ConnectedAccount, ConnectedAccount]:
    provider = stage.open(user, "Provider")
    follower = stage.open(user, "Follower", margin_mode=MARGIN_MODES[mode])
    follows(provider, follower, **terms)
    stage.run(3)
    return provider, follower


def silenced(stage: Stage, user: User) -> tuple[ConnectedAccount, ConnectedAccount]:
    """Return a provider and a follower of which nobody knows the equity for the moment."""
    provider, follower = pair(stage, user, sizing="equity_ratio")
    stage.server.set_fault(follower.login, FaultKind.NONE)
    stage.run(15)
    return provider, follower


def reasons() -> list[str]:
    return list(CopyOrder.objects.order_by("planned_at", "pk").values_list("reason", flat=True))


def test_an_open_waits_for_a_reading(stage: Stage, alice: User) -> None:
    provider, follower = silenced(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(30)
    assert not CopyOrder.objects.exists()
    stage.server.clear_faults()
    stage.run(60)
    assert held(stage, [follower]) == [[ONE]]
    assert CopyEvent.objects.get().planned_at is not None


def test_it_says_why_when_no_reading_comes(stage: Stage, alice: User) -> None:
    provider, follower = silenced(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(45, seconds=1.0)
    assert reasons() == [SkipReason.NO_READING]
    assert CopyEvent.objects.get().planned_at is not None
    stage.server.clear_faults()
    stage.run(60)
    assert held(stage, [follower]) == [[]]


def test_a_close_never_comes_before_its_open(stage: Stage, alice: User) -> None:
    provider, follower = silenced(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(5)
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77))
    stage.run(5)
    assert not CopyOrder.objects.exists()
    stage.server.clear_faults()
    stage.run(60)
    assert held(stage, [follower]) == [[]]
    assert sorted(reasons()) == [SkipReason.LATE, SkipReason.NOT_HELD]
    assert not Order.objects.exists()


def test_a_partial_close_waits_for_its_open(stage: Stage, alice: User) -> None:
    provider, follower = silenced(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(5)
    copy(stage, event_of(stage, provider, EventKind.PARTIAL_CLOSE, 77, volume=HALF))
    stage.server.clear_faults()
    stage.run(80)
    assert held(stage, [follower]) == [[HALF]]


def test_opposite_netted_copies_close_each_for_itself(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, "netting")
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    sold = Decimal("1.50")
    copy(stage, event_of(stage, provider, EventKind.OPEN, 78, direction="sell", volume=sold))
    stage.run(10)
    assert held(stage, [follower]) == [[-HALF]]
    copy(stage, event_of(stage, provider, EventKind.PARTIAL_CLOSE, 77, volume=HALF))
    stage.run(30)
    assert held(stage, [follower]) == [[-ONE]]
    close = event_of(
        stage, provider, EventKind.CLOSE, 78, direction="sell", volume=sold, volume_before=sold
    )
    copy(stage, close)
    stage.run(60)
    assert held(stage, [follower]) == [[HALF]]
    states = dict(CopyPosition.objects.values_list("provider_position", "state"))
    assert states == {77: State.OPEN, 78: State.CLOSED}


def test_copies_that_net_each_other_away_are_not_taken_for_closed(
    stage: Stage, alice: User
) -> None:
    provider, follower = pair(stage, alice, "netting")
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 78, direction="sell"))
    stage.run(30)
    assert held(stage, [follower]) == [[]]
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 77))
    stage.run(60)
    assert held(stage, [follower]) == [[-ONE]]
    states = dict(CopyPosition.objects.values_list("provider_position", "state"))
    assert states == {77: State.CLOSED, 78: State.OPEN}


def unread(stage: Stage, user: User) -> CopyOrder:
    """Return stops that wait to be moved on one of a follower's two positions.

    A new worker knows nothing of the account, not even whether it nets.
    """
    provider, follower = pair(stage, user)
    ticket = stage.buy(provider, 1.0)
    stage.buy(provider, 1.0)
    stage.run(10)
    levels = {"stop_loss": 1.08, "take_profit": 1.12}
    event = event_of(stage, provider, EventKind.STOPS, ticket, planned_at=stage.now, **levels)
    event.save(force_insert=True)
    waiting = make_copy(
        CopyRelationship.objects.get(), event, state=CopyOrder.State.PLANNED, planned_at=stage.now
    )
    stage.kill_worker()
    stage.server.set_fault(follower.login, FaultKind.NONE)
    return waiting


def test_moved_stops_that_waited_do_so_until_the_account_was_read(
    stage: Stage, alice: User
) -> None:
    waiting = unread(stage, alice)
    stage.run(59, seconds=1.0)
    assert CopyOrder.objects.get(pk=waiting.pk).state == CopyOrder.State.PLANNED
    stage.server.clear_faults()
    stage.run(1)
    stage.run(60)
    waiting.refresh_from_db()
    assert waiting.state == CopyOrder.State.DONE
    assert waiting.order_id is not None
    order = Order.objects.get(pk=waiting.order_id)
    assert (order.state, order.stop_loss, order.take_profit) == ("filled", 1.08, 1.12)
    event = CopyEvent.objects.get(pk=waiting.event_id)
    positions = CopyPosition.objects.values_list("provider_position", "follower_position")
    assert (event.position_ticket, order.position_ticket) in positions


def test_they_wait_no_longer_than_a_minute_for_its_first_reading(stage: Stage, alice: User) -> None:
    waiting = unread(stage, alice)
    stage.run(63, seconds=1.0)
    row = CopyOrder.objects.get(pk=waiting.pk)
    assert (row.state, row.reason) == (CopyOrder.State.SKIPPED, SkipReason.NO_READING)


@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_a_close_that_has_waited_leaves_what_was_opened_after_it(
    stage: Stage, alice: User, mode: str
) -> None:
    provider = stage.open(alice, "Provider", margin_mode=MARGIN_MODES["netting"])
    follower = stage.open(alice, "Follower", margin_mode=MARGIN_MODES[mode])
    follows(provider, follower)
    stage.run(3)
    # Nobody knows for some seconds that it was never carried out.
    stage.server.set_fault(follower.login, FaultKind.TIMEOUT_BEFORE, once=True)
    trade(stage, provider, -1.0)
    pass_time(stage, 3)
    trade(stage, provider, 1.5)
    pass_time(stage, 100)
    assert held(stage, [follower]) == [[HALF]]
    copies = CopyOrder.objects.filter(
        event_id__in=CopyEvent.objects.filter(kind=EventKind.CLOSE).values("pk")
    )
    (copy_of_close,) = copies
    assert (copy_of_close.state, copy_of_close.reason) == ("skipped", SkipReason.NOT_HELD)
