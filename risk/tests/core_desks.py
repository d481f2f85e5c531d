"""Random rules, portfolios and surroundings, for the properties of the risk core."""

import math
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np
from hypothesis import strategies as st

from accounts.terminals.readings import ReadingBatch
from risk.core.arrays import Floats
from risk.core.pairs import AccountTerms, PairTable
from risk.core.parameters import RuleParameters
from risk.core.rule_types import (
    LOSS_RULES,
    WHOLE_ACCOUNT_RULES,
    Comparison,
    DrawdownKind,
    Importance,
    Lock,
    Reference,
    RuleType,
)
from risk.core.states import PairState
from risk.core.surroundings import Calendar, CalendarEvent, Correlations, Surroundings
from risk.tests.core_cases import (
    AROUND,
    CURRENCIES,
    NOON,
    SYMBOLS,
    batch,
    pairs_of,
    rule,
    state_of,
    terms,
)

BROKER_AHEAD = 3 * 3_600

cents = st.integers(-2_000_000, 20_000_000).map(lambda amount: amount / 100)
fractions = st.integers(1, 30).map(lambda percent: str(percent / 100))
comparisons = st.sampled_from([comparison.value for comparison in Comparison])
amounts = st.one_of(
    st.tuples(st.sampled_from(["fraction_of_initial", "fraction_of_reference"]), fractions),
    st.tuples(st.just("money"), st.integers(1, 20_000).map(str)),
)
clock_times = st.tuples(st.integers(0, 23), st.sampled_from([0, 15, 45])).map(
    lambda clock: f"{clock[0]:02}:{clock[1]:02}"
)
symbol_names = st.lists(st.sampled_from([*SYMBOLS, "XAUUSD"]), max_size=2)
currency_names = st.lists(st.sampled_from(["EUR", "USD", "CAD", "JPY"]), max_size=2, unique=True)

# In a narrowed rule only 7 or 8 count, so some rows count and some do not.
magics = st.sampled_from([0, 7, 8])

FRACTION_RULES = (RuleType.MAX_CORRELATION, RuleType.RISK_PER_TRADE, RuleType.CONSISTENCY)


@dataclass(frozen=True)
class Desk:
    """Pairs of rules and accounts with everything that an evaluation needs."""

    table: PairTable
    accounts: list[AccountTerms]
    state: PairState
    reading: ReadingBatch
    accepted: list[bool]
    around: Surroundings


@st.composite
def rules(draw: st.DrawFn) -> RuleParameters:
    rule_type = draw(st.sampled_from(list(RuleType)))
    raw: dict[str, object] = {"caution": 0.3, "critical": draw(st.sampled_from([0.0, 0.1, 0.3]))}
    if rule_type not in WHOLE_ACCOUNT_RULES:
        raw["magic"] = draw(st.sampled_from([None, None, 7, 8]))
    limit = str(draw(st.integers(1, 12)))
    if rule_type in LOSS_RULES:
        raw["amount_kind"], limit = draw(amounts)
        raw["comparison"] = draw(comparisons)
        raw["withdrawals_move_floor"] = draw(st.booleans())
    if rule_type in FRACTION_RULES:
        limit = draw(fractions)
    elif rule_type is RuleType.NO_CROSS_HEDGING:
        limit = "1"
    elif rule_type is RuleType.MARGIN_LEVEL:
        limit, raw["comparison"] = str(draw(st.integers(20, 500))), draw(comparisons)
    elif rule_type is RuleType.PROFIT_TARGET:
        raw["amount_kind"], limit = draw(amounts.filter(lambda kind: "reference" not in kind[0]))
    raw |= draw(_choices(rule_type))
    return rule(rule_type, limit, **raw)


@st.composite
def _choices(draw: st.DrawFn, rule_type: RuleType) -> dict[str, object]:
    """Draw the parameters that only this type has."""
    match rule_type:
        case RuleType.MAX_DAILY_LOSS:
            return {"reference": draw(st.sampled_from([each.value for each in Reference]))}
        case RuleType.MAX_DRAWDOWN:
            return draw(_drawdowns())
        case RuleType.MAX_POSITION_SIZE | RuleType.RISK_PER_TRADE:
            return {"symbols": draw(symbol_names)}
        case RuleType.POSITION_LIMIT:
            return {"include_pending": draw(st.booleans())}
        case RuleType.MAX_LEVERAGE:
            return {"gross": draw(st.booleans())}
        case RuleType.MAX_EXPOSURE:
            kind = draw(st.sampled_from(["symbol", "currency"]))
            return {
                "exposure_of": kind,
                "symbols": draw(symbol_names if kind == "symbol" else currency_names),
            }
        case RuleType.TRADING_WINDOW:
            return draw(_windows())
        case RuleType.CONSISTENCY:
            return {"basis": draw(st.sampled_from(["total_profit", "positive_days"]))}
        case _:
            return {}


@st.composite
def _drawdowns(draw: st.DrawFn) -> dict[str, object]:
    raw: dict[str, object] = {"kind": draw(st.sampled_from([each.value for each in DrawdownKind]))}
    if raw["kind"] != "static":
        raw["lock"] = draw(st.sampled_from([lock.value for lock in Lock]))
        if raw["lock"] == "at_offset":
            raw["lock_offset"] = draw(st.integers(-500, 500))
    return raw


