"""Which of the user's accounts a page or a button is about: one, those of a group, or all."""

from dataclasses import dataclass
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest
from django.shortcuts import get_object_or_404

from accounts.models import ConnectedAccount, User
from accounts.selectors import accounts_of
from accounts.views.lookups import own_account, signed_in
from groups.models import AccountGroup


@dataclass(frozen=True, slots=True)
class Scope:
    """`accounts` are active ones, by name; of one account it is the account, whatever it is."""

    user: User
    accounts: list[ConnectedAccount]
    account: ConnectedAccount | None = None
    group: AccountGroup | None = None

    @property
    def name(self) -> str:
        if self.account is not None:
            return self.account.name
        return self.group.name if self.group is not None else "every account"

    @property
    def query(self) -> str:
        """Return how an address names the scope."""
        if self.account is not None:
            return urlencode({"account": str(self.account.pk)})
        return urlencode({"group": str(self.group.pk)}) if self.group is not None else ""


def everything(user: User) -> Scope:
    return Scope(user, list(accounts_of(user).filter(is_active=True).order_by("name", "pk")))


def of_account(request: HttpRequest, account_id: UUID) -> Scope:
    account = own_account(request, account_id)
    return Scope(signed_in(request), [account], account=account)


def of_group(request: HttpRequest, group_id: UUID) -> Scope:
    user = signed_in(request)
    group = get_object_or_404(AccountGroup.objects.owned_by(user), pk=group_id)
    members = accounts_of(user).filter(is_active=True, groups=group).order_by("name", "pk")
    return Scope(user, list(members), group=group)


def asked_scope(request: HttpRequest) -> Scope:
    """Return the scope that `?account=` or `?group=` names, else everything."""
    account_id, group_id = request.GET.get("account"), request.GET.get("group")
    try:
        if account_id:
            return of_account(request, UUID(account_id))
        if group_id:
            return of_group(request, UUID(group_id))
    except ValueError as error:
        raise Http404 from error
    return everything(signed_in(request))
