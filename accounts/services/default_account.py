"""Which of a user's accounts is the default: always one, as long as there are any."""

from django.db import transaction

from accounts.models import ConnectedAccount, User
from accounts.publishing import publish_dashboard_on_commit


def lock_accounts_of(*, user_id: int) -> None:
    """Let one transaction at a time decide about the logins and the default of this user.

    Take it before any account. Rows that refer to the user (tags, keys) can still be written by
    whoever holds an account, or the two would wait for each other.
    """
    User.objects.select_for_update(no_key=True).only("pk").get(pk=user_id)


@transaction.atomic
def set_default(*, account: ConnectedAccount) -> ConnectedAccount:
    lock_accounts_of(user_id=account.user_id)
    account = ConnectedAccount.objects.select_for_update().get(pk=account.pk)
    ConnectedAccount.objects.filter(user_id=account.user_id, is_default=True).exclude(
        pk=account.pk
    ).update(is_default=False)
    account.is_default = True
    account.save(update_fields=["is_default", "updated_at"])
    publish_dashboard_on_commit(account.user_id)
    return account


def pass_default_on(*, user_id: int) -> None:
    """Make the oldest account that is left the default, an active one if there is one."""
    heir = (
        ConnectedAccount.objects.filter(user_id=user_id)
        .order_by("-is_active", "created_at", "pk")
        .first()
    )
    if heir is not None:
        heir.is_default = True
        heir.save(update_fields=["is_default", "updated_at"])
