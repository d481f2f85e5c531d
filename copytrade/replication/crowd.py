"""Opens at the market for followers that differ in nothing but their money, planned together.

One of them is planned by the scalar core; the others take its answer, with lots of their own. Who
differs in anything else is left to be planned alone.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np

from copytrade.core.crowds import crowd_sizes
from copytrade.core.facts import FollowerSnapshot, RelationshipTerms
from copytrade.core.kinds import EventKind
from copytrade.core.levels import Entry
from copytrade.core.occasion import Occasion
from copytrade.core.openings import entry_of, opened, side_of
from copytrade.core.plans import Planned, Refusal, Skipped, skipped
from copytrade.core.sizing import CopySize, figure_of
from copytrade.models import CopyEvent
from copytrade.replication.alike import Alike
from copytrade.replication.copied import Ledger
from copytrade.replication.followers import Follower
from copytrade.replication.ids import Ids
from copytrade.replication.patience import PASSING
from copytrade.replication.pictures import Pictures
from copytrade.replication.rows import Copy, copy_of
from copytrade.replication.scene import Scene
from risk.core.arrays import Integers

# Fewer are planned alone as quickly.
SMALLEST: Final = 3
# Room for what a double makes of an equity stop.
_CLEARLY: Final = 1.0 + 1e-9


class CrowdPlanner:
    """Plans for the followers that are alike, at one moment."""

    def __init__(
        self,
        event: CopyEvent,
        occasion: Occasion,
        scene: Scene,
        ledger: Ledger,
        pictures: Pictures,
        ids: Ids,
    ) -> None:
        self._event = event
        self._occasion = occasion
        self._scene = scene
        self._ledger = ledger
        self._pictures = pictures
        self._ids = ids


class Crowds(CrowdPlanner):
    """The crowds among those whom an open may concern."""

    def planned(
        self, followers: Sequence[Follower], places: Sequence[int]
    ) -> tuple[list[Alike], dict[int, Copy]]:
        """Return the crowds, and by their place among the followers those that they leave out.

        `places` are the rows of their accounts in the view. Who is in neither is planned alone.
        """
        crowds: list[Alike] = []
        refused: dict[int, Copy] = {}
        event = self._event
        if event.kind == EventKind.OPEN and not event.volume_before:
            for members in self._groups(followers, places):
                if len(members) >= SMALLEST:
                    crowds += self._crowd(followers, places, members, refused)
        return crowds, refused

    def _groups(
        self, followers: Sequence[Follower], places: Sequence[int]
    ) -> Collection[Sequence[int]]:
        """Return which of them differ in nothing but their money."""
        scene, special, happened_at = self._scene, self._ledger.known, self._event.happened_at
        is_plain, leverages = scene.is_plain.tolist(), scene.book.accounts.leverage.tolist()
        groups: dict[tuple[int, float], list[int]] = defaultdict(list)
        for member, (follower, place) in enumerate(zip(followers, places, strict=True)):
            if place < 0 or follower.likeness < 0 or not is_plain[place]:
                continue
            terms = follower.terms
            if special and terms.id in special:
                continue
            if terms.started_at is not None and terms.started_at > happened_at:
                continue
            if not self._is_within(terms, place):
                continue
            groups[follower.likeness, leverages[place]].append(member)
        return groups.values()

    def _is_within(self, terms: RelationshipTerms, place: int) -> bool:
        """Tell whether a follower is well within the limits that are its relationship's own."""
        stop, most = terms.equity_stop, terms.maximum_positions
        if stop is not None:
            equity = float(self._scene.book.accounts.equity[place])
            if not equity > max(float(stop), 0.0) * _CLEARLY:
                return False
        return most is None or self._ledger.counts.get(terms.id, 0) < most

    def _crowd(
        self,
        followers: Sequence[Follower],
        places: Sequence[int],
        members: Sequence[int],
        refused: dict[int, Copy],
    ) -> Iterator[Alike]:
        """Plan those who are alike; `refused` gets those of them to whom nothing is copied."""
        occasion, first = self._occasion, self._pictures.of(followers[members[0]])
        entry = entry_of(occasion, first)
        if isinstance(entry, Skipped):
            if entry.reason not in PASSING:
                for member in members:
                    refused[member] = self._alone(followers[member], entry, places[member])
            return
        rows = np.array([places[member] for member in members], dtype=np.int64)
        sizes = self._sizes(first, entry, rows)
        refusals: dict[int, Skipped] = {}
        chosen: list[int] = []
        for number, (member, size) in enumerate(zip(members, sizes, strict=True)):
            if isinstance(size, CopySize):
                chosen.append(number)
            elif size.reason not in PASSING:
                told = refusals.get(id(size))
                if told is None:
                    told = refusals[id(size)] = skipped(first, size, entry.contract.name)
                refused[member] = self._alone(followers[member], told, places[member])
        fits = [size for size in sizes if isinstance(size, CopySize)]
        if fits:
            mine = [members[number] for number in chosen]
            plan = opened(occasion, first, entry, fits[0])
            if isinstance(plan, Planned):
                yield from self._laid_out(plan, mine, followers, rows[chosen], fits)

    def _laid_out(
        self,
        plan: Planned,
        members: Sequence[int],
        followers: Sequence[Follower],
        rows: Integers,
        sizes: Sequence[CopySize],
    ) -> Iterator[Alike]:
        ids, some = self._ids, [followers[member] for member in members]
        form = copy_of(self._event, some[0], plan, None, self._occasion.now, ids=ids)
        if form.order is not None:
            yield Alike(
                form,
                form.order,
                members,
                some,
                rows,
                sizes,
                ids.new_ids(len(some)),
                ids.new_ids(len(some)),
                ids.new_tags(len(some)),
            )

    def _sizes(
        self, first: FollowerSnapshot, entry: Entry, rows: Integers
    ) -> list[CopySize | Refusal]:
        accounts = self._scene.book.accounts
        columns = {
            "equity": accounts.equity,
            "balance": accounts.balance,
            "free_margin": accounts.margin_free,
        }
        name = figure_of(first.terms.sizing) or "equity"
        side = side_of(self._occasion, first, entry)
        return crowd_sizes(first.terms, self._occasion.provider, side, columns[name][rows])

    def _alone(self, member: Follower, plan: Skipped, place: int) -> Copy:
        copy = copy_of(self._event, member, plan, None, self._occasion.now, ids=self._ids)
        copy.place = place
        return copy
