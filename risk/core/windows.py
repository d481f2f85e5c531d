"""The times at which nothing may be open: how many minutes are left until they begin."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import numpy as np

from accounts.core.zones import broker_zone, reset_instant
from risk.core.arrays import Floats
from risk.core.parameters import TradingWindow
from risk.core.rule_types import Importance, WindowKind
from risk.core.surroundings import Calendar

_IMPORTANCES = tuple(Importance)
_DAY_SECONDS = 86_400
# Enough for the weekly window that runs, and the next one even when a clock change swallows one.
_DAYS_AROUND = range(-8, 17)


@dataclass(frozen=True, slots=True)
class ClockWindow:
    """A window that comes back every day, or every week where it names weekdays (Monday is 0).

    It runs from the first moment up to, not including, the second one, by the wall clock of a zone
    (a name for `broker_zone`).
    """

    from_time: time
    until_time: time
    from_weekday: int | None
    until_weekday: int | None
    zone: str

    def days_long(self) -> int:
        """Return on which day after its beginning it ends."""
        if self.from_weekday is None or self.until_weekday is None:
            return int(self.until_time <= self.from_time)
        days = (self.until_weekday - self.from_weekday) % 7
        return 7 if days == 0 and self.until_time <= self.from_time else days


@dataclass(frozen=True, slots=True)
class NewsWindow:
    """The time around each event of some currencies (none named: all) and importance."""

    minutes: float
    currencies: frozenset[str]
    min_importance: Importance

    def concerns(self, currency: str, importance: Importance) -> bool:
        is_important = _IMPORTANCES.index(importance) >= _IMPORTANCES.index(self.min_importance)
        return is_important and (not self.currencies or currency in self.currencies)


Window = ClockWindow | NewsWindow


def window_of(rule: TradingWindow, broker_zone_name: str) -> Window:
    """Return when a rule wants an account flat; without a zone by its broker's clock."""
    if rule.kind is WindowKind.NEWS or rule.from_time is None or rule.until_time is None:
        return NewsWindow(float(rule.limit), frozenset(rule.currencies), rule.min_importance)
    is_weekly = rule.kind is WindowKind.WEEKEND
    return ClockWindow(
        from_time=rule.from_time,
        until_time=rule.until_time,
        from_weekday=rule.from_weekday if is_weekly else None,
        until_weekday=rule.until_weekday if is_weekly else None,
        zone=rule.zone or broker_zone_name,
    )


def minutes_until(window: ClockWindow, moment: float) -> float:
    """Return the minutes from `moment` until the window begins; negative since when it runs."""
    starts, ends = _occurrences(window, int(moment // _DAY_SECONDS))
    ahead = int(np.searchsorted(ends, moment, side="right"))
    return float(starts[ahead] - moment) / 60


def covers(calendar: Calendar | None, window: NewsWindow, moment: float) -> bool:
    """Tell whether a calendar knows every event whose window could be running at `moment`."""
    if calendar is None:
        return False
    around = window.minutes * 60
    return calendar.covers_from <= moment - around and moment + around <= calendar.covers_until


def minutes_until_news(
    window: NewsWindow, calendar: Calendar, currencies: Sequence[str], moment: float
) -> list[float]:
    """Return for each currency the minutes until the window around its next event begins.

    Negative since when such a window runs, infinite where the calendar has no further event.
    """
    around = window.minutes * 60
    minutes = []
    for currency in currencies:
        times = _event_times(window, calendar, currency)
        ahead = bisect_right(times, moment - around)
        minutes.append((times[ahead] - around - moment) / 60 if ahead < len(times) else math.inf)
    return minutes


@lru_cache(maxsize=65_536)
def _event_times(window: NewsWindow, calendar: Calendar, currency: str) -> list[float]:
    return sorted(
        event.at
        for event in calendar.events
        if event.currency == currency and window.concerns(currency, event.importance)
    )


@lru_cache(maxsize=1024)
def _occurrences(window: ClockWindow, day: int) -> tuple[Floats, Floats]:
    """Return when the windows around a UTC day (days since the epoch) begin and end.

    A window that a clock change swallows whole, for it lies in the hour that is skipped, is left
    out.
    """
    zone = broker_zone(window.zone)
    centre = datetime.fromtimestamp(day * _DAY_SECONDS, UTC).date()
    length = timedelta(days=window.days_long())
    starts, ends = [], []
    for days in _DAYS_AROUND:
        first: date = centre + timedelta(days=days)
        if window.from_weekday is not None and first.weekday() != window.from_weekday:
            continue
        start = reset_instant(first, window.from_time, zone).timestamp()
        end = reset_instant(first + length, window.until_time, zone).timestamp()
        if end > start:
            starts.append(start)
            ends.append(end)
    return np.array(starts), np.array(ends)
