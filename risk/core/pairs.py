"""The table of (rule, account) pairs: everything about them that no tick changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time, tzinfo
from typing import TypeVar

import numpy as np

from accounts.core.zones import broker_zone
from risk.core.arrays import Codes, Flags, Floats, Integers
from risk.core.parameters import (
    LossParameters,
    MarginLevel,
    MaxDailyLoss,
    MaxDrawdown,
    MaxLeverage,
    MaxPositionSize,
    PositionLimit,
    RuleParameters,
)
from risk.core.rule_types import AmountKind, Comparison, DrawdownKind, Lock, Reference, RuleType

RULE_TYPES = tuple(RuleType)
NO_CLOCK = -1

# A buffer is a quotient of doubles: a threshold is reached when it is missed by noise alone.
_BUFFER_NOISE = 1e-9

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day in a zone (a name for `broker_zone`) at which a trading day begins."""

    reset_time: time
    zone: str


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """What the rules need to know of an account; `initial_balance` is NaN when it is not known."""

    initial_balance: float
    broker_zone: str
    trading_day: Clock


@dataclass(frozen=True, slots=True)
class PairTable:
    """The pairs in the order of the core: by rule type, then as they were given.

    Every array has one element per pair. `source` holds each pair's place in the sequences that
    the table was built from, so `mine[table.source]` brings a column of the caller into the
    order of the table. `account_index` is the account's row in AccountColumns.
    """

    rules: tuple[RuleParameters, ...]
    accounts: int
    rule_index: Integers
    account_index: Integers
    source: Integers
    slices: Mapping[RuleType, slice]
    caution: Floats
    critical: Floats
    below: Flags
    hold_seconds: Floats
    fixed_amount: Floats
    reference_fraction: Floats
    initial_balance: Floats
    withdrawals_move: Floats
    uses_balance: Flags
    uses_equity: Flags
    drawdown_kind: Codes
    lock_level: Floats
    include_pending: Flags
    gross: Flags
    symbol_filters: tuple[frozenset[str], ...]
    symbol_filter: Integers
    clocks: tuple[Clock, ...]
    clock_index: Integers
    broker_zones: tuple[tzinfo, ...]
    broker_zone_index: Integers
    pairs_by_account: Integers = field(repr=False)
    account_starts: Integers = field(repr=False)

    def __len__(self) -> int:
        return len(self.rule_index)

    def rule_type(self, pair: int) -> RuleType:
        return self.rules[int(self.rule_index[pair])].rule_type

    def rule(self, pair: int) -> RuleParameters:
        return self.rules[int(self.rule_index[pair])]

    def slice_of(self, rule_type: RuleType) -> slice:
        return self.slices.get(rule_type, slice(0, 0))


DRAWDOWN_KINDS = tuple(DrawdownKind)
DRAWDOWN_CODE = {kind: code for code, kind in enumerate(DRAWDOWN_KINDS)}


def build_pairs(
    rules: Sequence[RuleParameters],
    accounts: Sequence[AccountTerms],
    rule_index: Integers,
    account_index: Integers,
) -> PairTable:
    """Build the table of the pairs (`rules[rule_index[i]]`, `accounts[account_index[i]]`).

    Build it again when a rule, an account's terms or an assignment changes; never per tick.
    """
    rule_index = np.asarray(rule_index, dtype=np.int64)
    account_index = np.asarray(account_index, dtype=np.int64)
    type_codes = np.array([RULE_TYPES.index(rule.rule_type) for rule in rules], dtype=np.int64)
    source = np.argsort(type_codes[rule_index], kind="stable")
    rule_index, account_index = rule_index[source], account_index[source]
    bounds = np.searchsorted(type_codes[rule_index], np.arange(len(RULE_TYPES) + 1))

    def per_rule(take: Callable[[RuleParameters], float]) -> Floats:
        return np.array([take(rule) for rule in rules], dtype=np.float64)[rule_index]

    initials = np.array([terms.initial_balance for terms in accounts], dtype=np.float64)
    initial = initials[account_index]
    limit = per_rule(lambda rule: float(rule.limit))
    of_initial = per_rule(lambda rule: _amount_is(rule, AmountKind.FRACTION_OF_INITIAL)) > 0
    of_reference = per_rule(lambda rule: _amount_is(rule, AmountKind.FRACTION_OF_REFERENCE)) > 0
    lock_offset = per_rule(_lock_offset)
    filters, filter_by_rule = _distinct([_symbols(rule) for rule in rules])
    clocks, clock_index = _clocks(rules, accounts, rule_index, account_index)
    zones, zone_by_account = _distinct([terms.broker_zone for terms in accounts])
    pairs_by_account = np.argsort(account_index, kind="stable")
    account_starts = np.searchsorted(
        account_index[pairs_by_account], np.arange(len(accounts) + 1)
    ).astype(np.int64)
    return PairTable(
        rules=tuple(rules),
        accounts=len(accounts),
        rule_index=rule_index,
        account_index=account_index,
        source=source,
        slices={
            rule_type: slice(int(bounds[code]), int(bounds[code + 1]))
            for code, rule_type in enumerate(RULE_TYPES)
        },
        caution=per_rule(lambda rule: rule.thresholds.caution) + _BUFFER_NOISE,
        critical=per_rule(lambda rule: rule.thresholds.critical) + _BUFFER_NOISE,
        below=per_rule(_is_below) > 0,
        hold_seconds=per_rule(lambda rule: getattr(rule, "hold_seconds", 0.0)),
        fixed_amount=np.where(of_reference, 0.0, limit * np.where(of_initial, initial, 1.0)),
        reference_fraction=np.where(of_reference, limit, 0.0),
        initial_balance=initial,
        withdrawals_move=per_rule(_withdrawals_move),
        uses_balance=per_rule(lambda rule: _uses(rule, Reference.BALANCE)) > 0,
        uses_equity=per_rule(lambda rule: _uses(rule, Reference.EQUITY)) > 0,
        drawdown_kind=per_rule(_drawdown_code).astype(np.int8),
        lock_level=np.where(np.isinf(lock_offset), np.inf, initial + lock_offset),
        include_pending=per_rule(lambda rule: getattr(rule, "include_pending", False)) > 0,
        gross=per_rule(lambda rule: getattr(rule, "gross", False)) > 0,
        symbol_filters=tuple(filters),
        symbol_filter=filter_by_rule[rule_index],
        clocks=clocks,
        clock_index=clock_index,
        broker_zones=tuple(broker_zone(name) for name in zones),
        broker_zone_index=zone_by_account[account_index],
        pairs_by_account=pairs_by_account,
        account_starts=account_starts,
    )


