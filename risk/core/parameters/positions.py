"""The parameters of the rules on what is open at the moment."""

from dataclasses import dataclass
from typing import ClassVar

from risk.core.fields import FieldReader
from risk.core.parameters.base import CommonFields, HeldParameters, read_hold_seconds
from risk.core.rule_types import Comparison, ExposureOf, RuleType


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLevel(HeldParameters):
    """`limit` is in percent, as MetaTrader shows the margin level."""

    rule_type: ClassVar[RuleType] = RuleType.MARGIN_LEVEL
    comparison: Comparison = Comparison.AT_OR_BELOW


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPositionSize(HeldParameters):
    """`limit` is in lots per symbol and direction; no symbols means every symbol."""

    rule_type: ClassVar[RuleType] = RuleType.MAX_POSITION_SIZE
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLimit(HeldParameters):
    rule_type: ClassVar[RuleType] = RuleType.POSITION_LIMIT
    include_pending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxLeverage(HeldParameters):
    rule_type: ClassVar[RuleType] = RuleType.MAX_LEVERAGE
    gross: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxExposure(HeldParameters):
    """`limit` is |net notional| of one symbol or currency as a multiple of the equity."""

    rule_type: ClassVar[RuleType] = RuleType.MAX_EXPOSURE
    exposure_of: ExposureOf = ExposureOf.SYMBOL
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxCorrelation(HeldParameters):
    """`limit` is a coefficient from 0 to 1 between two open positions, adjusted for direction."""

    rule_type: ClassVar[RuleType] = RuleType.MAX_CORRELATION


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPerTrade(HeldParameters):
    """`limit` is a fraction of the balance: what is lost at the stops, summed per symbol.

    A position without a stop is left to STOP_LOSS_REQUIRED.
    """

    rule_type: ClassVar[RuleType] = RuleType.RISK_PER_TRADE
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StopLossRequired(HeldParameters):
    """`limit` is in minutes since the position was opened."""

    rule_type: ClassVar[RuleType] = RuleType.STOP_LOSS_REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCrossHedging(HeldParameters):
    """No symbol in opposite directions across the accounts that the rule reaches together."""

    rule_type: ClassVar[RuleType] = RuleType.NO_CROSS_HEDGING


def read_margin_level(fields: FieldReader, common: CommonFields) -> MarginLevel:
    return MarginLevel(
        limit=common.limit,
        thresholds=common.thresholds,
        comparison=fields.choice("comparison", Comparison, Comparison.AT_OR_BELOW),
        hold_seconds=read_hold_seconds(fields),
    )


def read_position_size(fields: FieldReader, common: CommonFields) -> MaxPositionSize:
    return MaxPositionSize(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        symbols=fields.symbols("symbols"),
        hold_seconds=read_hold_seconds(fields),
    )


def read_position_limit(fields: FieldReader, common: CommonFields) -> PositionLimit:
    fields.check_whole("limit", common.limit)
    return PositionLimit(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        include_pending=fields.flag("include_pending", default=False),
        hold_seconds=read_hold_seconds(fields),
    )


def read_leverage(fields: FieldReader, common: CommonFields) -> MaxLeverage:
    return MaxLeverage(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        gross=fields.flag("gross", default=False),
        hold_seconds=read_hold_seconds(fields),
    )


def read_exposure(fields: FieldReader, common: CommonFields) -> MaxExposure:
    return MaxExposure(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        exposure_of=fields.choice("exposure_of", ExposureOf, ExposureOf.SYMBOL),
        symbols=fields.symbols("symbols"),
        hold_seconds=read_hold_seconds(fields),
    )


def read_correlation(fields: FieldReader, common: CommonFields) -> MaxCorrelation:
    if common.limit > 1:
        fields.reject("limit", "A correlation is at most 1, for example 0.8.")
    return MaxCorrelation(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        hold_seconds=read_hold_seconds(fields),
    )


def read_risk_per_trade(fields: FieldReader, common: CommonFields) -> RiskPerTrade:
    if common.limit > 1:
        fields.reject("limit", "Give a fraction between 0 and 1, for example 0.01 for 1 %.")
    return RiskPerTrade(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        symbols=fields.symbols("symbols"),
        hold_seconds=read_hold_seconds(fields),
    )


def read_stop_loss_required(fields: FieldReader, common: CommonFields) -> StopLossRequired:
    if common.limit > 1440:
        fields.reject("limit", "Give at most 1,440 minutes (one day).")
    return StopLossRequired(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        hold_seconds=read_hold_seconds(fields),
    )


def read_cross_hedging(fields: FieldReader, common: CommonFields) -> NoCrossHedging:
    if common.limit != 1:
        fields.reject("limit", "This rule has no limit to choose: it is 1 symbol.")
    return NoCrossHedging(
        limit=common.limit,
        thresholds=common.thresholds,
        hold_seconds=read_hold_seconds(fields),
    )
