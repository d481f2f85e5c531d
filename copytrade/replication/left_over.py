"""Events that could not be planned for everybody, and when to look at them again."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from copytrade.models import CopyEvent
from copytrade.replication.followers import Follower
from copytrade.replication.patience import HURRY
from risk.orders.view import HostView

# Whoever could not be planned for is looked at again then, unless a reading comes before.
LOOK_AGAIN: Final = timedelta(seconds=5)
# Those on other hosts are planned apart, and as long as that takes nobody here has to look again.
LOOK_ELSEWHERE: Final = timedelta(seconds=1)
_MOST: Final = 10_000


class LeftOver:
    """Remembers for whom an event could not be planned yet; for one thread at a time."""

    def __init__(self) -> None:
        self._left: dict[UUID, tuple[tuple[UUID, ...], datetime]] = {}

    def is_due(self, event: CopyEvent, view: HostView, now: datetime) -> bool:
        """Tell whether an event is worth another look."""
        left = self._left.get(event.pk)
        if left is None:
            return True
        accounts, look_at = left
        return now >= look_at or any(view.doubt_about(each, now) is None for each in accounts)

    def note(
        self, event: CopyEvent, here: Sequence[Follower], done: set[UUID], now: datetime
    ) -> bool:
        """Remember for whom an event could not be planned yet; tell whether it is for everybody."""
        left = [each for each in here if each.terms.id not in done]
        if len(self._left) > _MOST:
            self._left.clear()
        if not left:
            self._left.pop(event.pk, None)
            return True
        deadline = min(each.terms.open_deadline_seconds for each in left)
        again_at = now + LOOK_AGAIN
        last_at = event.happened_at + timedelta(seconds=deadline) - HURRY
        if now < last_at:
            again_at = min(again_at, last_at)
        self._left[event.pk] = tuple(each.account.id for each in left), again_at
        return False

    def wait_for_others(self, event: CopyEvent, now: datetime) -> None:
        """Give other hosts time for what is done here."""
        self._left[event.pk] = (), now + LOOK_ELSEWHERE
