"""The parameters of the rules that set a floor under the equity."""

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from risk.core.fields import FieldReader
from risk.core.parameters.base import CommonFields, DayParameters
from risk.core.rule_types import AmountKind, Comparison, DrawdownKind, Lock, Reference, RuleType


@dataclass(frozen=True, slots=True, kw_only=True)
class LossParameters(DayParameters):
    """What both loss rules have."""

    amount_kind: AmountKind = AmountKind.FRACTION_OF_INITIAL
    comparison: Comparison = Comparison.AT_OR_BELOW
    withdrawals_move_floor: bool = True


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


def read_daily_loss(fields: FieldReader, common: CommonFields) -> MaxDailyLoss:
    return MaxDailyLoss(
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        amount_kind=read_amount_kind(fields, common.limit),
        reference=fields.choice("reference", Reference, Reference.BALANCE),
        comparison=fields.choice("comparison", Comparison, Comparison.AT_OR_BELOW),
        withdrawals_move_floor=fields.flag("withdrawals_move_floor", default=True),
        reset_time=fields.clock_time("reset_time"),
        reset_zone=fields.zone("reset_zone"),
    )


def read_drawdown(fields: FieldReader, common: CommonFields) -> MaxDrawdown:
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
        limit=common.limit,
        thresholds=common.thresholds,
        magic=common.magic,
        amount_kind=read_amount_kind(fields, common.limit),
        kind=kind,
        lock=lock,
        lock_offset=offset if offset is not None else Decimal(0),
        comparison=fields.choice("comparison", Comparison, Comparison.AT_OR_BELOW),
        withdrawals_move_floor=fields.flag("withdrawals_move_floor", default=True),
        reset_time=fields.clock_time("reset_time"),
        reset_zone=fields.zone("reset_zone"),
    )


def read_amount_kind(fields: FieldReader, limit: Decimal) -> AmountKind:
    kind = fields.choice("amount_kind", AmountKind, AmountKind.FRACTION_OF_INITIAL)
    if kind is not AmountKind.MONEY and limit > 1:
        fields.reject("limit", "Give a fraction between 0 and 1, for example 0.05 for 5 %.")
    return kind
