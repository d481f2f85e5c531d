"""Which violations stay, and which end by themselves."""

from dataclasses import replace

import numpy as np
import pytest

from risk.core.baselines import day_starts
from risk.core.evaluation import with_latches
from risk.core.latches import LatchChanges, decide_latches
from risk.core.pairs import PairTable
from risk.core.rule_types import RuleType
from risk.core.states import PairState
from risk.core.statuses import Status
from risk.tests.core_cases import NOON, at, batch, evaluated, pairs_of, rule, state_of

DAILY, DRAWDOWN, COUNT = RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN, RuleType.POSITION_LIMIT
RESET = at(2026, 6, 1, 22)


def step(
    table: PairTable,
    state: PairState,
    moment: float,
    *,
    balance: float = 100_000.0,
    positions: int = 0,
    accepted: bool = True,
) -> LatchChanges:
    reading = batch([{"balance": balance}], [{"volume": 0.1}] * positions)
    result = evaluated(table, state, reading, [accepted])
    return decide_latches(table, state, result, day_starts(table, moment), moment)


def test_it_opens_a_latch_once_and_remembers_when() -> None:
    table = pairs_of([rule(DAILY, "0.05")])
    state = state_of(table, day_balance=100_000.0)
    assert not len(step(table, state, NOON, balance=95_000.01).opened)
    first = step(table, state, NOON, balance=95_000.0)
    second = step(table, first.state, NOON + 1, balance=90_000.0)
    assert (list(first.opened), list(second.opened)) == ([0], [])
    assert second.state.latched_at[0] == NOON


@pytest.mark.parametrize(
    ("moment", "cleared"), [(RESET - 0.01, []), (RESET, [0]), (RESET + 0.01, [0])]
)
@pytest.mark.parametrize("accepted", [True, False])
def test_it_ends_a_daily_loss_at_its_reset(
    moment: float, cleared: list[int], accepted: bool
) -> None:
    table = pairs_of([rule(DAILY, "0.05")])
    state = state_of(table, day_balance=100_000.0, latched=True, latched_at=NOON, acknowledged=True)
    changes = step(table, state, moment, accepted=accepted)
    assert list(changes.cleared) == cleared
    assert changes.state.latched[0] == changes.state.acknowledged[0] == (not cleared)


def test_it_opens_a_new_latch_when_the_new_day_begins_violated() -> None:
    table = pairs_of([rule(DAILY, "0.05")])
    state = state_of(table, day_balance=100_000.0, latched=True, latched_at=NOON, acknowledged=True)
    changes = step(table, state, RESET + 1, balance=90_000.0)
    assert (list(changes.cleared), list(changes.opened)) == ([0], [0])
    assert changes.state.latched_at[0] == RESET + 1
    assert not changes.state.acknowledged[0]


def test_it_never_ends_a_drawdown_by_itself_acknowledged_or_not() -> None:
    table = pairs_of([rule(DRAWDOWN, "0.05")])
    state = state_of(table, latched=True, latched_at=NOON, acknowledged=True)
    changes = step(table, state, NOON + 90 * 86_400)
    assert not len(changes.cleared)
    assert changes.state.latched[0]
    assert changes.state.acknowledged[0]


@pytest.mark.parametrize(("waited", "cleared"), [(59.9, []), (60.0, [0]), (60.1, [0])])
def test_it_ends_a_count_once_it_held_inside_for_its_hold_time(
    waited: float, cleared: list[int]
) -> None:
    table = pairs_of([rule(COUNT, "2")])
    state = step(table, state_of(table), NOON, positions=3).state
    assert state.latched[0]
    state = step(table, state, NOON + 5, positions=2).state
    assert state.inside_since[0] == NOON + 5
    changes = step(table, state, NOON + 5 + waited, positions=2)
    assert list(changes.cleared) == cleared


@pytest.mark.parametrize(("positions", "accepted"), [(3, True), (0, False)])
def test_it_starts_the_hold_time_again_after_a_gap(positions: int, accepted: bool) -> None:
    table = pairs_of([rule(COUNT, "2")])
    state = step(table, state_of(table), NOON, positions=3).state
    state = step(table, state, NOON + 5).state
    state = step(table, state, NOON + 50, positions=positions, accepted=accepted).state
    assert np.isnan(state.inside_since[0])
    state = step(table, state, NOON + 51).state
    assert not len(step(table, state, NOON + 110.9).cleared)
    assert list(step(table, state, NOON + 111).cleared) == [0]


def test_it_clears_at_once_without_a_hold_time() -> None:
    table = pairs_of([rule(COUNT, "2", hold_seconds=0)])
    state = step(table, state_of(table), NOON, positions=3).state
    assert list(step(table, state, NOON + 0.2, positions=2).cleared) == [0]


def test_it_loses_no_violation_while_the_reading_is_gone() -> None:
    table = pairs_of([rule(COUNT, "2"), rule(DRAWDOWN, "0.05")])
    state = state_of(table, latched=True, latched_at=NOON)
    changes = step(table, state, NOON + 10_000, accepted=False)
    assert not len(changes.cleared)
    result = evaluated(table, changes.state, batch([{"balance": 1.0}]), [False])
    assert (result.status == Status.VIOLATED).all()


def test_it_shows_a_cleared_pair_as_the_reading_does() -> None:
    table = pairs_of([rule(DAILY, "0.05")])
    state = state_of(table, day_balance=100_000.0, latched=True, latched_at=NOON)
    result = evaluated(table, state, batch([{"balance": 99_000.0}]))
    changes = decide_latches(table, state, result, day_starts(table, RESET), RESET)
    assert with_latches(result, changes.state.latched).status[0] == Status.SAFE


def test_it_leaves_the_state_alone_when_nothing_is_violated() -> None:
    table = pairs_of([rule(DAILY, "0.05"), rule(COUNT, "2")])
    state = replace(state_of(table, day_balance=100_000.0))
    assert step(table, state, NOON).state is state


def test_it_keeps_a_latch_that_began_at_the_reset_itself() -> None:
    table = pairs_of([rule(DAILY, "0.05")])
    state = state_of(table, day_balance=100_000.0, latched=True, latched_at=RESET)
    assert not len(step(table, state, RESET + 60).cleared)
    assert list(step(table, state, RESET + 86_400).cleared) == [0]
