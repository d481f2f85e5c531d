from django.db.models import Count, Prefetch, QuerySet

from accounts.models import ConnectedAccount, User
from accounts.selectors import accounts_of
from groups.models import AccountGroup


def groups_of(user: User) -> QuerySet[AccountGroup]:
    """Return the user's groups with their accounts and `account_count`."""
    return (
        AccountGroup.objects.owned_by(user)
        .annotate(account_count=Count("memberships"))
        .prefetch_related(Prefetch("accounts", ConnectedAccount.objects.order_by("name", "pk")))
    )


def members_of(group: AccountGroup) -> QuerySet[ConnectedAccount]:
    """Return a group's accounts with their connections and tags, by name."""
    return accounts_of(group.user).filter(groups=group).order_by("name", "pk")
