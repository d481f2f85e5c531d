"""Days that begin, peaks that rise, transfers that move neither."""

from dataclasses import replace

import numpy as np
import pytest

from accounts.terminals.readings import ReadingBatch, Rows
from risk.core.account_columns import AccountColumns
from risk.core.baselines import advance_peaks, day_starts, roll_days
from risk.core.pairs import PairTable
from risk.core.rule_types import RuleType
from risk.core.states import PairState
from risk.core.statuses import Reason, Status
from risk.core.transfers import add_transfers
from risk.tests.core_cases import (
    BALANCE,
    BONUS,
    BUY,
    COMMISSION,
    CORRECTION,
    CREDIT,
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

DAILY, DRAWDOWN = RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN
HIGHER = "higher_of_balance_and_equity"
RESET = at(2026, 6, 1, 22)  # midnight in Prague, one o'clock at the broker
BROKER_HOURS = 3


def accepted_deals(batch: ReadingBatch, accounts: AccountColumns) -> Rows:
    """Return the deals of accepted readings, by account and ticket, as the sessions hand them."""
    deals = batch.deals
    if not len(deals):
        return deals
    known = deals[accounts.known[deals["account"]]]
    ordered: Rows = known[np.lexsort((known["ticket"], known["account"]))]
    return ordered


def deal(moment: float, profit: float, kind: int = BUY, **more: object) -> Row:
    broker_time = int((moment + BROKER_HOURS * 3600) * 1000)
    return {"time_msc": broker_time, "type": kind, "profit": profit, **more}


def tick(
    table: PairTable,
    state: PairState,
    account: Row,
    moment: float,
    *,
    deals: tuple[Row, ...] = (),
    last_read_at: float = RESET - 1,
    accepted: bool = True,
) -> tuple[PairState, list[list[int]]]:
    """Move the baselines as the tick does; return them with rolled, equity, history pairs."""
    reading = batch([account], deals=deals, taken_at=moment)
    known = columns(reading, [accepted])
    seen = accepted_deals(reading, known)
    state = add_transfers(table, state, seen)
    days = day_starts(table, moment)
    roll = roll_days(table, state, known, seen, days, moment, np.array([last_read_at]))
    state = advance_peaks(table, roll.state, known, seen)
    return state, [list(each) for each in (roll.rolled, roll.needs_equity, roll.needs_history)]


def daily_table(**raw: object) -> PairTable:
    return pairs_of([rule(DAILY, "0.05", **raw)])


@pytest.mark.parametrize("reset_zone", ["Europe/Prague", None])
def test_it_takes_the_reading_right_after_the_reset(reset_zone: str | None) -> None:
    table = daily_table(reference=HIGHER, reset_zone=reset_zone)
    state, did = tick(
        table,
        state_of(table, day_started_at=RESET - 86_400, day_deposits=500.0),
        {"balance": 105_000.0, "profit": 2_000.0, "credit": 300.0},
        RESET + 0.2,
    )
    assert did == [[0], [], []]
    assert (state.day_started_at[0], state.day_deposits[0]) == (RESET, 0.0)
    assert (state.day_balance[0], state.day_equity[0]) == (105_000.0, 107_000.0)
    assert not state.day_reconstructed[0]


@pytest.mark.parametrize(("offset", "rolls"), [(-0.001, False), (0.0, True), (0.001, True)])
def test_it_rolls_at_the_reset_and_not_before(offset: float, rolls: bool) -> None:
    table = daily_table()
    before = state_of(table, day_started_at=RESET - 86_400, day_balance=99_000.0)
    state, did = tick(table, before, {"balance": 105_000.0}, RESET + offset)
    assert did[0] == ([0] if rolls else [])
    assert state.day_balance[0] == (105_000.0 if rolls else 99_000.0)


def test_it_rolls_each_day_once() -> None:
    table = daily_table()
    state, _ = tick(table, state_of(table), {"balance": 105_000.0}, RESET + 0.2)
    again, did = tick(table, state, {"balance": 90_000.0}, RESET + 0.4, last_read_at=RESET + 0.2)
    assert did == [[], [], []]
    assert again.day_balance[0] == 105_000.0


@pytest.mark.parametrize(
    ("evening", "reset"),
    [
        (at(2026, 3, 28, 12), at(2026, 3, 28, 23)),
        (at(2026, 3, 29, 12), at(2026, 3, 29, 22)),  # a day of 23 hours
        (at(2026, 10, 25, 12), at(2026, 10, 25, 23)),  # a day of 25 hours
    ],
)
def test_it_rolls_at_local_midnight_over_daylight_saving(evening: float, reset: float) -> None:
    table = daily_table()
    started = day_starts(table, evening).starts[0]
    state = state_of(table, day_started_at=started, day_balance=1.0)
    for moment, balance in ((reset - 0.1, 1.0), (reset + 0.1, 2.0)):
        after, _ = tick(table, state, {"balance": 2.0}, moment, last_read_at=evening)
        assert after.day_balance[0] == balance
    assert day_starts(table, evening).valid_until == reset


def test_it_works_the_balance_out_from_the_deals_since_a_missed_reset() -> None:
    table = pairs_of([rule(DAILY, "0.05"), rule(DAILY, "0.05", reference=HIGHER)])
    deals = (
        deal(RESET - 5, 11.0, ticket=1),
        deal(RESET, -100.0, ticket=2, commission=-3.5, swap=-1.0, fee=-0.5),
        deal(RESET + 60, 1_000.0, BALANCE, ticket=3),
        deal(RESET + 61, -200.0, CORRECTION, ticket=4),
        deal(RESET + 62, 50.0, BONUS, ticket=5),
        deal(RESET + 63, 777.0, CREDIT, ticket=6),
        deal(RESET + 64, -7.0, COMMISSION, ticket=7),
    )
    state, did = tick(
        table,
        state_of(table, day_started_at=RESET - 86_400, day_balance=1.0, day_equity=1.0),
        {"balance": 100_000.0, "credit": 777.0},
        RESET + 3_600,
        deals=deals,
    )
    assert did == [[0, 1], [1], []]
    assert list(state.day_balance) == pytest.approx([99_262.0] * 2)
    assert list(state.day_deposits) == [1_050.0] * 2
    assert list(state.day_withdrawals) == [-200.0] * 2
    result = evaluated(table, state, batch([{"balance": 100_000.0, "credit": 777.0}]))
    assert result.used[0] == pytest.approx(112.0)  # -100 - 5 - 7
    assert (result.status[1], result.reason[1]) == (Status.UNKNOWN, Reason.RESET_MISSED)


def test_it_takes_transfers_right_after_the_reset_out_of_the_equity() -> None:
    table = daily_table(reference="equity")
    state, _ = tick(
        table,
        state_of(table),
        {"balance": 106_000.0, "profit": 500.0},
        RESET + 1,
        deals=(deal(RESET + 0.5, 5_000.0, BALANCE),),
    )
    assert (state.day_equity[0], state.day_deposits[0]) == (101_500.0, 5_000.0)


@pytest.mark.parametrize(("late", "needs"), [(2.0, []), (2.001, [0])])
def test_it_takes_no_late_equity_for_that_of_the_reset(late: float, needs: list[int]) -> None:
    table = daily_table(reference="equity")
    state, did = tick(table, state_of(table), {"balance": 1.0}, RESET + late)
    assert did == [[0], needs, []]
    assert np.isnan(state.day_equity[0]) == bool(needs)


def test_it_asks_for_history_when_the_deals_since_the_reset_are_not_at_hand() -> None:
    table = daily_table()
    old = state_of(table, day_started_at=RESET - 86_400, day_balance=90_000.0)
    account, moment = {"balance": 100_000.0}, RESET + 3_600
    for last_read_at in (np.nan, RESET + 60):
        state, did = tick(table, old, account, moment, last_read_at=last_read_at)
        assert did == [[], [], [0]]
        result = evaluated(table, state, batch([account]))
        assert result.status[0] == Status.UNKNOWN
    history = (deal(RESET + 5, -400.0),)
    state, did = tick(table, state, account, moment, deals=history, last_read_at=-np.inf)
    assert did == [[0], [], []]
    assert state.day_balance[0] == 100_400.0


def test_it_begins_no_day_and_moves_no_peak_by_a_reading_that_was_not_accepted() -> None:
    table = pairs_of(
        [
            rule(DAILY, "0.05"),
            rule(DRAWDOWN, "0.05", kind="trailing_intraday_equity"),
            rule(DRAWDOWN, "0.05", kind="trailing_end_of_day"),
        ]
    )
    before = state_of(table, peak=100_000.0)
    account, deals = {"balance": 200_000.0}, (deal(RESET + 1, 5.0, BALANCE),)
    state, did = tick(table, before, account, RESET + 1, deals=deals, accepted=False)
    assert did == [[], [], []]
    assert state is before


def test_it_counts_a_transfer_for_the_baselines_that_began_before_it() -> None:
    table = pairs_of([rule(DAILY, "0.05"), rule(DRAWDOWN, "0.05"), rule(DRAWDOWN, "0.06")])
    state = state_of(table, day_started_at=RESET, day_balance=1.0)
    state = replace(state, started_at=np.array([RESET, RESET, RESET + 100]))
    deals = (deal(RESET + 99, 70.0, BALANCE, ticket=1), deal(RESET + 100, -30.0, BALANCE, ticket=2))
    state, _ = tick(
        table, state, {"balance": 1.0}, RESET + 200, deals=deals, last_read_at=RESET + 50
    )
    assert list(state.deposits) == [70.0, 70.0, 0.0]
    assert list(state.withdrawals) == [-30.0, -30.0, -30.0]
    assert (state.day_deposits[0], state.day_withdrawals[0]) == (70.0, -30.0)


@pytest.mark.parametrize(
    ("kind", "peaks"),
    [
        ("static", [np.nan] * 4),
        ("trailing_closed_balance", [100_000.0, 101_000.0, 101_000.0, 101_500.0]),
        ("trailing_intraday_equity", [100_500.0, 100_500.0, 103_000.0, 103_000.0]),
        ("trailing_end_of_day", [100_000.0] * 4),
    ],
)
def test_it_raises_each_kind_of_peak_by_what_it_trails(kind: str, peaks: list[float]) -> None:
    table = pairs_of([rule(DRAWDOWN, "0.05", kind=kind)])
    state = state_of(table, day_started_at=RESET)
    seen = []
    for balance, profit in ((99_000, 1_500), (101_000, -800), (100_500, 2_500), (101_500, 0)):
        state, _ = tick(
            table, state, {"balance": balance, "profit": profit}, RESET + 60, last_read_at=RESET
        )
        seen.append(float(state.peak[0]))
    assert seen == pytest.approx(peaks, nan_ok=True)


@pytest.mark.parametrize("kind", ["trailing_closed_balance", "trailing_intraday_equity"])
def test_it_raises_no_peak_by_a_deposit_and_lowers_none_by_a_withdrawal(kind: str) -> None:
    table = pairs_of([rule(DRAWDOWN, "0.05", kind=kind)])
    state = state_of(table, peak=101_000.0)
    deals = (deal(RESET + 1, 9_000.0, BALANCE), deal(RESET + 2, -2_000.0, BALANCE, ticket=1))
    state, _ = tick(table, state, {"balance": 107_500.0}, RESET + 3, deals=deals)
    assert state.peak[0] == 101_000.0
    result = evaluated(table, state, batch([{"balance": 107_500.0}]))
    assert result.floor[0] == 101_000.0 + 7_000.0 - 5_000.0


def test_it_sees_a_closed_balance_that_rose_and_fell_between_two_readings() -> None:
    table = pairs_of([rule(DRAWDOWN, "0.05", kind="trailing_closed_balance")], [terms(), terms()])
    state = state_of(table, peak=100_000.0)
    deals = [
        deal(RESET + 1, 900.0, account=0, ticket=1),
        deal(RESET + 2, 5_000.0, BALANCE, account=0, ticket=2),
        deal(RESET + 3, -1_500.0, account=0, ticket=3),
        deal(RESET + 4, -10.0, account=1, ticket=4),
    ]
    reading = batch([{"balance": 104_400.0}, {"balance": 99_990.0}], deals=deals)
    known = columns(reading)
    state = add_transfers(table, state, accepted_deals(reading, known))
    peaks = advance_peaks(table, state, known, accepted_deals(reading, known)).peak
    assert list(peaks) == [100_900.0, 100_000.0]
    began_later = replace(state, started_at=np.full(2, RESET + 2))
    later = advance_peaks(table, began_later, known, accepted_deals(reading, known)).peak
    assert later[0] == 100_000.0


def test_it_raises_an_end_of_day_peak_by_the_balance_of_every_missed_reset() -> None:
    table = pairs_of([rule(DRAWDOWN, "2000", amount_kind="money", kind="trailing_end_of_day")])
    day = 86_400
    state = state_of(table, peak=100_000.0, day_started_at=RESET - 3 * day)
    deals = (
        deal(RESET - 2 * day - 60, 3_000.0, ticket=1),
        deal(RESET - 2 * day + 60, -2_500.0, ticket=2),
        deal(RESET + 60, 900.0, ticket=3),
    )
    read_at = RESET - 2 * day - 3_600
    state, did = tick(
        table, state, {"balance": 101_400.0}, RESET + 90, deals=deals, last_read_at=read_at
    )
    assert did[0] == [0]
    assert state.peak[0] == 103_000.0
    assert state.day_started_at[0] == RESET


def test_it_never_lets_an_end_of_day_peak_fall() -> None:
    table = pairs_of([rule(DRAWDOWN, "0.05", kind="trailing_end_of_day")])
    state = state_of(table, peak=103_000.0, day_started_at=RESET - 86_400)
    state, _ = tick(table, state, {"balance": 90_000.0}, RESET + 1)
    assert state.peak[0] == 103_000.0


def test_it_lets_the_account_or_the_rule_choose_the_clock() -> None:
    rules = [
        rule(DAILY, "0.05"),
        rule(DAILY, "0.05", reset_time="17:00", reset_zone="America/New_York"),
        rule(DAILY, "0.05", reset_time="01:00"),
        rule(DRAWDOWN, "0.05", kind="trailing_end_of_day", reset_zone="America/New_York+7h"),
        rule(DRAWDOWN, "0.05"),
    ]
    table = pairs_of(rules)
    starts = day_starts(table, at(2026, 6, 2, 12)).starts
    assert list(table.clock_index) == [0, 1, 2, 3, -1]
    assert list(starts) == [
        at(2026, 6, 1, 22),
        at(2026, 6, 1, 21),
        at(2026, 6, 1, 23),
        at(2026, 6, 1, 21),
    ]


def test_it_begins_no_day_with_a_reading_of_before_the_reset() -> None:
    table = daily_table()
    old = state_of(table, day_started_at=RESET - 86_400, day_balance=100_000.0)
    reading = batch([{"balance": 90_000.0}])
    known, days = columns(reading), day_starts(table, RESET + 0.1)
    for read_at in (RESET - 0.1, np.array([RESET - 0.1]), np.array([np.nan])):
        roll = roll_days(table, old, known, reading.deals, days, read_at, np.array([RESET - 1]))
        assert [len(roll.rolled), len(roll.needs_history)] == [0, 0]
        # Yesterday's loss must not violate today: it would stay latched until the next reset.
        result = evaluated(table, roll.state, reading)
        assert (result.present[0], result.reason[0]) == (Status.UNKNOWN, Reason.RESET_MISSED)
    roll = roll_days(
        table, roll.state, known, reading.deals, days, np.array([RESET]), np.array([RESET - 0.1])
    )
    assert (list(roll.rolled), roll.state.day_balance[0]) == ([0], 90_000.0)
