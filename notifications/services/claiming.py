"""What is due, in which order it goes out, and whose it is.

A claim is a conditional update that moves the next attempt past the time that sending can take, to
a moment that names the claim. A sender that dies lets it lapse, and the next one takes it up.
"""

import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import (
    Case,
    Count,
    F,
    IntegerField,
    Max,
    Min,
    Q,
    QuerySet,
    UUIDField,
    When,
    Window,
)
from django.db.models.functions import Coalesce, RowNumber

from notifications.delivering.letters import MOST_ITEMS
from notifications.models import Channel, Delivery, Priority
from notifications.services.routing import TEST_KEY

# Longer than any transport takes to give up.
CLAIM_LASTS: Final = timedelta(minutes=5)
# How many letters are looked up at once, and then worked off in the order found.
PLAN_SIZE: Final = 500

_URGENT: Final = Q(notification__priority=Priority.URGENT) | Q(
    notification__dedupe_key__startswith=TEST_KEY  # somebody waits for it
)
_GOES_FIRST: Final = Case(When(_URGENT, then=1), default=0, output_field=IntegerField())
_RANK: Final = Case(
    *(When(notification__priority=name, then=name.rank) for name in Priority),
    default=0,
    output_field=IntegerField(),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A letter that is due: one delivery, or what was gathered for one channel.

    `was_left`: a sender claimed it and was never heard of again.
    """

    channel_id: UUID
    user_id: int
    was_left: bool
    delivery_id: int | None = None
    hold: str = ""
    letter_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A letter that is this sender's until a moment: its rows, of many the most important."""

    channel_id: UUID
    until: datetime
    deliveries: tuple[Delivery, ...]
    counts: Mapping[str, int] | None = None

    @property
    def first(self) -> Delivery:
        return self.deliveries[0]

    def all_rows(self) -> QuerySet[Delivery]:
        """Every row of the letter, whoever has claimed it since."""
        if self.counts is None:
            return Delivery.objects.filter(pk=self.first.pk)
        return Delivery.objects.filter(channel=self.channel_id, letter_id=self.first.letter_id)

    def orphaned_rows(self) -> QuerySet[Delivery]:
        """Its rows, should its channel have been deleted meanwhile."""
        return Delivery.objects.filter(channel=None, letter_id=self.first.letter_id)

    def held_rows(self) -> QuerySet[Delivery]:
        """Its rows as long as the claim holds."""
        return self.all_rows().filter(state=Delivery.State.PENDING, next_attempt_at=self.until)


def due(*, now: datetime) -> QuerySet[Delivery]:
    """Return what may go out now, by channels that work, to users who are active."""
    return Delivery.objects.filter(
        state=Delivery.State.PENDING,
        next_attempt_at__lte=now,
        channel__switched_off_at=None,
        channel__user__is_active=True,
    )


def due_transports(*, now: datetime) -> list[str]:
    """Return the names of the transports by which something is due, the longest due first."""
    named = due(now=now).order_by().values_list("transport").annotate(Min("next_attempt_at"))
    return [name for name, _ in sorted(named, key=lambda row: (row[1], row[0]))]


def plan(
    transport: str,
    *,
    now: datetime,
    without: Collection[int] = (),
    only: Collection[int] | None = None,
    turns: Mapping[int, int] | None = None,
) -> list[Candidate]:
    """Return the letters that are due by a transport: what is urgent first, then by turns.

    The users take turns, and the channels of each, so that whoever is told one thing does not wait
    for whoever is told a hundred. `without` and `only` are ids of users, `turns` tells how
    many each had before.
    """
    rows = due(now=now).filter(transport=transport)
    if without:
        rows = rows.exclude(channel__user__in=without)
    if only is not None:
        rows = rows.filter(channel__user__in=only)
    found = [*_single_letters(rows), *_gathered_letters(rows)]
    found.sort(key=lambda pair: pair[0])
    return [candidate for _, candidate in _by_turns_of_users(found, turns or {})[:PLAN_SIZE]]


# What is urgent, then whose turn it is, then what waits longest.
_Place = tuple[int, int, datetime, int]


def claim_singles(delivery_ids: Sequence[int], *, now: datetime) -> list[Claim]:
    """Claim single deliveries and return those that nobody else had claimed, in the order given."""
    until = now + CLAIM_LASTS
    rows = Delivery.objects.filter(hold=Delivery.Hold.NONE)
    with transaction.atomic():
        free = due(now=now).filter(pk__in=delivery_ids, hold=Delivery.Hold.NONE)
        locked = free.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True)
        ours = list(locked)
        if not ours:
            return []
        own_id = Coalesce(F("letter_id"), F("notification_id"), output_field=UUIDField())
        rows.filter(pk__in=ours).update(letter_id=own_id, **_claimed(now, until))
    loaded = rows.select_related("notification__user", "channel").in_bulk(ours)
    claimed = [loaded[pk] for pk in delivery_ids if pk in loaded]
    return [
        Claim(channel_id=row.channel_id, until=until, deliveries=(row,))
        for row in claimed
        if row.channel_id is not None  # deleted at this moment
    ]