@st.composite
def _windows(draw: st.DrawFn) -> dict[str, object]:
    raw: dict[str, object] = {
        "kind": draw(st.sampled_from(["daily", "weekend", "news"])),
        "include_pending": draw(st.booleans()),
    }
    if raw["kind"] == "news":
        raw["currencies"] = draw(currency_names)
        raw["min_importance"] = draw(st.sampled_from([each.value for each in Importance]))
        return raw
    times = draw(st.lists(clock_times, min_size=2, max_size=2, unique=True))
    raw["from_time"], raw["until_time"] = times
    if raw["kind"] == "weekend":
        raw["from_weekday"] = draw(st.integers(0, 6))
        raw["until_weekday"] = draw(st.integers(0, 6))
    return raw


lots = st.integers(1, 500).map(lambda hundredths: hundredths / 100)
prices = st.integers(90, 110).map(lambda hundredths: hundredths / 100)
account_rows = st.fixed_dictionaries(
    {
        "balance": cents,
        "credit": st.sampled_from([0.0, 500.0]),
        "profit": cents.map(lambda amount: amount / 10),
        "margin": st.sampled_from([0.0, 250.5, 40_000.0]),
    }
)


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[ReadingBatch, list[bool]]:
    accounts = draw(st.lists(account_rows, min_size=1, max_size=5))
    place = {
        "account": st.integers(0, len(accounts) - 1),
        "symbol": st.integers(0, len(SYMBOLS) - 1),
        "volume": lots,
        "magic": magics,
    }
    position = {
        "type": st.integers(0, 1),
        "notional": cents.map(abs),
        "price_open": prices,
        "price_current": prices,
        "sl": st.one_of(st.just(0.0), prices),
        "time_msc": st.integers(-20, 60).map(_opened_msc),
    }
    held = draw(st.lists(st.fixed_dictionaries(place | position), max_size=12))
    pending = draw(st.lists(st.fixed_dictionaries(place | {"type": st.integers(0, 8)}), max_size=6))
    accepted = draw(st.lists(st.booleans(), min_size=len(accounts), max_size=len(accounts)))
    held.sort(key=itemgetter("account"))
    pending.sort(key=itemgetter("account"))
    return batch(accounts, held, pending), accepted


def _opened_msc(minutes_ago: int) -> int:
    return round((NOON + BROKER_AHEAD - minutes_ago * 60) * 1_000)


coefficients = st.one_of(st.integers(-10, 10).map(lambda tenths: tenths / 10), st.just(math.nan))
events = st.builds(
    CalendarEvent,
    at=st.integers(-40, 40).map(lambda minutes: NOON + minutes * 60),
    currency=st.sampled_from(["EUR", "USD", "CAD"]),
    importance=st.sampled_from(Importance),
)


@st.composite
def surroundings(draw: st.DrawFn) -> Surroundings:
    matrix = np.eye(len(SYMBOLS))
    for row, column in ((0, 1), (0, 2), (1, 2)):
        matrix[row, column] = matrix[column, row] = draw(coefficients)
    news = tuple(draw(st.lists(events, max_size=4)))
    calendars = {0: Calendar(NOON - 86_400, NOON + 86_400, news)}
    known = draw(st.sampled_from([SYMBOLS, SYMBOLS, SYMBOLS[:2]]))
    return replace(
        AROUND,
        moment=NOON + draw(st.integers(-43_200, 43_200)),
        calendars=draw(st.sampled_from([{}, calendars, calendars])),
        correlations={"Demo": Correlations(SYMBOLS, matrix)},
        currencies={"Demo": {name: CURRENCIES[name] for name in known}},
    )


@st.composite
def desks(draw: st.DrawFn) -> Desk:
    reading, accepted = draw(portfolios())
    accounts = [
        terms(draw(st.sampled_from([100_000.0, 25_000.0, math.nan, 0.0]))) for _ in accepted
    ]
    table = pairs_of(draw(st.lists(rules(), min_size=1, max_size=8)), accounts)
    state = random_state(table, draw(st.integers(0, 2**32 - 1)))
    return Desk(table, accounts, state, reading, accepted, draw(surroundings()))


def random_state(table: PairTable, seed: int) -> PairState:
    """Return what pairs remember; drawn from one seed, for a draw of each number takes long."""
    random, size = np.random.default_rng(seed), len(table)

    def one_of(*values: float) -> Floats:
        return random.choice(np.array(values), size)

    def money(lowest: float, highest: float) -> Floats:
        return np.round(random.uniform(lowest, highest, size), 2)

    def maybe_near() -> Floats:
        return np.where(random.random(size) < 0.3, np.nan, money(88_000.0, 112_000.0))

    state = state_of(
        table,
        day_started_at=one_of(NOON - 3_600, math.nan),
        day_balance=maybe_near(),
        day_equity=maybe_near(),
        day_deposits=one_of(0.0, 1_000.0),
        day_withdrawals=one_of(0.0, -700.0),
        deposits=one_of(0.0, 1_000.0),
        withdrawals=one_of(0.0, -700.0),
        peak=maybe_near(),
        realised=money(-20_000.0, 20_000.0),
        floating=money(-20_000.0, 20_000.0),
        day_trades=one_of(0.0, 1.0, 5.0, 12.0),
        trading_days=one_of(0.0, 1.0, 5.0, 12.0),
        day_profit=money(-5_000.0, 5_000.0),
        best_day=money(0.0, 5_000.0) * one_of(0.0, 1.0),
        positive_days=money(0.0, 20_000.0) * one_of(0.0, 1.0),
        total_profit=money(-20_000.0, 20_000.0) * one_of(0.0, 1.0),
        last_trade_at=one_of(NOON - 86_400 * 5.5, NOON + 60, math.nan),
    )
    latched = random.random(size) < 0.5
    return replace(state, latched=latched, latched_at=np.where(latched, NOON, np.nan))
