"""What holds an account as it is: a say that the apps above have in changes made here.

`accounts` knows nothing of rules and groups, yet an account that broke a rule must not be deleted
or loosened, and a deleted one has no place in either. An app above registers, when it is loaded, an
AccountLock and what it does about an account that goes.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol
from uuid import UUID

from accounts.refusals import Refusal


class AccountLock(Protocol):
    def reasons(self, *, account_ids: Collection[UUID]) -> Mapping[UUID, str]:
        """Say, in half a sentence, why which of these accounts are locked."""


class Forget(Protocol):
    def __call__(self, *, account_id: UUID, now: datetime) -> None:
        """Close what is open about an account that is deleted, and take it out of everything."""


class ChangeCheck(Protocol):
    def __call__(self, *, account_id: UUID, change: str) -> str | None:
        """Say, in a sentence, why the account cannot be changed so now, or None.

        `change` is worded as in "it cannot be deleted".
        """


_locks: list[AccountLock] = []
_forgets: list[Forget] = []
_change_checks: list[ChangeCheck] = []


def register_lock(lock: AccountLock) -> None:
    if not any(type(lock) is type(known) for known in _locks):
        _locks.append(lock)


def register_forget(forget: Forget) -> None:
    if forget not in _forgets:
        _forgets.append(forget)


def register_change_check(check: ChangeCheck) -> None:
    if check not in _change_checks:
        _change_checks.append(check)


def lock_reasons(*, account_ids: Collection[UUID]) -> dict[UUID, str]:
    """Return why which of these accounts are locked; one that is free is left out."""
    found: dict[UUID, str] = {}
    for lock in _locks:
        found = {**lock.reasons(account_ids=account_ids), **found}
    return found


def refuse_if_locked(*, account_id: UUID, change: str) -> None:
    """Raise Refusal when the account is locked, or in use by something that bars the change.

    `change` continues "it cannot be …".
    """
    reason = lock_reasons(account_ids=[account_id]).get(account_id)
    if reason is not None:
        raise Refusal(
            f"The account is locked, because {reason}; it cannot be {change} until somebody"
            " has acknowledged that with a reason.",
            code="locked",
        )
    for check in _change_checks:
        sentence = check(account_id=account_id, change=change)
        if sentence is not None:
            raise Refusal(sentence, code="in_use")


def forget_account(*, account_id: UUID, now: datetime) -> None:
    for forget in _forgets:
        forget(account_id=account_id, now=now)
