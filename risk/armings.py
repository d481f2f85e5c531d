"""Which pairs of rule and account may act, and since when."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np

from risk.core.arrays import Flags, Floats
from risk.core.pairs import PairTable
from risk.models import RuleArming


@dataclass(frozen=True, slots=True)
class Armings:
    """Since when each pair acts (UTC epoch seconds, NaN: it does not), one element per pair.

    `unproven` names the armings of pairs that a person has armed and that were not seen kept since:
    what is violated when it is armed never closes.
    """

    acts_since: Floats
    unproven: Mapping[int, int]


def load_armings(
    pairs: PairTable, rule_ids: Sequence[UUID], account_ids: Sequence[UUID], users: Iterable[int]
) -> Armings:
    """Read the armings of these pairs, in one query."""
    rows = RuleArming.objects.filter(rule__user__in=users).values_list(
        "pk", "rule_id", "account_id", "calm_at"
    )
    armed = {(rule_id, account_id): (pk, calm_at) for pk, rule_id, account_id, calm_at in rows}
    acts_since: Floats = np.full(len(pairs), np.nan)
    unproven: dict[int, int] = {}
    if armed:
        numbers = zip(pairs.rule_index.tolist(), pairs.account_index.tolist(), strict=True)
        for pair, (rule, row) in enumerate(numbers):
            pk, calm_at = armed.get((rule_ids[rule], account_ids[row]), (None, None))
            if calm_at is not None:
                acts_since[pair] = calm_at.timestamp()
            elif pk is not None:
                unproven[pair] = pk
    return Armings(acts_since, unproven)


class ArmedPairs:
    """Watches armed pairs until each was seen kept once; used by the tick's thread alone."""

    def __init__(self, armings: Armings) -> None:
        self._armings = armings
        self._unwritten: dict[int, float] = {}

    @property
    def acts_since(self) -> Floats:
        return self._armings.acts_since

    def see(self, kept: Flags, moment: float) -> None:
        """Take a tick's word on which pairs are known to be kept at this moment."""
        if not self._armings.unproven:
            return
        seen = {pair: pk for pair, pk in self._armings.unproven.items() if kept[pair]}
        if not seen:
            return
        acts_since = self._armings.acts_since.copy()
        acts_since[list(seen)] = moment
        waiting = {pair: pk for pair, pk in self._armings.unproven.items() if pair not in seen}
        self._armings = replace(self._armings, acts_since=acts_since, unproven=waiting)
        self._unwritten.update(dict.fromkeys(seen.values(), moment))

    def save(self) -> None:
        """Write what was seen; raises a database error, and keeps it for the next time."""
        for moment in sorted(set(self._unwritten.values())):
            armings = [pk for pk, at in self._unwritten.items() if at == moment]
            RuleArming.objects.filter(pk__in=armings, calm_at=None).update(
                calm_at=datetime.fromtimestamp(moment, UTC)
            )
        self._unwritten.clear()
