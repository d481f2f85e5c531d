"""Switching the watch over accounts on and off, one by one or all at once."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from accounts.models import AccountConnection, ConnectedAccount, User
from accounts.refusals import Refusal
from accounts.services.accounts import update_account
from accounts.services.connections import request_connect, request_disconnect
from accounts.services.keys import why_unusable
from accounts.services.locks import refuse_if_locked

UNFORESEEN = (
    "That failed for a reason that TradeGuard did not foresee; it is in the log. Try again."
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SwitchResult:
    """What came of one account when many were connected or disconnected."""

    account_id: UUID
    name: str
    state: str | None
    refusal: str | None


@transaction.atomic
def connect_account(*, account: ConnectedAccount, now: datetime) -> AccountConnection:
    """Ask the worker of the account's host to connect it; an inactive account is refused."""
    account = ConnectedAccount.objects.select_for_update().get(pk=account.pk)
    if not account.is_active:
        raise Refusal("The account is inactive; activate it first.", code="inactive")
    if account.api_key is None:
        raise Refusal("The account has no password; give it one first.", code="no_password")
    if reason := why_unusable(account.api_key, now):
        raise Refusal(f"{reason} Give the account another password.", code="key_unusable")
    return request_connect(account=account, now=now)


@transaction.atomic
def disconnect_account(*, account: ConnectedAccount, now: datetime) -> AccountConnection:
    """End the session of an account; refused while it is locked, for nobody would guard it then."""
    refuse_if_locked(account_id=account.pk, change="disconnected")
    return request_disconnect(account=account, now=now)


def activate_account(*, account: ConnectedAccount, now: datetime) -> ConnectedAccount:
    """Take up the watch over an account again, which connects it."""
    return update_account(account=account, now=now, is_active=True)


def deactivate_account(*, account: ConnectedAccount, now: datetime) -> ConnectedAccount:
    """End the watch over an account; refused while it is locked."""
    return update_account(account=account, now=now, is_active=False)


def connect_all(*, user: User, now: datetime) -> list[SwitchResult]:
    """Connect all active accounts of a user, each by itself, and tell what came of each."""
    return [_switch(connect_account, account, now) for account in _active_accounts(user)]


def disconnect_all(*, user: User, now: datetime) -> list[SwitchResult]:
    return [_switch(disconnect_account, account, now) for account in _active_accounts(user)]


def _active_accounts(user: User) -> list[ConnectedAccount]:
    return list(ConnectedAccount.objects.owned_by(user).active().order_by("name", "pk"))


def _switch(
    change: Callable[..., AccountConnection], account: ConnectedAccount, now: datetime
) -> SwitchResult:
    """Switch one account; what stops it, foreseen or not, stops no other."""
    try:
        connection = change(account=account, now=now)
    except Refusal as refusal:
        return SwitchResult(account.pk, account.name, None, refusal.sentence)
    except ConnectedAccount.DoesNotExist:
        return SwitchResult(account.pk, account.name, None, "The account was deleted meanwhile.")
    except Exception:
        logger.exception("The account %s could not be switched.", account.pk)
        return SwitchResult(account.pk, account.name, None, UNFORESEEN)
    return SwitchResult(account.pk, account.name, connection.state, None)
