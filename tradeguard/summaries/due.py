"""When somebody's day is summed up: at a time of their own, in their own zone."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from accounts.core.zones import reset_instant

# Whatever kept the workers away: what is later than this says little of that day.
LATEST = timedelta(hours=6)
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Due:
    """The summary of the local date `day`: what happened from `since` until `until`."""

    day: date
    since: datetime
    until: datetime


def summary_due(
    now: datetime,
    *,
    zone: tzinfo,
    summary_at: time,
    summarised_on: date | None,
    known_since: datetime,
) -> Due | None:
    """Return what is due at `now`, once per local date; None while nothing is.

    `known_since` is since when there is something to sum up: a day that ended before has no
    summary. A time that the clocks skip is due at the first moment after it.
    """
    today = now.astimezone(zone).date()
    for day in (today, today - _ONE_DAY):
        until = reset_instant(day, summary_at, zone)
        if until > now:
            continue
        is_told = summarised_on is not None and summarised_on >= day
        if is_told or now - until >= LATEST or known_since > until:
            return None
        return Due(day, reset_instant(day - _ONE_DAY, summary_at, zone), until)
    return None
