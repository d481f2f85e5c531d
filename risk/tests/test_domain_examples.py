"""The worked examples of the domain, from deals and readings to floors, margins and lots."""

from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import pairwise
from math import log
from statistics import correlation, fmean, quantiles

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.market_history import symbol_row
from accounts.symbol_terms import SymbolTerms
from accounts.tests.simulated_desk import Desk
from risk.core.baselines import advance_peaks, day_starts, roll_days
from risk.core.evaluation import Evaluation
from risk.core.latches import decide_latches
from risk.core.pairs import Clock, PairTable
from risk.core.parameters import RuleParameters
from risk.core.portfolio_risk import DayEnd, correlation_matrix, daily_returns, tail_risk
from risk.core.returns import correlations_of
from risk.core.rule_types import RuleType
from risk.core.sizing import SizeQuestion, size_position
from risk.core.states import PairState
from risk.core.statuses import Status, worst
from risk.core.transfers import add_transfers
from risk.tests.core_cases import (
    Row,
    at,
    batch,
    columns,
    evaluated,
    pairs_of,
    rule,
    state_of,
    terms,
)
from risk.tests.gate_cases import EURUSD

DAILY, DRAWDOWN = RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN
HIGHER = "higher_of_balance_and_equity"
UTC_MIDNIGHT = Clock(time(0, 0), "UTC")
MIDNIGHT = at(2026, 6, 2)
DAY, CENT = 86_400.0, 0.01
# MetaTrader's types of deals that move no market: the first four are transfers.
TRANSFERS = {"balance": 2, "credit": 3, "correction": 5, "bonus": 6}
COSTS = {"charge": 4, "commission": 7, "agent": 11, "interest": 12}


class Watched:
    """One account under one rule, read again and again as a host reads it; times are UTC."""

    def __init__(
        self,
        parameters: RuleParameters,
        *,
        initial: float = 100_000.0,
        began_at: float = MIDNIGHT - DAY,
        day: Clock = UTC_MIDNIGHT,
    ) -> None:
        self.table: PairTable = pairs_of([parameters], [terms(initial, "UTC", day)])
        began = np.array([began_at])
        self.state: PairState = replace(state_of(self.table), started_at=began)
        self.read_at = began_at

    def read(
        self,
        moment: float,
        balance: float,
        profit: float = 0.0,
        *,
        credit: float = 0.0,
        deals: tuple[Row, ...] = (),
    ) -> Evaluation:
        """Take a reading with the deals since the one before; return what it says."""
        account = {"balance": balance, "profit": profit, "credit": credit}
        reading = batch([account], deals=deals, taken_at=moment)
        known, days = columns(reading), day_starts(self.table, moment)
        state = add_transfers(self.table, self.state, reading.deals)
        last = np.array([self.read_at])
        roll = roll_days(self.table, state, known, reading.deals, days, moment, last)
        state = advance_peaks(self.table, roll.state, known, reading.deals)
        result = evaluated(self.table, state, reading)
        self.state = decide_latches(self.table, state, result, days, moment).state
        self.read_at = moment
        return result


def deal(kind: int, amount: float, moment: float) -> Row:
    return {"type": kind, "profit": amount, "time_msc": round(moment * 1000), "ticket": 1}


def is_violated(result: Evaluation) -> bool:
    return bool(result.present[0] == Status.VIOLATED)


@pytest.mark.parametrize(
    ("reference", "kind", "limit", "comparison", "floor"),
    [
        ("balance", "fraction_of_initial", "0.05", "below", 100_000.0),  # FTMO, FundedNext
        (HIGHER, "fraction_of_reference", "0.05", "at_or_below", 101_650.0),  # The5ers
        ("balance", "fraction_of_reference", "0.05", "at_or_below", 99_750.0),  # Alpha Pro
        (HIGHER, "fraction_of_initial", "0.04", "at_or_below", 103_000.0),  # Blue Guardian
        ("equity", "money", "1500", "at_or_below", 105_500.0),
    ],
)
@pytest.mark.parametrize("credit", [0.0, 500.0])
def test_the_floor_of_a_day_follows_from_the_reading_at_its_reset(
    reference: str, kind: str, limit: str, comparison: str, floor: float, credit: float
) -> None:
    account = Watched(
        rule(DAILY, limit, amount_kind=kind, reference=reference, comparison=comparison)
    )
    account.read(MIDNIGHT - 1, 105_000.0, 2_000.0, credit=credit)
    result = account.read(MIDNIGHT + 0.2, 105_000.0, 2_000.0, credit=credit)
    assert result.floor[0] == pytest.approx(floor)

    for beyond, expected in ((CENT, False), (0.0, comparison != "below"), (-CENT, True)):
        lost = floor - 105_000.0 + beyond
        result = account.read(MIDNIGHT + 60, 105_000.0, lost, credit=credit)
        assert is_violated(result) == expected, beyond


