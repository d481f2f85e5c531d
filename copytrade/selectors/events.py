"""The newest events that somebody may read, found by indexes however long the ledger is."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from accounts.models import ConnectedAccount, User
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship
from copytrade.selectors.ledger import copies_of

# So many copies are looked up one by one; of more than these, some event in every few is one.
_FEW: Final = 500
# What was seen just before a relationship ended may have been planned for it just afterwards.
_AFTER_ITS_END: Final = timedelta(minutes=1)


def newest_events(
    user: User,
    *,
    most: int,
    provider_id: UUID | None = None,
    relationship_id: UUID | None = None,
    before: CopyEvent | None = None,
) -> list[CopyEvent]:
    """Return the newest of what the user may read, or of what is older than one event.

    Of all, of one provider, or of one relationship; newest first. Each provider and each followed
    one is asked for `most` by an index, and nothing is counted. What a provider did whose owner is
    no user any more is left out: `events_of` has it.
    """
    found: dict[UUID, CopyEvent] = {}
    for events in _sources(user, provider_id, relationship_id):
        older = events if before is None else events.filter(_is_older(before))
        for event in older.order_by("-detected_at", "-pk")[:most]:
            found[event.pk] = event
    newest = sorted(found.values(), key=lambda event: (event.detected_at, event.pk), reverse=True)
    return newest[:most]


def _sources(
    user: User, provider_id: UUID | None, relationship_id: UUID | None
) -> Iterator[QuerySet[CopyEvent]]:
    """Return what is to be merged: each has an index that gives its newest rows first."""
    if relationship_id is not None:
        row = CopyRelationship.objects.seen_by(user).filter(pk=relationship_id).first()
        if row is not None:
            yield _concerning([row])
        else:
            lone = copies_of(user).filter(relationship_id=relationship_id)
            yield CopyEvent.objects.filter(pk__in=lone.values("event_id"))
        return
    own = ConnectedAccount.with_archived.filter(user=user)
    followed = CopyRelationship.objects.filter(follower__user=user).exclude(provider__user=user)
    if provider_id is not None:
        own, followed = own.filter(pk=provider_id), followed.filter(provider=provider_id)
    # Who has no events is not looked for among them: PostgreSQL reads all of the ledger for that.
    copied = CopyRelationship.objects.filter(provider__user=user).order_by().values("provider")
    is_provider = Q(role=ConnectedAccount.Role.STRATEGY_PROVIDER) | Q(pk__in=copied)
    newest = CopyEvent.objects.filter(provider_id=OuterRef("pk")).order_by("-detected_at")
    providers = own.filter(is_provider).annotate(last_at=Subquery(newest.values("detected_at")[:1]))
    for pk in providers.filter(last_at__isnull=False).order_by().values_list("pk", flat=True):
        yield CopyEvent.objects.filter(provider_id=pk)
    for rows in _by_provider(followed.order_by()):
        yield _concerning(rows)


def _by_provider(rows: Iterable[CopyRelationship]) -> Iterable[Sequence[CopyRelationship]]:
    found: dict[UUID, list[CopyRelationship]] = defaultdict(list)
    for row in rows:
        found[row.provider_id].append(row)
    return found.values()


def _concerning(rows: Sequence[CopyRelationship]) -> QuerySet[CopyEvent]:
    """Return what a provider did as far as it was planned for one of these relationships.

    Where that is little, it is asked for by its ids: who has followed since yesterday has to find
    nothing in the years before. Else the provider's events are gone through, from the newest on.
    """
    events = CopyEvent.objects.filter(provider_id=rows[0].provider_id)
    ids = [row.pk for row in rows]
    copies = CopyOrder.objects.filter(relationship_id__in=ids).order_by()
    few = list(copies.values_list("event_id", flat=True)[: _FEW + 1])
    if len(few) <= _FEW:
        return events.filter(pk__in=few)
    if all(row.state in CopyRelationship.ENDED for row in rows):
        ended_at = max(row.state_changed_at for row in rows)
        events = events.filter(detected_at__lte=ended_at + _AFTER_ITS_END)
    planned = CopyOrder.objects.filter(event_id=OuterRef("pk"), relationship_id__in=ids)
    return events.filter(Exists(planned))


def _is_older(event: CopyEvent) -> Q:
    at = event.detected_at
    return Q(detected_at__lte=at) & (Q(detected_at__lt=at) | Q(pk__lt=event.pk))
