"""Which runs of enforcement a host has, and one step of each at a time."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from risk.models import Enforcement


class Enforcer:
    """Begins runs when a rule's action is due, and carries each on until it is confirmed.

    `take` and `running` are for the tick's thread, `step` for the lane of the run's account.
    `running` also finds in the database what people asked for and what a dead worker left.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self._runs: dict[UUID, Enforcement] = {}

    def take(self, view: Any) -> None:
        """Begin what this view (poll and assessment) calls for; cheap, never waits."""

    def running(self) -> Sequence[Enforcement]:
        """Return the runs that are not over, each the same object at every call."""
        return list(self._runs.values())

    def step(self, lane: Any, run: Enforcement, view: Any) -> float | None:
        """Do one short step of a run; return the seconds until the next, None when it is over."""
        return None