@pytest.mark.parametrize(("floating", "expected"), [(-5_000.0, False), (-5_000.01, True)])
def test_an_overnight_loss_breaches_at_the_very_second_of_the_reset(
    floating: float, expected: bool
) -> None:
    # 4,000 were won today: yesterday's floor is 95,000, tomorrow's 99,000.
    account = Watched(rule(DAILY, "0.05", comparison="below"))
    account.read(MIDNIGHT - DAY, 100_000.0)
    assert not is_violated(account.read(MIDNIGHT - 0.001, 104_000.0, floating))
    assert is_violated(account.read(MIDNIGHT, 104_000.0, floating)) == expected


@pytest.mark.parametrize(
    ("zone", "reset", "inside", "hours"),
    [
        ("Europe/Prague", "00:00", at(2026, 3, 29, 12), 23),
        ("Europe/Prague", "00:00", at(2026, 10, 25, 12), 25),
        ("America/New_York+7h", "00:00", at(2026, 3, 8, 12), 23),
        ("America/New_York+7h", "00:00", at(2026, 11, 1, 12), 25),
        ("America/New_York", "17:00", at(2026, 3, 8, 12), 23),
        ("America/New_York", "17:00", at(2026, 11, 1, 12), 25),
        ("America/Chicago", "17:00", at(2026, 11, 1, 12), 25),
        ("UTC+3h", "00:00", at(2026, 10, 25, 12), 24),
    ],
)
def test_a_loss_belongs_to_the_whole_of_a_day_that_clocks_change_on(
    zone: str, reset: str, inside: float, hours: int
) -> None:
    parameters = rule(DAILY, "0.05", reset_time=reset, reset_zone=zone)
    days = day_starts(pairs_of([parameters]), inside)
    start, end = float(days.starts[0]), float(days.ends[0])
    assert end - start == hours * 3600

    account = Watched(parameters, began_at=start - 60)
    account.read(start, 100_000.0)
    assert account.read(end - 0.001, 97_000.0).used[0] == 3_000.0
    assert account.read(end, 97_000.0).used[0] == 0.0


@pytest.mark.parametrize("moves", [True, False])
def test_transfers_move_the_floor_as_the_rule_says_and_nothing_else_does(moves: bool) -> None:
    account = Watched(rule(DAILY, "0.05", withdrawals_move_floor=moves))
    moment, balance, credit = MIDNIGHT, 100_000.0, 0.0
    account.read(moment, balance)
    floor = 95_000.0
    for kind in TRANSFERS.values():
        for amount in (1_000.0, -400.0):
            moment += 60
            if kind == TRANSFERS["credit"]:
                credit += amount
            else:
                balance += amount
                floor += amount if amount > 0 or moves else 0.0
            result = account.read(
                moment, balance, credit=credit, deals=(deal(kind, amount, moment),)
            )
            assert result.floor[0] == pytest.approx(floor)
    used = float(account.read(moment, balance, credit=credit).used[0])
    assert used == pytest.approx(0.0 if moves else 3 * 400.0)

    for kind in COSTS.values():
        moment, balance, used = moment + 60, balance - 10.0, used + 10.0
        result = account.read(moment, balance, credit=credit, deals=(deal(kind, -10.0, moment),))
        assert result.floor[0] == pytest.approx(floor)
        assert result.used[0] == pytest.approx(used)


