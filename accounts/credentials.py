"""What pages and API show of the keys: no secret, and of others what the owner may know.

The trail names strangers and staff to staff alone; the owner reads that it was somebody else.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet

from accounts.models import ApiKey, ApiKeyAuditLog, ConnectedAccount, User
from accounts.services.key_trail import STRANGER
from accounts.services.key_verification import ASKED

TRADEGUARD = "TradeGuard"
SOMEBODY_ELSE = "Somebody else"
ADMINISTRATION = "Administration"


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """A row of the trail as one viewer may see it."""

    id: int
    action: str
    action_label: str
    outcome: str
    outcome_label: str
    reason: str
    message: str
    actor: str
    account_id: UUID | None
    ip_address: str | None
    user_agent: str
    created_at: datetime


def keys_of(user: User) -> QuerySet[ApiKey]:
    """Return the user's keys with the accounts that use them, without their secrets."""
    accounts = ConnectedAccount.objects.select_related("connection").order_by("name", "pk")
    return (
        ApiKey.objects.owned_by(user)
        .defer("secret")
        .prefetch_related(Prefetch("accounts", queryset=accounts))
    )


def trail_of(key: ApiKey) -> QuerySet[ApiKeyAuditLog]:
    """Return what was done with a key, newest first."""
    return ApiKeyAuditLog.objects.filter(key_id=key.pk, user_id=key.user_id)


def with_status(keys: QuerySet[ApiKey], status: str, now: datetime) -> QuerySet[ApiKey]:
    """Return the keys that have this status now, whatever has been marked of them."""
    is_over = Q(expires_at__lte=now) & ~Q(status=ApiKey.Status.REVOKED)
    if status == ApiKey.Status.EXPIRED:
        return keys.filter(is_over | Q(status=status))
    return keys.filter(~is_over, status=status)


def proofs_of(key: ApiKey) -> dict[UUID | None, ApiKeyAuditLog]:
    """Return how the logins of the latest verification ended so far, by account."""
    asked = trail_of(key).filter(action=ApiKeyAuditLog.Action.VERIFIED, reason=ASKED)
    question = asked.values_list("pk", flat=True).first()
    if question is None:
        return {}
    answers = trail_of(key).filter(
        pk__gt=question, action=ApiKeyAuditLog.Action.VERIFIED, account_id__isnull=False
    )
    return {row.account_id: row for row in answers}


def trail_entries(rows: Iterable[ApiKeyAuditLog], viewer: User) -> list[TrailEntry]:
    return [_entry(row, viewer) for row in rows]


def _entry(row: ApiKeyAuditLog, viewer: User) -> TrailEntry:
    is_open = viewer.is_staff or row.actor_id == viewer.pk
    return TrailEntry(
        id=row.pk,
        action=row.action,
        action_label=row.get_action_display(),
        outcome=row.outcome,
        outcome_label=row.get_outcome_display(),
        reason=row.reason,
        message=row.message,
        actor=_actor(row, is_open=is_open),
        account_id=row.account_id,
        ip_address=row.ip_address if is_open else None,
        user_agent=row.user_agent if is_open else "",
        created_at=row.created_at,
    )


def _actor(row: ApiKeyAuditLog, *, is_open: bool) -> str:
    if row.actor_id is None:
        return TRADEGUARD
    if is_open:
        return row.actor_name
    return SOMEBODY_ELSE if row.reason == STRANGER else ADMINISTRATION
