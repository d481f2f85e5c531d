"""Planning for single relationships, after the fact: by the same rules as everything else."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from accounts.terminals.registry import Source
from copytrade.core.plan import plan_event
from copytrade.core.plans import Plan
from copytrade.keeping.fills import openings_of
from copytrade.keeping.surroundings import Surroundings
from copytrade.models import CopyEvent, CopyPosition
from copytrade.replication.copied import Concerns, Ledger
from copytrade.replication.followers import Follower, FollowerBook
from copytrade.replication.markets import Markets
from copytrade.replication.order_of_events import is_opened_after
from copytrade.replication.pictures import Pictures, provider_event


class Present(Protocol):
    """A provider's position as it is now."""

    @property
    def lots(self) -> Decimal: ...
    @property
    def price(self) -> float: ...
    @property
    def stop_loss(self) -> float | None: ...
    @property
    def take_profit(self) -> float | None: ...


class Planner:
    """Plans a stored event anew for one of its followers; for one thread."""

    def __init__(self, source: Source) -> None:
        self._markets = Markets(source)
        self._book = FollowerBook()

    def follower_of(
        self, provider_id: UUID, relationship_id: UUID, until: datetime
    ) -> Follower | None:
        """Return a relationship that copies; None when it does no more."""
        followers: Sequence[Follower] = self._book.followers(provider_id, until=until)
        return next((each for each in followers if each.terms.id == relationship_id), None)

    def plan(
        self,
        event: CopyEvent,
        follower: Follower,
        around: Surroundings,
        *,
        adopted: Present | None = None,
    ) -> tuple[Plan, Ledger]:
        """Plan an event; with `adopted` as an open of what is there now, copied late."""
        scene = around.scene
        account = follower.account
        scene.look_elsewhere([(account.id, account.host)])
        ledger = Ledger(event, [follower], scene, concerns=_opened_before(event))
        facts = scene.view.facts_of(event.provider_id)
        told = provider_event(event, scene, self._markets, 0 if facts is None else facts.login)
        if adopted is not None:
            told = replace(
                told,
                lots=adopted.lots,
                lots_before=Decimal(0),
                price=adopted.price,
                stop_loss=adopted.stop_loss,
                take_profit=adopted.take_profit,
                is_adopted=True,
            )
        picture = Pictures(scene, ledger, self._markets).of(follower)
        return plan_event(told, picture, now=around.now), ledger


def _opened_before(event: CopyEvent) -> Concerns:
    """Return what leaves out the copies of what was opened after an event.

    A position that turns round is opened anew while the close of what it was may wait yet.
    """

    def concerned(rows: Sequence[CopyPosition]) -> Sequence[CopyPosition]:
        openings = openings_of([row.pk for row in rows])
        return [
            row
            for row in rows
            if row.pk not in openings or not is_opened_after(openings[row.pk], event)
        ]

    return concerned