def claim_gathered(candidate: Candidate, *, now: datetime) -> Claim | None:
    """Claim all that was gathered for a channel as one letter; None when somebody else has it.

    A letter that was tried before keeps its rows and its id, so that whoever receives it twice can
    tell; what was gathered since makes another.
    """
    until = now + CLAIM_LASTS
    letter_id = candidate.letter_id or uuid.uuid4()
    rows = Delivery.objects.filter(channel=candidate.channel_id, hold=candidate.hold)
    waiting = rows.filter(letter_id=candidate.letter_id, state=Delivery.State.PENDING)
    with transaction.atomic():
        # Two claims of the same rows would wait for each other.
        list(
            Channel.objects.select_for_update(no_key=True)
            .filter(pk=candidate.channel_id)
            .values_list("pk")
        )
        if not waiting.filter(next_attempt_at__lte=now).exists():
            return None
        waiting.update(letter_id=letter_id, **_claimed(now, until))
    ours = rows.filter(letter_id=letter_id, state=Delivery.State.PENDING, next_attempt_at=until)
    foremost = (
        ours.annotate(rank=_RANK)
        .order_by("-rank", "-notification__created_at", "-pk")
        .select_related("notification__user", "channel")
    )
    deliveries = tuple(foremost[:MOST_ITEMS])
    counted = ours.order_by().values_list("notification__type").annotate(Count("pk"))
    if not deliveries:
        return None
    return Claim(
        channel_id=candidate.channel_id, until=until, deliveries=deliveries, counts=dict(counted)
    )


def give_back(claim: Claim, *, now: datetime, until: datetime, because: str = "") -> None:
    """Leave a letter that was not tried to whoever comes next, from `until` on."""
    claim.held_rows().update(
        attempts=F("attempts") - 1, next_attempt_at=until, error=because, updated_at=now
    )


def give_back_together(claims: Sequence[Claim], *, now: datetime) -> None:
    """Leave letters that were claimed at once and not tried to whoever comes next, now."""
    if len(claims) == 1:
        give_back(claims[0], now=now, until=now)
    elif claims:
        rows = Delivery.objects.filter(
            pk__in=[claim.first.pk for claim in claims],
            state=Delivery.State.PENDING,
            next_attempt_at=claims[0].until,
        )
        rows.update(attempts=F("attempts") - 1, next_attempt_at=now, updated_at=now)


def note_waiting(transport: str, because: str, *, now: datetime) -> None:
    """Note why what is due by a transport is not tried, where nothing is noted yet."""
    rows = Delivery.objects.filter(
        transport=transport,
        state=Delivery.State.PENDING,
        next_attempt_at__lte=now,
        attempts=0,  # of what was tried, no error says that its sender died
        error="",
    )
    rows.update(error=because)


def _claimed(now: datetime, until: datetime) -> dict[str, Any]:
    # Without the error of the attempt before: a row that was tried and has neither an error nor an
    # end is one whose sender died.
    return {
        "attempts": F("attempts") + 1,
        "next_attempt_at": until,
        "error": "",
        "updated_at": now,
    }


def _by_turns_of_users(
    found: Iterable[tuple[_Place, Candidate]], turns_before: Mapping[int, int]
) -> list[tuple[_Place, Candidate]]:
    """Have users take turns with letters that stand in the order of their channels' turns."""
    turns = Counter(turns_before)
    placed = []
    for (goes_first, _, due_at, pk), candidate in found:
        turns[candidate.user_id] += 1
        placed.append(((goes_first, turns[candidate.user_id], due_at, pk), candidate))
    return sorted(placed, key=lambda pair: pair[0])


def _single_letters(rows: QuerySet[Delivery]) -> list[tuple[_Place, Candidate]]:
    turn = Window(
        RowNumber(),
        partition_by=F("channel"),
        order_by=[F("goes_first").desc(), F("next_attempt_at").asc(), F("pk").asc()],
    )
    planned = (
        rows.filter(hold=Delivery.Hold.NONE)
        .annotate(goes_first=_GOES_FIRST, turn=turn)
        .order_by("-goes_first", "turn", "next_attempt_at", "pk")
        .values_list(
            "pk",
            "channel",
            "channel__user",
            "goes_first",
            "turn",
            "next_attempt_at",
            "attempts",
            "error",
        )
    )
    return [
        (
            (-goes_first, place, due_at, pk),
            Candidate(
                channel_id=channel,
                user_id=user,
                was_left=attempts > 0 and not error,
                delivery_id=pk,
            ),
        )
        for pk, channel, user, goes_first, place, due_at, attempts, error in planned[:PLAN_SIZE]
        if channel is not None and due_at is not None
    ]


def _gathered_letters(rows: QuerySet[Delivery]) -> list[tuple[_Place, Candidate]]:
    planned = (
        rows.exclude(hold=Delivery.Hold.NONE)
        .order_by()
        .values_list("channel", "channel__user", "hold", "letter_id")
        .annotate(
            goes_first=Max(_GOES_FIRST),
            due_at=Min("next_attempt_at"),
            first=Min("pk"),
            most_attempts=Max("attempts"),
            any_error=Max("error"),
        )
    )
    return [
        (
            (-goes_first, 1, due_at, pk),
            Candidate(
                channel_id=channel,
                user_id=user,
                was_left=attempts > 0 and not error,
                hold=hold,
                letter_id=letter_id,
            ),
        )
        for channel, user, hold, letter_id, goes_first, due_at, pk, attempts, error in planned
    ]
