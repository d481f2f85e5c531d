"""The rules once more, slow and obvious, for one pair at a time."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from risk.core.pairs import AccountTerms
from risk.core.parameters import (
    Inactivity,
    MarginLevel,
    MaxDailyLoss,
    MaxDrawdown,
    MaxLeverage,
    MaxPositionSize,
    NoCrossHedging,
    PositionLimit,
    RuleParameters,
    TradingWindow,
)
from risk.core.rule_types import (
    OBJECTIVES,
    AmountKind,
    Comparison,
    DrawdownKind,
    Lock,
    Reference,
)
from risk.core.statuses import Status
from risk.core.surroundings import Surroundings
from risk.tests.core_cases import SYMBOLS
from risk.tests.slow_positions import SlowHoldings, slow_more

NOISE = 0.5e-6
CLOSE_BY = 8


@dataclass(frozen=True)
class Slow:
    """What the reference says of a pair."""

    status: Status
    left: float
    buffer: float


NOT_KNOWN = Slow(Status.UNKNOWN, math.nan, math.nan)


@dataclass(frozen=True)
class SlowAccount:
    """One account that was read."""

    terms: AccountTerms
    row: Mapping[str, float]
    positions: Sequence[Any]
    orders: Sequence[Any]
    others: Sequence[Sequence[Any] | None] = ()  # positions of others; None was not read


def slow_pair(
    rule: RuleParameters,
    state: Mapping[str, Any],
    account: SlowAccount,
    around: Surroundings,
) -> Slow:
    if isinstance(rule, MarginLevel) and account.row["margin"] == 0:
        return Slow(Status.SAFE, math.nan, 1.0)
    left, limit = slow_left(rule, state, of_strategy(rule, account), around)
    if math.isnan(left) or math.isnan(limit) or limit <= 0:
        return NOT_KNOWN
    if abs(left) <= NOISE:
        left = 0.0
    if isinstance(rule, MaxDailyLoss | MaxDrawdown):
        left = min(left, limit)
    buffer = left / limit
    if isinstance(rule, MarginLevel):
        buffer = left / max(left + limit, limit)
    return Slow(slow_status(rule, left, buffer), left, buffer)


def of_strategy(rule: RuleParameters, account: SlowAccount) -> SlowAccount:
    """Leave out what another strategy than the rule's has opened."""

    def own(rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if rule.magic in (None, row["magic"])]

    return replace(account, positions=own(account.positions), orders=own(account.orders))


def slow_status(rule: RuleParameters, left: float, buffer: float) -> Status:
    if rule.rule_type in OBJECTIVES:
        return Status.SAFE
    if isinstance(rule, TradingWindow | NoCrossHedging | Inactivity) and left <= 0:
        return Status.VIOLATED
    at_the_limit_is_fine = getattr(rule, "comparison", Comparison.BELOW) is Comparison.BELOW
    if left < 0 or (left == 0 and not at_the_limit_is_fine):
        return Status.VIOLATED
    if buffer <= rule.thresholds.critical + 1e-9:
        return Status.CRITICAL
    if buffer <= rule.thresholds.caution + 1e-9:
        return Status.CAUTION
    return Status.SAFE


def slow_left(
    rule: RuleParameters,
    state: Mapping[str, Any],
    account: SlowAccount,
    around: Surroundings,
) -> tuple[float, float]:
    """Return what is left and the limit."""
    row, limit = account.row, float(rule.limit)
    pending = [order for order in account.orders if order["type"] != CLOSE_BY]
    match rule:
        case MaxDailyLoss() | MaxDrawdown():
            amount, floor = slow_floor(rule, account.terms.initial_balance, state)
            return slow_equity(rule, state, account) - floor, amount
        case MarginLevel():
            return row["equity"] / row["margin"] * 100 - limit, limit
        case MaxPositionSize():
            return limit - slow_size(rule, [*account.positions, *pending]), limit
        case PositionLimit():
            more = len(pending) if rule.include_pending else 0
            return limit - len(account.positions) - more, limit
        case MaxLeverage():
            notional = slow_notional(account.positions, gross=rule.gross)
            return limit - notional / max(row["equity"], 0.01), limit
        case _:
            held = SlowHoldings(
                balance=row["balance"],
                equity=row["equity"],
                initial=account.terms.initial_balance,
                positions=account.positions,
                pending=pending,
                others=account.others,
            )
            return slow_more(rule, state, held, around)


def slow_equity(
    rule: MaxDailyLoss | MaxDrawdown, state: Mapping[str, Any], account: SlowAccount
) -> float:
    if rule.magic is None:
        return account.row["equity"] - account.row["credit"]
    if math.isnan(state["day_started_at"]):
        return math.nan
    return float(account.terms.initial_balance + state["realised"] + state["floating"])


def slow_size(rule: MaxPositionSize, rows: Sequence[Any]) -> float:
    sizes: dict[tuple[str, int], float] = defaultdict(float)
    for row in rows:
        name = SYMBOLS[row["symbol"]]
        if not rule.symbols or name in rule.symbols:
            sizes[name, int(row["type"]) % 2] += row["volume"]
    return max(sizes.values(), default=0.0)


def slow_notional(positions: Sequence[Any], *, gross: bool) -> float:
    nets: dict[int, float] = defaultdict(float)
    for position in positions:
        sign = 1 if gross or position["type"] == 0 else -1
        nets[int(position["symbol"])] += sign * position["notional"]
    return sum(abs(net) for net in nets.values())


def slow_floor(
    rule: MaxDailyLoss | MaxDrawdown, initial: float, state: Mapping[str, Any]
) -> tuple[float, float]:
    """Return the amount that may be lost and the floor."""
    prefix = "day_" if isinstance(rule, MaxDailyLoss) else ""
    moved = state[prefix + "deposits"]
    if rule.withdrawals_move_floor:
        moved += state[prefix + "withdrawals"]
    reference, highest = slow_reference(rule, initial, state)
    amount = float(rule.limit)
    if rule.amount_kind is AmountKind.FRACTION_OF_INITIAL:
        amount *= initial
    elif rule.amount_kind is AmountKind.FRACTION_OF_REFERENCE:
        funded = state["day_deposits"] if isinstance(rule, MaxDailyLoss) else 0.0
        amount *= reference if reference > 0 else reference + funded
    if math.isnan(highest):
        return amount, math.nan
    return amount, min(reference - amount, highest) + moved


def slow_reference(
    rule: MaxDailyLoss | MaxDrawdown, initial: float, state: Mapping[str, Any]
) -> tuple[float, float]:
    """Return what the loss is counted from and the highest floor."""
    if isinstance(rule, MaxDrawdown):
        reference = initial if rule.kind is DrawdownKind.STATIC else state["peak"]
        locked = rule.lock is not Lock.NONE
        return reference, initial + float(rule.lock_offset) if locked else math.inf
    balance, equity = state["day_balance"], state["day_equity"]
    if rule.reference is Reference.BALANCE:
        return balance, math.inf
    if rule.reference is Reference.EQUITY:
        return equity, math.inf
    known = not math.isnan(balance) and not math.isnan(equity)
    return (max(balance, equity) if known else math.nan), math.inf
