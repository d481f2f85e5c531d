"""The parameters of each rule type, checked as they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from typing import ClassVar

from risk.core.fields import FieldReader, ParameterErrors
from risk.core.rule_types import (
    AmountKind,
    Comparison,
    DrawdownKind,
    Lock,
    Reference,
    RuleType,
)

__all__ = [
    "LossParameters",
    "MarginLevel",
    "MaxDailyLoss",
    "MaxDrawdown",
    "MaxLeverage",
    "MaxPositionSize",
    "ParameterErrors",
    "PositionLimit",
    "RuleParameters",
    "Thresholds",
    "parse_parameters",
]

DEFAULT_HOLD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The buffers (fractions of the limit) at or below which a rule is cautious or critical."""

    caution: float = 0.30
    critical: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleParameters:
    """What every rule has: a limit in its own unit and the thresholds of its statuses."""

    rule_type: ClassVar[RuleType]
    limit: Decimal
    thresholds: Thresholds = Thresholds()


@dataclass(frozen=True, slots=True, kw_only=True)
class LossParameters(RuleParameters):
    """What both loss rules have; without a reset of its own a rule follows its account's day."""

    amount_kind: AmountKind = AmountKind.FRACTION_OF_INITIAL
    comparison: Comparison = Comparison.AT_OR_BELOW
    withdrawals_move_floor: bool = True
    reset_time: time | None = None
    reset_zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxDailyLoss(LossParameters):
    rule_type: ClassVar[RuleType] = RuleType.MAX_DAILY_LOSS
    reference: Reference = Reference.BALANCE


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxDrawdown(LossParameters):
    """`lock_offset` is money above the initial balance; the reset is used by end-of-day only."""

    rule_type: ClassVar[RuleType] = RuleType.MAX_DRAWDOWN
    kind: DrawdownKind = DrawdownKind.STATIC
    lock: Lock = Lock.NONE
    lock_offset: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLevel(RuleParameters):
    """`limit` is in percent, as MetaTrader shows the margin level."""

    rule_type: ClassVar[RuleType] = RuleType.MARGIN_LEVEL
    comparison: Comparison = Comparison.AT_OR_BELOW
    hold_seconds: float = DEFAULT_HOLD_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxPositionSize(RuleParameters):
    """`limit` is in lots per symbol and direction; no symbols means every symbol."""

    rule_type: ClassVar[RuleType] = RuleType.MAX_POSITION_SIZE
    symbols: tuple[str, ...] = ()
    hold_seconds: float = DEFAULT_HOLD_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionLimit(RuleParameters):
    rule_type: ClassVar[RuleType] = RuleType.POSITION_LIMIT
    include_pending: bool = False
    hold_seconds: float = DEFAULT_HOLD_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxLeverage(RuleParameters):
    rule_type: ClassVar[RuleType] = RuleType.MAX_LEVERAGE
    gross: bool = False
    hold_seconds: float = DEFAULT_HOLD_SECONDS


