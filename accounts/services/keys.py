"""The life of a key: made, renamed, switched off, rotated, expired, revoked.

Each operation leaves a row in the trail (accounts.services.key_trail). Whoever could switch off the
key of a locked account would blind the guard over it, so that is refused; a new secret is not.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypedDict, Unpack
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.text import get_text_list
from django.views.decorators.debug import sensitive_variables

from accounts.models import ApiKey, ConnectedAccount, User
from accounts.origin import SYSTEM, Origin
from accounts.refusals import Refusal
from accounts.services.connections import request_connect, request_disconnect, request_look
from accounts.services.key_trail import Action, Operation, audited
from accounts.services.locks import lock_reasons
from accounts.sessions.states import Reason

LONGEST_SECRET = 256
LONGEST_LIFE = timedelta(days=3653)
_SWITCHES = (ApiKey.Status.ACTIVE, ApiKey.Status.INACTIVE)
_WORDS = {"name": "name", "status": "status", "expires_at": "expiry"}
_UNUSABLE = {
    ApiKey.Status.INACTIVE: "is switched off",
    ApiKey.Status.EXPIRED: "has expired",
    ApiKey.Status.REVOKED: "is revoked",
}


class KeyChanges(TypedDict, total=False):
    name: str
    status: str
    expires_at: datetime | None


@sensitive_variables("secret")
def create_key(
    *,
    user: User,
    name: str,
    secret: str,
    expires_at: datetime | None = None,
    origin: Origin = SYSTEM,
    now: datetime | None = None,
) -> ApiKey:
    """Put a broker login's password into the vault under a new key of this user.

    Raises ValidationError at `name`, `secret` or `expires_at`.
    """
    now = now or timezone.now()
    key = ApiKey(user=user, name=name, expires_at=expires_at)
    with audited(Operation(key, Action.CREATED, now, origin)):
        _check_expiry(key, now)
        key.full_clean(exclude=["secret", "user"])
        key.secret = checked_secret(secret, field="secret")
        key.save(force_insert=True)
    return key


def update_key(
    *, key: ApiKey, origin: Origin, now: datetime, **changes: Unpack[KeyChanges]
) -> ApiKey:
    """Rename a key, switch it on or off or move its expiry, and return it as it is now.

    A later expiry brings an expired key back. Raises Refusal when the key is revoked, or when a
    violation holds an account that would lose it; ValidationError with the fields named.
    """
    operation = Operation(key, Action.UPDATED, now, origin)
    with audited(operation):
        key = operation.key = _locked(key)
        _refuse_if_revoked(key, "changed")
        before = ApiKey(status=key.status, expires_at=key.expires_at)
        changed = _apply(key, changes, now)
        if changed:
            _refuse_blinding(key, before)
            key.full_clean(exclude=["secret", "user"])
            key.save(update_fields=[*changed, "updated_at"])
            _follow_usability(key, was_usable=before.is_usable(now), now=now)
        words = get_text_list([_WORDS[name] for name in changed], "and")
        operation.message = f"Changed: {words}." if changed else "Nothing was different."
    return key


@sensitive_variables("secret")
def rotate_secret(*, key: ApiKey, secret: str, now: datetime, origin: Origin = SYSTEM) -> ApiKey:
    """Replace the password of a key, and log its wanted accounts in with the new one.

    Whether the new one opens the accounts is not known until it is verified. Raises Refusal when
    the key is revoked, ValidationError at `secret`.
    """
    operation = Operation(key, Action.ROTATED, now, origin)
    with audited(operation):
        key = operation.key = _locked(key)
        _refuse_if_revoked(key, "given another password")
        key.secret = checked_secret(secret, field="secret")
        key.rotated_at = now
        key.verification, key.verification_message = ApiKey.Verification.NEVER, ""
        key.verified_at = None
        key.save(
            update_fields=[
                "secret",
                "rotated_at",
                "verification",
                "verification_message",
                "verified_at",
                "updated_at",
            ]
        )
        if key.is_usable(now):
            for account in _wanted_accounts(key):
                log_in_again(account=account, now=now)
    return key


def revoke_key(*, key: ApiKey, origin: Origin, now: datetime) -> ApiKey:
    """Destroy the secret of a key for good and end the sessions of its accounts.

    Raises Refusal when it is revoked already, or when a violation holds one of its accounts.
    """
    operation = Operation(key, Action.REVOKED, now, origin)
    with audited(operation):
        key = operation.key = _locked(key)
        _refuse_if_revoked(key, "revoked again")
        _refuse_if_held(key, "revoked")
        key.secret = None
        key.status, key.revoked_at = ApiKey.Status.REVOKED, now
        if key.verification == ApiKey.Verification.PENDING:
            key.verification = ApiKey.Verification.FAILED
            key.verification_message = "The key was revoked before anybody answered."
            key.verified_at = now
        key.save(
            update_fields=[
                "secret",
                "status",
                "revoked_at",
                "verification",
                "verification_message",
                "verified_at",
                "updated_at",
            ]
        )
        for account in _wanted_accounts(key):
            request_disconnect(account=account, now=now, reason=Reason.CREDENTIALS_MISSING)
    return key


def assign_key(*, key: ApiKey, account: ConnectedAccount, origin: Origin, now: datetime) -> ApiKey:
    """Give an account this key: check that it may have it, and record it; the caller saves.

    Raises ValidationError at `api_key` for somebody else's key and for one that opens nothing.
    """
    operation = Operation(key, Action.ASSIGNED, now, origin, account_id=account.pk)
    with audited(operation):
        key = operation.key = ApiKey.objects.select_for_update().get(pk=key.pk)
        if key.user_id != account.user_id or not key.is_usable(now):
            raise ValidationError({"api_key": "not found"})
        operation.message = f"{account.name} logs in with it."
    return key


def expire_keys(*, now: datetime) -> list[ApiKey]:
    """Mark the keys whose time has come as expired, and have their accounts' sessions ended.

    An expired key opens nothing from its very second on; this tells everybody.
    """
    expired = []
    due = ApiKey.objects.filter(
        expires_at__lte=now, status__in=[ApiKey.Status.ACTIVE, ApiKey.Status.INACTIVE]
    )
    for found in due.defer("secret").order_by("pk"):
        with transaction.atomic():
            key = _locked(found)
            if key.expires_at is None or key.expires_at > now or key.status not in _SWITCHES:
                continue  # somebody moved it meanwhile
            key.status = ApiKey.Status.EXPIRED
            key.save(update_fields=["status", "updated_at"])
            message = "Its time was over; the sessions of its accounts end."
            Operation(key, Action.EXPIRED, now, message=message).record()
            request_look(accounts=_wanted_accounts(key))
            expired.append(key)
    return expired


def why_unusable(key: ApiKey, now: datetime) -> str:
    """Say why nobody may log in with a key now; empty when they may."""
    word = _UNUSABLE.get(ApiKey.Status(key.status_at(now)))
    return f"The key “{key.name}” {word}." if word else ""


def log_in_again(*, account: ConnectedAccount, now: datetime) -> None:
    """End the session of an account and ask for a new one, with the credentials it has now."""
    request_disconnect(account=account, now=now)
    request_connect(account=account, now=now)


@sensitive_variables("secret")
def checked_secret(secret: str, *, field: str = "password") -> str:
    """Return the password, or raise ValidationError at `field`, never quoting it."""
    if not secret:
        raise ValidationError({field: "The password must not be empty."})
    if len(secret) > LONGEST_SECRET:
        raise ValidationError({field: f"At most {LONGEST_SECRET} characters are possible."})
    if not secret.isprintable():
        raise ValidationError({field: "The password holds characters that cannot be typed."})
    return secret


def lock_accounts_with(key_id: UUID) -> None:
    """Let one transaction at a time change the accounts that use a key; take it before the key."""
    accounts = ConnectedAccount.objects.filter(api_key=key_id).order_by("pk")
    list(accounts.select_for_update(of=["self"]).values_list("pk"))


def _locked(key: ApiKey) -> ApiKey:
    lock_accounts_with(key.pk)
    return ApiKey.objects.select_for_update().get(pk=key.pk)


def _wanted_accounts(key: ApiKey) -> Iterable[ConnectedAccount]:
    return list(key.accounts.filter(connection__is_wanted=True).order_by("pk"))


def _apply(key: ApiKey, changes: KeyChanges, now: datetime) -> list[str]:
    """Set what differs, return the names; an expired key with a later expiry is active again."""
    was_expired = key.status == ApiKey.Status.EXPIRED
    changed = [name for name, value in changes.items() if getattr(key, name) != value]
    for name in changed:
        setattr(key, name, changes[name])  # type: ignore[literal-required]
    if "status" in changed and key.status not in _SWITCHES:
        raise ValidationError({"status": "Choose active or inactive; a key is revoked for good."})
    if "expires_at" in changed:
        _check_expiry(key, now)
        if was_expired and "status" not in changed:
            key.status = ApiKey.Status.ACTIVE
            changed.append("status")
    elif was_expired and "status" in changed:
        raise ValidationError({"expires_at": "It has expired: choose a later moment, or none."})
    return changed


def _check_expiry(key: ApiKey, now: datetime) -> None:
    if key.expires_at is not None and key.expires_at <= now:
        raise ValidationError({"expires_at": "Choose a moment in the future, or none."})
    if key.expires_at is not None and key.expires_at - now > LONGEST_LIFE:
        raise ValidationError({"expires_at": "Choose a moment within ten years, or none."})


def _refuse_if_revoked(key: ApiKey, change: str) -> None:
    if key.status == ApiKey.Status.REVOKED:
        raise Refusal(
            f"“{key.name}” is revoked and its password destroyed; it cannot be {change}.",
            code="revoked",
        )


def _refuse_blinding(key: ApiKey, before: ApiKey) -> None:
    if before.status == ApiKey.Status.ACTIVE and key.status != ApiKey.Status.ACTIVE:
        _refuse_if_held(key, "deactivated")
    is_sooner = key.expires_at is not None and (
        before.expires_at is None or key.expires_at < before.expires_at
    )
    if is_sooner:
        _refuse_if_held(key, "made to expire sooner")


def _refuse_if_held(key: ApiKey, change: str) -> None:
    accounts = dict(key.accounts.order_by("name", "pk").values_list("pk", "name"))
    reasons = lock_reasons(account_ids=list(accounts))
    held = next((account_id for account_id in accounts if account_id in reasons), None)
    if held is not None:
        raise Refusal(
            f"{accounts[held]} logs in with this key and is locked, because {reasons[held]}; the"
            f" key cannot be {change} until somebody has acknowledged that with a reason.",
            code="locked",
        )


def _follow_usability(key: ApiKey, *, was_usable: bool, now: datetime) -> None:
    """Have the hosts look: a key that opens again connects, one that no longer does ends."""
    if key.is_usable(now) and not was_usable:
        for account in _wanted_accounts(key):
            log_in_again(account=account, now=now)
    elif was_usable and not key.is_usable(now):
        request_look(accounts=_wanted_accounts(key))
