"""Violations that stay: which begin, and which end by themselves."""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from risk.core.arrays import Flags, Floats, Integers
from risk.core.baselines import DayStarts
from risk.core.evaluation import Evaluation, with_latches
from risk.core.pairs import PairTable
from risk.core.parameters.base import DEFAULT_HOLD_SECONDS
from risk.core.rule_types import LOSS_RULES, OBJECTIVES, RuleType
from risk.core.states import PairState
from risk.core.statuses import Status
from risk.core.triggers import Triggers, triggered

# What counts by the day is over with it.
DAILY_TYPES: Final = (RuleType.MAX_DAILY_LOSS, RuleType.MAX_DAILY_TRADES)
# What holds inside its limit for long enough is over; a loss is not.
_HOLDING_TYPES: Final = frozenset(RuleType) - LOSS_RULES - OBJECTIVES - {*DAILY_TYPES}


def _none() -> Integers:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class LatchChanges:
    """The pairs whose latch begins and ends, and the state after both.

    A pair may be in both: a new day ended its latch and is violated at once again, or it is
    `renewed`: violated anew after somebody acknowledged the violation before. `escalated` are those
    latched early that have reached the limit itself.
    """

    opened: Integers
    cleared: Integers
    state: PairState
    escalated: Integers = field(default_factory=_none)
    renewed: Integers = field(default_factory=_none)


def decide_latches(
    table: PairTable,
    state: PairState,
    evaluation: Evaluation,
    days: DayStarts,
    moment: float,
    triggers: Triggers | None = None,
) -> LatchChanges:
    """Decide from an evaluation which latches begin and which end by themselves at `moment`.

    What triggers an action within its safety margin latches early, and escalates at the limit. What
    counts by the day ends at its reset; what is about the present ends once it was seen inside for
    its hold time, without a gap; a drawdown never ends. Acknowledging changes none of this, but an
    early latch that was acknowledged ends as soon as nothing triggers it, and what was acknowledged
    and seen inside for a while begins anew when it is violated again. Write `opened` down before
    anything acts on it, then take `state` over.
    """
    breached = evaluation.breached
    hit = breached if triggers is None else triggered(triggers, evaluation)
    since = _triggered_since(state, hit, moment)
    if not state.latched.any() and not hit.any():
        quiet = state if since is state.triggered_since else replace(state, triggered_since=since)
        return LatchChanges(_none(), _none(), quiet)
    inside_since = _inside_since(table, state, evaluation, hit, moment)
    renewed = _renewed(table, state, breached, moment)
    over = _over_by_reset(table, state, days) | _held_inside(table, state, inside_since, moment)
    cleared = state.latched & (over | renewed)
    kept = state.latched & ~cleared
    begins = hit & ~kept
    escalated = kept & state.is_early & breached
    after = replace(
        state,
        latched=kept | begins,
        latched_at=np.where(begins, moment, np.where(kept, state.latched_at, np.nan)),
        acknowledged=state.acknowledged & kept,
        is_early=np.where(begins, ~breached, state.is_early & kept & ~escalated),
        violated_at=np.where(
            escalated | (begins & breached), moment, np.where(kept, state.violated_at, np.nan)
        ),
        inside_since=np.where(kept, inside_since, np.nan),
        triggered_since=since,
    )
    return LatchChanges(
        opened=np.flatnonzero(begins),
        cleared=np.flatnonzero(cleared),
        state=after,
        escalated=np.flatnonzero(escalated),
        renewed=np.flatnonzero(state.latched & renewed & ~over),
    )


def with_latched_statuses(evaluation: Evaluation, state: PairState) -> Evaluation:
    """Return the evaluation with statuses that count these latches: early ones are critical."""
    result = with_latches(evaluation, state.latched & ~state.is_early)
    early = state.latched & state.is_early
    if not early.any():
        return result
    critical = np.maximum(result.status, np.int8(Status.CRITICAL))
    return replace(result, status=np.where(early, critical, result.status))


def _triggered_since(state: PairState, hit: Flags, moment: float) -> Floats:
    before = state.triggered_since
    if not hit.any() and np.isnan(before).all():
        return before
    return np.where(hit, np.where(np.isnan(before), moment, before), np.nan)


def _inside_since(
    table: PairTable, state: PairState, evaluation: Evaluation, hit: Flags, moment: float
) -> Floats:
    known = evaluation.present != Status.UNKNOWN
    watched = _holding(table) | state.acknowledged
    inside = watched & state.latched & known & ~hit
    since = np.where(np.isnan(state.inside_since), moment, state.inside_since)
    return np.where(inside, since, np.nan)


def _holding(table: PairTable) -> Flags:
    holding = np.zeros(len(table), dtype=np.bool_)
    for rule_type in _HOLDING_TYPES:
        holding[table.slice_of(rule_type)] = True
    return holding


def _held_inside(table: PairTable, state: PairState, inside_since: Floats, moment: float) -> Flags:
    inside = ~np.isnan(inside_since)
    held: Flags = inside & (moment - np.where(inside, inside_since, moment) >= table.hold_seconds)
    return (held & _holding(table)) | (inside & state.is_early & state.acknowledged)


def _renewed(table: PairTable, state: PairState, breached: Flags, moment: float) -> Flags:
    """Tell which acknowledged violations another one follows.

    A loss that hovers at its limit is one violation, so it must have been inside for a while.
    """
    inside = ~np.isnan(state.inside_since)
    held = moment - np.where(inside, state.inside_since, moment)
    was_inside = inside & (held >= np.maximum(table.hold_seconds, DEFAULT_HOLD_SECONDS))
    renewed: Flags = state.acknowledged & breached & (state.is_early | was_inside)
    return renewed


def _over_by_reset(table: PairTable, state: PairState, days: DayStarts) -> Flags:
    over = np.zeros(len(table), dtype=np.bool_)
    for rule_type in DAILY_TYPES:
        part = table.slice_of(rule_type)
        if part.stop > part.start:
            over[part] = state.latched_at[part] < days.starts[table.clock_index[part]]
    return over
