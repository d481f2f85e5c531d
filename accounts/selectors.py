from django.db.models import QuerySet

from accounts.models import ConnectedAccount, ConnectionLog, User


def accounts_of(user: User) -> QuerySet[ConnectedAccount]:
    """Return the user's accounts with their connections and tags."""
    return (
        ConnectedAccount.objects.owned_by(user)
        .select_related("connection")
        .prefetch_related("tags")
    )


def connection_log(account: ConnectedAccount) -> QuerySet[ConnectionLog]:
    """Return the changes of an account's connection, newest first."""
    return ConnectionLog.objects.filter(account_id=account.pk, user_id=account.user_id)
