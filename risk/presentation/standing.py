"""What stands on top of a page: runs that are at work, and accounts that are locked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from accounts.models import ConnectedAccount
from risk.models import AccountLock, Enforcement
from risk.presentation.runs import RunGroup, run_groups, runs_to_show

Cause = Enforcement.Cause


@dataclass(frozen=True, slots=True)
class LockLine:
    """An account on which nothing may be opened; it may be locked for several reasons."""

    account: ConnectedAccount
    sentence: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    runs: list[RunGroup]
    locks: list[LockLine]

    @property
    def asked_for(self) -> list[RunGroup]:
        """Return what somebody asked for: whoever watches that has no eye for the rest."""
        return [group for group in self.runs if group.cause == Cause.PANIC]

    @property
    def is_running(self) -> bool:
        return any(group.is_running for group in self.runs)


def standing_of(
    user_id: int, accounts: Sequence[ConnectedAccount], *, now: datetime, is_everything: bool
) -> Standing:
    """Return what runs and what is locked on these accounts.

    A press of "close all" is shown whole when it touches one of them.
    """
    runs = run_groups(runs_to_show(user_id, now=now))
    ids = {account.pk for account in accounts}
    shown = [
        group
        for group in runs
        if is_everything or any(line.run.account_id in ids for line in group.lines)
    ]
    return Standing(shown, lock_lines(accounts))


def lock_lines(accounts: Iterable[ConnectedAccount]) -> list[LockLine]:
    """Return the locks that stand on these accounts, one line for each account, in their order."""
    listed = list(accounts)
    locks: dict[UUID, list[AccountLock]] = {}
    ids = [account.pk for account in listed]
    for lock in AccountLock.objects.standing().filter(account_id__in=ids).order_by("locked_at"):
        locks.setdefault(lock.account_id, []).append(lock)
    return [_line(account, locks[account.pk]) for account in listed if account.pk in locks]


def _line(account: ConnectedAccount, locks: Sequence[AccountLock]) -> LockLine:
    since = timezone.localtime(locks[0].locked_at)
    sentence = f"locked since {since:%d %b %H:%M:%S}: nothing can be opened until you unlock it"
    return LockLine(account, sentence, tuple(_reason(lock) for lock in locks))


def _reason(lock: AccountLock) -> str:
    if lock.cause == Cause.PANIC and lock.locked_by_id == lock.user_id:
        return f"You closed everything: {lock.reason}"
    return lock.reason
