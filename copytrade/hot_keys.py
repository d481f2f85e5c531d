"""Who copies whom, as the hot state says it."""

from collections import defaultdict
from uuid import UUID

from django.db.models import Count, Max, Q

from accounts.key_mirror import Value
from accounts.redis import follower_master_key, master_followers_key
from copytrade.models import CopyRelationship

REGISTER = "copies"


def copy_mark() -> object:
    """Return what differs whenever a relationship was begun, changed or ended: one short query."""
    rows = CopyRelationship.objects.copying()
    return rows.order_by().aggregate(count=Count("pk"), changed=Max("updated_at"))


def copy_keys(host: str) -> dict[str, Value]:
    """Return the keys of a host's providers and followers; who copies nothing has none.

    A provider's key names those that copy its opens, a follower's key all that it is bound to.
    """
    followers: dict[UUID, set[str]] = defaultdict(set)
    providers: dict[UUID, set[str]] = defaultdict(set)
    rows = CopyRelationship.objects.copying().filter(
        Q(provider__terminal_host=host) | Q(follower__terminal_host=host)
    )
    for (
        provider_id,
        follower_id,
        state,
        provider_host,
        follower_host,
    ) in rows.order_by().values_list(
        "provider_id",
        "follower_id",
        "state",
        "provider__terminal_host",
        "follower__terminal_host",
    ):
        if provider_host == host and state == CopyRelationship.State.ACTIVE:
            followers[provider_id].add(str(follower_id))
        if follower_host == host:
            providers[follower_id].add(str(provider_id))
    return {
        **{master_followers_key(one): frozenset(ids) for one, ids in followers.items()},
        **{follower_master_key(one): frozenset(ids) for one, ids in providers.items()},
    }
