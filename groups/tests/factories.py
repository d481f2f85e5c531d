from accounts.models import ConnectedAccount, User
from groups.models import AccountGroup, Membership


def make_group(
    user: User, name: str = "Desk", *accounts: ConnectedAccount, description: str = ""
) -> AccountGroup:
    group = AccountGroup.objects.create(user=user, name=name, description=description)
    Membership.objects.bulk_create(Membership(group=group, account=account) for account in accounts)
    return group
