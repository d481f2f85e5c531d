"""How a relationship is held back, goes on and ends, and what becomes of what was copied."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from accounts.models.text import validate_one_line
from accounts.refusals import Refusal
from copytrade.models import CopyOrder, CopyPosition, CopyRelationship
from copytrade.services.announcing import tell_answered, tell_changed
from copytrade.services.pendings import cancel_waiting, is_anything_waiting
from copytrade.services.sides import Sides, locked_relationship, sides_of
from copytrade.services.under_way import may_be_opened_unseen

State = CopyRelationship.State
Hold = CopyRelationship.Hold
Ending = CopyRelationship.Ending
Cause = CopyRelationship.Cause

_LONGEST_REASON: Final = 255
_WRITTEN: Final = [
    "state",
    "provider_hold",
    "follower_hold",
    "ending",
    "closing_since_at",
    "state_changed_at",
    "state_changed_by_id",
    "state_cause",
    "state_reason",
    "updated_at",
]


@transaction.atomic
def pause(
    *, relationship: CopyRelationship, actor: User | None, now: datetime, reason: str = ""
) -> CopyRelationship:
    """Copy no more opens until it is resumed; closes and stops go on.

    Each side pauses for itself. Waiting copied orders are cancelled. Raises Refusal when it does
    not copy, or ends already.
    """
    return _hold(relationship, actor, Hold.PAUSED, now, reason)


@transaction.atomic
def close_only(
    *, relationship: CopyRelationship, actor: User | None, now: datetime, reason: str = ""
) -> CopyRelationship:
    """Do no more than close what was copied; otherwise as `pause`."""
    return _hold(relationship, actor, Hold.CLOSE_ONLY, now, reason)


@transaction.atomic
def resume(
    *, relationship: CopyRelationship, actor: User | None, now: datetime
) -> CopyRelationship:
    """Take back what the actor's side holds back; it stays held while the other side holds it.

    What the provider opened meanwhile is not copied. Raises Refusal when only the other side holds
    it, while everything is being closed, and when it ends.
    """
    row = locked_relationship(relationship)
    sides = sides_of(row, actor)
    _refuse_unless_copying(row)
    if row.closing_since_at is not None:
        raise Refusal(
            "Everything that was copied is being closed; resume when that is done.", code="closing"
        )
    mine = (row.provider_hold if sides.provider else "") or (
        row.follower_hold if sides.follower else ""
    )
    if not mine:
        if row.state == State.ACTIVE:
            return row
        other = "follower" if sides.provider else "provider"
        raise Refusal(
            f"The {other}'s owner holds it back, and alone can resume it.", code="held_by_other"
        )
    _set_holds(row, sides, "")
    return _settled(row, actor, now, "")


@transaction.atomic
def terminate(
    *,
    relationship: CopyRelationship,
    actor: User | None,
    now: datetime,
    ending: str = Ending.KEEP,
    reason: str = "",
) -> CopyRelationship:
    """End a relationship, take an offer back, or decline one.

    KEEP leaves the copied positions to their follower, AS_PROVIDER goes on closing them with the
    provider, CLOSE_NOW has them all closed: both end it once nothing is held. What is being closed
    goes on being closed when only the provider's owner ends it, and one that has ended stays as it
    is. Raises ValidationError for another ending, Refusal when the provider's owner
    wants another's positions closed now.
    """
    if ending not in Ending.values:
        raise ValidationError({"ending": f"Choose one of {', '.join(Ending.values)}."})
    row = locked_relationship(relationship)
    sides = sides_of(row, actor)
    if row.state in CopyRelationship.ENDED:
        return row
    if row.state == State.OFFERED:
        row.state = State.TERMINATED if sides.provider else State.DECLINED
        _written(row, actor, now, reason)
        if row.state == State.DECLINED:
            tell_answered(row, now=now)
        return row
    if ending == Ending.CLOSE_NOW and not sides.follower:
        raise Refusal(
            "The follower's positions are not yours to close; end it in another way.",
            code="not_yours",
        )
    if row.closing_since_at is not None and not sides.follower:
        ending = Ending.CLOSE_NOW
    row.ending = ending
    row.closing_since_at = (row.closing_since_at or now) if ending == Ending.CLOSE_NOW else None
    cancel_waiting(row, now=now)
    if ending == Ending.KEEP or is_flat(row, now=now):
        _end(row)
    else:
        row.state = State.CLOSE_ONLY
    return _written(row, actor, now, reason)


@transaction.atomic
def stop_copying(
    *,
    relationship: CopyRelationship,
    cause: str,
    reason: str,
    now: datetime,
    closes: bool = False,
) -> bool:
    """Hold a relationship back for the follower by itself, and with `closes` close all it copied.

    `cause` is one of CopyRelationship.Cause, `reason` a sentence that may tell the follower's
    money. Returns whether that changed anything.
    """
    row = locked_relationship(relationship)
    is_closing = row.closing_since_at is not None
    if row.state not in CopyRelationship.COPYING or (row.follower_hold and is_closing >= closes):
        return False
    row.follower_hold = row.follower_hold or Hold.PAUSED
    if closes and not is_closing and not is_flat(row, now=now):
        row.closing_since_at = now
    row.state = _state_of(row)
    cancel_waiting(row, now=now)
    _written(row, None, now, reason, cause)
    return True


def settle_endings(
    *, now: datetime, relationship_ids: Collection[UUID] | None = None
) -> list[UUID]:
    """Finish what waited for the last position to be closed; return what that changed.

    Idempotent, and two reads when there is nothing to do: meant for every second. Positions that a
    follower was left with are given up once their orders have ended.
    """
    rows = CopyRelationship.objects.copying().exclude(ending="", closing_since_at=None)
    if relationship_ids is not None:
        rows = rows.filter(pk__in=relationship_ids)
    flat = (row for row in rows.order_by("pk") if is_flat(row, now=now))
    finished = [row.pk for row in flat if _finish(row, now)]
    # Looked for first: on SQLite even an update of nothing keeps all other writers waiting.
    if _kept(relationship_ids).exists():
        give_up_kept(now=now, relationship_ids=relationship_ids)
    return finished


def give_up_kept(*, now: datetime, relationship_ids: Collection[UUID] | None = None) -> int:
    """Leave positions of ended relationships to their followers; return how many that were."""
    return _kept(relationship_ids).update(state=CopyPosition.State.KEPT, closed_at=now)


def _kept(relationship_ids: Collection[UUID] | None) -> QuerySet[CopyPosition]:
    # Who wanted all of it closed keeps nothing, not even what was planned before that was known.
    ended = CopyRelationship.objects.filter(state__in=CopyRelationship.ENDED).exclude(
        ending=Ending.CLOSE_NOW
    )
    if relationship_ids is not None:
        ended = ended.filter(pk__in=relationship_ids)
    return CopyPosition.objects.filter(
        state__in=[CopyPosition.State.OPEN, CopyPosition.State.CLOSING],
        relationship_id__in=ended.values("pk"),
    )


@transaction.atomic
def _finish(relationship: CopyRelationship, now: datetime) -> bool:
    row = locked_relationship(relationship)
    if row.state not in CopyRelationship.COPYING or not is_flat(row, now=now):
        return False
    if row.ending:
        _end(row)
        _written(row, None, now, "Everything that was copied is closed.", Cause.FLAT)
    else:
        row.closing_since_at = None
        row.save(update_fields=["closing_since_at", "updated_at"])
    return True


def is_flat(row: CopyRelationship, *, now: datetime) -> bool:
    """Tell whether a relationship holds nothing, and nothing of it is under way."""
    if may_be_opened_unseen(row, now=now):
        return False
    held = CopyPosition.objects.filter(relationship_id=row.pk, state__in=CopyPosition.HELD)
    under_way = CopyOrder.objects.filter(relationship_id=row.pk, state__in=CopyOrder.UNFINISHED)
    return not (held.exists() or under_way.exists() or is_anything_waiting(row.pk))


def end_for_deleted(row: CopyRelationship, *, now: datetime) -> CopyRelationship:
    """End a locked relationship of which an account is deleted; what is left stays as it is."""
    row.ending = Ending.KEEP if row.state != State.OFFERED else ""
    _end(row)
    return _written(row, None, now, "An account was deleted.", Cause.ACCOUNT_DELETED)


def _hold(
    relationship: CopyRelationship, actor: User | None, hold: Hold, now: datetime, reason: str
) -> CopyRelationship:
    row = locked_relationship(relationship)
    sides = sides_of(row, actor)
    _refuse_unless_copying(row)
    before = row.provider_hold, row.follower_hold
    _set_holds(row, sides, hold)
    if (row.provider_hold, row.follower_hold) == before:
        return row
    cancel_waiting(row, now=now)
    return _settled(row, actor, now, reason)


def _refuse_unless_copying(row: CopyRelationship) -> None:
    if row.state not in CopyRelationship.COPYING:
        label = row.get_state_display().lower()
        raise Refusal(f"The relationship is {label}, so it copies nothing.", code="not_copying")
    if row.ending:
        raise Refusal("The relationship is ending already.", code="ending")


def _set_holds(row: CopyRelationship, sides: Sides, hold: str) -> None:
    if sides.provider:
        row.provider_hold = hold
    if sides.follower:
        row.follower_hold = hold


def _state_of(row: CopyRelationship) -> State:
    holds = {row.provider_hold, row.follower_hold}
    if row.ending or Hold.CLOSE_ONLY in holds:
        return State.CLOSE_ONLY
    return State.PAUSED if Hold.PAUSED in holds else State.ACTIVE


def _settled(
    row: CopyRelationship, actor: User | None, now: datetime, reason: str
) -> CopyRelationship:
    row.state = _state_of(row)
    return _written(row, actor, now, reason)


def _end(row: CopyRelationship) -> None:
    row.state, row.closing_since_at = State.TERMINATED, None


def _written(
    row: CopyRelationship,
    actor: User | None,
    now: datetime,
    reason: str,
    cause: str | None = None,
) -> CopyRelationship:
    if len(reason) > _LONGEST_REASON:
        raise ValidationError({"reason": f"Write at most {_LONGEST_REASON} characters."})
    try:
        validate_one_line(reason)
    except ValidationError as error:
        raise ValidationError({"reason": error.messages}) from error
    row.state_changed_at, row.state_reason = now, reason
    row.state_changed_by_id = actor.pk if actor is not None else None
    row.state_cause = cause or (Cause.PERSON if actor is not None else Cause.SYSTEM)
    row.save(update_fields=_WRITTEN)
    if row.state in CopyRelationship.ENDED:
        give_up_kept(now=now, relationship_ids=[row.pk])
    tell_changed(row, actor_id=row.state_changed_by_id, now=now)
    return row
