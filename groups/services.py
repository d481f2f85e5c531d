from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import TypedDict, Unpack
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from groups.models import AccountGroup, Membership

# Says why these accounts may not leave this group, or None: `risk` knows, and imports `groups`.
DepartureCheck = Callable[[AccountGroup, Collection[UUID]], str | None]
# Ends what these accounts have through this group, in the transaction in which they leave it.
Departure = Callable[[AccountGroup, Collection[UUID]], None]
_departure_checks: list[DepartureCheck] = []
_departures: list[Departure] = []


class GroupChanges(TypedDict, total=False):
    name: str
    description: str
    accounts: Iterable[ConnectedAccount]


def register_departure_check(check: DepartureCheck) -> None:
    if check not in _departure_checks:
        _departure_checks.append(check)


def register_departure(departure: Departure) -> None:
    if departure not in _departures:
        _departures.append(departure)


@transaction.atomic
def create_group(
    *, user: User, name: str, description: str = "", accounts: Iterable[ConnectedAccount] = ()
) -> AccountGroup:
    """Create a group of the user's own accounts; raises ValidationError with the fields named."""
    group = AccountGroup(user=user, name=name, description=description)
    _check(group)
    group.save(force_insert=True)
    _join(group, accounts)
    return group


@transaction.atomic
def update_group(*, group: AccountGroup, **changes: Unpack[GroupChanges]) -> AccountGroup:
    """Change a group and return it as it is now; `accounts` replaces its members."""
    group = _locked(group)
    group.name = changes.get("name", group.name)
    group.description = changes.get("description", group.description)
    _check(group)
    group.save(update_fields=["name", "description", "updated_at"])
    if "accounts" in changes:
        wanted = {account.pk: account for account in changes["accounts"]}
        members = set(group.memberships.values_list("account_id", flat=True))
        _leave(group, members - wanted.keys())
        _join(group, wanted.values())
    return group


@transaction.atomic
def delete_group(*, group: AccountGroup) -> None:
    """Delete a group, not its accounts; refused while a rule holds one of them through it."""
    group = _locked(group)
    _leave(group, set(group.memberships.values_list("account_id", flat=True)))
    group.delete()


@transaction.atomic
def add_accounts(*, group: AccountGroup, accounts: Iterable[ConnectedAccount]) -> None:
    """Add the user's own accounts to a group; those that are members already stay so."""
    group = _locked(group)
    _join(group, accounts)
    group.save(update_fields=["updated_at"])


@transaction.atomic
def remove_accounts(*, group: AccountGroup, accounts: Iterable[ConnectedAccount]) -> None:
    """Take accounts out of a group; refused while a rule holds one of them through it."""
    group = _locked(group)
    _leave(group, {account.pk for account in accounts})
    group.save(update_fields=["updated_at"])


def forget_account(*, account_id: UUID, now: datetime) -> None:
    """Take an account that is deleted out of its groups (accounts.services.locks.Forget)."""
    AccountGroup.objects.filter(memberships__account_id=account_id).update(updated_at=now)
    Membership.objects.filter(account_id=account_id).delete()


def _locked(group: AccountGroup) -> AccountGroup:
    return AccountGroup.objects.select_for_update().get(pk=group.pk)


def _check(group: AccountGroup) -> None:
    group.full_clean(exclude=["user"], validate_constraints=False)
    namesakes = AccountGroup.objects.filter(user_id=group.user_id, name=group.name)
    if namesakes.exclude(pk=group.pk).exists():
        raise ValidationError({"name": "You already have a group of this name."})


def _join(group: AccountGroup, accounts: Iterable[ConnectedAccount]) -> None:
    accounts = list(accounts)
    if any(account.user_id != group.user_id for account in accounts):
        raise ValidationError({"accounts": "not found"})
    Membership.objects.bulk_create(
        (Membership(group=group, account=account) for account in accounts), ignore_conflicts=True
    )


def _leave(group: AccountGroup, account_ids: Collection[UUID]) -> None:
    if not account_ids:
        return
    for check in _departure_checks:
        reason = check(group, account_ids)
        if reason is not None:
            raise Refusal(reason, code="locked")
    for departure in _departures:
        departure(group, account_ids)
    group.memberships.filter(account_id__in=account_ids).delete()
