"""What is believed of copies while something else goes on, and what they are worth."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError

from accounts.models import ConnectedAccount, User
from accounts.terminals.simulated.faults.specs import FaultKind
from copytrade.core.kinds import EventKind
from copytrade.keeping import closing
from copytrade.keeping.slippage import FRESH, Slippages
from copytrade.models import CopyOrder, CopyPosition, CopyRelationship
from copytrade.replication import folding
from copytrade.services.states import terminate
from risk.models import Enforcement, Order
from tradeguard.tests.copying_stage import copy, event_of, follows, held
from tradeguard.tests.enforcement_stage import (
    MARGIN_MODES,
    crash_price,
    pass_time,
    place,
    terminal_of,
    trade,
)
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE = Decimal("1.00")
HALF = Decimal("0.50")
MOMENT = timedelta(microseconds=1)
State = CopyPosition.State


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def pair(
    stage: Stage, user: User, mode: str = "hedging", **terms: Any
) -> tuple[ConnectedAccount, ConnectedAccount]:
    """Return a provider and a follower whose sessions are connected."""
    provider = stage.open(user, "Provider")
    follower = stage.open(user, "Follower", margin_mode=MARGIN_MODES[mode])
    follows(provider, follower, **terms)
    stage.run(3)
    return provider, follower


def by_position() -> dict[int, str]:
    return dict(CopyPosition.objects.values_list("provider_position", "state"))


@pytest.mark.parametrize(("age", "is_asked"), [(FRESH - MOMENT, False), (FRESH, True)])
def test_what_a_point_is_worth_follows_the_rate(
    stage: Stage, alice: User, age: timedelta, is_asked: bool
) -> None:
    follower = stage.open(alice, "Follower", currency="EUR")
    stage.run(3)
    slippages = Slippages(stage.server)
    fill = Order(
        account_id=follower.pk,
        login=follower.login,
        symbol="EURUSD",
        direction="buy",
        fill_price=1.10012,
    )
    slippages.learn([fill], stage.now)
    points, before = slippages.of(fill, 1.1, ONE)
    crash_price(stage, 0.88)
    slippages.learn([fill], stage.now + age)
    assert slippages.of(fill, 1.1, ONE)[0] == points == 12.0
    now = slippages.of(fill, 1.1, ONE)[1]
    assert before is not None
    assert now is not None
    assert now / before == pytest.approx(1.25 if is_asked else 1.0, rel=1e-3)


def test_it_believes_no_netted_position_that_may_be_listed_late(stage: Stage, alice: User) -> None:
    provider, follower = pair(stage, alice, "netting")
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(12)
    stage.server.add_fault(follower.login, FaultKind.CACHED, calls=["account_info", "positions"])
    copy(stage, event_of(stage, provider, EventKind.OPEN, 78, volume=HALF))
    stage.run(4)
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {State.OPEN}
    copy(stage, event_of(stage, provider, EventKind.CLOSE, 78, volume=HALF, volume_before=HALF))
    stage.server.clear_faults()
    stage.run(20)
    assert held(stage, [follower]) == [[ONE]]
    assert by_position() == {77: State.OPEN, 78: State.CLOSED}


def test_a_part_that_its_provider_closes_meanwhile_is_closed_once(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, follower = pair(stage, alice, "netting")
    other = stage.open(alice, "Other")
    follows(other, follower)
    stage.run(3)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    copy(stage, event_of(stage, other, EventKind.OPEN, 78, volume=HALF))
    stage.run(10)
    assert held(stage, [follower]) == [[ONE + HALF]]
    order_of = closing._order
    asked: list[int] = []

    def away(*_: Any) -> None:
        raise OperationalError("the database is away")

    def meanwhile(row: CopyPosition, *arguments: Any) -> Order | None:
        found = order_of(row, *arguments)
        if not asked:
            asked.append(row.provider_position)
            # It has left, and is not in the rows yet.
            with monkeypatch.context() as patch:
                patch.setattr(folding, "insert", away)
                copy(stage, event_of(stage, provider, EventKind.CLOSE, 77))
        return found

    monkeypatch.setattr(closing, "_order", meanwhile)
    row = CopyRelationship.objects.get(provider=provider)
    terminate(relationship=row, actor=alice, now=stage.now, ending="close_now")
    stage.run(40)
    assert asked == [77]
    assert held(stage, [follower]) == [[HALF]]
    assert by_position() == {77: State.CLOSED, 78: State.OPEN}


def test_a_cascade_that_was_given_up_reopens_nothing_that_is_being_closed(
    stage: Stage, alice: User
) -> None:
    provider, follower = pair(stage, alice)
    copy(stage, event_of(stage, provider, EventKind.OPEN, 77))
    stage.run(10)
    position = CopyPosition.objects.get()
    Enforcement.objects.create(
        user_id=alice.pk,
        account_id=follower.pk,
        account_name=follower.name,
        host=follower.terminal_host_id,
        cause=Enforcement.Cause.CASCADE,
        action=Enforcement.Action.CLOSE_POSITION,
        stage=Enforcement.Stage.GIVEN_UP,
        options={
            "copied_lots": {str(position.follower_position): "1.00"},
            "cascade": {"relationship_id": str(position.relationship_id)},
        },
        triggered_at=stage.now,
        created_at=stage.now,
        finished_at=stage.now,
    )
    stage.server.set_fault(follower.login, FaultKind.REJECT)
    whole = event_of(stage, provider, EventKind.CLOSE, 77)
    copy(stage, whole)
    stage.run(30)
    assert by_position() == {77: State.CLOSING}
    stage.server.clear_faults()
    stage.run(40)
    assert held(stage, [follower]) == [[]]
    assert by_position() == {77: State.CLOSED}
    assert CopyOrder.objects.get(event_id=whole.pk).state == CopyOrder.State.DONE


def test_what_a_follower_closes_as_soon_as_it_is_filled_is_left_soon(
    stage: Stage, alice: User
) -> None:
    provider, follower = pair(stage, alice, copies_pendings=True)
    place(stage, provider, 1.0, 1.09500)
    pass_time(stage, 12)
    crash_price(stage, 1.09400)
    stage.server.step()
    # No reading shows it, nor that it is gone again.
    (filled,) = terminal_of(stage, follower).positions()
    trade(stage, follower, -1.0, position=filled.ticket)
    pass_time(stage, 12)
    (state,) = by_position().values()
    assert state == State.LEFT
