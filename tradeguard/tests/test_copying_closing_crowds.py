"""Closes and moved stops that are planned together are what each follower would get alone."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from accounts.models import ConnectedAccount, User
from accounts.tests.factories import make_account
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder, CopyPosition
from copytrade.replication.closing_crowd import ClosingCrowds
from copytrade.replication.flights import Flights
from copytrade.replication.followers import FollowerBook
from copytrade.replication.gating import goes_at_once
from copytrade.replication.markets import Markets
from copytrade.replication.packing import pack, pack_alike, unpack
from copytrade.replication.planning import Planning
from copytrade.replication.replicator import cut
from copytrade.replication.rows import Copy
from copytrade.replication.scene import Scene
from risk.models import AccountLock, Order
from risk.orders.drafts import new_tag
from tradeguard.tests.copying_stage import event_of, follows, view_of
from tradeguard.tests.enforcement_stage import terminal_of
from tradeguard.tests.stage import Stage, staged

pytestmark = pytest.mark.django_db

TICKET = 77
# What no two copies share.
_OWN = {"_state", "id", "order_id", "tag"}
TERMS: list[dict[str, Any]] = [
    {},
    {},
    {},
    {"multiplier": Decimal(2)},
    {"multiplier": Decimal(2)},
    {"is_reverse": True},
    {"copies_stops": False},
    {"stop_loss_points": 200},
    {"state": "close_only"},
    {"state": "paused"},
]
HELD_LOTS = (0.5, 0.02)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


class World:
    """A provider with followers that hold something; each example has a ledger of its own."""

    def __init__(self, stage: Stage, user: User) -> None:
        self.stage, self.user = stage, user
        self.provider = stage.open(user, "Provider")
        accounts = [stage.open(user, f"Follower {number}") for number in range(len(TERMS))]
        netting = stage.open(user, "Netting", margin_mode=0)
        self.unread = make_account(user, "Unread")
        self.accounts = [*accounts, netting, self.unread]
        self.rows = [
            follows(self.provider, account, **terms)
            for account, terms in zip(self.accounts, [*TERMS, {}, {}], strict=True)
        ]
        stage.run(3)
        for account in [*accounts, netting]:
            for lots in HELD_LOTS:
                stage.buy(account, lots)
        stage.run(3)
        self.tickets = {
            account.pk: [one.ticket for one in terminal_of(stage, account).positions()]
            for account in [*accounts, netting]
        }
        self.view = view_of(stage)
        self.markets = Markets(stage.server)

    def clear(self) -> None:
        for model in (CopyPosition, CopyOrder, CopyEvent, Order):
            model.objects.all().delete()

    def order(self, account: ConnectedAccount, **fields: Any) -> Order:
        return Order(
            **{
                "id": uuid4(),
                "origin": Order.Origin.COPY,
                "tag": new_tag(),
                "user_id": account.user_id,
                "account_id": account.pk,
                "account_name": account.name,
                "server": account.server,
                "login": account.login,
                "host": "local",
                "kind": Order.Kind.CLOSE,
                "symbol": "EURUSD",
                "direction": "sell",
                "volume": Decimal("0.01"),
                "created_at": self.stage.now - timedelta(seconds=20),
                **fields,
            }
        )


_states = st.sampled_from([*["open"] * 4, "opening", "closing", "closed", "left", "kept"])
_lots = st.sampled_from(["0.5", "0.02", "0.25", "0.01", "1", "0.12345678"])
# Its own positions, none, one that is gone, one of somebody else.
_tickets = st.sampled_from([*["first"] * 6, "second", "none", "gone", "theirs"])
_rows = st.lists(
    st.tuples(_states, _lots, _tickets, st.sampled_from(["buy", "buy", "sell"]), st.booleans()),
    max_size=2,
)
_usual = st.just([("open", "0.5", "first", "buy", False)])
_ledgers = st.lists(st.one_of(_usual, _rows), min_size=len(TERMS) + 2, max_size=len(TERMS) + 2)
_some = st.sets(st.integers(0, len(TERMS) + 1), max_size=3)
_parts = st.sampled_from([("0.5", "1"), ("0.01", "1"), ("0.99", "1"), ("1", "1"), ("0.3", "0.9")])
_levels = st.sampled_from([None, 1.05, 1.0, 1.2])


_EVERYBODY: list[Any] = [[("open", "0.5", "first", "buy", False)]] * (len(TERMS) + 2)
_PLAIN: dict[str, Any] = {
    "ledger": _EVERYBODY,
    "part": ("0.01", "1"),
    "levels": (1.05, None),
    "direction": "buy",
    "closing": set(),
    "pending": set(),
    "under_way": set(),
    "lately": set(),
    "others": set(),
    "locked": set(),
    "age_seconds": 0.0,
}

# Of some nothing would be left but a crumb: all of these is closed.
_CRUMBS: dict[str, Any] = {
    "part": ("0.99", "1"),
    "ledger": [
        [("open", "0.12345678" if number % 2 else "0.5", "first", "buy", False)]
        for number in range(len(TERMS) + 2)
    ],
}


def write_ledger(world: World, ledger: list[Any]) -> None:
    for number, (account, rows) in enumerate(zip(world.accounts, ledger, strict=True)):
        mine = world.tickets.get(account.pk, [4_000_000, 4_000_001])
        tickets = {
            "first": mine[0],
            "second": mine[-1],
            "none": None,
            "gone": 5_000_000,
            "theirs": world.tickets[world.accounts[(number + 1) % len(TERMS)].pk][0],
        }
        for turn, (state, lots, ticket, direction, closes_on_fill) in enumerate(rows):
            CopyPosition.objects.create(
                relationship_id=world.rows[number].pk,
                provider_id=world.provider.pk,
                follower_id=account.pk,
                provider_position=TICKET,
                turn=turn,
                provider_volume=1,
                follower_position=tickets[ticket],
                symbol="EURUSD",
                direction=direction,
                volume=Decimal(lots),
                state=state,
                closes_on_fill=closes_on_fill and state == "opening",
                opened_at=world.stage.now,
            )


def write_earlier(world: World, closing: set[int], pending: set[int]) -> None:
    """Let a part of some be closed already, and some copy the pending order that it was."""
    stage, provider = world.stage, world.provider
    before = stage.now - timedelta(seconds=10)
    part = event_of(stage, provider, EventKind.PARTIAL_CLOSE, TICKET, detected_at=before)
    placed = event_of(
        stage, provider, EventKind.PENDING_PLACED, TICKET, order_ticket=TICKET, detected_at=before
    )
    placed.position_ticket = None
    part.planned_at = placed.planned_at = before
    for event, numbers, kind in (
        (part, closing, Order.Kind.CLOSE),
        (placed, pending, Order.Kind.PLACE),
    ):
        event.save(force_insert=True)
        for number in numbers:
            account = world.accounts[number]
            order = world.order(account, kind=kind, type="limit", direction="buy", state="placed")
            order.save(force_insert=True)
            CopyOrder.objects.create(
                event_id=event.pk,
                relationship_id=world.rows[number].pk,
                provider_id=provider.pk,
                follower_id=account.pk,
                state="ordered",
                order_id=order.pk,
                symbol="EURUSD",
                volume=Decimal("0.01"),
                planned_at=before,
            )


def planned(world: World, event: CopyEvent, scene: Scene) -> list[tuple[Any, ...]]:
    """Return the rows of each copy, and whether it goes at once."""
    followers = FollowerBook().followers(event.provider_id, until=event.detected_at)
    planning = Planning(event, followers, scene, world.markets)
    crowds, rest = planning.crowds(followers, scene.now)
    found = dict(rest())
    for some in crowds:
        alike = list(some.copies())
        assert [packed(payload) for payload in pack_alike(some, 3)] == [
            packed(pack(part)) for part in cut(alike, 3)
        ]
        found.update(zip(some.members, alike, strict=True))
    copies = [found[member] for member in sorted(found)]
    assert len({copy.row.id for copy in copies}) == len(copies)
    tags = [copy.order.tag for copy in copies if copy.order is not None]
    assert len(set(tags)) == len(tags)
    return [(*told(copy), copy.place, goes_at_once(copy, scene)) for copy in copies]


def packed(payload: bytes) -> list[list[dict[str, Any]]]:
    """Return the rows of a batch, as they are unfolded."""
    return [[{**row.__dict__, "_state": None} for row in table.rows()] for table in unpack(payload)]


def told(copy: Copy) -> list[dict[str, Any] | None]:
    """Return the rows of a copy, but for what is its own whoever plans it."""
    if copy.order is not None:
        assert copy.row.order_id == copy.order.pk
        assert copy.row.follower_id == copy.order.account_id == copy.follower.account.id
    return [
        None if row is None else {name: row.__dict__[name] for name in row.__dict__.keys() - _OWN}
        for row in (copy.row, copy.order, copy.position)
    ]


def flights_of(world: World, under_way: set[int], lately: set[int], others: set[int]) -> Flights:
    """Return what no reading shows: of `others` closes of one of their two positions."""
    ended_at = world.stage.now - timedelta(seconds=0.5)
    sent = [world.order(world.accounts[one], state=Order.State.SENT) for one in under_way]
    ended = [
        world.order(world.accounts[one], state=Order.State.FILLED, answered_at=ended_at)
        for one in lately
    ]
    of_others = [
        world.order(
            world.accounts[one],
            state=Order.State.FILLED,
            answered_at=ended_at,
            position_ticket=world.tickets.get(world.accounts[one].pk, [1])[-1],
        )
        for one in others
    ]
    return Flights([*sent, *ended, *of_others])


def scene_of(world: World, flights: Flights, locked: set[int], age_seconds: float) -> Scene:
    locks = {
        world.accounts[one].pk: AccountLock(account_id=world.accounts[one].pk, reason="for now")
        for one in locked
    }
    now = world.stage.now + timedelta(seconds=age_seconds)
    return Scene.at(world.view, flights, locks, now)


def test_a_crowd_gets_what_each_would_get_alone(stage: Stage, alice: User) -> None:
    world = World(stage, alice)
    seen: set[str] = set()

    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @example(kind=EventKind.CLOSE, **_PLAIN)
    @example(kind=EventKind.PARTIAL_CLOSE, **_PLAIN)
    @example(kind=EventKind.STOPS, **_PLAIN)
    @example(kind=EventKind.PARTIAL_CLOSE, **{**_PLAIN, **_CRUMBS})
    @example(kind=EventKind.CLOSE, **{**_PLAIN, "others": set(range(len(TERMS)))})
    @example(kind=EventKind.STOPS, **{**_PLAIN, "others": set(range(len(TERMS)))})
    @given(
        kind=st.sampled_from([EventKind.CLOSE, EventKind.PARTIAL_CLOSE, EventKind.STOPS]),
        ledger=_ledgers,
        part=_parts,
        levels=st.tuples(_levels, _levels),
        direction=st.sampled_from(["buy", "sell"]),
        closing=_some,
        pending=_some,
        under_way=_some,
        lately=_some,
        others=_some,
        locked=_some,
        age_seconds=st.sampled_from([0.0, 0.0, 0.0, 0.3, 5.0]),
    )
    def check(
        kind: EventKind,
        ledger: list[Any],
        part: tuple[str, str],
        levels: tuple[float | None, float | None],
        direction: str,
        closing: set[int],
        pending: set[int],
        under_way: set[int],
        lately: set[int],
        others: set[int],
        locked: set[int],
        age_seconds: float,
    ) -> None:
        world.clear()
        write_ledger(world, ledger)
        write_earlier(world, closing, pending)
        volume, before = map(Decimal, part)
        event = event_of(
            stage,
            world.provider,
            kind,
            TICKET,
            volume=volume,
            volume_before=before,
            direction=direction,
            stop_loss=levels[0],
            take_profit=levels[1],
        )
        flights = flights_of(world, under_way, lately, others)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ClosingCrowds, "planned", lambda *_: ([], {}))
            alone = planned(world, event, scene_of(world, flights, locked, age_seconds))
        together = planned(world, event, scene_of(world, flights, locked, age_seconds))
        assert together == alone
        seen.update(row["reason"] or row["state"] for row, *_ in together)

    check()
    assert seen >= {"ordered", "below_minimum", "stops_off"}
