"""What runs on while a desk is loaded again: rows and pairs have other numbers afterwards."""

from dataclasses import replace

import numpy as np

from accounts.terminals.readings import Rows
from risk.core.states import PairState
from risk.desk import Desk


def with_timers(state: PairState, desk: Desk, before: PairState, former: Desk) -> PairState:
    """Return the state with how long each pair has been triggered, or inside again, so far.

    Nobody who edits something else may keep a hold time from ending or an action from beginning. A
    rule whose own terms have changed begins anew, and so does what another latch was inside for.
    """
    running = ~np.isnan(before.triggered_since) | ~np.isnan(before.inside_since)
    if not running.any():
        return state
    places = {key: pair for pair, key in enumerate(desk.pair_keys())}
    keys = former.pair_keys()
    triggered, inside = state.triggered_since.copy(), state.inside_since.copy()
    for old in np.flatnonzero(running).tolist():
        new = places.get(keys[old])
        if new is None or _terms(former, old) != _terms(desk, new):
            continue
        triggered[new] = before.triggered_since[old]
        if state.latched_at[new] == before.latched_at[old]:
            inside[new] = before.inside_since[old]
    return replace(state, triggered_since=triggered, inside_since=inside)


def _terms(desk: Desk, pair: int) -> tuple[object, object]:
    rule = desk.rules[int(desk.pairs.rule_index[pair])]
    return rule.parameters, rule.response


def with_rows_of(positions: Rows, desk: Desk, former: Desk) -> Rows:
    """Return positions with the rows that their accounts have now; of others, nothing."""
    rows = np.array(
        [-1 if each is None else desk.account_index.get(each.id, -1) for each in former.accounts],
        dtype=np.int64,
    )
    if not len(positions):
        return positions
    place = rows[positions["account"]]
    moved: Rows = positions[place >= 0]
    moved["account"] = place[place >= 0]
    return moved
