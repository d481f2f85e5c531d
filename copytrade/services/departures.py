"""What relationships mean for the accounts in them: which changes they bar, and how they end."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from accounts.models import ConnectedAccount
from accounts.services.accounts import HELD_WHILE_LOCKED
from copytrade.models import CopyPosition, CopyRelationship
from copytrade.models.relationship import CopyRelationshipQuerySet
from copytrade.services.pendings import cancel_waiting
from copytrade.services.states import end_for_deleted
from copytrade.services.under_way import may_be_opened_for_any, may_be_opened_unseen
from risk.core.figures import counted_text, verb_text

_OTHER_LOGIN = frozenset({HELD_WHILE_LOCKED["server"], HELD_WHILE_LOCKED["login"]})


def change_refusal(*, account_id: UUID, change: str) -> str | None:
    """Say why an account may not become another login, or go (accounts.services.locks)."""
    if change in _OTHER_LOGIN:
        return _login_refusal(account_id, change)
    return _deletion_refusal(account_id, timezone.now()) if change == "deleted" else None


def forget_account(*, account_id: UUID, now: datetime) -> None:
    """End the relationships of an account that is deleted (accounts.services.locks.Forget).

    What waits at the brokers of its followers is cancelled: nobody would do that any more.
    """
    for row in _relationships(account_id).order_by("pk").select_for_update(of=["self"]):
        if row.follower_id != account_id:
            cancel_waiting(row, now=now)
        end_for_deleted(row, now=now)


def _relationships(account_id: UUID) -> CopyRelationshipQuerySet:
    living = CopyRelationship.objects.living().select_related("provider", "follower")
    return living.filter(Q(provider=account_id) | Q(follower=account_id))


def _login_refusal(account_id: UUID, change: str) -> str | None:
    copying = CopyRelationship.objects.copying()
    count = copying.filter(Q(provider=account_id) | Q(follower=account_id)).count()
    if not count:
        return None
    return (
        f"The account cannot be {change} while it is in {counted_text(count, 'relationship')} of"
        " copy trading: what was copied belongs to this login. End them first."
    )


def _deletion_refusal(account_id: UUID, now: datetime) -> str | None:
    copying = CopyRelationship.objects.copying()
    mine = copying.filter(Q(provider=account_id) | Q(follower=account_id))
    # Asked before what is held: see there.
    followed = copying.filter(follower=account_id).order_by("pk")
    if may_be_opened_for_any(account_id, now=now) or any(
        may_be_opened_unseen(row, now=now) for row in followed
    ):
        return (
            "Copies of its relationships are being sent at this moment, so the account cannot be"
            " deleted; try again in a few seconds, or end the relationships first."
        )
    held = CopyPosition.objects.filter(
        state__in=CopyPosition.HELD, relationship_id__in=mine.values("pk")
    ).count()
    if not held:
        return None
    names = ConnectedAccount.objects.filter(pk=account_id).values_list("name", flat=True)
    return (
        f"{counted_text(held, 'copied position')} {verb_text(held)} open in relationships of"
        f" {names.first() or 'the account'}, so it cannot be deleted. End the relationships first,"
        " and choose what becomes of the positions."
    )
