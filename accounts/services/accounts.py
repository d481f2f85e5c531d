from collections.abc import Iterable, Mapping
from datetime import datetime, time
from decimal import Decimal
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.core.zones import broker_zone
from accounts.history.retiming import retime_deals
from accounts.models import AccountConnection, ApiKey, ConnectedAccount, TerminalHost, User
from accounts.origin import SYSTEM, Origin
from accounts.publishing import publish_dashboard_on_commit
from accounts.services.connections import request_connect, request_disconnect
from accounts.services.default_account import lock_accounts_of, pass_default_on
from accounts.services.key_trail import refusals_kept
from accounts.services.keys import (
    assign_key,
    checked_secret,
    create_key,
    lock_accounts_with,
    log_in_again,
    revoke_key,
    rotate_secret,
)
from accounts.services.locks import forget_account, refuse_if_locked
from accounts.services.tags import tags_named

NEW_YORK_CLOSE = "America/New_York+7h"
# Changing one of these would move a floor, or stop the watch over a rule that was broken.
HELD_WHILE_LOCKED = {
    "server": "moved to another server",
    "login": "changed to another login",
    "currency": "given another currency",
    "initial_balance": "given another initial balance",
    "broker_time_zone": "given another time zone",
    "day_reset_time": "given another reset time",
    "day_reset_zone": "given another reset zone",
}
LOGIN = frozenset({"server", "login"})
CREDENTIALS = LOGIN | {"api_key_id"}


class AccountChanges(TypedDict, total=False):
    name: str
    broker: str
    server: str
    login: int
    role: str
    is_demo: bool
    is_active: bool
    currency: str
    initial_balance: Decimal
    broker_time_zone: str
    day_reset_time: time
    day_reset_zone: str
    api_key: ApiKey
    password: str
    tags: Iterable[str]


@sensitive_variables("password")
@refusals_kept()
@transaction.atomic
def create_account(
    *,
    user: User,
    name: str,
    broker: str,
    server: str,
    login: int,
    currency: str,
    initial_balance: Decimal,
    password: str | None = None,
    api_key: ApiKey | None = None,
    role: str = ConnectedAccount.Role.TRADING,
    is_demo: bool = True,
    is_active: bool = True,
    broker_time_zone: str = NEW_YORK_CLOSE,
    day_reset_time: time = time(0, 0),
    day_reset_zone: str = NEW_YORK_CLOSE,
    terminal_host: str | None = None,
    tags: Iterable[str] = (),
    now: datetime | None = None,
    origin: Origin = SYSTEM,
) -> ConnectedAccount:
    """Create an account, put its password into the vault and, unless inactive, connect it.

    The credential is a new `password` or a key that the user has. The first account of a user
    becomes the default. Raises ValidationError with the fields named.
    """
    now = now or timezone.now()
    lock_accounts_of(user_id=user.pk)
    account = ConnectedAccount(
        user=user,
        name=name,
        broker=broker,
        server=server,
        login=login,
        currency=currency,
        initial_balance=initial_balance,
        role=role,
        is_demo=is_demo,
        is_active=is_active,
        is_default=not ConnectedAccount.objects.owned_by(user).exists(),
        broker_time_zone=broker_time_zone,
        day_reset_time=day_reset_time,
        day_reset_zone=day_reset_zone,
        terminal_host=_host_named(terminal_host or settings.TERMINAL_HOST),
    )
    _check(account)
    account.api_key = _credential(account, password, api_key, now, origin)
    account.save(force_insert=True)
    AccountConnection.objects.create(account=account, since=now)
    account.tags.set(tags_named(user=user, names=tags))
    if is_active:
        request_connect(account=account, now=now)
    publish_dashboard_on_commit(account.user_id)
    return account


@sensitive_variables("changes", "password")
@refusals_kept()
@transaction.atomic
def update_account(
    *,
    account: ConnectedAccount,
    now: datetime | None = None,
    origin: Origin = SYSTEM,
    **changes: Unpack[AccountChanges],
) -> ConnectedAccount:
    """Change an account and return it as it is now; new credentials log it in again.

    `password` replaces the secret of the account's key. Raises Refusal when the account is locked
    and the change would loosen something, ValidationError with the fields named.
    """
    now = now or timezone.now()
    if not LOGIN.isdisjoint(changes):
        lock_accounts_of(user_id=account.user_id)
    if "password" in changes and account.api_key_id is not None:
        lock_accounts_with(account.api_key_id)
    account = ConnectedAccount.objects.select_for_update().get(pk=account.pk)
    zone_before = account.broker_time_zone
    password = changes.pop("password", None)
    tags = changes.pop("tags", None)
    key = changes.pop("api_key", None)
    changed = _apply(account, changes)
    if key is not None and key.pk != account.api_key_id:
        if password is not None:
            raise ValidationError({"password": "Give either a new password, or another key."})
        account.api_key = assign_key(key=key, account=account, origin=origin, now=now)
        changed.append("api_key_id")
    if tags is not None and _retag(account, tags):
        changed.append("tags")
    if changed:
        _refuse_loosening(account, changed)
        _check(account)
        columns = [name for name in changed if name != "tags"]
        account.save(update_fields=[*columns, "updated_at"])
    if "broker_time_zone" in changed:
        retime_deals(account, before=broker_zone(zone_before), after=account.broker_zone)
    if password is not None:
        _change_password(account, password, now, origin)
    _follow_up(account, changed, now)
    publish_dashboard_on_commit(account.user_id)
    return account


