"""When to plan an event later, for something is not known that may be known a moment later."""

from datetime import datetime, timedelta
from typing import Final, TypeGuard

from copytrade.core.kinds import EventKind, SkipReason
from copytrade.core.plans import Plan, Skipped
from copytrade.models import CopyEvent
from copytrade.replication.followers import Follower
from copytrade.replication.scene import Scene

# Right after a worker's start readings, symbols and rates are not known yet.
PASSING: Final = frozenset({SkipReason.NO_READING, SkipReason.NO_RATE})
# What would be another answer if the account nets, or not.
_BY_MODE: Final = frozenset({SkipReason.STOPS_OFF, SkipReason.LEFT, SkipReason.UNCHANGED})
PATIENCE: Final = timedelta(seconds=60)
# What is not planned until so short before its deadline is skipped with the reason of then.
HURRY: Final = timedelta(seconds=2)


def may_be_known_soon(
    event: CopyEvent,
    follower: Follower,
    plan: Plan,
    scene: Scene,
    now: datetime,
    *,
    has_waited: bool = False,
) -> bool:
    """Tell whether a plan is of too little knowledge, and worth another look later.

    Opens wait until their deadline, changes a minute, or, of those that `has_waited` for a fill,
    as long as the account is likely to be read; closes are not given up.
    """
    account_id = follower.account.id
    reason = plan.reason if isinstance(plan, Skipped) else None
    if reason not in PASSING:
        by_mode = reason is None or reason in _BY_MODE
        if scene.knows_mode(account_id) or not by_mode:
            return False
    elif event.kind in (EventKind.CLOSE, EventKind.PARTIAL_CLOSE):
        return True
    if not scene.was_read_lately(account_id):
        return False
    if is_opening(event):
        seconds = follower.terms.open_deadline_seconds
        return now + HURRY < event.happened_at + timedelta(seconds=seconds)
    # Then a close goes to its lane, which reads what there is and closes no more than that.
    return has_waited or now < event.detected_at + PATIENCE


def is_guessed(plan: Plan, follower: Follower, scene: Scene) -> TypeGuard[Skipped]:
    """Tell whether stops were left alone for want of knowing that the account does not net."""
    is_by_mode = isinstance(plan, Skipped) and plan.reason is SkipReason.STOPS_OFF
    is_known = scene.knows_mode(follower.account.id)
    return is_by_mode and not is_known and follower.terms.copies_stops


def is_opening(event: CopyEvent) -> bool:
    return event.kind in (EventKind.OPEN, EventKind.PENDING_PLACED)
