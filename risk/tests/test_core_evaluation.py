"""The worked examples of the rules, each at limit - epsilon, limit and limit + epsilon."""

import numpy as np
import pytest

from risk.core.evaluation import with_latches
from risk.core.parameters import RuleParameters
from risk.core.rule_types import RuleType
from risk.core.statuses import Reason, Status
from risk.tests.core_cases import batch, evaluated, pairs_of, rule, state_of, terms

DAILY, DRAWDOWN = RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN
MARGIN, SIZE = RuleType.MARGIN_LEVEL, RuleType.MAX_POSITION_SIZE
COUNT, LEVERAGE = RuleType.POSITION_LIMIT, RuleType.MAX_LEVERAGE
HIGHER = "higher_of_balance_and_equity"
OF_REFERENCE = "fraction_of_reference"
TRAILING_DAY, TRAILING_CLOSED = "trailing_end_of_day", "trailing_closed_balance"
INTRADAY = "trailing_intraday_equity"
EPSILON = 0.01

# Initial 100,000; at the reset balance 105,000 and equity 107,000: the floor of each firm.
DAILY_FLOORS = [
    ("FTMO", rule(DAILY, "0.05", comparison="below"), 100_000.0, 5_000.0),
    ("FundedNext", rule(DAILY, "0.05", comparison="below"), 100_000.0, 5_000.0),
    (
        "The5ers",
        rule(DAILY, "0.05", amount_kind=OF_REFERENCE, reference=HIGHER),
        101_650.0,
        5_350.0,
    ),
    ("Alpha Pro", rule(DAILY, "0.05", amount_kind=OF_REFERENCE), 99_750.0, 5_250.0),
    ("Blue Guardian", rule(DAILY, "0.04", reference=HIGHER), 103_000.0, 4_000.0),
    ("equity", rule(DAILY, "0.05", reference="equity"), 102_000.0, 5_000.0),
    ("money", rule(DAILY, "1500", amount_kind="money", comparison="below"), 103_500.0, 1_500.0),
]

# Initial balance, peak, expected floor.
DRAWDOWN_FLOORS = [
    ("static", rule(DRAWDOWN, "0.10", comparison="below"), 100_000.0, np.nan, 90_000.0),
    (
        "end of day",
        rule(DRAWDOWN, "2000", amount_kind="money", kind=TRAILING_DAY, lock="at_initial"),
        50_000.0,
        50_500.0,
        48_500.0,
    ),
    (
        "end of day, locked",
        rule(DRAWDOWN, "2000", amount_kind="money", kind=TRAILING_DAY, lock="at_initial"),
        50_000.0,
        52_500.0,
        50_000.0,
    ),
    (
        "end of day, locked at an offset",
        rule(
            DRAWDOWN,
            "3000",
            amount_kind="money",
            kind=TRAILING_DAY,
            lock="at_offset",
            lock_offset="100",
        ),
        100_000.0,
        104_000.0,
        100_100.0,
    ),
    (
        "closed",
        rule(DRAWDOWN, "0.06", kind=TRAILING_CLOSED, lock="at_initial", comparison="below"),
        100_000.0,
        101_000.0,
        95_000.0,
    ),
    (
        "closed, at the lock",
        rule(DRAWDOWN, "0.06", kind=TRAILING_CLOSED, lock="at_initial"),
        100_000.0,
        106_000.0,
        100_000.0,
    ),
    (
        "closed, beyond the lock",
        rule(DRAWDOWN, "0.06", kind=TRAILING_CLOSED, lock="at_initial"),
        100_000.0,
        109_000.0,
        100_000.0,
    ),
    (
        "no lock",
        rule(DRAWDOWN, "0.10", kind=TRAILING_DAY, comparison="below"),
        100_000.0,
        115_000.0,
        105_000.0,
    ),
    (
        "of the peak",
        rule(DRAWDOWN, "0.10", kind=INTRADAY, amount_kind=OF_REFERENCE),
        100_000.0,
        110_000.0,
        99_000.0,
    ),
    (
        "intraday",
        rule(DRAWDOWN, "2000", amount_kind="money", kind=INTRADAY),
        50_000.0,
        50_900.0,
        48_900.0,
    ),
]


