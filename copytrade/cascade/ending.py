"""A cascade's end: what its runs have closed, and what its provider's owner is told."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.urls import reverse

from accounts.models import ConnectedAccount
from copytrade.cascade.liquidations import Liquidation
from copytrade.cascade.running import STORY
from copytrade.keeping.matching import being_closed
from copytrade.models import CopyPosition
from notifications.models import NotificationType, Priority
from notifications.services import Message, notify
from risk.core.figures import counted_text
from risk.enforcement.goals import COPIED_LOTS
from risk.models import Enforcement

# So long the end of a cascade is news.
_NEWS: Final = timedelta(hours=1)
_ROWS: Final = 200


@transaction.atomic
def settle_positions(
    *, provider_ids: Collection[UUID] | None = None, follower_ids: Any = None
) -> int:
    """Write down of copied positions what the runs that have ended did; return how many.

    What could not be closed is open as before: its provider's close, or a person, will close it.
    It goes on being closed where such a close has come meanwhile.
    """
    runs = Enforcement.objects.filter(
        cause=Enforcement.Cause.CASCADE, finished_at__isnull=False
    ).order_by("finished_at", "pk")
    # Nearly all that is being closed is so for no cascade, and need not be locked.
    its_runs = runs.filter(
        account_id=OuterRef("follower_id"), created_at__gte=OuterRef("opened_at")
    )
    closing = CopyPosition.objects.filter(Exists(its_runs), state=CopyPosition.State.CLOSING)
    if provider_ids is not None:
        closing = closing.filter(provider_id__in=provider_ids)
    if follower_ids is not None:
        closing = closing.filter(follower_id__in=follower_ids)
    by_relationship: dict[str, list[CopyPosition]] = defaultdict(list)
    for position in closing.order_by("pk").select_for_update():
        by_relationship[str(position.relationship_id)].append(position)
    if not by_relationship:
        return 0
    follower_ids = {row.follower_id for rows in by_relationship.values() for row in rows}
    meant = [
        (row, run)
        for run in runs.filter(account_id__in=follower_ids)
        for row in by_relationship.get(run.options.get(STORY, {}).get("relationship_id", ""), ())
        if str(row.follower_position) in run.options.get(COPIED_LOTS, {})
        and row.opened_at <= run.created_at
    ]
    kept = being_closed([row for row, run in meant if not _is_done(run)])
    settled = [row for row, run in meant if _settle(row, run, is_kept=row.pk in kept)]
    CopyPosition.objects.bulk_update(settled, ("state", "closed_at", "volume"), _ROWS)
    return len(settled)


def _settle(row: CopyPosition, run: Enforcement, *, is_kept: bool) -> bool:
    """Set on a position what its run did to it, unless one before has; it is to be saved."""
    if row.state != CopyPosition.State.CLOSING:
        return False
    if _is_done(run):
        row.state, row.closed_at = CopyPosition.State.CLOSED, run.finished_at
        row.volume = Decimal(0)
    elif is_kept:
        return False
    else:
        row.state = CopyPosition.State.OPEN
    return True


def _is_done(run: Enforcement) -> bool:
    return run.stage == Enforcement.Stage.DONE


def tell_owner(liquidations: Iterable[Liquidation], *, now: datetime) -> set[UUID]:
    """Tell each provider's owner that its followers fall with it, and once all of them are done.

    Returns the liquidations of which nothing runs any more.
    """
    recent = {str(one.id): one for one in liquidations}
    if not recent:
        return set()
    runs = Enforcement.objects.filter(
        cause=Enforcement.Cause.CASCADE,
        triggered_at__in={one.at for one in recent.values()},
    )
    by_liquidation: dict[str, list[Enforcement]] = defaultdict(list)
    for run in runs:
        key = run.options.get(STORY, {}).get("liquidation", "")
        if key in recent:
            by_liquidation[key].append(run)
    owners = dict(
        ConnectedAccount.objects.filter(
            pk__in={recent[key].provider_id for key in by_liquidation}
        ).values_list("pk", "user_id")
    )
    messages = []
    for key, mine in by_liquidation.items():
        owner = owners.get(recent[key].provider_id)
        if owner is not None and recent[key].at > now - _NEWS:
            messages += _messages(recent[key], mine, owner)
    notify(messages, now=now)
    running = {key for key, mine in by_liquidation.items() if any(not r.finished_at for r in mine)}
    return {one.id for key, one in recent.items() if key not in running}


def _messages(one: Liquidation, runs: list[Enforcement], owner: int) -> list[Message]:
    followers = counted_text(len(runs), "follower")
    found = [
        _message(
            one,
            owner,
            "begun",
            f"{one.provider_name}: {followers} closed with it",
            f"{one.sentence} The positions of {followers} are being closed with it.",
        )
    ]
    ends = [run.finished_at for run in runs if run.finished_at is not None]
    if len(ends) < len(runs):
        return found
    failed = sum(run.stage == Enforcement.Stage.GIVEN_UP for run in runs)
    seconds = (max(ends) - one.at).total_seconds()
    closed = sum(
        run.positions_closed + int(run.options[STORY].get("closed_by_copies", 0)) for run in runs
    )
    body = (
        f"{counted_text(closed, 'position')} of {followers} closed, the last one confirmed after"
        f" {seconds:,.1f} s."
    )
    if failed:
        body += f" On {counted_text(failed, 'account')} TradeGuard may not trade."
    found.append(_message(one, owner, "ended", f"{one.provider_name}: the cascade is over", body))
    return found


def _message(one: Liquidation, owner: int, what: str, title: str, body: str) -> Message:
    return Message(
        user_id=owner,
        type=NotificationType.CASCADE,
        priority=Priority.URGENT if what == "begun" else Priority.HIGH,
        title=title,
        body=body,
        link=reverse("account-detail", args=[one.provider_id]),
        object_type="account",
        object_id=str(one.provider_id),
        dedupe_key=f"cascade:{one.id}:{what}",
        repeat_key=f"cascade:{one.provider_id}:{what}",
    )
