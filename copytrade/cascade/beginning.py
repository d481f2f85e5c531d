"""A cascade's beginning: one run of enforcement for each follower of a liquidated provider."""

import uuid
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from accounts.task_messages import TaskMessage, enqueue
from copytrade.cascade.closing import Copied, copied_by_relationship, take_over
from copytrade.cascade.liquidations import TOGETHER, Liquidation
from copytrade.cascade.running import STORY
from copytrade.models import CopyRelationship
from copytrade.services.pendings import waiting_tickets
from risk.enforcement.goals import COPIED_LOTS, COPIED_ORDERS
from risk.models import Enforcement

BATCH: Final = 50
_MESSAGE_SECONDS: Final = 5.0
_LONGEST_REASON: Final = 255

Scope = CopyRelationship.CascadeScope


def run_id(liquidation: Liquidation, relationship_id: UUID) -> UUID:
    """Return the id of a follower's run: begun again, by whomever, it is the same."""
    return uuid.uuid5(liquidation.id, str(relationship_id))


def begin(
    liquidation: Liquidation,
    *,
    now: datetime,
    host: str = "",
    is_hedging: Callable[[UUID], bool] = lambda _: False,
    wake: Callable[[], None] = lambda: None,
) -> tuple[int, int]:
    """Begin what is missing of a cascade; return how many runs began and how many must wait.

    Done again it begins nothing twice. A follower for whom ordinary copied closes were quicker has
    a run too, which sees that it is flat; one with nothing copied has none, and one that is held
    back, by whomever, loses what it copied and no more. Raises a database error; batches that
    were written then stay. After each of them `wake` is called, and hosts other than `host` get a
    message. Where a close is in the market, it is open how much of a shared position it takes: that
    follower waits until the close is settled, unless `is_hedging` knows its account as one whose
    tickets are the copies' own.
    """
    rows = list(
        CopyRelationship.objects.copying()
        .filter(provider_id=liquidation.provider_id, started_at__lte=liquidation.at)
        .select_related("follower")
        .order_by("pk")
    )
    begun = waiting = 0
    for first in range(0, len(rows), BATCH):
        runs, left = _begin_batch(liquidation, rows[first : first + BATCH], is_hedging, now)
        begun, waiting = begun + len(runs), waiting + left
        if runs:
            wake()
        _wake({run.host for run in runs} - {host})
    return begun, waiting


@transaction.atomic
def _begin_batch(
    liquidation: Liquidation,
    rows: Sequence[CopyRelationship],
    is_hedging: Callable[[UUID], bool],
    now: datetime,
) -> tuple[list[Enforcement], int]:
    done = _fallen(liquidation, rows)
    rows = [row for row in rows if row.pk not in done]
    copied = copied_by_relationship(rows, until=liquidation.at)
    placed = waiting_tickets(liquidation.provider_id, [row.pk for row in rows])
    ready: dict[UUID, Copied] = {}
    runs = []
    waiting = 0
    for row in rows:
        mine = copied.get(row.pk, Copied())
        if mine.is_being_closed and not is_hedging(row.follower_id):
            waiting += 1
            continue
        tickets = placed.get(row.pk, ())
        if mine or mine.closed_count or tickets or _takes_everything(liquidation, row):
            ready[row.pk] = mine
            runs.append(_run(liquidation, row, mine, tickets, now))
    take_over(ready, liquidation.sentence, now=now)
    Enforcement.objects.bulk_create(runs)
    return runs, waiting


def _fallen(liquidation: Liquidation, rows: Sequence[CopyRelationship]) -> set[UUID]:
    """Return the relationships that this liquidation has closed already.

    Our own cut-off and the broker's stop-out within a minute are one and the same to a follower.
    """
    ids = {run_id(liquidation, row.pk): row.pk for row in rows}
    known = Enforcement.objects.filter(pk__in=ids).values_list("pk", flat=True)
    fallen = {ids[pk] for pk in known}
    lately = Enforcement.objects.filter(
        account_id__in=[row.follower_id for row in rows],
        cause=Enforcement.Cause.CASCADE,
        triggered_at__gt=liquidation.at - TOGETHER,
        triggered_at__lt=liquidation.at + TOGETHER,
    ).values_list("options", flat=True)
    provider = str(liquidation.provider_id)
    for options in lately:
        story = options.get(STORY, {})
        if story.get("provider_id") == provider:
            fallen.add(UUID(story["relationship_id"]))
    return fallen


def _takes_everything(liquidation: Liquidation, row: CopyRelationship) -> bool:
    """Tell whether its owner had wanted that when the liquidation began, and not only since."""
    return (
        row.state == CopyRelationship.State.ACTIVE
        and row.cascade_scope == Scope.EVERYTHING
        and max(row.state_changed_at, row.terms_changed_at) <= liquidation.at
    )


def _run(
    liquidation: Liquidation,
    row: CopyRelationship,
    copied: Copied,
    tickets: Sequence[int],
    now: datetime,
) -> Enforcement:
    follower, is_total = row.follower, _takes_everything(liquidation, row)
    extent = "Everything is closed with it." if is_total else "What was copied is closed with it."
    action = Enforcement.Action.CLOSE_ALL if is_total else Enforcement.Action.CLOSE_POSITION
    return Enforcement(
        id=run_id(liquidation, row.pk),
        user_id=follower.user_id,
        account_id=follower.pk,
        account_name=follower.name,
        host=follower.terminal_host_id,
        cause=Enforcement.Cause.CASCADE,
        action=action,
        options={
            "lock": False,
            COPIED_LOTS: copied.lots,
            COPIED_ORDERS: list(tickets),
            STORY: {
                **_story(liquidation, row, is_total=is_total),
                "closed_by_copies": copied.closed_count,
            },
        },
        reason=f"{liquidation.sentence} {extent}"[:_LONGEST_REASON],
        triggered_at=liquidation.at,
        created_at=now,
    )


def _story(liquidation: Liquidation, row: CopyRelationship, *, is_total: bool) -> dict[str, Any]:
    """Return who, when, why and at which level; the run itself tells what was closed, and when."""
    return {
        "liquidation": str(liquidation.id),
        "relationship_id": str(row.pk),
        "provider_id": str(liquidation.provider_id),
        "provider_name": liquidation.provider_name,
        "by": liquidation.by.value,
        "level_percent": liquidation.level_percent,
        "sentence": liquidation.sentence,
        "scope": (Scope.EVERYTHING if is_total else Scope.COPIED).value,
    }


def _wake(hosts: Collection[str]) -> None:
    for host in sorted(hosts):
        enqueue(TaskMessage("risk.serve", [host], f"terminals.{host}", _MESSAGE_SECONDS))