def check_floor(parameters: RuleParameters, initial: float, floor: float, **state: float) -> None:
    table = pairs_of([parameters], [terms(initial)])
    for distance in (-EPSILON, 0.0, EPSILON):
        reading = batch([{"balance": floor, "profit": distance}])
        result = evaluated(table, state_of(table, **state), reading)
        beyond = distance < 0 or (distance == 0 and not _allows_the_limit(parameters))
        assert result.floor[0] == pytest.approx(floor, abs=1e-9)
        assert result.left[0] == pytest.approx(distance, abs=1e-9)
        assert result.status[0] == (Status.VIOLATED if beyond else Status.CRITICAL)
        if distance == 0:
            assert result.buffer[0] == 0
            assert result.used[0] == result.limit[0]


def _allows_the_limit(parameters: RuleParameters) -> bool:
    return getattr(parameters, "comparison", None) == "below"


@pytest.mark.parametrize(
    ("parameters", "floor", "amount"),
    [case[1:] for case in DAILY_FLOORS],
    ids=[case[0] for case in DAILY_FLOORS],
)
def test_it_puts_the_daily_floor_where_the_firm_does(
    parameters: RuleParameters, floor: float, amount: float
) -> None:
    check_floor(parameters, 100_000.0, floor, day_balance=105_000.0, day_equity=107_000.0)
    table = pairs_of([parameters])
    state = state_of(table, day_balance=105_000.0, day_equity=107_000.0)
    assert evaluated(table, state, batch([{"balance": 105_000.0}])).limit[0] == amount


@pytest.mark.parametrize(
    ("parameters", "initial", "peak", "floor"),
    [case[1:] for case in DRAWDOWN_FLOORS],
    ids=[case[0] for case in DRAWDOWN_FLOORS],
)
def test_it_puts_the_floor_of_the_maximum_loss_where_the_firm_does(
    parameters: RuleParameters, initial: float, peak: float, floor: float
) -> None:
    check_floor(parameters, initial, floor, peak=peak)


def test_it_breaches_at_the_reset_by_an_overnight_loss_that_was_inside() -> None:
    table = pairs_of([rule(DAILY, "0.05", reference="balance")])
    reading = batch([{"balance": 104_000.0, "profit": -5_000.0}])
    before = evaluated(table, state_of(table, day_balance=100_000.0), reading)
    after = evaluated(table, state_of(table, day_balance=104_000.0), reading)
    assert before.status[0] == Status.SAFE
    assert after.status[0] == Status.VIOLATED


@pytest.mark.parametrize("kind", [DAILY, DRAWDOWN])
def test_it_moves_a_floor_with_transfers_as_the_rule_says(kind: RuleType) -> None:
    names = ("day_deposits", "day_withdrawals") if kind is DAILY else ("deposits", "withdrawals")
    moved = dict(zip(names, (10_000.0, -4_000.0), strict=True))
    for moves, floor in ((True, 101_000.0), (False, 105_000.0)):
        parameters = rule(kind, "0.05", withdrawals_move_floor=moves)
        check_floor(parameters, 100_000.0, floor, day_balance=100_000.0, **moved)


def test_it_moves_a_locked_floor_with_a_deposit() -> None:
    parameters = rule(DRAWDOWN, "0.06", kind=TRAILING_CLOSED, lock="at_initial")
    check_floor(parameters, 100_000.0, 110_000.0, peak=109_000.0, deposits=10_000.0)


@pytest.mark.parametrize(("kind", "state"), [(DAILY, "day_balance"), (DRAWDOWN, "peak")])
def test_it_leaves_credit_out_on_both_sides(kind: RuleType, state: str) -> None:
    table = pairs_of([rule(kind, "0.05")])
    reading = batch([{"balance": 97_000.0, "credit": 5_000.0}])
    result = evaluated(table, state_of(table, **{state: 100_000.0}), reading)
    assert result.used[0] == 3_000.0
    assert result.buffer[0] == pytest.approx(0.4)


def test_it_never_shows_more_than_the_limit_left() -> None:
    table = pairs_of([rule(DAILY, "0.05")])
    result = evaluated(
        table, state_of(table, day_balance=100_000.0), batch([{"balance": 103_000.0}])
    )
    assert (result.used[0], result.left[0], result.buffer[0]) == (0.0, 5_000.0, 1.0)


