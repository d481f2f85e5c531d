"""Partial closes and moved stops come after those that wait, and no close is lost between them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.keeping import waiting
from copytrade.keeping.outcomes import settle, unsettled
from copytrade.keeping.slippage import Slippages
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.replication import copied
from copytrade.replication.copied import Ledger
from copytrade.replication.unsettled import parts_under_way
from risk.models import Order
from tradeguard.tests.copying_stage import (
    Desk,
    copy,
    desk_of,
    event_of,
    follows,
    held,
    view_of,
    without_keeper,
)
from tradeguard.tests.enforcement_stage import MARGIN_MODES, pass_time, terminal_of, trade
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

TICKET = 77
LOTS = Decimal("0.10")
COUNT = 3


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def desk(stage: Stage, user: User, mode: str, count: int = COUNT) -> Desk:
    return desk_of(stage, user, count, margin_mode=MARGIN_MODES[mode])


def told(stage: Stage, provider: ConnectedAccount, kind: EventKind, **fields: Any) -> CopyEvent:
    event = event_of(stage, provider, kind, TICKET, **{"volume": LOTS, **fields})
    copy(stage, event)
    return event


def part(stage: Stage, provider: ConnectedAccount, lots: str, before: str) -> CopyEvent:
    return told(stage, provider, EventKind.PARTIAL_CLOSE, volume=Decimal(lots),
                volume_before=Decimal(before))  # fmt: skip


def take_in(stage: Stage) -> None:
    """Take in how orders ended, without going on with what waited for that."""
    followers = list(Order.objects.values_list("account_id", flat=True))
    ended = unsettled(followers)
    settle(ended, stage.now, slippages=Slippages(stage.server), tickets={})


def keeper_of(stage: Stage) -> Any:
    assert stage.tick is not None
    assert stage.tick.acting is not None
    return stage.tick.acting.keeper


def filled_unseen(stage: Stage, user: User, mode: str) -> tuple[Desk, Any]:
    """Let copies be filled while nobody knows of it, and a change wait for that."""
    provider, followers = desk(stage, user, mode)
    keeper = keeper_of(stage)
    without_keeper(stage)
    told(stage, provider, EventKind.OPEN)
    assert held(stage, followers) == [[LOTS]] * COUNT
    return (provider, followers), keeper


def restored(stage: Stage, keeper: Any) -> None:
    assert stage.tick is not None
    assert stage.tick.acting is not None
    stage.tick.acting.keeper = keeper
    for _ in range(8):
        pass_time(stage, 6)


def states(event: CopyEvent) -> set[str]:
    return set(CopyOrder.objects.filter(event_id=event.pk).values_list("state", flat=True))


@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_a_part_is_of_what_the_part_before_it_leaves(stage: Stage, alice: User, mode: str) -> None:
    (provider, followers), keeper = filled_unseen(stage, alice, mode)
    first = part(stage, provider, "0.08", "0.10")
    take_in(stage)
    pass_time(stage, 6)
    assert states(first) == {CopyOrder.State.PLANNED}
    second = part(stage, provider, "0.01", "0.02")
    assert states(second) == {CopyOrder.State.PLANNED}
    assert held(stage, followers) == [[LOTS]] * COUNT
    restored(stage, keeper)
    assert held(stage, followers) == [[Decimal("0.01")]] * COUNT
    assert states(first) == states(second) == {CopyOrder.State.DONE}


def test_stops_that_are_as_they_should_be_come_after_those_that_wait(
    stage: Stage, alice: User
) -> None:
    (provider, followers), keeper = filled_unseen(stage, alice, "hedging")
    told(stage, provider, EventKind.STOPS, stop_loss=1.05, take_profit=1.2)
    take_in(stage)
    pass_time(stage, 6)
    told(stage, provider, EventKind.STOPS, stop_loss=1.06, take_profit=1.2)
    restored(stage, keeper)
    stops = {each.stop_loss for one in followers for each in terminal_of(stage, one).positions()}
    assert stops == {1.06}


@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_a_close_waits_for_no_part_that_waits(stage: Stage, alice: User, mode: str) -> None:
    (provider, followers), keeper = filled_unseen(stage, alice, mode)
    first = part(stage, provider, "0.08", "0.10")
    take_in(stage)
    pass_time(stage, 6)
    told(stage, provider, EventKind.CLOSE)
    pass_time(stage, 6)
    assert held(stage, followers) == [[]] * COUNT
    restored(stage, keeper)
    assert states(first) == {CopyOrder.State.SKIPPED}
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}


class Between:
    """Takes in what has ended right after something was read, once."""

    def __init__(self, stage: Stage, read: Any) -> None:
        self._stage, self._read, self.is_done = stage, read, False

    def __call__(self, *arguments: Any) -> Any:
        found = self._read(*arguments)
        if not self.is_done:
            self.is_done = True
            take_in(self._stage)
        return found


READS = {
    "rows": (Ledger, "_found"),
    "closes": (copied, "parts_under_way"),
    "nets": (copied, "unsettled_symbols"),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("mode", ["hedging", "netting"])
@pytest.mark.parametrize(("lots", "left"), [("0.05", "0"), ("0.03", "0"), ("0.08", "0")])
def test_a_close_is_planned_by_one_picture(
    stage: Stage,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    read: str,
    mode: str,
    lots: str,
    left: str,
) -> None:
    provider, followers = desk(stage, alice, mode, 1)
    told(stage, provider, EventKind.OPEN)
    pass_time(stage, 6)
    keeper = keeper_of(stage)
    without_keeper(stage)
    part(stage, provider, lots, "0.10")
    # Shown by a reading, and not taken in.
    pass_time(stage, 12)
    (found,) = held(stage, followers)
    assert sum(found) == LOTS - Decimal(lots)
    place, name = READS[read]
    with monkeypatch.context() as patch:
        original = getattr(place, name)
        between = Between(stage, original)
        bound = (lambda *each: between(*each)) if isinstance(place, type) else between
        patch.setattr(place, name, bound)
        close = told(stage, provider, EventKind.CLOSE)
    assert between.is_done or (mode, read) == ("hedging", "nets")
    copies = CopyOrder.objects.filter(event_id=close.pk)
    assert not copies.filter(state=CopyOrder.State.SKIPPED).exists()
    restored(stage, keeper)
    assert held(stage, followers) == [[]]
    assert CopyPosition.objects.get().state == CopyPosition.State.CLOSED
    assert not CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED).exists()


@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_a_part_is_planned_by_one_picture(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    provider, followers = desk(stage, alice, mode, 1)
    told(stage, provider, EventKind.OPEN)
    pass_time(stage, 6)
    keeper = keeper_of(stage)
    without_keeper(stage)
    part(stage, provider, "0.04", "0.10")
    pass_time(stage, 12)
    with monkeypatch.context() as patch:
        patch.setattr(copied, "parts_under_way", Between(stage, parts_under_way))
        part(stage, provider, "0.03", "0.06")
    restored(stage, keeper)
    assert held(stage, followers) == [[Decimal("0.03")]]


@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_a_close_ends_where_a_part_before_it_took_all(stage: Stage, alice: User, mode: str) -> None:
    provider, followers = desk(stage, alice, mode, 1)
    told(stage, provider, EventKind.OPEN)
    pass_time(stage, 6)
    keeper = keeper_of(stage)
    without_keeper(stage)
    # So little would be left of it that all of it is closed.
    part(stage, provider, "0.0999", "0.10")
    pass_time(stage, 12)
    close = told(stage, provider, EventKind.CLOSE)
    restored(stage, keeper)
    assert held(stage, followers) == [[]]
    row = CopyOrder.objects.get(event_id=close.pk)
    assert row.state in (CopyOrder.State.SKIPPED, CopyOrder.State.DONE)
    assert row.reason in ("", SkipReason.UNCHANGED)


def test_what_waited_on_a_netted_position_is_planned_while_nothing_is_copied(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    (provider, followers), keeper = filled_unseen(stage, alice, "netting")
    first = part(stage, provider, "0.08", "0.10")
    take_in(stage)
    pass_time(stage, 6)
    planner = keeper._round._planner
    planned = planner.plan
    closed: list[CopyEvent] = []

    def plan(*arguments: Any, **named: Any) -> Any:
        found = planned(*arguments, **named)
        if not closed:
            closed.append(told(stage, provider, EventKind.CLOSE))
        return found

    monkeypatch.setattr(planner, "plan", plan)
    around = Surroundings("local", stage.server, view_of(stage), stage.now)
    ids: list[UUID] = [each.pk for each in followers]
    waiting.carry_out_waiting(ids, around, planner)
    # Whoever was planned before the close came has it told by a second look.
    assert states(first) == {CopyOrder.State.SKIPPED}
    restored(stage, keeper)
    assert held(stage, followers) == [[]] * COUNT


@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_a_part_takes_nothing_of_what_was_closed_before(
    stage: Stage, alice: User, mode: str
) -> None:
    provider = stage.open(alice, "Provider", margin_mode=MARGIN_MODES["netting"])
    follower = stage.open(alice, "Follower", margin_mode=MARGIN_MODES[mode])
    follows(provider, follower)
    pass_time(stage, 5)
    # Turned round four times, added to and closed in part, before anybody looks.
    for lots in (-0.20, 0.40, -0.28, 0.28, -0.48, -0.46, 0.32):
        trade(stage, provider, lots)
    pass_time(stage, 40, seconds=1.0)
    left = Decimal("-0.42")
    assert sum(held(stage, [follower])[0]) == left
    rows = CopyPosition.objects.filter(state__in=CopyPosition.HELD)
    assert sum(-row.volume for row in rows) == left
    closes = CopyOrder.objects.filter(
        event_id__in=CopyEvent.objects.filter(kind=EventKind.CLOSE).values("pk")
    )
    assert set(closes.values_list("state", flat=True)) == {CopyOrder.State.DONE}
    # None of them was ordered for what another one closes.
    is_refused = Order.objects.filter(state=Order.State.REJECTED).exists()
    assert not (mode == "hedging" and is_refused)


@pytest.mark.parametrize("mode", ["hedging", "netting"])
def test_what_is_added_goes_the_way_of_the_position_that_it_is_added_to(
    stage: Stage, alice: User, mode: str
) -> None:
    provider = stage.open(alice, "Provider", margin_mode=MARGIN_MODES["netting"])
    follower = stage.open(alice, "Follower", margin_mode=MARGIN_MODES[mode])
    follows(provider, follower, multiplier=Decimal("0.5"))
    pass_time(stage, 5)
    # So little is left after the turn that it is not copied.
    for lots in (-0.60, 0.61, 0.66):
        trade(stage, provider, lots)
    pass_time(stage, 40, seconds=1.0)
    assert held(stage, [follower]) == [[Decimal("0.33")]]