@pytest.mark.parametrize(
    ("kind", "limit", "initial", "lock", "ends"),
    [
        # (balance at the end of the day, floor after it)
        (
            "trailing_end_of_day",
            "2000",
            50_000.0,
            {"lock": "at_initial"},
            [(50_500.0, 48_500.0), (50_200.0, 48_500.0), (52_500.0, 50_000.0),
             (60_000.0, 50_000.0)],
        ),
        (
            "trailing_end_of_day",
            "3000",
            100_000.0,
            {"lock": "at_offset", "lock_offset": 100},
            [(102_000.0, 99_000.0), (103_100.0, 100_100.0), (110_000.0, 100_100.0)],
        ),
        (
            "trailing_closed_balance",
            "6000",
            100_000.0,
            {"lock": "at_initial"},
            [(101_000.0, 95_000.0), (99_000.0, 95_000.0), (106_000.0, 100_000.0),
             (109_000.0, 100_000.0)],
        ),
        ("static", "10000", 100_000.0, {}, [(120_000.0, 90_000.0), (95_000.0, 90_000.0)]),
        ("trailing_end_of_day", "10000", 100_000.0, {}, [(115_000.0, 105_000.0)]),
    ],
)  # fmt: skip
def test_the_floor_of_a_maximum_loss_follows_the_balance(
    kind: str, limit: str, initial: float, lock: dict[str, object], ends: list[tuple[float, float]]
) -> None:
    account = Watched(
        rule(DRAWDOWN, limit, amount_kind="money", kind=kind, **lock), initial=initial
    )
    account.read(MIDNIGHT - DAY, initial)
    for number, (balance, floor) in enumerate(ends):
        evening = MIDNIGHT + number * DAY
        # What is floating, and what is lost again within the day, raises nothing.
        account.read(evening - 60, balance, 700.0)
        result = account.read(evening, balance, 700.0)
        assert result.floor[0] == pytest.approx(floor)


def test_the_floor_trails_the_peak_of_the_equity_within_the_day() -> None:
    parameters = rule(DRAWDOWN, "2000", amount_kind="money", kind="trailing_intraday_equity")
    account = Watched(parameters, initial=50_000.0)
    account.read(MIDNIGHT, 50_000.0)
    assert account.read(MIDNIGHT + 1, 50_000.0, 900.0).floor[0] == 48_900.0
    assert not is_violated(account.read(MIDNIGHT + 2, 50_000.0, -1_100.0 + CENT))
    assert is_violated(account.read(MIDNIGHT + 3, 50_000.0, -1_100.0))


def test_statuses_are_ordered_as_people_fear_them() -> None:
    order = [Status.SAFE, Status.CAUTION, Status.UNKNOWN, Status.CRITICAL, Status.VIOLATED]
    for milder, harder in pairwise(order):
        assert worst([harder, milder]) is worst([milder, harder]) is harder


@pytest.mark.parametrize(
    ("level", "status"),
    [
        (50.01, Status.SAFE),
        (50.0, Status.CAUTION),
        (20.01, Status.CAUTION),
        (20.0, Status.CRITICAL),
        (10.01, Status.CRITICAL),
        (10.0, Status.VIOLATED),
        (9.99, Status.VIOLATED),
    ],
)
def test_the_margin_cutoff_warns_at_fifty_and_liquidates_at_ten(
    level: float, status: Status
) -> None:
    table = pairs_of([rule(RuleType.MARGIN_LEVEL, "10", caution="0.8", critical="0.5")])
    account = {"equity": level * 10, "margin": 1_000.0, "margin_level": level}
    assert evaluated(table, state_of(table), batch([account])).present[0] == status


@pytest.mark.parametrize(
    ("symbol", "price", "lots", "leverage", "margin"),
    [
        ("EURUSD", 1.08774, 0.1, 100, 108.77),
        ("USDCHF", 0.9, 0.01, 100, 10.00),
        ("NZDUSD", 0.5888, 0.01, 400, 1.47),
    ],
)
def test_margins_are_those_of_real_servers_without_asking_the_terminal(
    symbol: str, price: float, lots: float, leverage: int, margin: float
) -> None:
    desk = Desk()
    login = desk.open_account(leverage=leverage)
    desk.server.set_prices(symbol, price, price)
    told = SymbolTerms.from_row(symbol_row(desk.server, login, symbol))
    per_lot = told.margin_per_lot(True, price, leverage)
    assert per_lot is not None
    assert round(per_lot * lots, 2) == margin


