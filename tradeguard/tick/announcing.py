"""Which live objects a tick sends: of what is watched, what changed or was not sent for a while."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from risk.core.arrays import Flags
from risk.core.group_risk import GroupRisk
from risk.desk import Desk

Key = tuple[str, UUID]  # "group" or "account", and its id

# What did not change is sent again after this long, so that viewers see that it is still true.
REPEAT_SECONDS = 1.0
# Building takes some ten microseconds for each rule of each member; what is more than this goes
# with the next tick. One that is larger by itself still goes, alone.
MOST_ROWS_PER_TICK = 2_000
# What an object costs besides its rows, counted in rows.
_FIXED_ROWS = 10


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """A watched group or account; `rows` is how many rules of members its object shows."""

    key: Key
    status: int
    is_changed: bool
    rows: int


class Announcements:
    """Remembers what was sent when, and with which status."""

    def __init__(self) -> None:
        self.watched: Mapping[str, Set[UUID]] = {}
        self._sent: dict[Key, tuple[int, float]] = {}

    def choose(self, desk: Desk, risk: GroupRisk, changed: Flags, monotonic: float) -> list[Key]:
        """Choose what to send now; `changed` tells of which accounts something visible changed.

        When that is more than a tick can build, a changed status goes first, then what waits
        longest.
        """
        candidates = list(self._candidates(desk, risk, changed))
        # What nobody watches any more is forgotten: whoever comes next begins with the full state.
        keys = {candidate.key for candidate in candidates}
        self._sent = {key: sent for key, sent in self._sent.items() if key in keys}
        due: list[tuple[bool, float, Candidate]] = []
        for candidate in candidates:
            status_before, sent_at = self._sent.get(candidate.key, (-1, float("-inf")))
            if candidate.is_changed or monotonic - sent_at >= REPEAT_SECONDS:
                due.append((candidate.status == status_before, sent_at, candidate))
        chosen: list[Key] = []
        rows = 0
        for _, _, candidate in sorted(due):
            rows += _FIXED_ROWS + candidate.rows
            if chosen and rows > MOST_ROWS_PER_TICK:
                break
            chosen.append(candidate.key)
            self._sent[candidate.key] = candidate.status, monotonic
        return chosen

    def _candidates(self, desk: Desk, risk: GroupRisk, changed: Flags) -> Iterator[Candidate]:
        rules_of_account = np.diff(desk.pairs.account_starts)
        touched = np.zeros(len(desk.groups), dtype=np.bool_)
        touched[desk.group_of[changed[desk.account_of]]] = True
        for group_id in self.watched.get("group", ()):
            number = desk.group_index.get(group_id)
            if number is not None:
                # Members on other hosts change without this host's seeing it.
                is_changed = bool(touched[number]) or bool(desk.groups[number].remote)
                members = desk.account_of[desk.group_of == number]
                yield Candidate(
                    key=("group", group_id),
                    status=int(risk.group_status[number]),
                    is_changed=is_changed,
                    rows=int(rules_of_account[members].sum()),
                )
        for account_id in self.watched.get("account", ()):
            row = desk.account_index.get(account_id)
            if row is not None:
                yield Candidate(
                    key=("account", account_id),
                    status=int(risk.account_status[row]),
                    is_changed=bool(changed[row]),
                    rows=int(rules_of_account[row]),
                )
