"""How bad it is, and why it may not be known."""

from collections.abc import Iterable
from enum import IntEnum


class Status(IntEnum):
    """State of a rule, an account or a group; the value is its severity."""

    SAFE = 0
    CAUTION = 1
    UNKNOWN = 2
    CRITICAL = 3
    VIOLATED = 4

    @property
    def text(self) -> str:
        return self.name.lower()


class Reason(IntEnum):
    """Why a pair of rule and account has no number."""

    NONE = 0
    NO_READING = 1
    NO_INITIAL_BALANCE = 2
    NO_DAY_START = 3  # the day's reference was never taken, and can't be worked out
    RESET_MISSED = 4  # a reset passed unseen, and its equity could not be worked out (yet)
    NO_PEAK = 5
    NO_VALUE = 6  # the reading lacks a number that this rule needs
    NO_LIMIT = 7  # the amount works out at zero or less
    NO_MARGIN = 8  # not unknown: nothing is open, so there is no margin level
    NO_HISTORY = 9  # the deals that this rule counts are not known (yet)
    NO_CORRELATION = 10  # too few daily returns of a held symbol
    NO_CURRENCIES = 11  # the currencies of a held symbol are not known
    NO_CALENDAR = 12  # no news calendar reaches over the present
    NO_MOMENT = 13  # the evaluation was not told what time it is
    NO_OWNER = 14  # whose account it is, and so whose calendar counts, is not known
    NO_MEMBER = 15  # another account is part of it, and what that one holds is not known
    NOTHING_OPEN = 16  # not unknown: nothing is open that could be in the way
    NO_PROFIT = 17  # nothing was won yet, so there is nothing to share out


def status_from_text(text: str) -> Status:
    """Return the status called `text` ("safe", "caution", ...); ValueError when there is none."""
    try:
        return Status[text.upper()]
    except KeyError:
        raise ValueError(f"{text!r} is not a status.") from None


def worst(statuses: Iterable[Status]) -> Status:
    """Return the most severe of `statuses`, safe when there is none."""
    return max(statuses, default=Status.SAFE)
