"""Clocks: the broker's wall clock, and the instants at which a trading day begins.

MetaTrader 5 reports times as the broker's wall clock written as if it were a UTC epoch, and most
forex brokers keep "New York plus seven hours", so that their day ends with New York's afternoon.
A clock therefore is a zone, never a fixed offset: both zones and brokers follow daylight saving.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_SHIFTED_NAME = re.compile(r"(?P<base>.+?)(?P<sign>[+-])(?P<hours>\d{1,2})h")
_LARGEST_SHIFT_HOURS = 14
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE_DAY = timedelta(days=1)
# Two halves of a year: whatever daylight saving does, one of them shows the larger offset.
_SAMPLE_INSTANTS = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))


class ShiftedZone(tzinfo):
    """A zone whose wall clock is another zone's wall clock plus whole hours.

    Daylight saving follows the other zone: New York plus seven hours is UTC+2 in the winter and
    UTC+3 in the summer of New York, not of Europe.
    """

    def __init__(self, base: ZoneInfo, hours: int) -> None:
        self._base = base
        self._hours = hours
        self._shift = timedelta(hours=hours)

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        if moment is None:
            return None
        offset = self._in_base(moment).utcoffset()
        return None if offset is None else offset + self._shift

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else self._in_base(moment).dst()

    def tzname(self, moment: datetime | None) -> str | None:  # noqa: ARG002 (signature of tzinfo)
        return str(self)

    def fromutc(self, moment: datetime) -> datetime:
        in_base = moment.replace(tzinfo=UTC).astimezone(self._base)
        wall = in_base.replace(tzinfo=None, fold=0) + self._shift
        return wall.replace(tzinfo=self, fold=in_base.fold)

    def _in_base(self, moment: datetime) -> datetime:
        wall = moment.replace(tzinfo=None, fold=0) - self._shift
        return wall.replace(tzinfo=self._base, fold=moment.fold)

    def __str__(self) -> str:
        return f"{self._base.key}{self._hours:+d}h"

    def __repr__(self) -> str:
        return f"broker_zone({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShiftedZone) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[Callable[[str], tzinfo], tuple[str]]:
        return broker_zone, (str(self),)


@lru_cache(maxsize=1024)
def broker_zone(name: str) -> tzinfo:
    """Return the zone called `name`: an IANA name, or one shifted as in "America/New_York+7h".

    Raises ValueError with a sentence for the user when there is no such zone.
    """
    shifted = _SHIFTED_NAME.fullmatch(name)
    if shifted is None:
        return _iana_zone(name)
    base = _iana_zone(shifted["base"])
    hours = int(shifted["sign"] + shifted["hours"])
    zone = ShiftedZone(base, hours)
    try:
        for instant in _SAMPLE_INSTANTS:
            instant.astimezone(zone).utcoffset()
        too_far = abs(hours) > _LARGEST_SHIFT_HOURS
    except ValueError:
        too_far = True
    if too_far:
        raise ValueError(f"{name!r} is shifted too far: no clock is that far from UTC.")
    return zone


def to_broker_epoch(utc: float, zone: tzinfo) -> float:
    """Write the instant `utc` (epoch seconds) as the broker's wall clock in epoch seconds.

    In the hour that a clock repeats in autumn two instants give the same result.
    """
    instant = _EPOCH + timedelta(seconds=math.floor(utc))
    return utc + _offset_seconds(instant.astimezone(zone))


def from_broker_epoch(epoch: float, zone: tzinfo) -> float:
    """Return the instant (epoch seconds) at which the broker's wall clock showed `epoch`.

    A wall clock time that occurs twice is taken as its first occurrence; one that is skipped is
    read with the offset of before the change, so that it lies as far after the change as it
    would have been after the last valid moment.
    """
    wall = (_EPOCH + timedelta(seconds=math.floor(epoch))).replace(tzinfo=zone)
    return epoch - _offset_seconds(wall)


def reset_instant(day: date, reset_time: time, zone: tzinfo) -> datetime:
    """Return the UTC instant at which `reset_time` happens on the local date `day`.

    A time that occurs twice that day happens at its first occurrence, a time that is skipped
    at the first valid moment after it (the whole day may be skipped: then on the next).
    """
    wall = datetime.combine(day, reset_time.replace(tzinfo=None, fold=0)).replace(tzinfo=zone)
    instant = wall.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None, fold=0) == wall.replace(tzinfo=None):
        return instant
    return _clock_change(wall.replace(fold=1).astimezone(UTC), instant, zone)


def trading_day_start(now_utc: datetime, reset_time: time, zone: tzinfo) -> datetime:
    """Return the UTC instant of the last reset at or before `now_utc` (which must be aware)."""
    today = _local_date(now_utc, zone)
    # Tomorrow's reset may be behind us where the clock was set back over midnight.
    for days in (1, 0, -1):
        instant = reset_instant(today + days * _ONE_DAY, reset_time, zone)
        if instant <= now_utc:
            return instant
    return reset_instant(today - 2 * _ONE_DAY, reset_time, zone)


def next_reset(now_utc: datetime, reset_time: time, zone: tzinfo) -> datetime:
    """Return the UTC instant of the first reset after `now_utc` (which must be aware)."""
    today = _local_date(now_utc, zone)
    for days in (-1, 0, 1):
        instant = reset_instant(today + days * _ONE_DAY, reset_time, zone)
        if instant > now_utc:
            return instant
    return reset_instant(today + 2 * _ONE_DAY, reset_time, zone)


def _iana_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f"{name!r} is not a known time zone. Use a name such as Europe/Prague, "
            "or America/New_York+7h for New York plus seven hours."
        ) from None


def _offset_seconds(moment: datetime) -> float:
    offset = moment.utcoffset()
    if offset is None:  # pragma: no cover (a tzinfo without an offset is no clock)
        raise ValueError(f"The zone {moment.tzinfo} has no offset.")
    return offset.total_seconds()


def _local_date(now_utc: datetime, zone: tzinfo) -> date:
    if now_utc.tzinfo is None:
        raise ValueError("The present moment must carry a time zone.")
    return now_utc.astimezone(zone).date()


def _clock_change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """Find the second at which the clock of `zone` jumps forward between two UTC instants."""
    old_offset = before.astimezone(zone).utcoffset()
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == old_offset:
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)
