"""Liquidations of providers, as the ledgers show them: nothing is lost with a worker."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from copytrade.models import CopyEvent
from risk.models import Enforcement, RuleBreach

_NAMESPACE: Final = UUID("6f0c4b0e-3a86-4c3c-8a27-9a2f4f7f1f55")
# A broker closes one position after another: what follows so soon belongs to the same.
TOGETHER: Final = timedelta(seconds=60)
# Whoever was down for longer than this finds the followers as their owners have left them.
REMEMBERED: Final = timedelta(hours=23)
_LOOK_BACK: Final = REMEMBERED + timedelta(hours=1)


class Liquidator(StrEnum):
    CUTOFF = "cutoff"
    BROKER = "broker"


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A provider that lost its positions to its margin. `at` is when it began.

    `level_percent` is the margin level that was seen, of a broker the level at which it acts; None
    where nobody knows it.
    """

    id: UUID
    provider_id: UUID
    provider_name: str
    by: Liquidator
    at: datetime
    level_percent: float | None = None

    @property
    def sentence(self) -> str:
        """Say what happened, without the provider's money."""
        level = "" if self.level_percent is None else f" of {self.level_percent:,.1f} %"
        if self.by is Liquidator.BROKER:
            where = f", at a margin level{level} or less" if level else ""
            return f"{self.provider_name} was stopped out by its broker{where}."
        return f"{self.provider_name} was liquidated at a margin level{level}."


def find_liquidations(
    provider_ids: Collection[UUID], *, now: datetime, since: datetime | None = None
) -> list[Liquidation]:
    """Return what happened to these providers lately, oldest first.

    `since` spares looking at what was found before.
    """
    if not provider_ids:
        return []
    after = max(now - _LOOK_BACK, since or now - _LOOK_BACK)
    found = [*_cutoffs(provider_ids, after), *_stop_outs(provider_ids, after)]
    return sorted((each for each in found if each.at >= now - REMEMBERED), key=lambda one: one.at)


def _cutoffs(provider_ids: Collection[UUID], after: datetime) -> Iterable[Liquidation]:
    """Return the cut-offs that have begun to close; one that may not trade liquidates nobody."""
    runs = list(
        Enforcement.objects.filter(
            account_id__in=provider_ids,
            cause=Enforcement.Cause.CUTOFF,
            created_at__gte=after,
            attempts__gt=0,
        )
    )
    breaches = RuleBreach.objects.in_bulk(
        [run.breach_id for run in runs if run.breach_id is not None]
    )
    for run in runs:
        breach = breaches.get(run.breach_id) if run.breach_id is not None else None
        level = None if breach is None else breach.observed
        yield Liquidation(
            run.pk, run.account_id, run.account_name, Liquidator.CUTOFF, run.created_at, level
        )


def _stop_outs(provider_ids: Collection[UUID], after: datetime) -> Iterable[Liquidation]:
    events = CopyEvent.objects.filter(
        provider_id__in=provider_ids, is_stop_out=True, detected_at__gte=after
    ).order_by("provider_id", "detected_at", "happened_at", "pk")
    before: CopyEvent | None = None
    for event in events:
        is_same = before is not None and before.provider_id == event.provider_id
        if not (is_same and before and event.detected_at - before.detected_at < TOGETHER):
            yield Liquidation(
                uuid.uuid5(_NAMESPACE, str(event.pk)),
                event.provider_id,
                event.provider_name,
                Liquidator.BROKER,
                event.detected_at,
            )
        before = event
