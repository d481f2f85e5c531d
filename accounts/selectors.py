import logging
from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet
from redis import RedisError

from accounts.hot_state import AccountState, read_accounts
from accounts.models import ConnectedAccount, ConnectionLog, User

logger = logging.getLogger(__name__)


def last_states(accounts: Iterable[ConnectedAccount]) -> dict[UUID, AccountState]:
    """Return what the last tick left of these accounts; without Redis nothing is known of any."""
    by_host: dict[str, list[UUID]] = defaultdict(list)
    for account in accounts:
        by_host[account.terminal_host_id].append(account.pk)
    try:
        return read_accounts(by_host)
    except RedisError as error:
        logger.warning("The readings of the accounts are not known: %s", error)
        return {}


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
