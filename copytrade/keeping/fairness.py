"""Whose turn it is, where there is more to do than a moment has room for."""

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from uuid import UUID

from copytrade.models import CopyOrder

# A keeper that is at one thing for longer is late for all others.
BUDGET_SECONDS: Final = 1.0


def in_turn(
    copies: Sequence[CopyOrder], monotonic: Callable[[], float] = time.monotonic
) -> Iterator[CopyOrder]:
    """Yield copies until the time is up, those of a relationship in their order.

    It begins with any relationship: what is slow, or cannot go on, keeps nobody else for long, not
    even where a worker never comes to its second look.
    """
    by_relationship: dict[UUID, list[CopyOrder]] = defaultdict(list)
    for copy in copies:
        by_relationship[copy.relationship_id].append(copy)
    everybody = list(by_relationship.values())
    first = secrets.randbelow(len(everybody)) if everybody else 0
    until = monotonic() + BUDGET_SECONDS
    for mine in (*everybody[first:], *everybody[:first]):
        for copy in mine:
            yield copy
            if monotonic() >= until:
                return
