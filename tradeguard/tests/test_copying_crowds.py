"""Followers that are planned together get what each would have got alone."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.models import User
from copytrade.core.facts import FollowerSnapshot
from copytrade.core.kinds import EventKind
from copytrade.replication import crowd as crowds
from copytrade.replication.flights import Flights
from copytrade.replication.followers import Follower, FollowerBook
from copytrade.replication.markets import Markets
from copytrade.replication.pictures import Pictures
from copytrade.replication.planning import Planning
from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from risk.models import AccountLock
from risk.orders.view import HostView
from tradeguard.tests.copying_stage import copy as copy_events
from tradeguard.tests.copying_stage import event_of, follows, view_of
from tradeguard.tests.stage import START, Stage, staged

pytestmark = pytest.mark.django_db

# What no two copies share.
_OWN = {"_state", "id", "order_id", "tag"}

VARIETY: list[dict[str, Any]] = [
    {},
    {"sizing": "equity_ratio"},
    {"sizing": "balance_ratio", "multiplier": Decimal("0.333")},
    {"sizing": "equity_ratio", "is_reverse": True},
    {"sizing": "fixed_lot", "fixed_lots": Decimal("0.07")},
    {"sizing": "risk_percent", "risk_fraction": Decimal("0.01")},
    {"sizing": "equity_ratio", "maximum_lots": Decimal("0.40")},
    {"sizing": "equity_ratio", "multiplier": Decimal("0.001")},
    {"multiplier": Decimal("0.001"), "below_minimum": "use_minimum"},
    {"state": "paused"},
    {"directions": "sell"},
    {"exclude_symbols": ["EURUSD"]},
    {"maximum_positions": 1},
    {"sizing": "equity_ratio", "equity_stop": Decimal(10_000)},
    {"maximum_slippage_points": 30},
    {"stop_loss_points": 200, "copies_stops": False},
]
BALANCES = (10_000.0, 23_456.78, 100_000.0)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


def told(copy: Copy) -> list[dict[str, Any] | None]:
    """Return the rows of a copy, but for what is its own whoever plans it."""
    return [
        None if row is None else {name: row.__dict__[name] for name in row.__dict__.keys() - _OWN}
        for row in (copy.row, copy.order, copy.position)
    ]


def planned(stage: Stage, view: HostView, event: Any, locks: Any) -> list[Copy]:
    source = stage.server
    scene = Scene.at(view, Flights.on_host("local", 0.0), locks, stage.now)
    followers = FollowerBook().followers(event.provider_id, until=event.detected_at)
    return Planning(event, followers, scene, Markets(source)).copies(followers, stage.now)


@pytest.mark.parametrize("volume", [Decimal("1.00"), Decimal("0.37")])
def test_a_crowd_gets_what_each_would_get_alone(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch, volume: Decimal
) -> None:
    provider = stage.open(alice, "Provider")
    locked = stage.open(alice, "Locked")
    follows(provider, locked)
    for number, terms in enumerate(VARIETY):
        for balance in BALANCES:
            follower = stage.open(alice, f"Follower {number} {balance}", deposit=balance)
            follows(provider, follower, **terms)
    late = stage.open(alice, "Later")
    joined = follows(provider, late)
    joined.started_at = START + timedelta(hours=1)
    joined.save(update_fields=["started_at"])
    netting = stage.open(alice, "Netting", margin_mode=0)
    follows(provider, netting)
    stage.run(3)
    view, event = view_of(stage), event_of(stage, provider, EventKind.OPEN, 77, volume=volume)
    event.stop_loss = 1.09
    locks = {locked.pk: AccountLock(account_id=locked.pk, reason="for the day")}

    monkeypatch.setattr(crowds, "SMALLEST", 1_000)
    alone = planned(stage, view, event, locks)
    looked_at: list[Follower] = []
    picture = Pictures.of

    def noted(self: Pictures, one: Follower) -> FollowerSnapshot:
        looked_at.append(one)
        return picture(self, one)

    monkeypatch.setattr(Pictures, "of", noted)
    monkeypatch.setattr(crowds, "SMALLEST", 1)
    together = planned(stage, view, event, locks)
    # One of each kind, and those whom something sets apart.
    assert len(looked_at) < len(together) / 2

    assert [told(each) for each in together] == [told(each) for each in alone]
    assert len({each.row.id for each in together}) == len(together) == len(alone)
    orders = [each.order for each in together if each.order is not None]
    assert len({order.tag for order in orders}) == len(orders) > 20
    assert {each.row.reason for each in together} > {
        "paused",
        "direction",
        "locked",
        "before_start",
    }


def test_a_copy_that_is_there_is_left_to_be_planned_alone(stage: Stage, alice: User) -> None:
    provider = stage.open(alice, "Provider")
    followers = [stage.open(alice, f"Follower {number}") for number in range(4)]
    for each in followers:
        follows(provider, each)
    stage.run(3)
    copy_events(stage, event_of(stage, provider, EventKind.OPEN, 77))
    more = event_of(stage, provider, EventKind.OPEN, 77, volume_before=Decimal("1.00"))
    copies = planned(stage, view_of(stage), more, {})
    turns = [None if each.position is None else each.position.turn for each in copies]
    assert turns == [1] * 4
