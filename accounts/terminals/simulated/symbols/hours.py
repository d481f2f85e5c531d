"""Trading hours: when in a week a symbol is quoted and traded, on the broker's clock."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DAY = 86_400
WEEK = 7 * DAY
HOUR = 3_600
MINUTE = 60
# 1970-01-01 was a Thursday, and MetaTrader's weeks begin on Sunday.
_EPOCH_DAY_OF_WEEK = 4

SUNDAY, MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY = range(7)
WORKDAYS = (MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY)


def day_of_week(server_seconds: int) -> int:
    """Return MetaTrader's day of the week (Sunday is 0) of a moment on the broker's clock."""
    return (server_seconds // DAY + _EPOCH_DAY_OF_WEEK) % 7


def time_of_week(server_seconds: int) -> int:
    """Return the seconds since Sunday 00:00 of the broker's clock."""
    return (server_seconds + _EPOCH_DAY_OF_WEEK * DAY) % WEEK


@dataclass(frozen=True, slots=True)
class WeeklyHours:
    """The sessions of a week: (start, end) in seconds since Sunday 00:00, end exclusive, sorted."""

    sessions: tuple[tuple[int, int], ...]

    def is_open(self, server_seconds: int) -> bool:
        moment = time_of_week(server_seconds)
        return any(start <= moment < end for start, end in self.sessions)

    @property
    def open_seconds(self) -> int:
        """How many seconds of a week are in session."""
        return sum(end - start for start, end in self.sessions)

    def touched(self, times: npt.NDArray[np.int64], seconds: int) -> npt.NDArray[np.bool_]:
        """Tell for each period that begins at ``times`` whether any of it is in session.

        A period lasts ``seconds`` and doesn't reach over Sunday 00:00.
        """
        moments = (times + _EPOCH_DAY_OF_WEEK * DAY) % WEEK
        touched = np.zeros(len(times), dtype=np.bool_)
        for start, end in self.sessions:
            touched |= (moments < end) & (moments + seconds > start)
        return touched


def daily(days: tuple[int, ...], *times: tuple[int, int]) -> WeeklyHours:
    """Return hours that are the same on several days; ``times`` are seconds of the day."""
    return WeeklyHours(
        tuple((day * DAY + start, day * DAY + end) for day in days for start, end in times)
    )


ALWAYS = WeeklyHours(((0, WEEK),))
FOREX_HOURS = daily(WORKDAYS, (2 * MINUTE, DAY - 2 * MINUTE))
METAL_HOURS = daily(WORKDAYS, (HOUR, DAY - 2 * MINUTE))
INDEX_HOURS = daily(WORKDAYS, (HOUR + 5 * MINUTE, DAY - 5 * MINUTE))
STOCK_HOURS = daily(WORKDAYS, (16 * HOUR + 30 * MINUTE, 23 * HOUR))
