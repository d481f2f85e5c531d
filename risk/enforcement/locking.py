"""Accounts that are locked: what turns up there is closed again, but not without end."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from risk.core.offending import Book
from risk.models import AccountLock

MOST_PER_MINUTE = 3
MINUTE_SECONDS = 60.0


@dataclass(slots=True)
class StandingLocks:
    """The locks that stand, and what the runs that set them left open on purpose, by ticket."""

    by_account: dict[UUID, list[AccountLock]] = field(default_factory=dict)
    kept: dict[UUID, dict[str, str]] = field(default_factory=dict)
    unconfirmed: dict[UUID, AccountLock] = field(default_factory=dict)

    def replace(
        self,
        locks: Iterable[AccountLock],
        kept_by_run: Mapping[UUID, dict[str, str]],
        known: Collection[UUID],
    ) -> None:
        """Take what the database has; `known` are the unconfirmed locks that it has seen.

        Those that wait in the journal go on standing.
        """
        locks = list(locks)
        taken = {(lock.account_id, lock.breach_id) for lock in locks}
        self.unconfirmed = {
            key: lock
            for key, lock in self.unconfirmed.items()
            if key not in known and (lock.account_id, lock.breach_id) not in taken
        }
        locks += self.unconfirmed.values()
        by_account: dict[UUID, list[AccountLock]] = {}
        kept: dict[UUID, dict[str, str]] = {}
        for lock in locks:
            by_account.setdefault(lock.account_id, []).append(lock)
            if lock.enforcement_id is not None:
                mine = kept.setdefault(lock.account_id, {})
                mine.update(kept_by_run.get(lock.enforcement_id, {}))
                if lock.pk in self.unconfirmed:
                    mine.update(self.kept.get(lock.account_id, {}))
        self.by_account, self.kept = by_account, kept

    def add(self, lock: AccountLock) -> None:
        self.unconfirmed[lock.pk] = lock
        self.by_account.setdefault(lock.account_id, []).append(lock)

    def is_locked_for(self, account_id: UUID, breach_id: UUID) -> bool:
        return any(lock.breach_id == breach_id for lock in self.by_account.get(account_id, ()))

    def has_intruders(self, account_id: UUID, book: Book) -> bool:
        """Tell whether a locked account holds anything that it was not left."""
        kept = self.kept.get(account_id, {})
        return bool(book.orders) or any(
            each.volume > Decimal(kept.get(str(each.ticket), "0")) for each in book.positions
        )


class Patience:
    """Counts how often an account was closed again within the last minute."""

    def __init__(self) -> None:
        self._starts: dict[UUID, deque[float]] = {}
        self._resting_until: dict[UUID, float] = {}

    def note(self, account_id: UUID, moment: float) -> None:
        self._starts.setdefault(account_id, deque(maxlen=MOST_PER_MINUTE)).append(moment)

    def allows(self, account_id: UUID, moment: float) -> bool:
        left = self._resting_until.get(account_id, 0.0) - moment
        # Longer than it ever rests: the clock was set back.
        return left <= 0 or left > MINUTE_SECONDS

    def is_at_its_end(self, account_id: UUID, moment: float) -> bool:
        """Tell, once, that it was too often; it begins anew after a minute."""
        starts = self._starts.get(account_id)
        if starts is None or len(starts) < MOST_PER_MINUTE:
            return False
        if not 0 <= moment - starts[0] < MINUTE_SECONDS:
            return False
        self._resting_until[account_id] = moment + MINUTE_SECONDS
        starts.clear()
        return True
