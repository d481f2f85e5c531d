"""How well copying goes: what succeeded, how long each step took, how far the prices slipped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Concat

from accounts.models import ConnectedAccount, User
from copytrade.models import CopyEvent, CopyOrder, CopyRelationship
from copytrade.selectors.ledger import milliseconds

State = CopyOrder.State

# Percentiles are of the newest copies alone, so that a page never reads a year of them.
MOST_MEASURED: Final = 10_000
# A hop is from one moment to another. The first begins by the broker's clock, which may differ.
HOPS: Final = (
    ("detected", "happened_at", "detected_at"),
    ("planned", "detected_at", "planned_at"),
    ("gated", "planned_at", "gated_at"),
    ("sent", "gated_at", "sent_at"),
    ("answered", "sent_at", "answered_at"),
    ("detected_to_sent", "detected_at", "sent_at"),
    ("detected_to_answered", "detected_at", "answered_at"),
)
_MOMENTS: Final = (
    "happened_at", "detected_at", "planned_at", "gated_at", "sent_at", "answered_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HopLatency:
    """The milliseconds of one hop over `count` copies; None where none has come so far."""

    hop: str
    count: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slippage:
    """How far fills were from the provider's price; above 0 is worse for the follower.

    `money` is what that came to in each currency, of those followers whose money the reader sees.
    """

    count: int
    mean_points: float | None
    p95_points: float | None
    worst_points: float | None
    money: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SkipCount:
    reason: str
    label: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyMetrics:
    """How copies planned since a moment went.

    `success_fraction` is the done among those that were to be sent and have ended; None where none
    has. Of what was skipped nothing was to be sent. `measured` copies, the newest, made the figures
    of `hops` and `slippage`.
    """

    since: datetime
    planned: int
    skipped: int
    ordered: int
    done: int
    failed: int
    filled_lots: Decimal
    success_fraction: float | None
    skips: list[SkipCount]
    measured: int
    hops: list[HopLatency]
    slippage: Slippage


def relationship_metrics(
    relationship: CopyRelationship, *, user: User, since: datetime
) -> CopyMetrics:
    """Return how the copies of a relationship went, for one of its sides; three queries."""
    copies = CopyOrder.objects.filter(relationship_id=relationship.pk)
    return copy_metrics(copies, user=user, since=since)


def provider_metrics(provider: ConnectedAccount, *, user: User, since: datetime) -> CopyMetrics:
    """Return how all copies of what a provider of the user's did went; three queries."""
    copies = CopyOrder.objects.filter(provider_id=provider.pk)
    return copy_metrics(copies, user=user, since=since)


def copy_metrics(copies: QuerySet[CopyOrder], *, user: User, since: datetime) -> CopyMetrics:
    """Return how these copies went, as far as the user may see it; three queries.

    The user may see all of the copies; the money of others' followers is left out.
    """
    recent = copies.filter(planned_at__gte=since).order_by()
    groups = _groups(recent)
    counts = {state: _total(groups, state) for state in State}
    ended = counts[State.DONE] + counts[State.FAILED]
    measured = _measured(recent)
    return CopyMetrics(
        since=since,
        planned=counts[State.PLANNED],
        skipped=counts[State.SKIPPED],
        ordered=counts[State.ORDERED],
        done=counts[State.DONE],
        failed=counts[State.FAILED],
        filled_lots=sum((row["lots"] or Decimal(0) for row in groups), Decimal(0)),
        success_fraction=counts[State.DONE] / ended if ended else None,
        skips=_skips(groups),
        measured=len(measured),
        hops=[_hop(name, _durations(measured, start, end)) for name, start, end in HOPS],
        slippage=_slippage(measured, user),
    )


def _groups(copies: QuerySet[CopyOrder]) -> list[dict[str, Any]]:
    """Count copies by state and reason.

    Both in one text: else SQLite goes through an index of the states, from row to distant row, and
    takes four times as long.
    """
    rows = (
        copies.annotate(kind=Concat("state", Value(":"), "reason"))
        .values("kind")
        .annotate(count=Count("pk"), lots=Sum("filled_volume"))
    )
    return [
        dict(zip(("state", "reason"), row["kind"].split(":"), strict=True))
        | {"count": row["count"], "lots": row["lots"]}
        for row in rows
    ]


def _total(groups: Iterable[Mapping[str, Any]], state: str) -> int:
    return sum(row["count"] for row in groups if row["state"] == state)


def _skips(groups: Iterable[Mapping[str, Any]]) -> list[SkipCount]:
    found = [
        SkipCount(
            reason=row["reason"],
            label=row["reason"].replace("_", " ").capitalize(),
            count=row["count"],
        )
        for row in groups
        if row["state"] == State.SKIPPED and row["reason"]
    ]
    return sorted(found, key=lambda skip: (-skip.count, skip.reason))


def _measured(copies: QuerySet[CopyOrder]) -> list[dict[str, Any]]:
    """Read the newest copies that were sent, with the moments of their events."""
    event = CopyEvent.objects.filter(pk=OuterRef("event_id"))
    sent = copies.filter(sent_at__isnull=False).order_by("-planned_at", "-pk")[:MOST_MEASURED]
    return list(
        sent.annotate(
            happened_at=Subquery(event.values("happened_at")),
            detected_at=Subquery(event.values("detected_at")),
        ).values(*_MOMENTS, "follower_id", "slippage_points", "slippage_money")
    )


def _durations(rows: Iterable[dict[str, Any]], start: str, end: str) -> list[float]:
    told = (milliseconds(row[start], row[end]) for row in rows)
    return [each for each in told if each is not None]


def _hop(name: str, durations: Sequence[float]) -> HopLatency:
    if not durations:
        return HopLatency(hop=name, count=0)
    p50, p95, p99 = (float(each) for each in np.percentile(durations, [50, 95, 99]))
    return HopLatency(hop=name, count=len(durations), p50=p50, p95=p95, p99=p99)


def _slippage(rows: Sequence[dict[str, Any]], user: User) -> Slippage:
    points = [row["slippage_points"] for row in rows if row["slippage_points"] is not None]
    return Slippage(
        count=len(points),
        mean_points=float(np.mean(points)) if points else None,
        p95_points=float(np.percentile(points, 95)) if points else None,
        worst_points=max(points, default=None),
        money=_money(rows, user),
    )


def _money(rows: Iterable[dict[str, Any]], user: User) -> dict[str, float]:
    sums: dict[UUID, float] = {}
    for row in rows:
        if row["slippage_money"] is not None:
            sums[row["follower_id"]] = sums.get(row["follower_id"], 0.0) + row["slippage_money"]
    own = ConnectedAccount.with_archived.filter(user=user, pk__in=sums)
    money: dict[str, float] = {}
    for pk, currency in own.values_list("pk", "currency"):
        money[currency] = money.get(currency, 0.0) + sums[pk]
    return dict(sorted(money.items()))
