"""What an event means for followers, planned by what one scene shows of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from copytrade.core import sentences
from copytrade.core.kinds import SkipReason
from copytrade.core.occasion import Occasion
from copytrade.core.plan import plan_for
from copytrade.core.plans import Plan, Planned, Skipped
from copytrade.models import CopyEvent
from copytrade.replication.alike import Alike
from copytrade.replication.closing_crowd import crowds_of
from copytrade.replication.copied import Ledger
from copytrade.replication.followers import Follower
from copytrade.replication.ids import Ids
from copytrade.replication.markets import Markets
from copytrade.replication.order_of_events import is_overtaken
from copytrade.replication.patience import HURRY, is_guessed, is_opening, may_be_known_soon
from copytrade.replication.pictures import Pictures, provider_event
from copytrade.replication.rows import Copy, copy_of
from copytrade.replication.scene import Scene


class Planning:
    """One event and all whom it may concern; what the ledger says of them is read once."""

    def __init__(
        self,
        event: CopyEvent,
        followers: Sequence[Follower],
        scene: Scene,
        markets: Markets,
        *,
        is_new: bool = False,
    ) -> None:
        """Begin with an event; it `is_new` where the ledger is known to have nothing of it."""
        self._event = event
        self._scene = scene
        self._ledger = Ledger(event, followers, scene, is_new=is_new)
        self._pictures = Pictures(scene, self._ledger, markets)
        facts = scene.view.facts_of(event.provider_id)
        self._told = provider_event(event, scene, markets, 0 if facts is None else facts.login)
        self._occasion: Occasion | None = None

    def copies(self, followers: Sequence[Follower], now: datetime) -> list[Copy]:
        """Return the copies of some of them as they are to be written, in their order.

        Left out are those of which something is not known that may be known a moment later. Opens
        wait for it until their deadline, changes a minute; closes are not given up.
        """
        crowds, rest = self.crowds(followers, now)
        found = dict(rest())
        for crowd in crowds:
            found.update(zip(crowd.members, crowd.copies(), strict=True))
        return [found[member] for member in sorted(found)]

    def crowds(
        self, followers: Sequence[Follower], now: datetime
    ) -> tuple[list[Alike], Callable[[], Iterator[tuple[int, Copy]]]]:
        """Return those that are planned together, and what plans the others when it is called.

        It gives their copies with their places among the followers.
        """
        event, ids = self._event, Ids()
        places = self._scene.places_of([each.account.id for each in followers])
        occasion = self._occasion_at(now)
        is_late = is_opening(event) and now - event.detected_at > HURRY and is_overtaken(event)
        together: list[Alike] = []
        refused: dict[int, Copy] = {}
        if not is_late:
            told = (occasion, self._scene, self._ledger, self._pictures, ids)
            crowds = crowds_of(event)(event, *told)
            together, refused = crowds.planned(followers, places)

        def rest() -> Iterator[tuple[int, Copy]]:
            yield from refused.items()
            left = set(range(len(followers))) - refused.keys()
            left.difference_update(*(crowd.members for crowd in together))
            alone = {member: followers[member] for member in sorted(left)}
            plans = self._plans(occasion, list(alone.values()))
            for member, follower in alone.items():
                copy = self._copy(follower, plans[follower.terms.id], now, ids, is_late=is_late)
                if copy is not None:
                    copy.place = places[member]
                    yield member, copy

        return together, rest

    def _plans(self, occasion: Occasion, followers: Sequence[Follower]) -> dict[UUID, Plan]:
        """Return the plans by relationship.

        Whose terminal answers comes first: what it says of a symbol the others need not ask.
        """
        figures = self._scene.figures
        ordered = sorted(followers, key=lambda each: each.account.id not in figures)
        plans = plan_for(occasion, map(self._pictures.of, ordered))
        return {each.terms.id: plan for each, plan in zip(ordered, plans, strict=True)}

    def _copy(
        self, follower: Follower, plan: Plan, now: datetime, ids: Ids, *, is_late: bool
    ) -> Copy | None:
        """Lay out one copy by its own plan; None where more may be known a moment later."""
        event, ledger = self._event, self._ledger
        if is_late and isinstance(plan, Planned):
            plan = _overtaken(plan)
        elif may_be_known_soon(event, follower, plan, self._scene, now):
            return None
        elif is_guessed(plan, follower, self._scene):
            plan = replace(plan, reason=SkipReason.NO_READING, sentence=sentences.no_mode())
        newest = ledger.newest(follower.terms.id)
        must_wait = ledger.must_wait(follower.terms.id)
        return copy_of(event, follower, plan, newest, now, must_wait=must_wait, ids=ids)

    def _occasion_at(self, now: datetime) -> Occasion:
        """Return the event at a moment; what is worked out for some is known for the next."""
        if self._occasion is None or self._occasion.now != now:
            self._occasion = Occasion(self._told, now)
        return self._occasion


def _overtaken(plan: Planned) -> Skipped:
    return Skipped(
        relationship_id=plan.relationship_id,
        account_id=plan.account_id,
        reason=SkipReason.LATE,
        sentence=sentences.overtaken(),
        symbol=plan.symbol,
    )


def plan_copies(
    event: CopyEvent, followers: Sequence[Follower], scene: Scene, markets: Markets, now: datetime
) -> list[Copy]:
    """Return the copies of an event as they are to be written, in the order of the followers."""
    return Planning(event, followers, scene, markets).copies(followers, now)