@refusals_kept()
@transaction.atomic
def delete_account(
    *, account: ConnectedAccount, now: datetime | None = None, origin: Origin = SYSTEM
) -> None:
    """End the session of an account and archive it; its history and its ledgers stay.

    It leaves groups and rules and loses its tags; a key that no other account uses is revoked. The
    default passes to the oldest account that is left, an active one if there is one. The same login
    can be added again. Raises Refusal while the account is locked.
    """
    now = now or timezone.now()
    lock_accounts_of(user_id=account.user_id)
    account = ConnectedAccount.objects.select_for_update(of=["self"]).get(pk=account.pk)
    refuse_if_locked(account_id=account.pk, change="deleted")
    request_disconnect(account=account, now=now)
    forget_account(account_id=account.pk, now=now)
    AccountConnection.objects.filter(account=account).delete()
    account.tags.clear()
    key, was_default = account.api_key, account.is_default
    _archive(account, now)
    if key is not None and key.status != ApiKey.Status.REVOKED and not key.accounts.exists():
        revoke_key(key=key, origin=origin, now=now)
    if was_default:
        pass_default_on(user_id=account.user_id)
    publish_dashboard_on_commit(account.user_id)


def _host_named(name: str) -> TerminalHost:
    if name not in settings.TERMINAL_HOSTS:
        raise ValidationError({"terminal_host": f"There is no terminal host named “{name}”."})
    return TerminalHost.objects.get_or_create(name=name)[0]


def _check(account: ConnectedAccount) -> None:
    account.full_clean(exclude=["user", "terminal_host", "api_key"], validate_constraints=False)
    taken = ConnectedAccount.objects.filter(
        user_id=account.user_id, server=account.server, login=account.login
    ).exclude(pk=account.pk)
    if taken.exists():
        raise ValidationError({"login": "You already watch this login on this server."})


@sensitive_variables("password")
def _credential(
    account: ConnectedAccount,
    password: str | None,
    key: ApiKey | None,
    now: datetime,
    origin: Origin,
) -> ApiKey:
    if (password is None) == (key is None):
        raise ValidationError({"password": "Give either the password, or a key that you have."})
    if key is not None:
        return assign_key(key=key, account=account, origin=origin, now=now)
    return create_key(
        user=account.user,
        name=f"{account.name} ({account.login})",
        secret=checked_secret(password or ""),
        origin=origin,
        now=now,
    )


def _apply(account: ConnectedAccount, changes: Mapping[str, Any]) -> list[str]:
    """Set the attributes that differ and return their names."""
    changed = []
    for name, value in changes.items():
        if getattr(account, name) != value:
            setattr(account, name, value)
            changed.append(name)
    return changed


def _retag(account: ConnectedAccount, names: Iterable[str]) -> bool:
    """Give an account these tags and tell whether it had others."""
    before, after = set(account.tags.all()), set(tags_named(user=account.user, names=names))
    account.tags.set(after)
    return before != after


def _refuse_loosening(account: ConnectedAccount, changed: list[str]) -> None:
    if "is_active" in changed and not account.is_active:
        refuse_if_locked(account_id=account.pk, change="deactivated")
    for name in changed:
        if name in HELD_WHILE_LOCKED:
            refuse_if_locked(account_id=account.pk, change=HELD_WHILE_LOCKED[name])


@sensitive_variables("password")
def _change_password(
    account: ConnectedAccount, password: str, now: datetime, origin: Origin
) -> None:
    secret, key = checked_secret(password), account.api_key
    if key is not None and key.status != ApiKey.Status.REVOKED:
        rotate_secret(key=key, secret=secret, origin=origin, now=now)
        return
    # A revoked key opens nothing for good: the account gets a new one.
    account.api_key = _credential(account, secret, None, now, origin)
    account.save(update_fields=["api_key", "updated_at"])
    if _is_wanted(account.pk):
        log_in_again(account=account, now=now)


def _follow_up(account: ConnectedAccount, changed: list[str], now: datetime) -> None:
    if "is_active" in changed:
        request = request_connect if account.is_active else request_disconnect
        request(account=account, now=now)
    elif not CREDENTIALS.isdisjoint(changed) and _is_wanted(account.pk):
        log_in_again(account=account, now=now)


def _archive(account: ConnectedAccount, now: datetime) -> None:
    account.archived_at = now
    account.is_active = account.is_default = False
    account.api_key = None
    account.save(update_fields=["archived_at", "is_active", "is_default", "api_key", "updated_at"])


def _is_wanted(account_id: UUID) -> bool:
    return AccountConnection.objects.filter(account_id=account_id, is_wanted=True).exists()
