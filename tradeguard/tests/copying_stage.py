"""A provider and its followers on one host, for tests of what is copied."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyPosition, CopyRelationship
from copytrade.replication.replicator import Replicator
from risk.orders.view import HostView
from tradeguard.tests.enforcement_stage import terminal_of
from tradeguard.tests.stage import START, Stage


def follows(
    provider: ConnectedAccount, follower: ConnectedAccount, **terms: Any
) -> CopyRelationship:
    """Let an account copy another since before the test began, lot for lot unless told."""
    return CopyRelationship.objects.create(
        provider=provider,
        follower=follower,
        created_by_id=follower.user_id,
        created_at=START - timedelta(days=1),
        accepted_at=START - timedelta(days=1),
        started_at=START - timedelta(days=1),
        terms_changed_at=START - timedelta(days=1),
        state_changed_at=START - timedelta(days=1),
        **{"alias": follower.name, "state": "active", "sizing": "multiplier", **terms},
    )


def crowd(stage: Stage, user: User, count: int, **terms: Any) -> list[ConnectedAccount]:
    """Open followers and have their sessions connected."""
    return [stage.open(user, f"Follower {number}", **terms) for number in range(count)]


Desk = tuple[ConnectedAccount, list[ConnectedAccount]]
"""A provider and its followers."""


def desk_of(stage: Stage, user: User, count: int, **terms: Any) -> Desk:
    """Open a provider and followers that copy it lot for lot, and have their sessions connected."""
    provider = stage.open(user, "Provider")
    followers = crowd(stage, user, count, **terms)
    for each in followers:
        follows(provider, each)
    stage.run(5)
    return provider, followers


def event_of(
    stage: Stage, provider: ConnectedAccount, kind: EventKind, ticket: int, **fields: Any
) -> CopyEvent:
    """Return an event as the watch would hand it over."""
    return CopyEvent(
        **{
            "id": uuid.uuid4(),
            "provider_id": provider.pk,
            "provider_name": provider.name,
            "kind": kind.value,
            "symbol": "EURUSD",
            "direction": "buy",
            "order_type": "market",
            "volume": Decimal("1.00"),
            "volume_before": Decimal(0) if kind is EventKind.OPEN else Decimal("1.00"),
            "price": 1.10002,
            "position_ticket": ticket,
            "happened_at": stage.now,
            "detected_at": stage.now,
            **fields,
        }
    )


def copy(stage: Stage, *events: CopyEvent) -> None:
    """Let the host carry events out, as its watch would."""
    assert stage.tick is not None
    assert stage.tick.acting is not None
    stage.tick.acting.copying.replicate(events)


def held(stage: Stage, accounts: Sequence[ConnectedAccount]) -> list[list[Decimal]]:
    """Return the lots of each account's positions, sold ones below 0."""
    return [
        [one.volume if one.is_buy else -one.volume for one in terminal_of(stage, each).positions()]
        for each in accounts
    ]


def link_positions(stage: Stage, accounts: Sequence[ConnectedAccount]) -> None:
    """Let the ledger know the tickets that the opens got."""
    for each in accounts:
        for one in terminal_of(stage, each).positions():
            CopyPosition.objects.filter(follower_id=each.pk, follower_position=None).update(
                follower_position=one.ticket, state=CopyPosition.State.OPEN, volume=one.volume
            )


def without_keeper(stage: Stage) -> None:
    """Leave copies as they were sent: nobody takes in what became of them."""
    assert stage.tick is not None
    assert stage.tick.acting is not None
    stage.tick.acting.keeper = None


def view_of(stage: Stage) -> HostView:
    assert stage.tick is not None
    assert stage.tick.acting is not None
    view = stage.tick.acting.copying._view
    assert view is not None
    return view


def replicator_of(stage: Stage) -> Replicator:
    assert stage.tick is not None
    assert stage.tick.acting is not None
    return stage.tick.acting.copying._replicator


def close(stage: Stage, provider: ConnectedAccount, ticket: int, lots: float = 1.0) -> None:
    request = {
        "action": 1, "symbol": "EURUSD", "volume": lots, "type": 1, "type_filling": 1,
        "position": ticket,
    }  # fmt: skip
    result = stage.server.call("order_send", provider.login, request)
    assert result[0] == 10009, result


def move_stops(
    stage: Stage, provider: ConnectedAccount, ticket: int, loss: float, profit: float
) -> None:
    request = {"action": 6, "symbol": "EURUSD", "position": ticket, "sl": loss, "tp": profit}
    assert stage.server.call("order_send", provider.login, request)[0] == 10009
