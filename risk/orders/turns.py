"""Whose turn an account is: its lane's, or somebody's who sends to many accounts at once."""

import threading
from collections.abc import Collection, Iterable
from uuid import UUID


class Turns:
    """Gives each account to one at a time; for any thread."""

    def __init__(self) -> None:
        self._taken: set[UUID] = set()
        self._claimed: dict[UUID, float] = {}  # since when
        self._missed: set[UUID] = set()  # there was more to do while it was taken
        self._kept: frozenset[UUID] = frozenset()
        self._lock = threading.Lock()

    def take(self, account_id: UUID) -> bool:
        """Take an account; False when somebody has it, who is then told that there is more."""
        with self._lock:
            if account_id in self._taken:
                self._missed.add(account_id)
                return False
            self._taken.add(account_id)
            return True

    def keep(self, account_ids: Iterable[UUID]) -> None:
        """Keep these for their lanes from now on, and no others: enforcement runs on them."""
        kept = frozenset(account_ids)
        with self._lock:
            self._kept = kept

    def claim(self, account_ids: Collection[UUID], at: float = 0.0) -> set[UUID]:
        """Take those that nobody has and that are not kept; return them. `at` is in seconds."""
        with self._lock:
            free = set(account_ids) - self._taken - self._kept
            self._taken |= free
            self._claimed.update(dict.fromkeys(free, at))
            return free

    def claimed(self) -> set[UUID]:
        """Return the accounts that somebody sends to together with others."""
        with self._lock:
            return set(self._claimed)

    def claimed_until(self, at: float) -> set[UUID]:
        """Return the accounts that were claimed at a moment or before, and are so still."""
        with self._lock:
            return {account_id for account_id, since in self._claimed.items() if since <= at}

    def release(self, account_ids: Collection[UUID]) -> bool:
        """Give accounts back; True when there was more to do on one of them meanwhile."""
        with self._lock:
            self._taken.difference_update(account_ids)
            for account_id in account_ids:
                self._claimed.pop(account_id, None)
            has_more = not self._missed.isdisjoint(account_ids)
            self._missed.difference_update(account_ids)
            return has_more
