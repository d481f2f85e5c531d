"""When a user's quiet hours end.

They are meant by the clock on the user's wall, which jumps twice a year where summer time is kept.
A time that the clock skips is the moment at which it jumps; of one that comes twice, quiet hours
begin with the first and end with the second.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY = timedelta(days=1)


def quiet_until(
    moment: datetime, *, zone: str, begins: time | None, ends: time | None
) -> datetime | None:
    """Return when the quiet hours that `moment` lies in are over, in UTC; None outside of them.

    `begins` belongs to them, `ends` does not; over midnight when it comes first. None or the same
    time twice means that there are none. `zone` is an IANA name; an unknown one counts as UTC.
    """
    if begins is None or ends is None or begins == ends:
        return None
    wall = _zone(zone)
    today = moment.astimezone(wall).date()
    until: datetime | None = None
    # Where the clock is set back, hours that leave hardly a gap may reach into the next ones.
    for day in (today - DAY, today, today + DAY):
        start = _instant(day, begins, wall, is_end=False)
        end = _instant(day if begins < ends else day + DAY, ends, wall, is_end=True)
        if start <= moment < end or (until is not None and start < until < end):
            until = end
    return until


def _instant(day: date, at: time, zone: ZoneInfo, *, is_end: bool) -> datetime:
    """Return when a clock on the wall shows this time."""
    shown = datetime.combine(day, at, tzinfo=zone)
    first, last = sorted(shown.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    is_skipped = first.astimezone(zone).replace(tzinfo=None) != shown.replace(tzinfo=None)
    if first != last and is_skipped:
        return _jump_between(first, last, zone)
    return last if is_end else first


def _jump_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the second at which the clock jumps, which lies after `before` and not after `after`.

    Found by halving: zones tell their offset at a moment, not the moments at which it changes.
    """
    low, high = int(before.timestamp()), int(after.timestamp())
    offset = after.astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return datetime.fromtimestamp(high, UTC)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
