"""Whose word counts in a relationship: it has two sides, which may have one owner."""

from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import connection

from accounts.models import ConnectedAccount, User
from accounts.refusals import Refusal
from copytrade.models import CopyRelationship

# Any number that nothing else of this database locks.
_GRAPH_LOCK = 0x5447_C0B1


class Sides(NamedTuple):
    """Which accounts of a relationship are somebody's own."""

    provider: bool
    follower: bool

    @property
    def are_both(self) -> bool:
        return self.provider and self.follower


def sides_of(relationship: CopyRelationship, actor: User | None) -> Sides:
    """Return what the actor speaks for; None is TradeGuard itself, which speaks for both.

    Raises Refusal for a stranger.
    """
    if actor is None:
        return Sides(provider=True, follower=True)
    sides = Sides(
        provider=relationship.provider.user_id == actor.pk,
        follower=relationship.follower.user_id == actor.pk,
    )
    if not any(sides):
        raise Refusal("This relationship is not yours.", code="not_yours")
    return sides


def locked_relationship(relationship: CopyRelationship) -> CopyRelationship:
    """Lock a relationship and return it as it is now, with both accounts."""
    rows = CopyRelationship.objects.select_related("provider", "follower")
    return rows.select_for_update(of=["self"]).get(pk=relationship.pk)


def locked_accounts(
    *, provider: ConnectedAccount, follower: ConnectedAccount
) -> tuple[ConnectedAccount, ConnectedAccount]:
    """Lock both accounts, in the order of everybody, and return them as they are now.

    Raises ValidationError for one that was deleted.
    """
    rows = ConnectedAccount.objects.filter(pk__in=[provider.pk, follower.pk]).order_by("pk")
    found = {row.pk: row for row in rows.select_for_update(of=["self"])}
    gone = [
        side
        for side, account in (("provider", provider), ("follower", follower))
        if account.pk not in found
    ]
    if gone:
        raise ValidationError(dict.fromkeys(gone, "not found"))
    return found[provider.pk], found[follower.pk]


def hold_graph() -> None:
    """Let who copies whom be changed by one transaction at a time.

    Of two that add a relationship each, neither would see the loop that both of them close. SQLite
    lets one transaction write at a time anyway.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_GRAPH_LOCK])
