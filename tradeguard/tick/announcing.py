"""Which live objects a tick sends: of what is watched, what changed or was not sent for a while."""

from collections.abc import Iterator, Mapping, Set
from uuid import UUID

import numpy as np

from risk.core.arrays import Flags
from risk.core.group_risk import GroupRisk
from risk.desk import Desk

Key = tuple[str, UUID]  # "group" or "account", and its id

# What did not change is sent again after this long, so that viewers see that it is still true.
REPEAT_SECONDS = 1.0
# Building one takes half a millisecond; what is more than this goes with the next tick.
MOST_PER_TICK = 40


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
        due: list[tuple[bool, float, Key, int]] = []
        for key, status, is_changed in self._candidates(desk, risk, changed):
            status_before, sent_at = self._sent.get(key, (-1, float("-inf")))
            if is_changed or monotonic - sent_at >= REPEAT_SECONDS:
                due.append((status == status_before, sent_at, key, status))
        chosen = sorted(due)[:MOST_PER_TICK]
        self._sent.update({key: (status, monotonic) for _, _, key, status in chosen})
        return [key for _, _, key, _ in chosen]

    def _candidates(
        self, desk: Desk, risk: GroupRisk, changed: Flags
    ) -> Iterator[tuple[Key, int, bool]]:
        touched = np.zeros(len(desk.groups), dtype=np.bool_)
        touched[desk.group_of[changed[desk.account_of]]] = True
        for group_id in self.watched.get("group", ()):
            number = desk.group_index.get(group_id)
            if number is not None:
                # Members on other hosts change without this host's seeing it.
                is_changed = bool(touched[number]) or bool(desk.groups[number].remote)
                yield ("group", group_id), int(risk.group_status[number]), is_changed
        for account_id in self.watched.get("account", ()):
            row = desk.account_index.get(account_id)
            if row is not None:
                yield ("account", account_id), int(risk.account_status[row]), bool(changed[row])
