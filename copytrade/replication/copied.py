"""What the ledger knows of the copies of one position, beside what terminals show."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from decimal import Decimal
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from django.db.models import Count

from copytrade.core.facts import (
    HeldCopy,
    HeldPending,
    NetHolding,
)
from copytrade.core.kinds import EventKind, HeldState
from copytrade.models import CopyEvent, CopyPosition
from copytrade.replication.followers import Follower
from copytrade.replication.holding import (
    PlainCopy,
    concerned,
    open_to_additions,
    plain_copies,
    state_of,
)
from copytrade.replication.pendings import held_pendings
from copytrade.replication.scene import Scene
from copytrade.replication.told_copies import id_of, told_copies
from copytrade.replication.unsettled import (
    Parts,
    by_relationship,
    earlier_parts,
    parts_under_way,
    unsettled_symbols,
    waiting_relationships,
)
from copytrade.replication.untaken import untaken_fills

_PENDING_KINDS: Final = frozenset(
    {
        EventKind.PENDING_PLACED,
        EventKind.PENDING_MODIFIED,
        EventKind.PENDING_CANCELLED,
        EventKind.PENDING_FILLED,
        # What opens or closes a position may be the fill or the end of a copied pending order.
        EventKind.OPEN,
        EventKind.CLOSE,
    }
)
_OPENING: Final = (EventKind.OPEN, EventKind.PENDING_PLACED)
# What depends on what is done to the position before; a whole close takes what there is.
_IN_TURN: Final = (EventKind.OPEN, EventKind.PARTIAL_CLOSE, EventKind.STOPS)
_MOST_IDS: Final = 500
_MOST_LOOKS: Final = 20
Concerns = Callable[[Sequence[CopyPosition]], Sequence[CopyPosition]]


class Ledger:
    """What copies the ledger knows of one event's position and order; loaded in a few queries."""

    def __init__(
        self,
        event: CopyEvent,
        followers: Sequence[Follower],
        scene: Scene,
        *,
        is_new: bool = False,
        concerns: Concerns | None = None,
    ) -> None:
        """Load what there is; nothing is known to be there where the event `is_new`.

        After the fact, when more has happened to the position, only those copies count that the
        event `concerns`.
        """
        self._concerns = concerns
        self._event = event
        self._scene = scene
        self._ids = [follower.terms.id for follower in followers]
        # What is taken in meanwhile is among the rows that are read next.
        joining = set(untaken_fills(event))
        self._told = (
            []
            if event.position_ticket is None or is_new
            else told_copies(event.provider_id, event.position_ticket, self._ids)
        )
        # Whose copies of the position are to be carried out before those of the event. What waits
        # is under way next, and never waits again: asked before that, it is seen in one of both.
        self.waited_for = joining | self._waiting()
        # As models, of those for whom somebody has asked.
        self._rows: dict[UUID, list[CopyPosition]] = {}
        # What closes of a part will take of these rows.
        self._taken: dict[UUID, Decimal] = {}
        self.pendings: Mapping[UUID, HeldPending] = (
            held_pendings(event, scene.positions_of)
            if event.kind in _PENDING_KINDS and not is_new
            else {}
        )
        self.counts: Mapping[UUID, int] = {}
        has_limits = any(follower.terms.maximum_positions is not None for follower in followers)
        if event.kind in _OPENING and has_limits:
            self.counts = _held_counts(event.provider_id)
        self._nets = self._netted(followers)

    @cached_property
    def known(self) -> Set[UUID]:
        """Whose copies of the position or the order there are already."""
        return self._held | self.pendings.keys()

    @cached_property
    def _held(self) -> Set[UUID]:
        return {id_of(word) for word, *_ in self._told}

    @cached_property
    def plain(self) -> Mapping[Hashable, PlainCopy]:
        """The copies of those who have just one, filled and left alone; by `word_of` each."""
        return plain_copies(self._told)

    def load(self, relationship_ids: Iterable[UUID]) -> None:
        """Load the rows of some together, for whom more is asked than whether they are plain.

        The end of a close is taken in by one transaction, which changes its copy and the row. So
        where what is under way is the same before and after the rows were read, they fit it.
        """
        missing = [pk for pk in relationship_ids if pk in self._held and pk not in self._rows]
        ticket = self._event.position_ticket
        if not missing or ticket is None:
            return
        before = self._parts_under_way()
        for _ in range(_MOST_LOOKS):
            found = self._found(missing, ticket)
            after = self._parts_under_way()
            if after == before:
                break
            before = after
        closing = by_relationship(after)
        self._taken.update((pk, closing.get(pk, Decimal(0))) for pk in found)
        self._rows.update(found)

    def _found(self, relationship_ids: list[UUID], ticket: int) -> dict[UUID, list[CopyPosition]]:
        held = CopyPosition.objects.filter(
            provider_id=self._event.provider_id, provider_position=ticket
        )
        # A list of ids has its limit on SQLite; one that long is all of them, or nearly.
        if len(relationship_ids) <= _MOST_IDS:
            held = held.filter(relationship_id__in=relationship_ids)
        found: dict[UUID, list[CopyPosition]] = {pk: [] for pk in relationship_ids}
        for one in held.order_by("turn"):
            if one.relationship_id in found:
                found[one.relationship_id].append(one)
        return found

    def _rows_of(self, relationship_id: UUID) -> Sequence[CopyPosition]:
        if relationship_id in self._held and relationship_id not in self._rows:
            self.load(self._ids)
        return self._rows.get(relationship_id, ())

    def newest(self, relationship_id: UUID) -> CopyPosition | None:
        """Return the last copy of the position, whatever became of it."""
        rows = self._rows_of(relationship_id)
        return rows[-1] if rows else None

    def must_wait(self, relationship_id: UUID) -> bool:
        """Tell whether the event waits for a fill, or for what comes before it and does."""
        return relationship_id in self.waited_for

    def held(self, follower: Follower) -> HeldCopy | None:
        event = self._event
        is_buy = (event.direction == "buy") is not follower.terms.is_reverse
        direction = "buy" if is_buy else "sell"
        known = self._rows_of(follower.terms.id)
        known = known if self._concerns is None else self._concerns(known)
        if event.kind == EventKind.OPEN:
            known = open_to_additions(known)
        rows = concerned(known, event.kind, direction)
        if not rows or rows[-1].state == CopyPosition.State.KEPT:
            return None
        first, state = self._first_there(rows), state_of(rows)
        lots = sum((row.volume for row in rows), Decimal(0))
        shown = self._scene.positions_of(follower.account.id)
        there = None if shown is None else shown.get(first.follower_position or 0)
        is_leaving = state is HeldState.CLOSING
        return HeldCopy(
            symbol=first.symbol,
            is_buy=first.direction == "buy",
            lots=lots,
            state=state,
            ticket=first.follower_position,
            position_lots=self._position_lots(rows),
            closing_lots=lots if is_leaving else self._taken.get(follower.terms.id, Decimal(0)),
            stop_loss=_level(there, "sl"),
            take_profit=_level(there, "tp"),
        )

    def _first_there(self, rows: Sequence[CopyPosition]) -> CopyPosition:
        """Return the oldest copy whose ticket may be there yet: additions may outlive the first."""
        for row in rows if len(rows) > 1 else ():
            ticket = row.follower_position
            if ticket is None or self._scene.lots_of(row.follower_id, ticket) != 0:
                return row
        return rows[0]

    def _position_lots(self, rows: Sequence[CopyPosition]) -> Decimal | None:
        """Return what the tickets of a hedging follower hold; None where nobody can tell."""
        if self._scene.is_netting(rows[0].follower_id):
            return None
        total = Decimal(0)
        for row in rows:
            ticket = row.follower_position
            known = None if ticket is None else self._scene.lots_of(row.follower_id, ticket)
            if known is None:
                return None
            total += min(known, row.volume)
        return total

    @cached_property
    def closing(self) -> Mapping[UUID, Decimal]:
        """What earlier closes of a part, under way, will take yet; by relationship."""
        return by_relationship(self._parts_under_way())

    def _parts_under_way(self) -> Parts:
        return parts_under_way(self._earlier_parts)

    @cached_property
    def _earlier_parts(self) -> list[UUID]:
        return earlier_parts(self._event)

    def _waiting(self) -> set[UUID]:
        event = self._event
        is_first = event.kind == EventKind.OPEN and not event.volume_before
        if event.kind not in _IN_TURN or is_first or not self._told:
            return set()
        return waiting_relationships(event.provider_id, event.position_ticket)

    def nets(self, follower: Follower) -> Mapping[str, NetHolding] | None:
        account_id = follower.account.id
        return self._nets.get(account_id, {}) if self._scene.is_netting(account_id) else None

    def _netted(self, followers: Sequence[Follower]) -> dict[UUID, dict[str, NetHolding]]:
        if not self._scene.has_netting:
            return {}
        ids = [one.account.id for one in followers if self._scene.is_netting(one.account.id)]
        sums: dict[tuple[UUID, str], list[Any]] = {}
        # What is taken in of a pending order while the rows are read may be in them, or not.
        unsettled = set(self._scene.filled_unseen) if ids else set()
        for first in range(0, len(ids), _MOST_IDS):
            some = ids[first : first + _MOST_IDS]
            # What is taken in while the rows are read may be in them, or not.
            unsettled |= unsettled_symbols(some)
            rows = CopyPosition.objects.filter(follower_id__in=some, state__in=CopyPosition.HELD)
            for row in rows:
                signed = row.volume * (1 if row.direction == "buy" else -1)
                total = sums.setdefault((row.follower_id, row.symbol), [Decimal(0), set()])
                total[1].add((row.relationship_id, row.provider_position))
                if row.state != CopyPosition.State.OPENING:
                    total[0] += signed
        unsettled |= unsettled_symbols({account_id for account_id, _ in sums})
        nets: dict[UUID, dict[str, NetHolding]] = {}
        for (account_id, symbol), (copied, copies) in sums.items():
            closing = self._scene.flights.netted_closing_lots(account_id, symbol)
            is_settled = (account_id, symbol) not in unsettled
            there = self._scene.net_lots(account_id, symbol) if is_settled else None
            nets.setdefault(account_id, {})[symbol] = NetHolding(
                there, copied - closing, len(copies)
            )
        return nets


def _held_counts(provider_id: UUID) -> Mapping[UUID, int]:
    """Return how many positions of a provider each relationship holds copies of."""
    held = CopyPosition.objects.filter(provider_id=provider_id, state__in=CopyPosition.HELD)
    counted = held.order_by().values("relationship_id")
    counts = counted.annotate(count=Count("provider_position", distinct=True))
    return dict(counts.values_list("relationship_id", "count"))


def _level(position: Any, name: str) -> float | None:
    return None if position is None else float(position[name]) or None
