"""Who copies a provider: its relationships, kept in memory and compared with the database."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import count
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import connection

from copytrade.core.facts import RelationshipTerms
from copytrade.models import CopyRelationship
from copytrade.replication.stamps import version_of

# What tells that a relationship, or its follower's account, is another than it was.
_MARKS: Final = (
    "id", "state", "updated_at", "terms_changed_at", "state_changed_at", "follower_id",
    "follower__user_id", "follower__name", "follower__server", "follower__login",
    "follower__terminal_host_id", "follower__currency", "follower__broker_time_zone",
)  # fmt: skip

_TERMS: Final = tuple(
    each.name
    for each in fields(RelationshipTerms)
    if each.name not in ("id", "symbol_map", "started_at")
)


@dataclass(frozen=True, slots=True)
class FollowerAccount:
    """The account that copies, as its orders need it."""

    id: UUID
    user_id: int
    name: str
    server: str
    login: int
    host: str
    currency: str
    broker_zone: str


@dataclass(frozen=True, slots=True)
class Follower:
    """A relationship that a provider's events are planned for.

    Those of one book that share a `likeness` have the same terms, server and currency; -1 is like
    nobody.
    """

    terms: RelationshipTerms
    account: FollowerAccount
    likeness: int = -1


class _List(NamedTuple):
    """Who copies a provider, at least as new as the `version`, and in which `words` it was told."""

    version: tuple[Any, ...]
    followers: Sequence[tuple[datetime, Follower]]
    words: Sequence[Any] | None = None


class FollowerBook:
    """Remembers who copies a provider as long as nothing about them has changed; for one thread
    and another that refreshes.

    One short query tells whether something has: the latest change of a relationship or of an
    account, and how many there are.
    """

    def __init__(self) -> None:
        self._likenesses: dict[Hashable, int] = {}
        self._numbers = count()
        self._known: dict[UUID, tuple[tuple[Any, ...], Follower]] = {}
        self._lists: dict[UUID, _List] = {}

    def followers(
        self, provider_id: UUID, *, until: datetime, version: tuple[Any, ...] | None = None
    ) -> Sequence[Follower]:
        """Return those that copied the provider at a moment, oldest first.

        `version` is what `version_of` has just said, where somebody has asked already.
        A relationship that was accepted later has nothing to do with what happened before.
        """
        changed = version or version_of(provider_id)
        known = self._lists.get(provider_id)
        if known is None or known.version != changed:
            known = self._lists[provider_id] = _List(changed, self._all(provider_id))
        return [follower for created_at, follower in known.followers if created_at <= until]

    def refresh(self, provider_id: UUID) -> None:
        """Learn anew who copies a provider: some things of an account change unmarked."""
        version = version_of(provider_id)
        known, words = self._lists.get(provider_id), self._words(provider_id)
        # Only by its own words: what the other thread has read may be older than these.
        is_known = known is not None and known.words == words
        followers = known.followers if known and is_known else self._all(provider_id)
        self._lists[provider_id] = _List(version, followers, words)

    def _words(self, provider_id: UUID) -> Sequence[Any]:
        """Return the marks in the words of the database: reading them as values takes ten times."""
        rows = CopyRelationship.objects.copying().filter(provider_id=provider_id)
        marks = rows.order_by("created_at", "id").values_list("created_at", *_MARKS)
        statement, words = marks.query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(statement, words)
            said: Sequence[Any] = cursor.fetchall()
        return said

    def _all(self, provider_id: UUID) -> Sequence[tuple[datetime, Follower]]:
        rows = CopyRelationship.objects.copying().filter(provider_id=provider_id)
        marks = list(rows.order_by("created_at", "id").values_list("created_at", *_MARKS))
        fresh = {mark[1]: mark[1:] for mark in marks}
        found: dict[UUID, Follower] = {}
        for pk, mark in fresh.items():
            known = self._known.get(pk)
            if known is not None and known[0] == mark:
                found[pk] = known[1]
        changed = [pk for pk in fresh if pk not in found]
        if changed:
            found |= self._load(provider_id, fresh, changed)
        return [(mark[0], found[mark[1]]) for mark in marks if mark[1] in found]

    def _load(
        self, provider_id: UUID, marks: dict[UUID, tuple[Any, ...]], changed: Sequence[UUID]
    ) -> dict[UUID, Follower]:
        """Read some anew; what the other thread remembers of them meanwhile may be older."""
        found: dict[UUID, Follower] = {}
        rows = CopyRelationship.objects.copying().filter(provider_id=provider_id)
        # A list of ids has its limit on SQLite; one that long is all of them, or nearly.
        if len(changed) <= 500:
            rows = rows.filter(pk__in=changed)
        for row in rows:
            mark = marks.get(row.pk)
            if mark is not None:
                account = FollowerAccount(*mark[5:])
                terms = RelationshipTerms.of(row)
                number = self._number(_likeness(terms, account))
                found[row.pk] = Follower(terms, account, number)
                self._known[row.pk] = mark, found[row.pk]
        return found

    def _number(self, likeness: Hashable) -> int:
        """Return the number of a likeness; what another thread adds meanwhile has one of its own.

        Numbers may be left out.
        """
        return self._likenesses.setdefault(likeness, next(self._numbers))


def _likeness(terms: RelationshipTerms, account: FollowerAccount) -> Hashable:
    """Return all that planning looks at, but for when copying began and what the account has."""
    told = [getattr(terms, name) for name in _TERMS]
    shared = (account.server, account.currency, account.host, account.broker_zone)
    return *told, frozenset(terms.symbol_map.items()), *shared
