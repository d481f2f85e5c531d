"""The table of (rule, account) pairs: everything about them that no tick changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time, tzinfo
from typing import TypeVar

import numpy as np

from accounts.core.zones import broker_zone
from risk.core.arrays import Codes, Flags, Floats, Integers
from risk.core.holders import Strategies, find_holders
from risk.core.parameters import (
    DayParameters,
    MaxDrawdown,
    RuleParameters,
    TradingWindow,
)
from risk.core.rule_terms import (
    has_amount,
    has_day,
    is_below,
    is_by_currency,
    is_counted,
    lock_offset,
    moves_with_withdrawals,
    named_symbols,
    uses_reference,
)
from risk.core.rule_types import (
    AmountKind,
    DrawdownKind,
    Reference,
    RuleType,
)
from risk.core.windows import Window, window_of

RULE_TYPES = tuple(RuleType)
NO_CLOCK = -1
NO_MAGIC = -1

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
    order of the table. `account_index` is the account's row in AccountColumns. `magic` is that of
    the strategy that a pair is narrowed to (NO_MAGIC: none). What a `counted` pair remembers is
    counted from deals: of activity rules, and of loss rules narrowed to a strategy. What a pair of
    another type counts is what its `holder` holds: its account, or a strategy on it (`strategies`).
    """

    rules: tuple[RuleParameters, ...]
    accounts: int
    rule_index: Integers
    account_index: Integers
    source: Integers
    slices: Mapping[RuleType, slice]
    holder: Integers
    strategies: Strategies
    magic: Integers
    counted: Flags
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
    by_currency: Flags
    windows: tuple[Window, ...]
    window_index: Integers  # of the trading windows alone, in their order
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
    slices = {
        rule_type: slice(int(bounds[code]), int(bounds[code + 1]))
        for code, rule_type in enumerate(RULE_TYPES)
    }

    def per_rule(take: Callable[[RuleParameters], float]) -> Floats:
        return np.array([take(rule) for rule in rules], dtype=np.float64)[rule_index]

    initials = np.array([terms.initial_balance for terms in accounts], dtype=np.float64)
    initial = initials[account_index]
    limit = per_rule(lambda rule: float(rule.limit))
    of_initial = per_rule(lambda rule: has_amount(rule, AmountKind.FRACTION_OF_INITIAL)) > 0
    of_reference = per_rule(lambda rule: has_amount(rule, AmountKind.FRACTION_OF_REFERENCE)) > 0
    offset = per_rule(lock_offset)
    filters, filter_by_rule = _distinct([named_symbols(rule) for rule in rules])
    clocks, clock_index = _clocks(rules, accounts, rule_index, account_index)
    zones, zone_by_account = _distinct([terms.broker_zone for terms in accounts])
    holder, strategies = find_holders(rules, len(accounts), rule_index, account_index)
    trading = slices[RuleType.TRADING_WINDOW]
    windows, window_index = _windows(rules, accounts, rule_index[trading], account_index[trading])
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
        slices=slices,
        holder=holder,
        strategies=strategies,
        magic=np.array([_magic(rule) for rule in rules], dtype=np.int64)[rule_index],
        counted=per_rule(is_counted) > 0,
        caution=per_rule(lambda rule: rule.thresholds.caution) + _BUFFER_NOISE,
        critical=per_rule(lambda rule: rule.thresholds.critical) + _BUFFER_NOISE,
        below=per_rule(is_below) > 0,
        hold_seconds=per_rule(lambda rule: getattr(rule, "hold_seconds", 0.0)),
        fixed_amount=np.where(of_reference, 0.0, limit * np.where(of_initial, initial, 1.0)),
        reference_fraction=np.where(of_reference, limit, 0.0),
        initial_balance=initial,
        withdrawals_move=per_rule(moves_with_withdrawals),
        uses_balance=per_rule(lambda rule: uses_reference(rule, Reference.BALANCE)) > 0,
        uses_equity=per_rule(lambda rule: uses_reference(rule, Reference.EQUITY)) > 0,
        drawdown_kind=per_rule(_drawdown_code).astype(np.int8),
        lock_level=np.where(np.isinf(offset), np.inf, initial + offset),
        include_pending=per_rule(lambda rule: getattr(rule, "include_pending", False)) > 0,
        gross=per_rule(lambda rule: getattr(rule, "gross", False)) > 0,
        by_currency=per_rule(is_by_currency) > 0,
        windows=windows,
        window_index=window_index,
        symbol_filters=tuple(filters),
        symbol_filter=filter_by_rule[rule_index],
        clocks=clocks,
        clock_index=clock_index,
        broker_zones=tuple(broker_zone(name) for name in zones),
        broker_zone_index=zone_by_account[account_index],
        pairs_by_account=pairs_by_account,
        account_starts=account_starts,
    )


def _magic(rule: RuleParameters) -> int:
    return NO_MAGIC if rule.magic is None else rule.magic


def _drawdown_code(rule: RuleParameters) -> int:
    return DRAWDOWN_CODE[rule.kind] if isinstance(rule, MaxDrawdown) else -1


def _windows(
    rules: Sequence[RuleParameters],
    accounts: Sequence[AccountTerms],
    rule_index: Integers,
    account_index: Integers,
) -> tuple[tuple[Window, ...], Integers]:
    """Find the distinct windows of the trading windows, and each pair's window."""
    places: dict[Window, int] = {}
    index = [
        places.setdefault(window_of(rule, accounts[row].broker_zone), len(places))
        for number, row in zip(rule_index.tolist(), account_index.tolist(), strict=True)
        if isinstance(rule := rules[number], TradingWindow)
    ]
    return tuple(places), np.array(index, dtype=np.int64)


def _distinct(items: Sequence[Item]) -> tuple[list[Item], Integers]:
    places: dict[Item, int] = {}
    indices = [places.setdefault(item, len(places)) for item in items]
    return list(places), np.array(indices, dtype=np.int64)


def _clock(rule: RuleParameters, day: Clock) -> Clock:
    if not isinstance(rule, DayParameters):
        return day
    return Clock(
        day.reset_time if rule.reset_time is None else rule.reset_time,
        rule.reset_zone or day.zone,
    )


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
        if not has_day(rule):
            continue
        pairs = np.flatnonzero(rule_index == number)
        clock_by_day = [places.setdefault(_clock(rule, day), len(places)) for day in days]
        index[pairs] = np.array(clock_by_day, dtype=np.int64)[day_by_account[account_index[pairs]]]
    return tuple(places), index
