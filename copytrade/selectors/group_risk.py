"""A provider and its followers as a group by themselves; their weakest account decides.

The members that belong to the provider's owner are shown in full. Of another's follower there is
its alias and its status: no figure, and no rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from accounts.models import ConnectedAccount
from copytrade.models import CopyRelationship
from risk.core.statuses import Status
from risk.live import load_members
from risk.live_objects import Json, Member, group_object
from risk.live_objects.members import TEXTS, by_weakness


def copy_group_risk(provider: ConnectedAccount, *, now: datetime) -> Json:
    """Return the live risk of a provider and its active followers, for the provider's owner.

    The object of a group (`risk.live_objects.group_object`), its id and name the provider's. Each
    account says in `relationship_id` how it follows, None for the provider itself; another's
    follower is named by its alias, has the id of its relationship, no figures and no rules.
    """
    rows = list(
        CopyRelationship.objects.copying()
        .filter(provider=provider, follower__archived_at=None, follower__is_active=True)
        .select_related("follower")
    )
    followers = [row.follower for row in rows]
    members = load_members([provider, *followers], now=now)
    own = [provider.pk, *(each.pk for each in followers if each.user_id == provider.user_id)]
    shown = group_object(provider.pk, provider.name, [members[pk] for pk in own], sequence=0)
    return _with_others(shown, rows, members, frozenset(own))


def _with_others(
    shown: Json,
    rows: Sequence[CopyRelationship],
    members: Mapping[UUID, Member],
    own: frozenset[UUID],
) -> Json:
    """Add the followers of other users to the object, and judge the whole."""
    names = {row.follower_id: row for row in rows}
    weakest = min(members.values(), key=by_weakness)
    others = [row for row in rows if row.follower_id not in own]
    accounts = [_own_account(account, names) for account in shown["accounts"]]
    accounts += [_other_account(row, members[row.follower_id]) for row in others]
    if weakest.id not in own:
        shown["weakest_account"] = _summary(names[weakest.id], weakest)
    shown["weakest_account"]["relationship_id"] = _relationship_id(names.get(weakest.id))
    return {
        **shown,
        "status": TEXTS[weakest.status],
        "unknown_accounts": [*shown["unknown_accounts"], *_unknown(others, members)],
        "accounts": accounts,
    }


def _own_account(account: Json, names: Mapping[UUID, CopyRelationship]) -> Json:
    return {
        **account,
        "relationship_id": _relationship_id(names.get(UUID(account["id"]))),
        "is_own": True,
    }


def _other_account(row: CopyRelationship, member: Member) -> Json:
    return {
        **_summary(row, member),
        "reading_age_seconds": member.age_seconds,
        "connection": member.connection["state"],
        "currency": None,
        "equity": None,
        "rules": [],
        "relationship_id": str(row.pk),
        "is_own": False,
    }


def _summary(row: CopyRelationship, member: Member) -> Json:
    return {
        "id": str(row.pk),
        "name": row.alias,
        "status": TEXTS[member.status],
        "buffer": None,
    }


def _unknown(others: Iterable[CopyRelationship], members: Mapping[UUID, Member]) -> list[str]:
    return [
        str(row.pk)
        for row in others
        if not members[row.follower_id].is_fresh
        or members[row.follower_id].status is Status.UNKNOWN
    ]


def _relationship_id(row: CopyRelationship | None) -> str | None:
    return None if row is None else str(row.pk)
