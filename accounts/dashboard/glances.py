"""A look at all accounts of a user, shared by everybody in this process who watches them.

A look takes a few queries and one round trip, and longer the more accounts there are. Were each
open page to look for itself, a user with many accounts and many pages would hold up all others.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from django.utils import timezone

from accounts.dashboard.objects import Dashboard, dashboard_of
from accounts.hot_state import AccountState
from accounts.models import ConnectedAccount, User
from accounts.screen.account_rows import dashboard_cells, rows_of
from accounts.screen.parts import Cell
from accounts.selectors import accounts_of, last_states

# After a look nobody looks for so many times as long, within what a page takes for a live reading.
REST = 4.0
LONGEST_REST_SECONDS = 1.0
_KEPT_SECONDS = 10.0


@dataclass(frozen=True)
class Glance:
    """What was seen at `now`; `begun_at` and `ended_at` are monotonic seconds."""

    accounts: Sequence[ConnectedAccount]
    states: Mapping[UUID, AccountState]
    now: datetime
    begun_at: float
    ended_at: float

    @cached_property
    def dashboard(self) -> Dashboard:
        return dashboard_of(self.accounts, self.states, now=self.now)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        return dashboard_cells(rows_of(self.accounts, self.states, now=self.now))

    @property
    def rests_until(self) -> float:
        rest = REST * (self.ended_at - self.begun_at)
        return self.ended_at + min(rest, LONGEST_REST_SECONDS)


class Glances:
    """The latest look at each user's accounts; `clock` tells monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._latest: dict[int, Glance] = {}

    def at(self, user: User, *, not_before: float) -> Glance:
        """Return a look at the user's accounts that began at `not_before` or later."""
        known = self._latest.get(user.pk)
        if known is not None and known.begun_at >= not_before:
            return known
        begun_at, now = self._clock(), timezone.now()
        # Nobody who follows them is told their tags.
        accounts = list(accounts_of(user).prefetch_related(None).order_by("name", "pk"))
        glance = Glance(accounts, last_states(accounts), now, begun_at, self._clock())
        for user_id, other in list(self._latest.items()):
            if begun_at - other.begun_at > _KEPT_SECONDS:
                self._latest.pop(user_id, None)
        self._latest[user.pk] = glance
        return glance

    def rest_seconds(self, user: User) -> float:
        """Return how long nobody should look at this user's accounts again."""
        known = self._latest.get(user.pk)
        return 0.0 if known is None else max(known.rests_until - self._clock(), 0.0)


glances = Glances()
