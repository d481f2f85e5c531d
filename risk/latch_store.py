"""The latches as the database has them: people acknowledge and clear them there."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
from django.db.models import Count, Max

from risk.core.states import PairState
from risk.desk import Desk, Fingerprint
from risk.models import RuleBreach

_FIELDS = ("rule_id", "account_id", "latched_at", "acknowledged_at", "is_early", "violated_at")


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
            violated=Count("violated_at"),
        )
        .values()
    )


@dataclass(frozen=True, slots=True)
class StoredLatches:
    """A state with the latches that the database has, and the breach of each latched pair."""

    state: PairState
    breach_ids: Mapping[int, UUID]


def load_latches(desk: Desk, state: PairState) -> StoredLatches:
    """Return the state with the latches that the database has, and no other."""
    pair_of = {key: pair for pair, key in enumerate(desk.pair_keys())}
    count = len(desk.pairs)
    latched, acknowledged, is_early = (np.zeros(count, dtype=np.bool_) for _ in range(3))
    latched_at, violated_at = np.full(count, np.nan), np.full(count, np.nan)
    breach_ids: dict[int, UUID] = {}
    for breach in RuleBreach.objects.latched().only(*_FIELDS).iterator():
        pair = pair_of.get((breach.rule_id, breach.account_id))
        if pair is None:
            continue
        breach_ids[pair] = breach.pk
        latched[pair] = True
        latched_at[pair] = breach.latched_at.timestamp()
        acknowledged[pair] = breach.acknowledged_at is not None
        is_early[pair] = breach.is_early and breach.violated_at is None
        if not is_early[pair]:
            violated_at[pair] = (breach.violated_at or breach.latched_at).timestamp()
    inside_since = np.where(latched & state.latched, state.inside_since, np.nan)
    loaded = replace(
        state,
        latched=latched,
        latched_at=latched_at,
        acknowledged=acknowledged,
        is_early=is_early,
        violated_at=violated_at,
        inside_since=inside_since,
    )
    return StoredLatches(loaded, breach_ids)
