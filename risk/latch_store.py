"""The latches as the database has them: people acknowledge and clear them there."""

from dataclasses import replace

import numpy as np
from django.db.models import Count, Max

from risk.core.arrays import Flags, Floats
from risk.core.states import PairState
from risk.desk import Desk, Fingerprint
from risk.models import RuleBreach


def latch_fingerprint() -> Fingerprint:
    """Return something that differs when a latch was opened, acknowledged or cleared.

    Counts alone miss one that is cleared by a person while a tick opens another.
    """
    return tuple(
        RuleBreach.objects.latched()
        .aggregate(
            latched=Count("pk"),
            newest=Max("latched_at"),
            acknowledged=Count("acknowledged_at"),
            answered=Max("acknowledged_at"),
        )
        .values()
    )


def load_latches(desk: Desk, state: PairState) -> PairState:
    """Return the state with the latches that the database has, and no other."""
    pair_of = {key: pair for pair, key in enumerate(desk.pair_keys())}
    count = len(desk.pairs)
    latched: Flags = np.zeros(count, dtype=np.bool_)
    acknowledged: Flags = np.zeros(count, dtype=np.bool_)
    latched_at: Floats = np.full(count, np.nan)
    for rule_id, account_id, at, acknowledged_at in RuleBreach.objects.latched().values_list(
        "rule_id", "account_id", "latched_at", "acknowledged_at"
    ):
        pair = pair_of.get((rule_id, account_id))
        if pair is not None:
            latched[pair] = True
            latched_at[pair] = at.timestamp()
            acknowledged[pair] = acknowledged_at is not None
    inside_since = np.where(latched & state.latched, state.inside_since, np.nan)
    return replace(
        state,
        latched=latched,
        latched_at=latched_at,
        acknowledged=acknowledged,
        inside_since=inside_since,
    )
