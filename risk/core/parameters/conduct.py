"""The parameters of the rules on when and how often an account trades."""

from dataclasses import dataclass
from datetime import time
from typing import ClassVar

from risk.core.fields import FieldReader
from risk.core.parameters.base import (
    CommonFields,
    DayParameters,
    HeldParameters,
    RuleParameters,
    read_hold_seconds,
)
from risk.core.rule_types import Importance, RuleType, WindowKind

_MOST_MINUTES = 1440


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxDailyTrades(DayParameters):
    """`limit` is how many positions may be opened in one trading day."""

    rule_type: ClassVar[RuleType] = RuleType.MAX_DAILY_TRADES


@dataclass(frozen=True, slots=True, kw_only=True)
class Inactivity(RuleParameters):
    """`limit` is in days since the last trade."""

    rule_type: ClassVar[RuleType] = RuleType.INACTIVITY


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingWindow(HeldParameters):
    """When nothing may be open; `limit` is in minutes.

    For news it is the time before and after an event. For a daily or weekend window it is how long
    before its beginning the buffer of an account that holds something starts to shrink. A window
    runs from `from_time` until `until_time` in `zone`: daily over midnight when it ends earlier, at
    the weekend from that time on `from_weekday` until that time on `until_weekday` (Monday is 0).
    Without a zone it is the account's own.
    """

    rule_type: ClassVar[RuleType] = RuleType.TRADING_WINDOW
    kind: WindowKind = WindowKind.WEEKEND
    from_time: time | None = None
    until_time: time | None = None
    from_weekday: int = 4
    until_weekday: int = 6
    zone: str | None = None
    include_pending: bool = True
    currencies: tuple[str, ...] = ()
    min_importance: Importance = Importance.HIGH


def read_daily_trades(fields: FieldReader, common: CommonFields) -> MaxDailyTrades:
    fields.check_whole("limit", common.limit)
    return MaxDailyTrades(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        reset_time=fields.clock_time("reset_time"),
        reset_zone=fields.zone("reset_zone"),
    )


def read_inactivity(fields: FieldReader, common: CommonFields) -> Inactivity:
    if common.limit > 3650:
        fields.reject("limit", "Give at most 3,650 days.")
    return Inactivity(limit=common.limit, thresholds=common.thresholds, magic=common.magic)


def read_trading_window(fields: FieldReader, common: CommonFields) -> TradingWindow:
    if common.limit > _MOST_MINUTES:
        fields.reject("limit", "Give at most 1,440 minutes (one day).")
    kind = fields.choice("kind", WindowKind, WindowKind.WEEKEND)
    from_time, until_time = fields.clock_time("from_time"), fields.clock_time("until_time")
    from_day, until_day = fields.weekday("from_weekday"), fields.weekday("until_weekday")
    currencies = fields.currencies("currencies")
    importance = fields.choice("min_importance", Importance, Importance.HIGH)
    if kind is not WindowKind.NEWS:
        for name, moment in (("from_time", from_time), ("until_time", until_time)):
            if moment is None:
                fields.reject(name, 'Give the time of day as "HH:MM", for example "21:45".')
    if kind is WindowKind.DAILY and from_time is not None and from_time == until_time:
        fields.reject("until_time", "A window that ends when it begins would never let you trade.")
    return TradingWindow(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        kind=kind,
        from_time=from_time,
        until_time=until_time,
        from_weekday=4 if from_day is None else from_day,
        until_weekday=6 if until_day is None else until_day,
        zone=fields.zone("zone"),
        include_pending=fields.flag("include_pending", default=True),
        currencies=currencies,
        min_importance=importance,
        hold_seconds=read_hold_seconds(fields),
    )
