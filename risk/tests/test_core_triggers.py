"""When an action begins: at the limit or early, after a while, and again after acknowledging."""

from dataclasses import replace

import numpy as np
import pytest

from risk.core.baselines import day_starts
from risk.core.latches import LatchChanges, decide_latches, with_latched_statuses
from risk.core.pairs import PairTable
from risk.core.responses import Response
from risk.core.rule_types import Action, RuleType
from risk.core.states import PairState
from risk.core.statuses import Status
from risk.core.triggers import Triggers, build_triggers, triggered
from risk.tests.core_cases import NOON, batch, evaluated, pairs_of, rule, state_of

LOSS, DRAWDOWN = RuleType.MAX_DAILY_LOSS, RuleType.MAX_DRAWDOWN
COUNT, MARGIN = RuleType.POSITION_LIMIT, RuleType.MARGIN_LEVEL


def acting(
    table: PairTable,
    action: Action = Action.CLOSE_ALL,
    *,
    act_at_fraction: float = 1.0,
    act_after_seconds: float = 0.0,
) -> Triggers:
    response = Response(
        action=action, act_at_fraction=act_at_fraction, act_after_seconds=act_after_seconds
    )
    return build_triggers(table, [response] * len(table.rules))


class Run:
    """One pair, judged again and again."""

    def __init__(self, table: PairTable, triggers: Triggers) -> None:
        self.table, self.triggers = table, triggers
        self.state: PairState = state_of(table, day_balance=100_000.0, peak=100_000.0)

    def see(
        self, after: float, equity: float, *, positions: int = 0, accepted: bool = True
    ) -> LatchChanges:
        reading = batch([{"balance": equity}], [{"volume": 0.1}] * positions)
        result = evaluated(self.table, self.state, reading, [accepted])
        moment = NOON + after
        days = day_starts(self.table, moment)
        changes = decide_latches(self.table, self.state, result, days, moment, self.triggers)
        self.state = changes.state
        self.status = Status(int(with_latched_statuses(result, changes.state).status[0]))
        return changes


def loss_run(
    kind: RuleType = LOSS, *, act_at_fraction: float = 1.0, act_after_seconds: float = 0.0
) -> Run:
    table = pairs_of([rule(kind, "0.1")])
    triggers = acting(table, act_at_fraction=act_at_fraction, act_after_seconds=act_after_seconds)
    return Run(table, triggers)


@pytest.mark.parametrize(
    ("lost", "early"), [(9_699.0, False), (9_700.0, True), (9_700.01, True), (9_999.0, True)]
)
def test_it_acts_from_its_fraction_of_the_limit_on(lost: float, early: bool) -> None:
    run = loss_run(act_at_fraction=0.97)
    changes = run.see(0, 100_000.0 - lost)
    assert (len(changes.opened), bool(changes.state.is_early[0])) == (int(early), early)
    assert run.status is Status.CRITICAL


@pytest.mark.parametrize(
    ("level", "early"), [(52.0, False), (51.6, False), (51.5, True), (50.1, True)]
)
def test_the_safety_margin_of_a_margin_level_lies_above_it(level: float, early: bool) -> None:
    table = pairs_of([rule(MARGIN, "50")])
    triggers = acting(table, act_at_fraction=50 / 51.55)
    reading = batch([{"balance": 1_000.0, "margin": 100.0, "margin_level": level}])
    assert triggered(triggers, evaluated(table, state_of(table), reading))[0] == early


@pytest.mark.parametrize("action", [Action.ALERT, Action.BLOCK])
def test_what_closes_nothing_has_no_safety_margin(action: Action) -> None:
    table = pairs_of([rule(LOSS, "0.1")])
    run = Run(table, acting(table, action, act_at_fraction=0.5))
    assert not len(run.see(0, 90_001.0).opened)
    assert len(run.see(1, 90_000.0).opened)
    assert not run.triggers.acts[0]