@pytest.mark.parametrize(
    ("loss", "status"),
    [
        (0.0, Status.SAFE),
        (3_499.99, Status.SAFE),
        (3_500.0, Status.CAUTION),
        (3_500.01, Status.CAUTION),
        (4_499.99, Status.CAUTION),
        (4_500.0, Status.CRITICAL),
        (4_999.99, Status.CRITICAL),
        (5_000.0, Status.VIOLATED),
    ],
)
def test_it_grades_the_buffer_by_the_thresholds(loss: float, status: Status) -> None:
    table = pairs_of([rule(DAILY, "0.05", caution=0.3, critical=0.1)])
    result = evaluated(
        table, state_of(table, day_balance=100_000.0), batch([{"balance": 100_000.0 - loss}])
    )
    assert result.status[0] == status


@pytest.mark.parametrize(
    ("equity", "below", "at_or_below"),
    [
        (1_500.01, Status.CRITICAL, Status.CRITICAL),
        (1_500.0, Status.CRITICAL, Status.VIOLATED),
        (1_499.99, Status.VIOLATED, Status.VIOLATED),
        (-50.0, Status.VIOLATED, Status.VIOLATED),
    ],
)
def test_it_compares_the_margin_level_as_metatrader_shows_it(
    equity: float, below: Status, at_or_below: Status
) -> None:
    rules = [rule(MARGIN, "150", comparison="below"), rule(MARGIN, "150")]
    reading = batch([{"equity": equity, "margin": 1_000.0, "margin_level": equity / 10}])
    table = pairs_of(rules)
    assert list(evaluated(table, state_of(table), reading).status) == [below, at_or_below]


def test_it_takes_no_margin_as_none_and_not_as_a_breach() -> None:
    table = pairs_of([rule(MARGIN, "150")])
    result = evaluated(table, state_of(table), batch([{"balance": 1_000.0, "margin_level": 0}]))
    assert (result.status[0], result.buffer[0]) == (Status.SAFE, 1.0)
    assert result.reason[0] == Reason.NO_MARGIN
    assert np.isnan(result.value[0])


def test_it_works_out_a_margin_level_of_zero_with_margin() -> None:
    table = pairs_of([rule(MARGIN, "150")])
    reading = batch([{"equity": 0.0, "margin": 1_000.0, "margin_level": 0.0}])
    result = evaluated(table, state_of(table), reading)
    assert (result.status[0], result.buffer[0]) == (Status.VIOLATED, -1.0)


@pytest.mark.parametrize(
    ("pending_lots", "status", "buffer"),
    [
        (0.29, Status.CRITICAL, 0.002),
        (0.30, Status.CRITICAL, 0.0),
        (0.31, Status.VIOLATED, -0.002),
    ],
)
def test_it_counts_size_per_symbol_and_direction_with_pendings(
    pending_lots: float, status: Status, buffer: float
) -> None:
    positions = [
        {"symbol": 0, "type": 0, "volume": 4.6},
        {"symbol": 0, "type": 0, "volume": 0.1},
        {"symbol": 0, "type": 1, "volume": 4.5},
        {"symbol": 1, "type": 0, "volume": 4.5},
    ]
    orders = [
        {"symbol": 0, "type": 2, "volume": pending_lots},
        {"symbol": 0, "type": 8, "volume": 9.0},  # a close-by adds nothing
        {"symbol": 1, "type": 5, "volume": 4.0},
    ]
    table = pairs_of([rule(SIZE, "5")])
    result = evaluated(table, state_of(table), batch([{"balance": 1.0}], positions, orders))
    assert result.status[0] == status
    assert result.buffer[0] == pytest.approx(buffer, abs=1e-12)
    assert (result.symbol[0], result.direction[0]) == (0, 0)


def test_it_narrows_size_to_the_symbols_of_the_rule() -> None:
    rules = [rule(SIZE, "5"), rule(SIZE, "5", symbols=["GBPUSD"]), rule(SIZE, "5", symbols=["XAU"])]
    positions = [
        {"account": 0, "symbol": 0, "type": 0, "volume": 3.0},
        {"account": 0, "symbol": 1, "type": 1, "volume": 2.0},
        {"account": 1, "symbol": 0, "type": 1, "volume": 1.0},
    ]
    table = pairs_of(rules, [terms(), terms()])
    result = evaluated(table, state_of(table), batch([{}, {}], positions))
    assert list(result.value) == [3.0, 1.0, 2.0, 0.0, 0.0, 0.0]
    assert list(result.symbol) == [0, 0, 1, -1, -1, -1]
    assert list(result.direction[:3]) == [0, 1, 1]


