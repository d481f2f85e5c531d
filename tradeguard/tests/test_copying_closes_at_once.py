"""Closes and moved stops of a crowd: asked about once for each kind of copy, sent together."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from accounts.models import ConnectedAccount, User
from accounts.sessions.lease import Standing
from copytrade.core.facts import FollowerSnapshot, HeldCopy
from copytrade.core.kinds import EventKind
from copytrade.models import CopyOrder, CopyPosition
from copytrade.replication.followers import Follower
from copytrade.replication.pictures import Pictures
from risk.models import Order
from tradeguard.tests.copying_stage import copy as copy_events
from tradeguard.tests.copying_stage import crowd, event_of, follows, held
from tradeguard.tests.enforcement_stage import pass_time, terminal_of
from tradeguard.tests.stage import Stage, staged
from tradeguard.tick.acting import Acting

pytestmark = pytest.mark.django_db

TICKET = 77


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def acting_of(stage: Stage) -> Acting:
    assert stage.tick is not None
    assert stage.tick.acting is not None
    return stage.tick.acting


def asked_about(monkeypatch: pytest.MonkeyPatch) -> list[Follower]:
    """Return the followers that the planner is asked about, as it goes on."""
    asked: list[Follower] = []
    picture = Pictures.holding

    def noted(self: Pictures, one: Follower, copy: HeldCopy | None) -> FollowerSnapshot:
        asked.append(one)
        return picture(self, one, copy)

    monkeypatch.setattr(Pictures, "holding", noted)
    return asked


def opened(stage: Stage, user: User) -> tuple[ConnectedAccount, list[ConnectedAccount]]:
    """Return a provider and followers whose copies of its position are filled and settled."""
    provider = stage.open(user, "Provider")
    followers = crowd(stage, user, 5)
    for number, each in enumerate(followers):
        follows(provider, each, multiplier=Decimal(1 + number % 2))
    stage.run(3)
    copy_events(stage, event_of(stage, provider, EventKind.OPEN, TICKET))
    pass_time(stage, 4)
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"open"}
    return provider, followers


def test_a_part_and_then_the_rest_of_all_copies_is_closed_at_once(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = opened(stage, alice)
    asked = asked_about(monkeypatch)

    copy_events(stage, event_of(stage, provider, EventKind.PARTIAL_CLOSE, TICKET,
                                volume=Decimal("0.40")))  # fmt: skip
    assert len(asked) == 2
    assert held(stage, followers) == [[Decimal("0.60") * (1 + number % 2)] for number in range(5)]
    pass_time(stage, 4)
    copy_events(stage, event_of(stage, provider, EventKind.CLOSE, TICKET))
    assert len(asked) == 4
    assert held(stage, followers) == [[]] * 5

    closes = Order.objects.filter(kind=Order.Kind.CLOSE)
    # Nobody asks the gate about what opens nothing.
    assert set(closes.values_list("gated_at", flat=True)) == {None}
    assert None not in closes.values_list("sent_at", flat=True)
    assert closes.filter(requested_volume=None).count() == 5
    assert len(set(closes.values_list("tag", flat=True))) == 10
    pass_time(stage, 4)
    assert set(CopyPosition.objects.values_list("state", flat=True)) == {"closed"}
    assert set(CopyOrder.objects.values_list("state", flat=True)) == {"done"}


def test_what_a_follower_has_closed_itself_is_not_closed_with_the_others(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = opened(stage, alice)
    ticket = terminal_of(stage, followers[2]).positions()[0].ticket
    request = {"action": 1, "symbol": "EURUSD", "volume": 0.7, "type": 1, "position": ticket,
               "type_filling": 1, "deviation": 500}  # fmt: skip
    assert stage.server.call("order_send", followers[2].login, request)[0] == 10009
    acting_of(stage).keeper = None
    stage.run(8)
    asked = asked_about(monkeypatch)

    copy_events(stage, event_of(stage, provider, EventKind.CLOSE, TICKET))
    assert len(asked) == 3
    assert held(stage, followers) == [[]] * 5
    lots = Order.objects.filter(kind=Order.Kind.CLOSE).order_by("volume")
    assert list(lots.values_list("volume", flat=True)) == [
        *map(Decimal, ("0.3", "1", "1", "2", "2"))
    ]


def test_stops_of_a_crowd_are_planned_together(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = opened(stage, alice)
    asked = asked_about(monkeypatch)

    copy_events(stage, event_of(stage, provider, EventKind.STOPS, TICKET, stop_loss=1.05))
    assert len(asked) == 2
    pass_time(stage, 4)
    for each in followers:
        (position,) = terminal_of(stage, each).positions()
        assert position.stop_loss == 1.05


@pytest.mark.parametrize(
    ("standing", "left"), [(Standing.HELD, 0), (Standing.UNKNOWN, 0), (Standing.LOST, 5)]
)
def test_closes_leave_unless_the_host_is_known_to_be_lost(
    stage: Stage,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    standing: Standing,
    left: int,
) -> None:
    provider, followers = opened(stage, alice)
    hand_over = acting_of(stage).copying._replicator.hand_over
    monkeypatch.setattr(type(hand_over._fence), "standing", lambda *_: standing)
    monkeypatch.setattr(hand_over, "_asked_at", float("-inf"))
    copy_events(stage, event_of(stage, provider, EventKind.CLOSE, TICKET))
    assert sum(map(len, held(stage, followers))) == left
    states = set(Order.objects.filter(kind=Order.Kind.CLOSE).values_list("state", flat=True))
    assert states == ({"pending"} if left else {"filled"})