def test_an_early_latch_escalates_once_at_the_limit() -> None:
    run = loss_run(act_at_fraction=0.97)
    run.see(0, 90_200.0)
    changes = run.see(5, 90_000.0)
    assert (list(changes.opened), list(changes.cleared), list(changes.escalated)) == ([], [], [0])
    assert (changes.state.latched_at[0], changes.state.violated_at[0]) == (NOON, NOON + 5)
    assert run.status is Status.VIOLATED
    assert not len(run.see(6, 89_000.0).escalated)


def test_a_violation_at_once_is_not_early() -> None:
    run = loss_run(act_at_fraction=0.97)
    state = run.see(0, 89_000.0).state
    assert (bool(state.is_early[0]), state.violated_at[0]) == (False, NOON)


def test_an_early_latch_stays_while_the_loss_does_and_nobody_answers() -> None:
    run = loss_run(DRAWDOWN, act_at_fraction=0.97)
    run.see(0, 90_200.0)
    assert not len(run.see(86_400 * 9, 99_000.0).cleared)
    assert run.status is Status.CRITICAL


def test_an_acknowledged_early_latch_ends_outside_of_the_margin() -> None:
    run = loss_run(DRAWDOWN, act_at_fraction=0.97)
    run.see(0, 90_200.0)
    run.state = replace(run.state, acknowledged=np.array([True]))
    assert not len(run.see(1, 90_300.0).cleared)
    assert len(run.see(2, 90_301.0).cleared)
    assert len(run.see(3, 90_300.0).opened)


def test_what_was_acknowledged_early_is_a_new_violation_at_the_limit() -> None:
    run = loss_run(act_at_fraction=0.97)
    run.see(0, 90_200.0)
    run.state = replace(run.state, acknowledged=np.array([True]))
    changes = run.see(1, 90_000.0)
    assert (list(changes.cleared), list(changes.opened), list(changes.renewed)) == ([0], [0], [0])
    assert not changes.state.acknowledged[0]
    assert not changes.state.is_early[0]


@pytest.mark.parametrize(("inside", "renewed"), [(59.9, False), (60.0, True), (60.1, True)])
def test_an_acknowledged_loss_is_violated_anew_after_a_while_inside(
    inside: float, renewed: bool
) -> None:
    run = loss_run(DRAWDOWN)
    run.see(0, 90_000.0)
    run.state = replace(run.state, acknowledged=np.array([True]))
    assert not len(run.see(1, 89_000.0).opened)
    run.see(2, 91_000.0)
    changes = run.see(2 + inside, 90_000.0)
    assert bool(len(changes.opened)) == bool(len(changes.renewed)) == renewed
    assert bool(changes.state.latched[0])


def test_the_condition_lasts_until_it_has_a_gap() -> None:
    run = loss_run(act_at_fraction=0.97, act_after_seconds=10)
    assert run.see(0, 90_200.0).state.triggered_since[0] == NOON
    assert run.see(5, 89_000.0).state.triggered_since[0] == NOON
    assert np.isnan(run.see(6, 90_400.0).state.triggered_since[0])
    assert run.see(7, 90_200.0).state.triggered_since[0] == NOON + 7
    # What is not known for a moment is a gap, too.
    assert np.isnan(run.see(8, 90_200.0, accepted=False).state.triggered_since[0])
    assert run.see(9, 90_200.0).state.triggered_since[0] == NOON + 9


def test_the_margin_of_a_count_is_left_before_its_hold_time_runs() -> None:
    table = pairs_of([rule(COUNT, "10", hold_seconds=60)])
    run = Run(table, acting(table, Action.REDUCE_SIZE, act_at_fraction=0.9))
    assert list(run.see(0, 1.0, positions=9).opened) == [0]
    run.see(10, 1.0, positions=9)
    run.see(20, 1.0, positions=8)
    assert not len(run.see(79, 1.0, positions=8).cleared)
    assert list(run.see(80, 1.0, positions=8).cleared) == [0]


def test_it_leaves_a_quiet_state_alone() -> None:
    run = loss_run(act_at_fraction=0.97)
    before = run.state
    assert run.see(0, 99_000.0).state is before