@pytest.mark.parametrize(
    ("count", "status"),
    [(1, Status.SAFE), (3, Status.CAUTION), (4, Status.CRITICAL), (5, Status.VIOLATED)],
)
def test_it_counts_open_positions(count: int, status: Status) -> None:
    table = pairs_of([rule(COUNT, "4"), rule(COUNT, "4", include_pending=True)])
    held = [{"symbol": 0, "volume": 0.1}] * (count - 1)
    order = [{"symbol": 0, "type": 3, "volume": 0.1}]
    result = evaluated(table, state_of(table), batch([{}], held, order))
    assert result.value[0] == count - 1
    assert (result.value[1], result.status[1]) == (count, status)


@pytest.mark.parametrize(
    ("equity", "status"),
    [(10_000.1, Status.CRITICAL), (10_000.0, Status.CRITICAL), (9_999.9, Status.VIOLATED)],
)
def test_it_nets_leverage_per_symbol(equity: float, status: Status) -> None:
    positions = [
        {"symbol": 0, "type": 0, "volume": 1.0, "notional": 90_000.0},
        {"symbol": 0, "type": 1, "volume": 0.5, "notional": 30_000.0},
        {"symbol": 1, "type": 1, "volume": 0.5, "notional": 40_000.0},
    ]
    table = pairs_of([rule(LEVERAGE, "10"), rule(LEVERAGE, "16", gross=True)])
    result = evaluated(table, state_of(table), batch([{"equity": equity}], positions))
    assert list(result.status) == [status, status]
    assert list(result.value) == pytest.approx([100_000 / equity, 160_000 / equity])


def test_it_counts_leverage_without_equity_as_beyond_any_limit() -> None:
    positions = [{"symbol": 0, "volume": 1.0, "notional": 1_000.0}]
    table = pairs_of([rule(LEVERAGE, "10")])
    result = evaluated(table, state_of(table), batch([{"equity": -5.0}], positions))
    assert result.status[0] == Status.VIOLATED
    assert np.isfinite(result.buffer[0])


def test_it_calls_a_position_without_a_value_unknown() -> None:
    positions = [
        {"account": 0, "symbol": 0, "volume": np.nan, "notional": np.nan},
        {"account": 0, "symbol": 1, "volume": 50.0, "notional": 1.0},
        {"account": 1, "symbol": 1, "volume": 1.0, "notional": 1.0},
    ]
    table = pairs_of([rule(SIZE, "5"), rule(LEVERAGE, "10")], [terms(), terms()])
    result = evaluated(
        table, state_of(table), batch([{"equity": 100.0}, {"equity": 100.0}], positions)
    )
    assert list(result.status) == [Status.UNKNOWN, Status.SAFE] * 2
    assert result.reason[0] == Reason.NO_VALUE


ALL_RULES = [
    rule(DAILY, "0.05"),
    rule(DRAWDOWN, "0.10"),
    rule(DRAWDOWN, "0.10", kind=INTRADAY),
    rule(MARGIN, "150"),
    rule(SIZE, "5"),
    rule(COUNT, "5"),
    rule(LEVERAGE, "10"),
]


@pytest.mark.parametrize("equity", [np.nan, np.inf, 100_000.0])
def test_it_knows_nothing_of_an_account_that_was_not_accepted(equity: float) -> None:
    table = pairs_of(ALL_RULES)
    state = state_of(table, day_balance=100_000.0, peak=100_000.0)
    accepted = [not np.isfinite(equity)]
    result = evaluated(table, state, batch([{"equity": equity}]), accepted)
    assert (result.status == Status.UNKNOWN).all()
    assert (result.reason == Reason.NO_READING).all()
    assert np.isnan(result.buffer).all()
    assert np.isnan(result.left).all()
    assert np.isnan(result.used).all()