@pytest.mark.parametrize("step", ["0.001", "0.01", "0.1", "1"])
@given(steps=st.integers(1, 5_000))
def test_a_double_is_never_a_step_too_small(step: str, steps: int) -> None:
    known = replace(EURUSD, volume_step=float(step), volume_min=float(step), volume_max=1e6)
    wanted = steps * Decimal(step)
    assert known.floored(float(wanted)) == wanted
    assert known.floored(float(wanted) + float(step) * 0.999) == wanted


@pytest.mark.parametrize("lots", ["0.29", "0.57", "0.58", "1.13", "2.01", "4.35", "8.2", "0.07"])
def test_lots_that_a_float_would_lose_a_step_of(lots: str) -> None:
    assert EURUSD.floored(float(lots)) == Decimal(lots)


@given(
    risk=st.decimals("5", "20000", places=2),
    pips=st.integers(1, 900),
    commission=st.decimals("0", "7", places=2),
    held=st.integers(0, 3_000),
    limit=st.sampled_from([0.0, 15.0]),
)
def test_a_size_is_the_largest_that_the_formula_and_the_broker_allow(
    risk: Decimal, pips: int, commission: Decimal, held: int, limit: float
) -> None:
    question = SizeQuestion(
        terms=replace(EURUSD, volume_limit=limit, volume_max=10.0),
        is_buy=True,
        entry_price=1.2,
        stop_loss=round(1.2 - pips / 10_000, 5),
        risk_money=float(risk),
        commission_per_lot=float(commission),
        margin_per_lot=1_200.0,
        margin_free=9_000.0,
        held_lots=held / 100,
    )
    per_lot = pips * 10 + 2 * commission  # 10 USD a pip

    def fits(lots: Decimal) -> bool:
        room = not limit or held / 100 + float(lots) <= limit + 1e-9
        return lots * per_lot <= risk and lots * 1_200 <= 9_000 and lots <= 10 and room

    lots = size_position(question).lots
    step = Decimal("0.01")
    assert lots == 0 or fits(lots)
    assert not fits(lots + step)


@given(st.lists(st.floats(-0.2, 0.2), min_size=20, max_size=300))
def test_value_at_risk_is_the_fifth_percentile_and_shortfall_the_mean_beyond(
    returns: list[float],
) -> None:
    tail = tail_risk(returns)
    worst_return = quantiles(returns, n=20, method="inclusive")[0]
    beyond = [each for each in returns if each <= worst_return + 1e-15]
    assert tail is not None
    assert tail.value_at_risk == pytest.approx(max(-worst_return, 0.0), abs=1e-12)
    assert tail.expected_shortfall == pytest.approx(max(-fmean(beyond), 0.0), abs=1e-12)


def test_a_deposit_and_a_credit_are_no_return() -> None:
    monday = date(2026, 6, 1)
    ends = [(100.0, 0.0), (101.0, 0.0), (151.5, 50.0), (149.985, 0.0)]
    days = [DayEnd(monday + timedelta(days=n), *end) for n, end in enumerate(ends)]
    assert list(daily_returns(days).values()) == pytest.approx([0.01, 0.5 / 101, -0.01])


def test_correlations_are_of_log_returns_on_days_in_common() -> None:
    random = np.random.default_rng(11)
    days = list(range(61))
    first = dict(zip(days, 1.1 * np.exp(np.cumsum(random.normal(0, 0.01, 61))), strict=True))
    noise = np.cumsum(random.normal(0, 0.008, 61))
    second = {day: 150.0 * first[day] ** 0.5 * float(np.exp(noise[day])) for day in days}
    del second[30]

    def returns(closes: dict[int, float]) -> dict[int, float]:
        known = sorted(closes)
        return {day: log(closes[day] / closes[before]) for before, day in pairwise(known)}

    one, other = returns(first), returns(second)
    common = sorted(one.keys() & other.keys())
    expected = correlation([one[day] for day in common], [other[day] for day in common])
    known = correlations_of({"A": first, "B": second})
    assert known.matrix[0, 1] == pytest.approx(expected)

    monday = date(2026, 6, 1)
    series = [
        {monday + timedelta(days=day): float(np.expm1(change)) for day, change in each.items()}
        for each in (one, other)
    ]
    assert correlation_matrix(series)[0][1] == pytest.approx(expected)
