"""Which accounts of a host are copied by others."""

from django.db.models import Min

from accounts.models import ConnectedAccount
from copytrade.models import CopyRelationship
from copytrade.watching.facts import WatchedProvider


def watched_providers(host: str) -> list[WatchedProvider]:
    """Return the accounts of a host that are connected on purpose and have a living follower."""
    rows = (
        ConnectedAccount.objects.active()
        .on_host(host)
        .filter(
            connection__is_wanted=True,
            copied_by__state__in=CopyRelationship.COPYING,
            copied_by__started_at__isnull=False,
        )
        .annotate(started_at=Min("copied_by__started_at"))
        .order_by("created_at", "pk")
        .values_list("pk", "name", "login", "server", "currency", "broker_time_zone", "started_at")
    )
    return [
        WatchedProvider(
            account_id=account_id,
            name=name,
            login=login,
            server=server,
            currency=currency,
            broker_zone=zone,
            started_at=started_at,
        )
        for account_id, name, login, server, currency, zone, started_at in rows
    ]
