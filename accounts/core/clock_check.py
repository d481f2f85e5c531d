"""Does the broker's clock agree with the zone that an account says it keeps?

The newest tick is the only clock that a broker shows. It tells the time only while ticks come: what
a terminal catches up on after a login, and the last price before a weekend, are old. So an offset
counts once ticks have confirmed it for a while, and is forgotten when they stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt

from accounts.core.zones import broker_zone

CONFIRMED_AFTER_SECONDS = 10.0
# Ticks arrive late by this much, and not always by the same.
SPREAD_SECONDS = 5.0
QUIET_AFTER_SECONDS = 60.0

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_STATE_DTYPE = np.dtype(
    [
        ("tick_msc", "<i8"),  # newest tick seen, 0 = none yet
        ("anchor", "<f8"),  # the offset that ticks have shown since `anchored_at`
        ("anchored_at", "<f8"),  # monotonic seconds, NaN = never
        ("offset", "<f8"),  # the newest offset, of the last tick that moved
        ("moved_at", "<f8"),  # monotonic seconds
    ]
)


@dataclass(frozen=True, slots=True)
class WatchedClock:
    """Whose clock it is, and the zone that it should keep; another login is another clock."""

    account_id: UUID
    server: str
    login: int
    zone: str


class ClockWatch:
    """Follows the clocks of one host's brokers, all accounts at once."""

    def __init__(self) -> None:
        self._clocks: Sequence[WatchedClock] = ()
        self._state = _blank(0)
        self._zones: tuple[str, ...] = ()
        self._zone_of: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)

    def watch(self, clocks: Sequence[WatchedClock]) -> None:
        """Follow these from now on, in this order; what is known of a clock that stays is kept."""
        known = {clock: row for row, clock in enumerate(self._clocks)}
        before = [known.get(clock, -1) for clock in clocks]
        state = _blank(len(clocks))
        kept = [row for row, place in enumerate(before) if place >= 0]
        state[kept] = self._state[[before[row] for row in kept]]
        self._clocks, self._state = clocks, state
        self._zones = tuple(dict.fromkeys(clock.zone for clock in clocks))
        number = {zone: place for place, zone in enumerate(self._zones)}
        self._zone_of = np.array([number[clock.zone] for clock in clocks], dtype=np.intp)

    def offsets(self, tick_msc: Integers, is_new: Flags, now: datetime, monotonic: float) -> Floats:
        """Return by how many seconds each broker's clock is ahead of its zone, NaN = not known.

        `tick_msc` is the newest tick of each account by its broker's clock; `is_new` tells which
        were read just now.
        """
        state = self._state
        has_moved = is_new & (state["tick_msc"] > 0) & (tick_msc > state["tick_msc"])
        state["tick_msc"][is_new] = tick_msc[is_new]
        if has_moved.any():
            zone_seconds = np.array([_utc_offset(zone, now) for zone in self._zones])
            shown = tick_msc / 1000.0 - now.timestamp() - zone_seconds[self._zone_of]
            self._note(shown, has_moved, monotonic)
        is_moving = monotonic - state["moved_at"] <= QUIET_AFTER_SECONDS
        is_steady = state["moved_at"] - state["anchored_at"] >= CONFIRMED_AFTER_SECONDS
        return np.where(is_moving & is_steady, state["offset"], np.nan)

    def _note(self, shown: Floats, has_moved: Flags, monotonic: float) -> None:
        state = self._state
        is_silent_for_long = ~(monotonic - state["moved_at"] <= QUIET_AFTER_SECONDS)
        is_other = ~(np.abs(shown - state["anchor"]) <= SPREAD_SECONDS)
        begins_anew = has_moved & (is_other | is_silent_for_long)
        state["anchor"][begins_anew] = shown[begins_anew]
        state["anchored_at"][begins_anew] = monotonic
        state["offset"][has_moved] = shown[has_moved]
        state["moved_at"][has_moved] = monotonic


def _blank(count: int) -> npt.NDArray[np.void]:
    state = np.zeros(count, dtype=_STATE_DTYPE)
    for name in ("anchor", "anchored_at", "offset", "moved_at"):
        state[name] = np.nan
    return state


def _utc_offset(zone: str, now: datetime) -> float:
    offset = now.astimezone(UTC).astimezone(broker_zone(zone)).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0
