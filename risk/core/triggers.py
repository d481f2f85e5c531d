"""When the action of a rule begins: at its limit or within a safety margin, after a while."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from risk.core.arrays import Flags, Floats
from risk.core.evaluation import Evaluation
from risk.core.pairs import PairTable
from risk.core.responses import Response
from risk.core.rule_types import ARMED_ACTIONS, OBJECTIVES
from risk.core.statuses import Status

# A buffer is a quotient of doubles: 1 - 0.97 is a hair more or less than 0.03.
_NOISE = 1e-9


@dataclass(frozen=True, slots=True)
class Triggers:
    """How each pair of a table answers; one element per pair.

    A pair is triggered by a buffer of `buffer` or less, NaN where it answers only at its limit.
    `acts` tells which pairs have an action that reduces or closes, once it has been triggered for
    `after_seconds`.
    """

    buffer: Floats
    after_seconds: Floats
    acts: Flags


def build_triggers(table: PairTable, responses: Sequence[Response]) -> Triggers:
    """Lay out the responses of the table's rules (one for each of `table.rules`)."""
    acts = np.array(
        [
            response.action in ARMED_ACTIONS and rule.rule_type not in OBJECTIVES
            for response, rule in zip(responses, table.rules, strict=True)
        ],
        dtype=np.bool_,
    )
    fractions = np.array([response.act_at_fraction for response in responses], dtype=np.float64)
    after = np.array([response.act_after_seconds for response in responses], dtype=np.float64)
    margins = np.where(acts & (fractions < 1), 1 - fractions + _NOISE, np.nan)
    return Triggers(
        buffer=margins[table.rule_index],
        after_seconds=after[table.rule_index],
        acts=acts[table.rule_index],
    )


def triggered(triggers: Triggers, evaluation: Evaluation) -> Flags:
    """Tell which pairs the reading itself shows at their limit, or within their safety margin.

    What is used is at least the fraction f of the limit when the buffer is 1 - f or less; that
    holds for the margin level too, whose buffer is 1 - limit/level. Nothing unknown triggers.
    """
    known = evaluation.present != Status.UNKNOWN
    early: Flags = known & (evaluation.buffer <= triggers.buffer)
    return evaluation.breached | early
