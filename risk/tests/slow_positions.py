"""The rules on what is open and what was traded once more, slow and obvious, one pair at a time."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from risk.core.parameters import (
    Consistency,
    Inactivity,
    MaxCorrelation,
    MaxDailyTrades,
    MaxExposure,
    MinTradingDays,
    NoCrossHedging,
    ProfitTarget,
    RiskPerTrade,
    RuleParameters,
    StopLossRequired,
    TradingWindow,
)
from risk.core.rule_types import (
    AmountKind,
    ConsistencyBasis,
    ExposureOf,
    Importance,
    WindowKind,
)
from risk.core.surroundings import Surroundings
from risk.tests.core_cases import SYMBOLS

BROKER_HOURS = 3  # New York plus seven hours in June
MINUTES_A_DAY = 1_440
UNKNOWN = (math.nan, math.nan)


@dataclass(frozen=True)
class SlowHoldings:
    """What one account holds, of the strategy of the rule, and the balance behind it."""

    balance: float
    equity: float
    initial: float
    positions: Sequence[Any]
    pending: Sequence[Any]
    others: Sequence[Sequence[Any] | None]  # positions of the rule's other accounts


def slow_more(
    rule: RuleParameters, state: Mapping[str, Any], held: SlowHoldings, around: Surroundings
) -> tuple[float, float]:
    """Return what is left and the limit."""
    limit = float(rule.limit)
    match rule:
        case MaxExposure():
            return limit - slow_exposure(rule, held, around) / max(held.equity, 0.01), limit
        case MaxCorrelation():
            return limit - slow_correlation(limit, held, around), limit
        case RiskPerTrade():
            limit *= max(held.balance, 0.01)
            return limit - slow_stop_risk(rule, held), limit
        case StopLossRequired():
            return limit - slow_bare_minutes(held, around), limit
        case TradingWindow():
            return slow_window(rule, held, around), limit
        case NoCrossHedging():
            return limit - slow_opposites(held), limit
        case _:
            return slow_activity(rule, state, held, around)


def slow_nets(positions: Sequence[Any]) -> dict[str, float]:
    nets: dict[str, float] = defaultdict(float)
    for position in positions:
        sign = 1 if position["type"] == 0 else -1
        nets[SYMBOLS[position["symbol"]]] += sign * float(position["notional"])
    return nets


def slow_exposure(rule: MaxExposure, held: SlowHoldings, around: Surroundings) -> float:
    sums = slow_nets(held.positions)
    if rule.exposure_of is ExposureOf.CURRENCY:
        by_symbol, sums = sums, defaultdict(float)
        for symbol, net in by_symbol.items():
            if symbol not in around.currencies["Demo"]:
                return math.nan
            base, profit = around.currencies["Demo"][symbol]
            sums[base] += net
            sums[profit] -= net
    return max(
        (abs(net) for name, net in sums.items() if not rule.symbols or name in rule.symbols),
        default=0.0,
    )


def slow_correlation(limit: float, held: SlowHoldings, around: Surroundings) -> float:
    known = around.correlations["Demo"]
    directions = {
        symbol: math.copysign(1, net) for symbol, net in slow_nets(held.positions).items() if net
    }
    largest, unknown = 0.0, False
    for one, direction in directions.items():
        for other, against in directions.items():
            if one < other:
                row, column = known.names.index(one), known.names.index(other)
                coefficient = float(known.matrix[row, column]) * direction * against
                unknown = unknown or math.isnan(coefficient)
                largest = max(largest, 0.0 if math.isnan(coefficient) else coefficient)
    return math.nan if unknown and largest <= limit else largest


def slow_stop_risk(rule: RiskPerTrade, held: SlowHoldings) -> float:
    risks: dict[str, float] = defaultdict(float)
    for position in held.positions:
        symbol = SYMBOLS[position["symbol"]]
        if position["sl"] > 0 and (not rule.symbols or symbol in rule.symbols):
            fall = position["price_open"] - position["sl"]
            distance = fall if position["type"] == 0 else -fall
            value = position["notional"] / position["price_current"]
            risks[symbol] += max(float(distance), 0.0) * float(value)
    return max(risks.values(), default=0.0)


def slow_bare_minutes(held: SlowHoldings, around: Surroundings) -> float:
    ages = [
        around.moment - (position["time_msc"] / 1_000 - BROKER_HOURS * 3_600)
        for position in held.positions
        if position["sl"] == 0
    ]
    return max(0.0, *ages) / 60 if ages else 0.0


def slow_window(rule: TradingWindow, held: SlowHoldings, around: Surroundings) -> float:
    limit = float(rule.limit)
    rows = [*held.positions, *(held.pending if rule.include_pending else ())]
    if rule.kind is WindowKind.NEWS:
        return slow_news(rule, rows, around)
    if not rows:
        return limit
    begin, end, period = slow_clock(rule)
    # 1 June 2026 is a Monday, and so is 5 January 1970.
    now = (around.moment / 60 + BROKER_HOURS * 60 - 4 * MINUTES_A_DAY) % period
    into = (now - begin) % period
    length = (end - begin) % period or period
    return -into if into < length else min((begin - now) % period, limit)


def slow_clock(rule: TradingWindow) -> tuple[float, float, float]:
    """Return begin, end and period in minutes of the day or of the week."""
    assert rule.from_time is not None
    assert rule.until_time is not None
    begin = rule.from_time.hour * 60 + rule.from_time.minute
    end = rule.until_time.hour * 60 + rule.until_time.minute
    if rule.kind is WindowKind.DAILY:
        return begin, end, MINUTES_A_DAY
    begin += rule.from_weekday * MINUTES_A_DAY
    end += rule.until_weekday * MINUTES_A_DAY
    return begin, end, 7 * MINUTES_A_DAY


def slow_news(rule: TradingWindow, rows: Sequence[Any], around: Surroundings) -> float:
    limit, calendar = float(rule.limit), around.calendars.get(0)
    if calendar is None:
        return math.nan
    importances = list(Importance)
    currencies: set[str] = set()
    for row in rows:
        currencies.update(around.currencies["Demo"].get(SYMBOLS[row["symbol"]], ("?", "?")))
    ahead = [
        (event.at - around.moment) / 60 - limit
        for event in calendar.events
        if event.currency in currencies
        and (not rule.currencies or event.currency in rule.currencies)
        and importances.index(event.importance) >= importances.index(rule.min_importance)
        and event.at + limit * 60 > around.moment
    ]
    nearest = min(ahead, default=math.inf)
    if "?" in currencies and nearest > 0:
        return math.nan
    return min(nearest, limit)


def slow_opposites(held: SlowHoldings) -> float:
    mine = {(int(row["symbol"]), int(row["type"])) for row in held.positions}
    theirs = {(int(row["symbol"]), int(row["type"])) for rows in held.others for row in rows or ()}
    opposed = {symbol for symbol, side in mine if (symbol, 1 - side) in theirs}
    return math.nan if not opposed and None in held.others else len(opposed)


def slow_activity(
    rule: RuleParameters, state: Mapping[str, Any], held: SlowHoldings, around: Surroundings
) -> tuple[float, float]:
    limit = float(rule.limit)
    if math.isnan(state["day_started_at"]):
        return UNKNOWN
    match rule:
        case MaxDailyTrades():
            return limit - state["day_trades"], limit
        case Inactivity():
            last = state["last_trade_at"]
            since = state["started_at"] if math.isnan(last) else last
            return limit - max(around.moment - since, 0.0) / 86_400, limit
        case ProfitTarget():
            limit *= held.initial if rule.amount_kind is AmountKind.FRACTION_OF_INITIAL else 1
            return limit - state["total_profit"], limit
        case MinTradingDays():
            return limit - state["trading_days"] - (state["day_trades"] > 0), limit
        case Consistency():
            best, profit = max(state["best_day"], state["day_profit"]), state["total_profit"]
            if rule.basis is ConsistencyBasis.POSITIVE_DAYS:
                profit = state["positive_days"] + max(state["day_profit"], 0.0)
            return (limit - best / profit, limit) if profit > 0 else UNKNOWN
        case _:
            raise AssertionError(rule)
