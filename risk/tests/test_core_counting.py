"""What is counted from deals: in batches of any size, and over restarts, as in a slow reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.core.zones import broker_zone, from_broker_epoch, to_broker_epoch, trading_day_start
from accounts.terminals.readings import DEAL_DTYPE, Rows
from risk.core.baselines import day_starts
from risk.core.counting import begin_counting, count_deals, roll_counted_days
from risk.core.pairs import Clock, PairTable
from risk.core.rule_types import RuleType
from risk.core.states import PairState
from risk.tests.core_cases import (
    BALANCE,
    COMMISSION,
    CREDIT,
    IN,
    INOUT,
    OUT,
    Row,
    at,
    batch,
    columns,
    pairs_of,
    rows,
    rule,
    state_of,
    terms,
)

BROKER = "America/New_York+7h"
PRAGUE = {"reset_time": "00:00", "reset_zone": "Europe/Prague"}
# The last Sunday of March 2026: Prague's clock jumps; New York's did so three weeks before.
SPRING = at(2026, 3, 27, 12)


@dataclass
class Slow:
    """The same counts, one deal at a time and with no clever step."""

    magic: int | None
    days: dict[float, float] = field(default_factory=dict)
    traded: dict[float, int] = field(default_factory=dict)
    last_trade_at: float = float("nan")

    def add(self, deal: Mapping[str, float], clock: Clock) -> None:
        if deal["type"] in (BALANCE, CREDIT):
            return
        if self.magic is not None and deal["magic"] != self.magic:
            return
        instant = from_broker_epoch(deal["time_msc"] / 1000, broker_zone(BROKER))
        zone = broker_zone(clock.zone)
        moment = datetime.fromtimestamp(instant, UTC)
        day = trading_day_start(moment, clock.reset_time, zone).timestamp()
        self.days[day] = self.days.get(day, 0.0) + deal["profit"]
        if deal["type"] in (0, 1):
            self.last_trade_at = instant
            self.traded[day] = self.traded.get(day, 0) + (deal["entry"] in (IN, INOUT))


def counted_table(magic: int | None = None) -> PairTable:
    extra: dict[str, object] = {"magic": magic, **PRAGUE}
    return pairs_of(
        [
            rule(RuleType.MAX_DAILY_TRADES, "5", **extra),
            rule(RuleType.CONSISTENCY, "0.4", **extra),
        ],
        [terms(zone=BROKER)],
    )


def begun(table: PairTable) -> PairState:
    state = state_of(table, started_at=at(2026, 1, 1))
    return begin_counting(table, state, np.arange(len(table)))


def deal_rows(deals: Sequence[Row]) -> Rows:
    return rows(DEAL_DTYPE, deals)


def msc(instant: float) -> int:
    return round(to_broker_epoch(instant, broker_zone(BROKER)) * 1000)


deals_over_the_change = st.lists(
    st.fixed_dictionaries(
        {
            "after": st.integers(0, 40_000),
            "type": st.sampled_from([0, 1, BALANCE, CREDIT, COMMISSION]),
            "entry": st.sampled_from([IN, OUT, INOUT]),
            "profit": st.integers(-500, 500).map(float),
            "magic": st.sampled_from([0, 7]),
        }
    ),
    max_size=40,
)


def numbered(drawn: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    instant, found = SPRING, []
    for ticket, each in enumerate(drawn, start=1):
        instant += each["after"]
        kept = {name: value for name, value in each.items() if name != "after"}
        found.append({"ticket": ticket, "time_msc": msc(instant), **kept})
    return found


@settings(max_examples=60, deadline=None)
@given(
    drawn=deals_over_the_change,
    cuts=st.sets(st.integers(0, 40)),
    magic=st.sampled_from([None, 7]),
)
def test_it_counts_the_same_in_batches_of_any_size(
    drawn: list[Mapping[str, float]], cuts: set[int], magic: int | None
) -> None:
    deals, table = numbered(drawn), counted_table(magic)
    slow = Slow(magic)
    for deal in deals:
        slow.add(deal, table.clocks[0])
    state, edges = begun(table), [0, *sorted(cuts), len(deals)]
    for first, last in pairwise(edges):
        state = stored_and_read(count_deals(table, state, deal_rows(deals[first:last])))
    for pair in range(len(table)):
        assert_same(state, pair, slow)


def stored_and_read(state: PairState) -> PairState:
    """Return what a restart leaves of a state: copies of what is stored, and nothing else."""
    kept = {each.name: np.array(getattr(state, each.name)) for each in fields(state)}
    for name in ("floating", "inside_since", "triggered_since"):
        kept[name] = np.zeros(len(state)) if name == "floating" else np.full(len(state), np.nan)
    return PairState(**kept)


def assert_same(state: PairState, pair: int, slow: Slow) -> None:
    today = max(slow.days, default=0.0)
    finished = {day: profit for day, profit in slow.days.items() if day < today}
    assert state.day_started_at[pair] == today
    assert state.day_profit[pair] == pytest.approx(slow.days.get(today, 0.0))
    assert state.total_profit[pair] == pytest.approx(sum(slow.days.values()))
    assert state.best_day[pair] == pytest.approx(max([0.0, *finished.values()]))
    won = sum(profit for profit in finished.values() if profit > 0)
    assert state.positive_days[pair] == pytest.approx(won)
    assert state.day_trades[pair] == slow.traded.get(today, 0)
    days = sum(count > 0 for day, count in slow.traded.items() if day < today)
    assert state.trading_days[pair] == days
    assert state.last_trade_at[pair] == pytest.approx(slow.last_trade_at, nan_ok=True)


def opening(instant: float, ticket: int = 1, **more: object) -> Row:
    return {"ticket": ticket, "time_msc": msc(instant), "entry": IN, **more}


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (at(2026, 3, 28, 22, 59, 59), at(2026, 3, 27, 23)),
        (at(2026, 3, 28, 23, 0, 0), at(2026, 3, 28, 23)),
        # Prague's Sunday has 23 hours.
        (at(2026, 3, 29, 21, 59, 59), at(2026, 3, 28, 23)),
        (at(2026, 3, 29, 22, 0, 0), at(2026, 3, 29, 22)),
    ],
)
def test_it_puts_a_deal_into_its_day_over_a_change_of_clocks(instant: float, day: float) -> None:
    table = counted_table()
    state = count_deals(table, begun(table), deal_rows([opening(instant)]))
    assert state.day_started_at[0] == day


def test_it_counts_a_late_deal_for_the_present_day() -> None:
    table = counted_table()
    deals = [opening(SPRING, 1, profit=5.0), opening(SPRING - 86_400, 2, profit=3.0)]
    state = count_deals(table, begun(table), deal_rows(deals))
    assert (state.day_trades[0], state.day_profit[0], state.trading_days[0]) == (2, 8.0, 0)


def test_a_deposit_is_no_profit_and_no_trade() -> None:
    table = counted_table()
    deposit = opening(SPRING, type=BALANCE, profit=50_000.0)
    state = count_deals(table, begun(table), deal_rows([deposit]))
    assert (state.total_profit[0], state.day_trades[0]) == (0.0, 0)
    assert np.isnan(state.last_trade_at[0])


def test_it_leaves_pairs_alone_that_have_not_begun_to_count() -> None:
    table = counted_table()
    state = state_of(table)
    assert count_deals(table, state, deal_rows([opening(SPRING)])) is state


@pytest.mark.parametrize(("read_after", "begins"), [(-0.1, False), (0.0, True), (90_000.0, True)])
def test_it_begins_a_day_with_the_first_reading_of_after_the_reset(
    read_after: float, begins: bool
) -> None:
    table = counted_table()
    reset = at(2026, 3, 27, 23)
    state = count_deals(table, begun(table), deal_rows([opening(SPRING, profit=9.0)]))
    accounts = columns(batch([{"balance": 100_000.0}]))
    days = day_starts(table, reset + 1)
    after, waiting = roll_counted_days(table, state, accounts, days, np.array([reset + read_after]))
    assert waiting.all() == (not begins)
    assert after.day_trades[0] == (0 if begins else 1)
    assert after.trading_days[0] == (1 if begins else 0)
    assert after.best_day[0] == (9.0 if begins else 0.0)


def test_no_day_begins_while_there_is_no_reading() -> None:
    table = counted_table()
    state = count_deals(table, begun(table), deal_rows([opening(SPRING)]))
    accounts = columns(batch([{"balance": 100_000.0}]), [False])
    days = day_starts(table, SPRING + 90_000)
    after, waiting = roll_counted_days(table, state, accounts, days, np.array([SPRING]))
    assert waiting.all()
    assert after.day_trades[0] == 1


def strategy_table(**raw: object) -> PairTable:
    parameters = {"magic": 7, "reset_time": "00:00", "reset_zone": "Europe/Prague", **raw}
    return pairs_of(
        [
            rule(RuleType.MAX_DAILY_LOSS, "0.05", **parameters),
            rule(RuleType.MAX_DRAWDOWN, "0.1", kind="trailing_closed_balance", magic=7),
        ],
        [terms(initial=10_000.0, zone=BROKER)],
    )


def test_a_strategy_has_a_balance_of_its_own() -> None:
    table = strategy_table()
    state = replace(begun(table), started_at=np.full(2, SPRING - 10.0))
    deals = [
        opening(SPRING, 1, entry=OUT, profit=300.0, magic=7),
        opening(SPRING + 1, 2, entry=OUT, profit=-800.0, magic=7),
        opening(SPRING + 2, 3, entry=OUT, profit=-5_000.0, magic=8),
        opening(SPRING + 3, 4, type=BALANCE, profit=9_000.0),
    ]
    state = count_deals(table, state, deal_rows(deals))
    assert state.realised[0] == -500.0
    assert state.day_balance[0] == 10_000.0
    assert state.peak[1] == 10_300.0  # between the deals of one batch


def test_a_strategys_day_contains_what_it_lost_before_the_rule_began() -> None:
    table = strategy_table()
    state = replace(begun(table), started_at=np.full(2, SPRING + 1.0))
    deals = [
        opening(SPRING, 1, entry=OUT, profit=-300.0, magic=7),
        opening(SPRING + 2, 2, entry=OUT, profit=-100.0, magic=7),
    ]
    state = count_deals(table, state, deal_rows(deals))
    assert (state.realised[0], state.day_balance[0]) == (-100.0, 10_300.0)


@pytest.mark.parametrize(("read_after", "is_known"), [(0.0, True), (2.0, True), (2.1, False)])
def test_a_strategys_equity_at_the_reset_is_known_from_a_reading_right_after_it(
    read_after: float, is_known: bool
) -> None:
    table = strategy_table(reference="equity")
    reset = at(2026, 3, 27, 23)
    state = replace(
        count_deals(table, begun(table), deal_rows([opening(SPRING, magic=7)])),
        started_at=np.full(2, SPRING - 86_400),
        floating=np.full(2, -250.0),
    )
    accounts = columns(batch([{"balance": 100_000.0}]))
    days = day_starts(table, reset + 3)
    read_at = np.array([reset + read_after])
    after, _ = roll_counted_days(table, state, accounts, days, read_at)
    known = after.day_equity[0]
    assert known == 9_750.0 if is_known else np.isnan(known)


def test_an_account_day_is_used_by_rules_without_one_of_their_own() -> None:
    table = pairs_of(
        [rule(RuleType.INACTIVITY, "30"), rule(RuleType.MIN_TRADING_DAYS, "4")],
        [terms(trading_day=Clock(time(17, 0), "America/New_York"))],
    )
    assert set(table.clock_index.tolist()) == {0}
    assert table.clocks == (Clock(time(17, 0), "America/New_York"),)
