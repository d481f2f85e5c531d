"""The stories of cascades, as far as somebody may read them: who fell, when, why and with what."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from accounts.models import User
from copytrade.cascade.running import STORY
from copytrade.models import CopyRelationship
from risk.enforcement.goals import COPIED_LOTS
from risk.models import Enforcement, Order

MOST: Final = 20


@dataclass(frozen=True, slots=True)
class Fallen:
    """What became of one follower. `message` is empty for whoever does not own it."""

    relationship_id: UUID
    run_id: UUID
    follower: str
    is_own: bool
    scope: str
    stage: str
    began_at: datetime
    confirmed_at: datetime | None
    seconds: float | None
    positions_closed: int
    closed_by_copies: int
    orders_cancelled: int
    lots_by_symbol: tuple[tuple[str, Decimal], ...]
    message: str


@dataclass(frozen=True, slots=True)
class CascadeStory:
    """One liquidation of a provider, and who fell with it.

    `level_percent` is the margin level at which it was seen, for a broker's stop-out the level at
    which the broker acts, and None where nobody knows; `seconds` are from the liquidation to the
    last confirmed follower, None while one is being closed.
    """

    id: str
    provider_id: UUID
    provider_name: str
    by: str
    at: datetime
    level_percent: float | None
    reason: str
    followers: tuple[Fallen, ...]

    @property
    def is_over(self) -> bool:
        return all(each.stage in _ENDED for each in self.followers)

    @property
    def failed(self) -> int:
        return sum(each.stage == Enforcement.Stage.GIVEN_UP for each in self.followers)

    @property
    def positions_closed(self) -> int:
        return sum(each.positions_closed + each.closed_by_copies for each in self.followers)

    @property
    def seconds(self) -> float | None:
        taken = [each.seconds for each in self.followers if each.seconds is not None]
        return max(taken) if taken and self.is_over else None


_ENDED: Final = (Enforcement.Stage.DONE, Enforcement.Stage.GIVEN_UP)


def cascade_stories(
    user: User,
    *,
    provider_id: UUID | None = None,
    relationship_id: UUID | None = None,
    most: int = MOST,
) -> list[CascadeStory]:
    """Return the newest cascades of the user's providers and followers, the newest first.

    Of others' followers the alias is told and no message, of others' providers only the user's own
    followers. Three queries, however many there are.
    """
    rows = CopyRelationship.objects.seen_by(user).select_related("follower", "provider")
    if provider_id is not None:
        rows = rows.filter(provider_id=provider_id)
    if relationship_id is not None:
        rows = rows.filter(pk=relationship_id)
    relationships = {str(row.pk): row for row in rows.order_by()}
    runs = Enforcement.objects.filter(
        cause=Enforcement.Cause.CASCADE,
        account_id__in={row.follower_id for row in relationships.values()},
    )
    by_liquidation: dict[str, list[Enforcement]] = defaultdict(list)
    for run in runs.order_by("-triggered_at", "account_name", "pk").iterator():
        story = run.options.get(STORY, {})
        if story.get("relationship_id") not in relationships:
            continue
        if story["liquidation"] not in by_liquidation and len(by_liquidation) >= most:
            break
        by_liquidation[story["liquidation"]].append(run)
    chosen = [run for mine in by_liquidation.values() for run in mine]
    lots = _lots_closed(run.pk for run in chosen)
    return [_story(user, mine, relationships, lots) for mine in by_liquidation.values()]


def _lots_closed(run_ids: Iterable[UUID]) -> Mapping[UUID, Mapping[str, Decimal]]:
    """Return the lots that each run has closed, by symbol."""
    closed: dict[UUID, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    orders = Order.objects.filter(enforcement_id__in=list(run_ids), filled_volume__gt=0)
    for run_id, symbol, volume in orders.order_by("symbol").values_list(
        "enforcement_id", "symbol", "filled_volume"
    ):
        if run_id is not None and volume is not None:
            closed[run_id][symbol] += volume
    return closed


def _story(
    user: User,
    runs: Sequence[Enforcement],
    relationships: Mapping[str, CopyRelationship],
    lots: Mapping[UUID, Mapping[str, Decimal]],
) -> CascadeStory:
    first = runs[0]
    told = first.options[STORY]
    return CascadeStory(
        id=told["liquidation"],
        provider_id=UUID(told["provider_id"]),
        provider_name=told["provider_name"],
        by=told["by"],
        at=first.triggered_at,
        level_percent=told["level_percent"],
        reason=told.get("sentence", ""),
        followers=tuple(
            _fallen(user, run, relationships[run.options[STORY]["relationship_id"]], lots)
            for run in runs
        ),
    )


def _fallen(
    user: User,
    run: Enforcement,
    row: CopyRelationship,
    lots: Mapping[UUID, Mapping[str, Decimal]],
) -> Fallen:
    is_own = row.follower.user_id == user.pk
    # Of a follower that lost everything its provider's owner would read what it held besides.
    may_count = is_own or run.options[STORY]["scope"] == CopyRelationship.CascadeScope.COPIED
    ended_at = run.confirmed_at or run.finished_at
    return Fallen(
        relationship_id=row.pk,
        run_id=run.pk,
        follower=row.follower.name if is_own else row.alias,
        is_own=is_own,
        scope=run.options[STORY]["scope"],
        stage=run.stage,
        began_at=run.created_at,
        confirmed_at=run.confirmed_at,
        seconds=None if ended_at is None else (ended_at - run.triggered_at).total_seconds(),
        positions_closed=run.positions_closed if may_count else len(run.options[COPIED_LOTS]),
        closed_by_copies=int(run.options[STORY].get("closed_by_copies", 0)),
        orders_cancelled=run.orders_cancelled if may_count else 0,
        lots_by_symbol=tuple(lots.get(run.pk, {}).items()) if may_count else (),
        message=run.message if is_own else "",
    )
