"""Actions that should be at work now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import numpy as np

from risk.core.arrays import Flags, Floats
from risk.core.states import PairState
from risk.desk import AccountFacts, Desk, RuleFacts


@dataclass(frozen=True, slots=True)
class Due:
    """A pair whose action should be at work; it is so on every tick until it no longer is.

    `row` is the account's row and `pair` the pair's number in the desk that was assessed.
    `latched_at` is when the breach began, `moment` the time of the tick (UTC epoch seconds).
    """

    rule: RuleFacts
    account: AccountFacts
    row: int
    pair: int
    breach_id: UUID
    latched_at: datetime
    moment: float


def due_actions(
    desk: Desk,
    state: PairState,
    breach_ids: Mapping[int, UUID],
    acts_since: Floats,
    may_trade: Flags,
    moment: float,
) -> tuple[Due, ...]:
    """List the actions that should be at work at `moment`, given the state after the latches.

    An action is due as long as its condition has held for its while without a gap, the pair is
    armed, the account (`may_trade`, per account) may trade and nobody has acknowledged the breach.
    A breach that began before `acts_since`, when the armed pair was first seen kept, starts
    nothing; one that was early then does when it reaches the limit itself.
    """
    if not state.latched.any():
        return ()
    began_armed = (state.latched_at >= acts_since) | (state.violated_at >= acts_since)
    lasts = moment - state.triggered_since >= desk.triggers.after_seconds
    due = desk.triggers.acts & state.latched & ~state.acknowledged & began_armed & lasts
    due &= may_trade[desk.pairs.account_index]
    return tuple(
        found
        for pair in np.flatnonzero(due).tolist()
        if (found := _due(desk, state, breach_ids, pair, moment)) is not None
    )


def _due(
    desk: Desk, state: PairState, breach_ids: Mapping[int, UUID], pair: int, moment: float
) -> Due | None:
    row = int(desk.pairs.account_index[pair])
    account, breach_id = desk.accounts[row], breach_ids.get(pair)
    if account is None or breach_id is None:
        return None
    return Due(
        rule=desk.rules[int(desk.pairs.rule_index[pair])],
        account=account,
        row=row,
        pair=pair,
        breach_id=breach_id,
        latched_at=datetime.fromtimestamp(float(state.latched_at[pair]), UTC),
        moment=moment,
    )