def parse_parameters(
    rule_type: RuleType, limit: Decimal, raw: Mapping[str, object]
) -> RuleParameters:
    """Read the parameters of a rule from its limit and the plain values that a client sent.

    `raw` may carry the thresholds as `caution` and `critical`. Absent, None and "" mean the
    default. Raises ParameterErrors with one sentence for each wrong field.
    """
    fields = FieldReader(raw)
    limit = fields.positive_limit(limit)
    thresholds = _thresholds(fields)
    parameters: RuleParameters
    match rule_type:
        case RuleType.MAX_DAILY_LOSS:
            parameters = _daily_loss(fields, limit, thresholds)
        case RuleType.MAX_DRAWDOWN:
            parameters = _drawdown(fields, limit, thresholds)
        case RuleType.MARGIN_LEVEL:
            comparison = fields.choice("comparison", Comparison, Comparison.AT_OR_BELOW)
            hold = _hold_seconds(fields)
            parameters = MarginLevel(
                limit=limit, thresholds=thresholds, comparison=comparison, hold_seconds=hold
            )
        case RuleType.MAX_POSITION_SIZE:
            symbols, hold = fields.symbols("symbols"), _hold_seconds(fields)
            parameters = MaxPositionSize(
                limit=limit, thresholds=thresholds, symbols=symbols, hold_seconds=hold
            )
        case RuleType.POSITION_LIMIT:
            fields.check_whole("limit", limit)
            pending, hold = fields.flag("include_pending", default=False), _hold_seconds(fields)
            parameters = PositionLimit(
                limit=limit, thresholds=thresholds, include_pending=pending, hold_seconds=hold
            )
        case RuleType.MAX_LEVERAGE:
            gross, hold = fields.flag("gross", default=False), _hold_seconds(fields)
            parameters = MaxLeverage(
                limit=limit, thresholds=thresholds, gross=gross, hold_seconds=hold
            )
    fields.finish()
    return parameters


def _daily_loss(fields: FieldReader, limit: Decimal, thresholds: Thresholds) -> MaxDailyLoss:
    return MaxDailyLoss(
        limit=limit,
        thresholds=thresholds,
        amount_kind=_amount_kind(fields, limit),
        reference=fields.choice("reference", Reference, Reference.BALANCE),
        comparison=fields.choice("comparison", Comparison, Comparison.AT_OR_BELOW),
        withdrawals_move_floor=fields.flag("withdrawals_move_floor", default=True),
        reset_time=fields.clock_time("reset_time"),
        reset_zone=fields.zone("reset_zone"),
    )


def _drawdown(fields: FieldReader, limit: Decimal, thresholds: Thresholds) -> MaxDrawdown:
    kind = fields.choice("kind", DrawdownKind, DrawdownKind.STATIC)
    lock = fields.choice("lock", Lock, Lock.NONE)
    offset = fields.number("lock_offset")
    if lock is not Lock.NONE and kind is DrawdownKind.STATIC:
        fields.reject("lock", "A static maximum loss never rises, so it has nothing to lock.")
    if lock is Lock.AT_OFFSET and offset is None:
        fields.reject("lock_offset", "Say how far above the initial balance the floor locks.")
    if lock is not Lock.AT_OFFSET and offset is not None:
        fields.reject("lock_offset", "An offset is used only with the lock at_offset.")
    return MaxDrawdown(
        limit=limit,
        thresholds=thresholds,
        amount_kind=_amount_kind(fields, limit),
        kind=kind,
        lock=lock,
        lock_offset=offset if offset is not None else Decimal(0),
        comparison=fields.choice("comparison", Comparison, Comparison.AT_OR_BELOW),
        withdrawals_move_floor=fields.flag("withdrawals_move_floor", default=True),
        reset_time=fields.clock_time("reset_time"),
        reset_zone=fields.zone("reset_zone"),
    )


def _amount_kind(fields: FieldReader, limit: Decimal) -> AmountKind:
    kind = fields.choice("amount_kind", AmountKind, AmountKind.FRACTION_OF_INITIAL)
    if kind is not AmountKind.MONEY and limit > 1:
        fields.reject("limit", "Give a fraction between 0 and 1, for example 0.05 for 5 %.")
    return kind


def _hold_seconds(fields: FieldReader) -> float:
    seconds = fields.number("hold_seconds")
    if seconds is None:
        return DEFAULT_HOLD_SECONDS
    if not 0 <= seconds <= 86_400:
        fields.reject("hold_seconds", "Give seconds between 0 and 86,400 (one day).")
    return float(seconds)


def _thresholds(fields: FieldReader) -> Thresholds:
    caution = fields.buffer_fraction("caution", Thresholds().caution)
    critical = fields.buffer_fraction("critical", Thresholds().critical)
    if critical > caution:
        fields.reject("critical", "Critical must not begin before caution does.")
    return Thresholds(caution, critical)
