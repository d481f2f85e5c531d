"""What the parameters of all rule types have in common."""

from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import ClassVar, Final

from risk.core.fields import FieldReader
from risk.core.rule_types import RuleType

DEFAULT_HOLD_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The buffers (fractions of the limit) at or below which a rule is cautious or critical."""

    caution: float = 0.30
    critical: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleParameters:
    """What every rule has: a limit in its own unit and the thresholds of its statuses.

    With a `magic` number only the positions, orders and deals of that strategy count.
    """

    rule_type: ClassVar[RuleType]
    limit: Decimal
    thresholds: Thresholds = Thresholds()
    magic: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldParameters(RuleParameters):
    """What is over by itself once it was inside the limit for `hold_seconds`."""

    hold_seconds: float = DEFAULT_HOLD_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class DayParameters(RuleParameters):
    """What counts by trading days; without a reset of its own a rule follows its account's day."""

    reset_time: time | None = None
    reset_zone: str | None = None


@dataclass(frozen=True, slots=True)
class CommonFields:
    """The fields that every type has, read once."""

    limit: Decimal
    thresholds: Thresholds
    magic: int | None


def read_hold_seconds(fields: FieldReader) -> float:
    seconds = fields.number("hold_seconds")
    if seconds is None:
        return DEFAULT_HOLD_SECONDS
    if not 0 <= seconds <= 86_400:
        fields.reject("hold_seconds", "Give seconds between 0 and 86,400 (one day).")
    return float(seconds)
