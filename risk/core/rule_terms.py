"""What a rule's parameters say for the columns of a table of pairs."""

import numpy as np

from risk.core.parameters import (
    DayParameters,
    Inactivity,
    LossParameters,
    MarginLevel,
    MaxDailyLoss,
    MaxDrawdown,
    MaxExposure,
    MaxPositionSize,
    NoCrossHedging,
    ProfitTarget,
    RiskPerTrade,
    RuleParameters,
)
from risk.core.rule_types import (
    ACTIVITY_RULES,
    AmountKind,
    Comparison,
    DrawdownKind,
    ExposureOf,
    Lock,
    Reference,
)


def has_amount(rule: RuleParameters, kind: AmountKind) -> bool:
    return isinstance(rule, LossParameters | ProfitTarget) and rule.amount_kind is kind


def is_counted(rule: RuleParameters) -> bool:
    of_strategy = isinstance(rule, LossParameters) and rule.magic is not None
    return of_strategy or rule.rule_type in ACTIVITY_RULES


def is_below(rule: RuleParameters) -> bool:
    """Tell whether the limit itself is allowed; it is for whatever is counted or measured.

    One symbol held against each other is the limit of a rule that allows none, and an account
    that has not traded for all of its days has become inactive.
    """
    if isinstance(rule, LossParameters | MarginLevel):
        return rule.comparison is Comparison.BELOW
    return not isinstance(rule, NoCrossHedging | Inactivity)


def moves_with_withdrawals(rule: RuleParameters) -> bool:
    return isinstance(rule, LossParameters) and rule.withdrawals_move_floor


def uses_reference(rule: RuleParameters, reference: Reference) -> bool:
    return isinstance(rule, MaxDailyLoss) and rule.reference in (reference, Reference.HIGHER)


def lock_offset(rule: RuleParameters) -> float:
    if not isinstance(rule, MaxDrawdown) or rule.lock is Lock.NONE:
        return np.inf
    return float(rule.lock_offset) if rule.lock is Lock.AT_OFFSET else 0.0


def named_symbols(rule: RuleParameters) -> frozenset[str]:
    if isinstance(rule, MaxPositionSize | MaxExposure | RiskPerTrade):
        return frozenset(rule.symbols)
    return frozenset()


def is_by_currency(rule: RuleParameters) -> bool:
    return isinstance(rule, MaxExposure) and rule.exposure_of is ExposureOf.CURRENCY


def has_day(rule: RuleParameters) -> bool:
    if isinstance(rule, MaxDrawdown) and rule.magic is None:
        return rule.kind is DrawdownKind.TRAILING_END_OF_DAY
    return isinstance(rule, DayParameters | Inactivity)
