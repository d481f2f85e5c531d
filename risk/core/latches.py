"""Violations that stay: which begin, and which end by themselves."""

from dataclasses import dataclass, replace

import numpy as np

from risk.core.arrays import Flags, Floats, Integers
from risk.core.baselines import DayStarts
from risk.core.evaluation import Evaluation
from risk.core.pairs import PairTable
from risk.core.rule_types import RuleType
from risk.core.states import PairState
from risk.core.statuses import Status

# What holds inside its limit for long enough is over; a loss is not.
_HOLDING_TYPES = (
    RuleType.MARGIN_LEVEL,
    RuleType.MAX_POSITION_SIZE,
    RuleType.POSITION_LIMIT,
    RuleType.MAX_LEVERAGE,
)


@dataclass(frozen=True, slots=True)
class LatchChanges:
    """The pairs whose latch begins and ends, and the state after both.

    A pair may be in both: a new day ended its latch and is violated at once again.
    """

    opened: Integers
    cleared: Integers
    state: PairState


def decide_latches(
    table: PairTable, state: PairState, evaluation: Evaluation, days: DayStarts, moment: float
) -> LatchChanges:
    """Decide from an evaluation which latches begin and which end by themselves at `moment`.

    A daily loss ends at its reset; margin, size, count and leverage end once they were seen
    inside for their hold time, without a gap; a drawdown never ends. Acknowledging changes none
    of this. Write `opened` down before anything acts on it, then take `state` over.
    """
    breached = evaluation.breached
    if not state.latched.any():
        opened = np.flatnonzero(breached)
        if not len(opened):
            return LatchChanges(opened, opened, state)
    inside_since = _inside_since(table, state, evaluation, moment)
    cleared = state.latched & (
        _over_by_reset(table, state, days)
        | (moment - inside_since >= np.where(np.isnan(inside_since), np.inf, table.hold_seconds))
    )
    kept = state.latched & ~cleared
    begins = breached & ~kept
    latched_at = np.where(begins, moment, np.where(kept, state.latched_at, np.nan))
    after = replace(
        state,
        latched=kept | begins,
        latched_at=latched_at,
        acknowledged=state.acknowledged & kept,
        inside_since=np.where(kept, inside_since, np.nan),
    )
    return LatchChanges(np.flatnonzero(begins), np.flatnonzero(cleared), after)


def _inside_since(
    table: PairTable, state: PairState, evaluation: Evaluation, moment: float
) -> Floats:
    holding = np.zeros(len(table), dtype=np.bool_)
    for rule_type in _HOLDING_TYPES:
        holding[table.slice_of(rule_type)] = True
    known = evaluation.present != Status.UNKNOWN
    inside = holding & state.latched & known & ~evaluation.breached
    since = np.where(np.isnan(state.inside_since), moment, state.inside_since)
    return np.where(inside, since, np.nan)


def _over_by_reset(table: PairTable, state: PairState, days: DayStarts) -> Flags:
    over = np.zeros(len(table), dtype=np.bool_)
    part = table.slice_of(RuleType.MAX_DAILY_LOSS)
    if part.stop > part.start:
        over[part] = state.latched_at[part] < days.starts[table.clock_index[part]]
    return over