def _amount_is(rule: RuleParameters, kind: AmountKind) -> bool:
    return isinstance(rule, LossParameters) and rule.amount_kind is kind


def _is_below(rule: RuleParameters) -> bool:
    """Tell whether the limit itself is allowed; it always is for sizes and counts."""
    if isinstance(rule, LossParameters | MarginLevel):
        return rule.comparison is Comparison.BELOW
    return isinstance(rule, MaxPositionSize | PositionLimit | MaxLeverage)


def _withdrawals_move(rule: RuleParameters) -> bool:
    return isinstance(rule, LossParameters) and rule.withdrawals_move_floor


def _uses(rule: RuleParameters, reference: Reference) -> bool:
    return isinstance(rule, MaxDailyLoss) and rule.reference in (reference, Reference.HIGHER)


def _drawdown_code(rule: RuleParameters) -> int:
    return DRAWDOWN_CODE[rule.kind] if isinstance(rule, MaxDrawdown) else -1


def _lock_offset(rule: RuleParameters) -> float:
    if not isinstance(rule, MaxDrawdown) or rule.lock is Lock.NONE:
        return np.inf
    return float(rule.lock_offset) if rule.lock is Lock.AT_OFFSET else 0.0


def _symbols(rule: RuleParameters) -> frozenset[str]:
    return frozenset(rule.symbols) if isinstance(rule, MaxPositionSize) else frozenset()


def _has_day(rule: RuleParameters) -> bool:
    if isinstance(rule, MaxDrawdown):
        return rule.kind is DrawdownKind.TRAILING_END_OF_DAY
    return isinstance(rule, MaxDailyLoss)


def _distinct(items: Sequence[Item]) -> tuple[list[Item], Integers]:
    places: dict[Item, int] = {}
    indices = [places.setdefault(item, len(places)) for item in items]
    return list(places), np.array(indices, dtype=np.int64)


def _clocks(
    rules: Sequence[RuleParameters],
    accounts: Sequence[AccountTerms],
    rule_index: Integers,
    account_index: Integers,
) -> tuple[tuple[Clock, ...], Integers]:
    """Find the distinct clocks that start the days of the pairs, and each pair's clock."""
    places: dict[Clock, int] = {}
    days, day_by_account = _distinct([terms.trading_day for terms in accounts])
    index = np.full(len(rule_index), NO_CLOCK, dtype=np.int64)
    for number, rule in enumerate(rules):
        if not isinstance(rule, LossParameters) or not _has_day(rule):
            continue
        pairs = np.flatnonzero(rule_index == number)
        clock_by_day = [
            places.setdefault(
                Clock(
                    day.reset_time if rule.reset_time is None else rule.reset_time,
                    rule.reset_zone or day.zone,
                ),
                len(places),
            )
            for day in days
        ]
        index[pairs] = np.array(clock_by_day, dtype=np.int64)[day_by_account[account_index[pairs]]]
    return tuple(places), index
