"""Unlocking an account: who, why, what it changes and what it does not."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import transaction

from accounts.models import AccountConnection, ConnectedAccount, User
from accounts.models.connection import ConnectionState
from accounts.refusals import Refusal
from risk.models import AccountLock, Enforcement
from risk.selectors import holding_breaches
from risk.services.breaches import checked_reason

# Whoever is refused because of these may not open either, with or without a lock.
_REFUSING_TYPES_NOTE = "it refuses new orders until that is acknowledged"
_OUT_OF_REACH = (ConnectionState.ERROR, ConnectionState.DISCONNECTED)
_GIVEN_UP = (
    "Somebody unlocked the account while its terminal could not be reached: what is open there"
    " stays open."
)


@dataclass(frozen=True, slots=True)
class UnlockingSentences:
    """What unlocking an account changes and what it does not, one sentence each."""

    changes: tuple[str, ...]
    stays: tuple[str, ...]


@transaction.atomic
def unlock_account(
    *, account: ConnectedAccount, actor: User, reason: str, now: datetime
) -> list[AccountLock]:
    """Lift every lock of an account, with a reason for the ledger; returns what was lifted.

    No violation is acknowledged by it and no limit moves. Where the account cannot be reached,
    closing is given up. Raises Refusal when nothing is locked or something is being closed there,
    ValidationError without a reason.
    """
    reason = checked_reason(reason)
    locks = list(AccountLock.objects.standing().select_for_update().filter(account_id=account.pk))
    if not locks:
        raise Refusal(f"{account.name} is not locked.", code="not_locked")
    runs = Enforcement.objects.running().filter(account_id=account.pk)
    if runs.exists() and _is_reached(account):
        raise Refusal(
            f"TradeGuard is still closing on {account.name}: unlock it once that is over.",
            code="enforcing",
        )
    runs.update(
        stage=Enforcement.Stage.GIVEN_UP,
        message=_GIVEN_UP,
        finished_at=now,
        next_attempt_at=None,
    )
    for lock in locks:
        lock.unlocked_at, lock.unlocked_by_id, lock.unlocked_reason = now, actor.pk, reason
    AccountLock.objects.bulk_update(locks, ["unlocked_at", "unlocked_by_id", "unlocked_reason"])
    return locks


def _is_reached(account: ConnectedAccount) -> bool:
    """Tell whether closing gets on, or will in a moment."""
    watched = AccountConnection.objects.filter(account=account, is_wanted=True)
    return watched.exclude(state__in=_OUT_OF_REACH).exists()


def unlocking_sentences(account: ConnectedAccount) -> UnlockingSentences:
    """Say what unlocking this account would change, and what it would not."""
    locks = AccountLock.objects.standing().filter(account_id=account.pk)
    zone = ZoneInfo(account.user.time_zone)
    changes = [
        f"The lock of {lock.locked_at.astimezone(zone):%d %B %Y, %H:%M} ({zone.key}) ends:"
        f" {lock.reason.rstrip('.')}."
        for lock in locks.order_by("locked_at", "id")
    ]
    changes.append("Positions that you open in the terminal are no longer closed again.")
    stays = [
        f"“{breach.rule_name}” stays {breach.state_text}: {_REFUSING_TYPES_NOTE}."
        for breach in holding_breaches().filter(account_id=account.pk).order_by("latched_at", "id")
    ]
    stays += ["No limit moves and no loss is forgotten.", "What was closed is not opened again."]
    return UnlockingSentences(tuple(changes), tuple(stays))
