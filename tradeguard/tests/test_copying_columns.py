"""A crowd's copies as columns say what the rows of each would say."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder
from copytrade.replication.alike import Alike
from copytrade.replication.flights import Flights
from copytrade.replication.followers import FollowerBook
from copytrade.replication.gating import BatchGate, claimable
from copytrade.replication.handing import HandOver
from copytrade.replication.ids import Ids
from copytrade.replication.markets import Markets
from copytrade.replication.packing import pack, pack_alike, unpack
from copytrade.replication.planning import Planning
from copytrade.replication.scene import Scene
from risk.core.gate.verdicts import Verdict
from risk.models import Order
from tradeguard.tests.copying_stage import copy as copy_events
from tradeguard.tests.copying_stage import event_of, follows, held, view_of
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

ONE = Decimal("1.00")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def desk_of(stage: Stage, user: User) -> tuple[ConnectedAccount, list[ConnectedAccount]]:
    """Return a provider and five followers with money of their own."""
    provider = stage.open(user, "Provider")
    followers = [
        stage.open(user, f"Follower {number}", deposit=10_000.0 * (number + 1))
        for number in range(5)
    ]
    for each in followers:
        follows(provider, each, sizing="equity_ratio")
    stage.run(3)
    return provider, followers


def scene_of(stage: Stage) -> Scene:
    return Scene.at(view_of(stage), Flights.on_host("local", 0.0), {}, stage.now)


def crowd_of(stage: Stage, event: CopyEvent, scene: Scene) -> Alike:
    followers = FollowerBook().followers(event.provider_id, until=event.detected_at)
    planning = Planning(event, followers, scene, Markets(stage.server))
    (crowd,), rest = planning.crowds(followers, stage.now)
    assert list(rest()) == []
    return crowd


def rows(packed: bytes) -> list[Any]:
    tables = unpack(packed)
    return [
        [
            {name: table.values(name)[place] for name in table.columns}
            for place in range(table.count)
        ]
        for table in tables
    ]


@pytest.mark.parametrize("size", [1, 2, 5, 50])
def test_columns_are_packed_as_rows_would_be(stage: Stage, alice: User, size: int) -> None:
    provider, _ = desk_of(stage, alice)
    crowd = crowd_of(stage, event_of(stage, provider, EventKind.OPEN, 77), scene_of(stage))
    copies = list(crowd.copies())
    apart = [pack(copies[first : first + size]) for first in range(0, 5, size)]
    assert [rows(one) for one in pack_alike(crowd, size)] == [rows(one) for one in apart]
    some = crowd.taken([1, 3])
    assert rows(pack_alike(some, 50)[0]) == rows(pack([copies[1], copies[3]]))


def test_ids_in_columns_are_like_those_given_one_by_one() -> None:
    ids = Ids()
    before, column, after = ids.new_id(), ids.new_ids(600), ids.new_id()
    every = [before, *column, after]
    assert every == sorted(every)
    assert len(set(every)) == 602
    assert {one.version for one in every} == {7}
    assert {one.variant for one in every} == {before.variant}
    assert [one.bytes for one in column] == column.packed(0, 600)
    assert list(column.taken([3, 5])) == [column[3], column[5]] == list(column[3:6:2])


def test_a_busy_account_is_left_to_its_lane(stage: Stage, alice: User) -> None:
    provider, followers = desk_of(stage, alice)
    copy_events(stage, event_of(stage, provider, EventKind.OPEN, 76))
    stage.run(8, seconds=1.0)
    busy = followers[2].pk
    Order.objects.filter(account_id=busy).update(state=Order.State.SENT)
    scene = scene_of(stage)
    crowd = crowd_of(stage, event_of(stage, provider, EventKind.OPEN, 77), scene)
    claimed = [crowd.account_ids[place] for place in claimable(crowd, scene)]
    assert claimed == [each for each in crowd.account_ids if each != busy]
    assert len(claimed) == 4


def test_who_is_refused_asks_alone_and_the_others_leave_together(stage: Stage, alice: User) -> None:
    provider, _ = desk_of(stage, alice)
    scene = scene_of(stage)
    crowd = crowd_of(stage, event_of(stage, provider, EventKind.OPEN, 77), scene)
    scene.book.accounts.trade_allowed[crowd.places[3]] = False
    passing = BatchGate(scene, Markets(stage.server)).passing(crowd, stage.now)
    others = [0, 1, 2, 4]
    assert list(passing.places) == others
    decisions = [passing.decision(number) for number in range(4)]
    assert [each and each.order_id for each in decisions] == [
        crowd.order_ids[place] for place in others
    ]
    assert {each.verdict for each in decisions if each} <= {Verdict.ALLOW, Verdict.WARN}


def test_opens_of_a_crowd_leave_in_one_piece(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider, followers = desk_of(stage, alice)
    sent: list[int] = []
    send = HandOver.send_alike

    def noted(self: HandOver, each: Any, *rest: Any) -> None:
        sent.append(len(each.crowd))
        send(self, each, *rest)

    monkeypatch.setattr(HandOver, "send_alike", noted)
    stage.buy(provider, 1.0)
    stage.run(4)
    assert sent == [5]
    assert [len(each) for each in held(stage, followers)] == [1] * 5
    assert set(CopyOrder.objects.values_list("state", flat=True)) == {"done"}
