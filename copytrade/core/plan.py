"""Planning: one event of a provider and the pictures of its followers in, orders and reasons out.

Pure, and fast enough to be done between noticing an event and sending the first order: each shared
answer (symbol, notional, wording) is worked out once per event.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from copytrade.core.closings import (
    plan_close,
    plan_pending_cancel,
    plan_pending_change,
    plan_pending_fill,
    plan_stops,
)
from copytrade.core.facts import FollowerSnapshot, ProviderEvent
from copytrade.core.kinds import EventKind
from copytrade.core.occasion import Occasion
from copytrade.core.openings import plan_open, plan_pending, size_example
from copytrade.core.plans import Plan, Refusal
from copytrade.core.sizing import CopySize

_PLANNERS: Final[dict[EventKind, Callable[[Occasion, FollowerSnapshot], Plan]]] = {
    EventKind.OPEN: plan_open,
    EventKind.PARTIAL_CLOSE: plan_close,
    EventKind.CLOSE: plan_close,
    EventKind.STOPS: plan_stops,
    EventKind.PENDING_PLACED: plan_pending,
    EventKind.PENDING_MODIFIED: plan_pending_change,
    EventKind.PENDING_CANCELLED: plan_pending_cancel,
    EventKind.PENDING_FILLED: plan_pending_fill,
}


def plan_event(event: ProviderEvent, follower: FollowerSnapshot, *, now: datetime) -> Plan:
    """Return the order that an event means for a follower, or why there is none."""
    return _PLANNERS[event.kind](Occasion(event, now), follower)


def plan_many(
    event: ProviderEvent, followers: Iterable[FollowerSnapshot], *, now: datetime
) -> list[Plan]:
    """Plan an event for many followers, in their order."""
    return plan_for(Occasion(event, now), followers)


def plan_for(occasion: Occasion, followers: Iterable[FollowerSnapshot]) -> list[Plan]:
    """Plan an event for many followers, with what was worked out for others of them."""
    planner = _PLANNERS[occasion.event.kind]
    return [planner(occasion, follower) for follower in followers]


def size_only(
    event: ProviderEvent, follower: FollowerSnapshot, *, now: datetime
) -> CopySize | Refusal:
    """Return the lots that an open would mean, whatever the relationship's state and filters say.

    For showing "1.00 lot there = 0.23 lot here" before anything is copied.
    """
    return size_example(Occasion(event, now), follower)