@pytest.mark.parametrize(
    ("parameters", "initial", "state", "reason"),
    [
        (rule(DAILY, "0.05"), 1e5, {}, Reason.NO_DAY_START),
        (rule(DAILY, "0.05"), np.nan, {"day_balance": 1e5}, Reason.NO_INITIAL_BALANCE),
        (
            rule(DAILY, "0.05", reference=HIGHER),
            1e5,
            {"day_balance": 1e5, "day_started_at": 1.0},
            Reason.RESET_MISSED,
        ),
        (rule(DRAWDOWN, "0.05"), np.nan, {}, Reason.NO_INITIAL_BALANCE),
        (rule(DRAWDOWN, "50", amount_kind="money"), np.nan, {}, Reason.NO_INITIAL_BALANCE),
        (rule(DRAWDOWN, "0.05", kind=INTRADAY), 1e5, {}, Reason.NO_PEAK),
        (rule(DRAWDOWN, "0.05"), 0.0, {}, Reason.NO_LIMIT),
    ],
)
def test_it_says_which_baseline_is_missing(
    parameters: RuleParameters, initial: float, state: dict[str, float], reason: Reason
) -> None:
    table = pairs_of([parameters], [terms(initial)])
    result = evaluated(table, state_of(table, **state), batch([{"balance": 1e5}]))
    assert (result.status[0], result.reason[0]) == (Status.UNKNOWN, reason)
    for column in (result.buffer, result.used, result.limit, result.left, result.floor):
        assert np.isnan(column[0])


@pytest.mark.parametrize(
    ("equity", "status"),
    [(99_750.01, Status.CRITICAL), (99_750.0, Status.VIOLATED), (99_749.99, Status.VIOLATED)],
)
def test_it_measures_the_day_of_funding_by_the_deposit(equity: float, status: Status) -> None:
    table = pairs_of([rule(DAILY, "0.05", amount_kind=OF_REFERENCE)], [terms()])
    state = state_of(table, day_balance=0.0, day_deposits=105_000.0)
    result = evaluated(table, state, batch([{"balance": equity}]))
    assert (result.limit[0], result.floor[0]) == (5_250.0, 99_750.0)
    assert result.status[0] == status


def test_it_needs_no_initial_balance_for_money_from_a_peak() -> None:
    parameters = rule(DRAWDOWN, "2000", amount_kind="money", kind=INTRADAY)
    table = pairs_of([parameters], [terms(np.nan)])
    result = evaluated(table, state_of(table, peak=50_900.0), batch([{"balance": 50_000.0}]))
    assert result.floor[0] == 48_900.0


def test_it_keeps_a_latched_pair_violated_whatever_the_reading_says() -> None:
    table = pairs_of([rule(DAILY, "0.05")], [terms(), terms()])
    state = state_of(table, day_balance=1e5, latched=True, acknowledged=True)
    reading = batch([{"balance": 1e5}, {"balance": 1e5}])
    result = evaluated(table, state, reading, [True, False])
    assert list(result.status) == [Status.VIOLATED, Status.VIOLATED]
    assert list(result.present) == [Status.SAFE, Status.UNKNOWN]
    assert result.buffer[0] == 1.0
    assert np.isnan(result.buffer[1])
    assert not result.breached.any()
    released = with_latches(result, np.zeros(2, dtype=np.bool_))
    assert list(released.status) == [Status.SAFE, Status.UNKNOWN]


def test_it_evaluates_a_table_without_pairs() -> None:
    table = pairs_of([], [])
    assert len(evaluated(table, state_of(table), batch([])).status) == 0


def test_it_brings_the_callers_columns_into_its_own_order() -> None:
    table = pairs_of([rule(COUNT, "5"), rule(DAILY, "0.05")], [terms(), terms()])
    mine = np.array(["count 0", "count 1", "daily 0", "daily 1"])
    assert list(mine[table.source]) == ["daily 0", "daily 1", "count 0", "count 1"]
    assert [table.rule_type(pair) for pair in range(4)] == [DAILY, DAILY, COUNT, COUNT]
    assert list(table.account_index) == [0, 1, 0, 1]


@pytest.mark.parametrize("noise", [-4e-7, 4e-7])
def test_it_takes_noise_at_the_limit_for_the_limit(noise: float) -> None:
    rules = [rule(DAILY, "0.05", comparison="below"), rule(DAILY, "0.05")]
    table = pairs_of(rules)
    reading = batch([{"balance": 95_000.0 + noise}])
    result = evaluated(table, state_of(table, day_balance=100_000.0), reading)
    assert list(result.status) == [Status.CRITICAL, Status.VIOLATED]
    assert list(result.left) == [0.0, 0.0]
