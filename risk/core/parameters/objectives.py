"""The parameters of what a firm wants to see reached; none of it ever violates anything."""

from dataclasses import dataclass
from typing import ClassVar

from risk.core.fields import FieldReader
from risk.core.parameters.base import CommonFields, DayParameters
from risk.core.parameters.losses import read_amount_kind
from risk.core.rule_types import AmountKind, ConsistencyBasis, RuleType


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective(DayParameters):
    """What all objectives have in common."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfitTarget(Objective):
    """`limit` is a fraction of the initial balance, or money above it."""

    rule_type: ClassVar[RuleType] = RuleType.PROFIT_TARGET
    amount_kind: AmountKind = AmountKind.FRACTION_OF_INITIAL


@dataclass(frozen=True, slots=True, kw_only=True)
class MinTradingDays(Objective):
    """`limit` is how many days need a position that was opened on them."""

    rule_type: ClassVar[RuleType] = RuleType.MIN_TRADING_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Consistency(Objective):
    """`limit` is the largest fraction that the best day may be of the profit."""

    rule_type: ClassVar[RuleType] = RuleType.CONSISTENCY
    basis: ConsistencyBasis = ConsistencyBasis.TOTAL_PROFIT


def read_profit_target(fields: FieldReader, common: CommonFields) -> ProfitTarget:
    kind = read_amount_kind(fields, common.limit)
    if kind is AmountKind.FRACTION_OF_REFERENCE:
        fields.reject("amount_kind", "A target is counted from the initial balance, or in money.")
    return ProfitTarget(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        amount_kind=kind,
        reset_time=fields.clock_time("reset_time"),
        reset_zone=fields.zone("reset_zone"),
    )


def read_trading_days(fields: FieldReader, common: CommonFields) -> MinTradingDays:
    fields.check_whole("limit", common.limit)
    return MinTradingDays(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        reset_time=fields.clock_time("reset_time"),
        reset_zone=fields.zone("reset_zone"),
    )


def read_consistency(fields: FieldReader, common: CommonFields) -> Consistency:
    if common.limit > 1:
        fields.reject("limit", "Give a fraction between 0 and 1, for example 0.5 for 50 %.")
    return Consistency(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        basis=fields.choice("basis", ConsistencyBasis, ConsistencyBasis.TOTAL_PROFIT),
        reset_time=fields.clock_time("reset_time"),
        reset_zone=fields.zone("reset_zone"),
    )
