"""How well an account's connection holds, worked out from the log of its changes.

Pure. Only time in which somebody wanted the account connected counts: a disconnect that a person
asked for is no downtime, and before the account existed nothing is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WINDOWS = {
    "5m": timedelta(minutes=5),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "1w": timedelta(weeks=1),
}
LONGEST_WINDOW = max(WINDOWS.values())
LAST_ERRORS = 5
_DISCONNECTED, _CONNECTED, _ERROR = "disconnected", "connected", "error"


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the connection log; the states are values of ConnectionState.

    `read_until` is when the account was last read before this change, None when nobody noted it: a
    worker that died leaves "connected" behind until the next one begins.
    """

    at: datetime
    from_state: str
    to_state: str
    reason: str = ""
    message: str = ""
    read_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Uptime:
    """One window; the fraction is None when the account was not wanted at all in it."""

    window: str
    wanted_seconds: float
    connected_seconds: float
    reconnects: int
    failures: int

    @property
    def uptime_fraction(self) -> float | None:
        if self.wanted_seconds <= 0.0:
            return None
        return self.connected_seconds / self.wanted_seconds


@dataclass(frozen=True, slots=True)
class Health:
    uptimes: tuple[Uptime, ...]
    last_errors: tuple[Change, ...]  # newest first


@dataclass(frozen=True, slots=True)
class _Period:
    """A stretch in which the account was wanted; connected from its beginning, or not."""

    begin: datetime
    end: datetime
    is_connected: bool


def health_of(
    changes: Sequence[Change],
    *,
    state: str,
    created_at: datetime,
    read_until: datetime | None,
    now: datetime,
) -> Health:
    """Work out the health of an account from its changes, oldest first.

    `state` is the present one, and `read_until` tells until when readings have proven it. The
    changes must reach back as far as the longest window; what was before is told by the first one.
    """
    changes = [change for change in changes if change.at <= now]
    periods = _periods(changes, state, created_at, read_until, now)
    uptimes = tuple(
        _uptime(name, now - length, periods, changes) for name, length in WINDOWS.items()
    )
    errors = [change for change in reversed(changes) if change.to_state == _ERROR]
    return Health(uptimes, tuple(errors[:LAST_ERRORS]))


def _periods(
    changes: Sequence[Change],
    state: str,
    created_at: datetime,
    read_until: datetime | None,
    now: datetime,
) -> list[_Period]:
    present = changes[0].from_state if changes else state
    periods: list[_Period] = []
    begin = created_at
    for change in changes:
        periods += _stretch(present, begin, max(change.at, begin), change.read_until)
        present, begin = change.to_state, max(change.at, begin)
    return [*periods, *_stretch(present, begin, max(now, begin), read_until)]


def _stretch(
    state: str, begin: datetime, end: datetime, read_until: datetime | None
) -> list[_Period]:
    if state == _DISCONNECTED:
        return []
    if state != _CONNECTED:
        return [_Period(begin, end, is_connected=False)]
    proven = end if read_until is None else min(max(read_until, begin), end)
    return [_Period(begin, proven, is_connected=True), _Period(proven, end, is_connected=False)]


def _uptime(
    window: str, since: datetime, periods: Sequence[_Period], changes: Sequence[Change]
) -> Uptime:
    inside = [
        ((period.end - max(period.begin, since)).total_seconds(), period.is_connected)
        for period in periods
        if period.end > since
    ]
    recent = [change for change in changes if change.at > since]
    return Uptime(
        window=window,
        wanted_seconds=sum(seconds for seconds, _ in inside),
        connected_seconds=sum(seconds for seconds, is_connected in inside if is_connected),
        reconnects=sum(
            (change.from_state, change.to_state) == (_ERROR, _CONNECTED) for change in recent
        ),
        failures=sum(
            change.to_state == _ERROR and change.from_state != _ERROR for change in recent
        ),
    )
