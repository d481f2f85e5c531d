"""The ledger of copying as each side may read it: what providers did, and what became of it.

A provider's owner reads of another's follower its alias, the state, the lots and the times of each
copy; never its tickets, its money, or a sentence that tells of it. A follower's owner reads the
events that were planned for that follower, and no other's copies.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import SkipReason
from copytrade.core.sentences import plain_sentence
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship

State = CopyOrder.State

_NOTHING = Decimal(0)
# Who owned it is no user any more.
_GONE = "A former follower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many of an event's copies, among those that the reader may see, are in each state."""

    planned: int = 0
    skipped: int = 0
    ordered: int = 0
    done: int = 0
    failed: int = 0
    filled_lots: Decimal = _NOTHING

    @property
    def total(self) -> int:
        return self.planned + self.skipped + self.ordered + self.done + self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """An event as one user sees it; the tickets at the broker are the provider's owner's."""

    event: CopyEvent
    owns_provider: bool
    tally: Tally

    @property
    def position_ticket(self) -> int | None:
        return self.event.position_ticket if self.owns_provider else None

    @property
    def order_ticket(self) -> int | None:
        return self.event.order_ticket if self.owns_provider else None

    @property
    def deal_ticket(self) -> int | None:
        return self.event.deal_ticket if self.owns_provider else None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyView:
    """What became of an event on one follower, as one user sees it.

    `follower_name` is the alias for whom the follower is a stranger's; `shows_money` tells whether
    its tickets, its money and its own sentence are shown. Durations are in milliseconds, and None
    where the copy has not come so far.
    """

    copy: CopyOrder
    event: CopyEvent | None
    follower_name: str
    shows_money: bool

    @property
    def sentence(self) -> str:
        copy = self.copy
        if self.shows_money or not copy.reason:
            return copy.sentence if self.shows_money else ""
        return plain_sentence(SkipReason(copy.reason))

    @property
    def follower_id(self) -> UUID | None:
        return self.copy.follower_id if self.shows_money else None

    @property
    def order_id(self) -> UUID | None:
        return self.copy.order_id if self.shows_money else None

    @property
    def follower_position(self) -> int | None:
        return self.copy.follower_position if self.shows_money else None

    @property
    def slippage_money(self) -> float | None:
        return self.copy.slippage_money if self.shows_money else None

    @property
    def sending_milliseconds(self) -> float | None:
        """From the provider's change being seen to the order being sent."""
        return self._since_detected(self.copy.sent_at)

    @property
    def total_milliseconds(self) -> float | None:
        """From the provider's change being seen to the broker's answer."""
        return self._since_detected(self.copy.answered_at)

    def _since_detected(self, until: datetime | None) -> float | None:
        return None if self.event is None else milliseconds(self.event.detected_at, until)


def events_of(user: User) -> QuerySet[CopyEvent]:
    """Return what the user's providers did, and what others' did that concerned their followers."""
    own = _own_ids(user)
    followed = CopyRelationship.objects.filter(follower__user=user).order_by().values("provider")
    # A relationship goes with a user, whose accounts go as well; what was copied stays.
    there = ConnectedAccount.with_archived.order_by().values("pk")
    may_concern = Q(provider_id__in=followed) | ~Q(provider_id__in=there)
    # Copies are looked up for what is left by then: most of a long ledger is others' altogether.
    planned = CopyOrder.objects.filter(event_id=OuterRef("pk"), follower_id__in=own)
    return CopyEvent.objects.filter(Q(provider_id__in=own) | (may_concern & Exists(planned)))


def copies_of(user: User) -> QuerySet[CopyOrder]:
    """Return the copies on the user's followers, and those of what their providers did."""
    own = _own_ids(user)
    return CopyOrder.objects.filter(Q(provider_id__in=own) | Q(follower_id__in=own))


def copies_of_relationship(relationship: CopyRelationship) -> QuerySet[CopyOrder]:
    return CopyOrder.objects.filter(relationship_id=relationship.pk)


def event_views(user: User, events: Iterable[CopyEvent]) -> list[EventView]:
    """Return a page of events as the user sees them; two queries, however many there are."""
    page = list(events)
    own = set(_own_ids(user).filter(pk__in={event.provider_id for event in page}))
    tallies = tallies_of(user, page)
    return [
        EventView(event=event, owns_provider=event.provider_id in own, tally=tallies[event.pk])
        for event in page
    ]


def copy_views(user: User, copies: Iterable[CopyOrder]) -> list[CopyView]:
    """Return a page of copies as the user sees them, those of `copies_of`.

    Two queries, however many there are; one more where a relationship has gone with a user.
    """
    page = list(copies)
    events = CopyEvent.objects.in_bulk({copy.event_id for copy in page})
    rows = CopyRelationship.objects.seen_by(user).filter(
        pk__in={copy.relationship_id for copy in page}
    )
    known = {row.pk: _name_in(row, user) for row in rows.select_related("follower")}
    lone = _names_of_lone(user, [copy for copy in page if copy.relationship_id not in known])
    names = {copy.pk: known.get(copy.relationship_id) or lone.get(copy.pk) for copy in page}
    return [
        CopyView(
            copy=copy,
            event=events.get(copy.event_id),
            follower_name=named[0],
            shows_money=named[1],
        )
        for copy in page
        if (named := names[copy.pk]) is not None
    ]


def tallies_of(user: User, events: Sequence[CopyEvent]) -> Mapping[UUID, Tally]:
    """Count the copies of events that the user may see, by the event's id; one query."""
    ids = [event.pk for event in events]
    rows = (
        copies_of(user)
        .filter(event_id__in=ids)
        .order_by()
        .values("event_id", "state")
        .annotate(count=Count("pk"), lots=Sum("filled_volume"))
    )
    counts: dict[UUID, dict[str, int]] = {pk: {} for pk in ids}
    lots = dict.fromkeys(ids, _NOTHING)
    for row in rows:
        counts[row["event_id"]][row["state"]] = row["count"]
        lots[row["event_id"]] += row["lots"] or _NOTHING
    return {
        pk: Tally(
            filled_lots=lots[pk],
            **{state.value: counts[pk].get(state.value, 0) for state in State},
        )
        for pk in ids
    }


def milliseconds(since: datetime | None, until: datetime | None) -> float | None:
    """Return how long it is from one moment to another; None where one is missing."""
    if since is None or until is None:
        return None
    return (until - since).total_seconds() * 1000


def _name_in(row: CopyRelationship, user: User) -> tuple[str, bool]:
    """Return what the user calls a follower, and whether it is the user's own."""
    is_own = row.follower.user_id == user.pk
    return (row.follower.name if is_own else row.alias), is_own


def _names_of_lone(user: User, copies: Sequence[CopyOrder]) -> Mapping[UUID, tuple[str, bool]]:
    """Return the same, by the copy's id, for copies whose relationship has gone with a user."""
    if not copies:
        return {}
    ids = {pk for copy in copies for pk in (copy.provider_id, copy.follower_id)}
    own = dict(
        ConnectedAccount.with_archived.filter(user=user, pk__in=ids).values_list("pk", "name")
    )
    return {
        copy.pk: (own[copy.follower_id], True) if copy.follower_id in own else (_GONE, False)
        for copy in copies
        if copy.follower_id in own or copy.provider_id in own
    }


def _own_ids(user: User) -> "QuerySet[ConnectedAccount, UUID]":
    """Return the ids of the user's accounts, of deleted ones as well: the ledger outlives them."""
    return ConnectedAccount.with_archived.filter(user=user).values_list("pk", flat=True)
