"""The hours in which a relationship opens trades, by the wall clock of its zone."""

from datetime import datetime, time
from functools import lru_cache

from accounts.core.zones import broker_zone


def is_within(now: datetime, start: time | None, end: time | None, zone: str) -> bool:
    """Tell whether `now` (aware) lies between `start` and, not including it, `end`.

    Hours that end before they start run over midnight; equal ends are the whole day. By the wall
    clock: an hour that a clock repeats counts twice, one that it skips not at all.
    """
    if start is None or end is None or start == end:
        return True
    clock = local_time(now, zone)
    if start < end:
        return start <= clock < end
    return clock >= start or clock < end


@lru_cache(maxsize=256)
def local_time(now: datetime, zone: str) -> time:
    return now.astimezone(broker_zone(zone)).time()
