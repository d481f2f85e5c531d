"""Closes and moved stops for followers whose copies are alike, planned together.

One of each kind is planned by the scalar core, and all the others take its answer with tickets of
their own. Whoever is not plain is left to be planned alone.
"""

from collections.abc import Collection, Hashable, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np

from copytrade.core.facts import HeldCopy
from copytrade.core.kinds import EventKind, OrderKind
from copytrade.core.plan import plan_for
from copytrade.core.plans import Planned, Skipped
from copytrade.core.sizing import CopySize
from copytrade.models import CopyEvent
from copytrade.replication.alike import Alike
from copytrade.replication.crowd import SMALLEST, CrowdPlanner, Crowds
from copytrade.replication.followers import Follower
from copytrade.replication.holding import PlainCopy
from copytrade.replication.ids import Ids
from copytrade.replication.likeness import like
from copytrade.replication.patience import PASSING
from copytrade.replication.rows import Copy, copy_of
from copytrade.replication.told_copies import lots_of, word_of
from risk.models import Order
from risk.orders.terminal import lots

_CLOSES: Final = frozenset({EventKind.CLOSE, EventKind.PARTIAL_CLOSE})
_CHANGES: Final = _CLOSES | {EventKind.STOPS}


class _Shown(NamedTuple):
    """A position as the reading shows it."""

    volume: float
    stop_loss: float
    take_profit: float


class ClosingCrowds(CrowdPlanner):
    """Those whose copies of the event's position are alike."""

    def planned(
        self, followers: Sequence[Follower], places: Sequence[int]
    ) -> tuple[list[Alike], dict[int, Copy]]:
        """Return the crowds of closes, and by their place among the followers other copies.

        `places` are the rows of their accounts in the view. Who is in neither is planned alone.
        """
        plain = self._plain(followers, places)
        shown = self._shown({(places[member], held.ticket) for member, held in plain.items()})
        leverages = self._scene.book.accounts.leverage.tolist()
        is_close = self._event.kind in _CLOSES
        forms: dict[Hashable, _Form | None] = {}
        crowds: dict[Hashable, _Crowd] = {}
        found: dict[int, Copy] = {}
        for member, held in plain.items():
            follower, place = followers[member], places[member]
            there = shown.get((place, held.ticket))
            if there is None:
                continue
            levels = () if is_close else there[1:]
            like_it = (held.symbol, held.direction, held.volume, there.volume, levels)
            key = (follower.likeness, leverages[place], like_it)
            if key not in forms:
                forms[key] = self._form(follower, held, there)
            form = forms[key]
            if form is None:
                continue
            if form.size is None:
                found[member] = form.copy(follower, held.ticket, place)
                continue
            crowd = crowds.get(form.kind)
            if crowd is None:
                crowd = crowds[form.kind] = _Crowd(form.first)
            crowd.add(member, held.ticket, form.size)
        alike = [crowd.laid_out(followers, places, self._ids) for crowd in crowds.values()]
        for few in alike:
            if len(few) < SMALLEST:
                found |= zip(few.members, few.copies(), strict=True)
        together = [crowd for crowd in alike if len(crowd) >= SMALLEST]
        left = set(range(len(followers))).difference(found, *(crowd.members for crowd in together))
        self._ledger.load(followers[member].terms.id for member in sorted(left))
        return together, found

    def _plain(self, followers: Sequence[Follower], places: Sequence[int]) -> dict[int, PlainCopy]:
        """Return the copies of those of whom nothing sets apart what the ledger says."""
        scene, ledger = self._scene, self._ledger
        is_plain, say, copies = scene.is_plain.tolist(), word_of(), ledger.plain
        closing = ledger.closing if self._event.kind in _CLOSES else ()
        apart = {*closing, *ledger.pendings, *ledger.waited_for}
        has_flights, plain = bool(scene.flights.orders), {}
        for member, (follower, place) in enumerate(zip(followers, places, strict=True)):
            if place < 0 or follower.likeness < 0 or not is_plain[place]:
                continue
            relationship_id = follower.terms.id
            held = copies.get(say(relationship_id))
            if held is None:
                continue
            if relationship_id in apart:
                continue
            if has_flights and not self._is_settled(follower.account.id, place, held.ticket):
                continue
            plain[member] = held
        return plain

    def _is_settled(self, account_id: UUID, place: int, ticket: int) -> bool:
        read_at = float(self._scene.view.poll.read_at[place])
        # Of stops also what was done to other positions is to be shown: see `Scene.positions_of`.
        of_it = ticket if self._event.kind in _CLOSES else None
        return self._scene.flights.are_shown_by(account_id, read_at, ticket=of_it)

    def _shown(self, wanted: Collection[tuple[int, int]]) -> dict[tuple[int, int], _Shown]:
        """Return the positions with these tickets, each beside the row of its account."""
        positions, starts = self._scene.book.positions, self._scene.book.position_starts
        tickets = np.array([ticket for _, ticket in wanted], dtype=np.int64)
        found = np.flatnonzero(np.isin(positions["ticket"], tickets))
        owners = np.searchsorted(starts, found, side="right") - 1
        some = positions[found]
        columns = (some[name].tolist() for name in ("ticket", "volume", "sl", "tp"))
        rows = zip(owners.tolist(), *columns, strict=True)
        # Other brokers may count the same tickets.
        return {(owner, ticket): _Shown(*shown) for owner, ticket, *shown in rows}

    def _form(self, follower: Follower, held: PlainCopy, there: _Shown) -> "_Form | None":
        """Plan one of those that are alike; None where that may have another answer soon."""
        volume = lots_of(held.volume)
        copy = HeldCopy(
            symbol=held.symbol,
            is_buy=held.direction == Order.Direction.BUY,
            lots=volume,
            ticket=held.ticket,
            position_lots=min(lots(there.volume), volume),
            stop_loss=there.stop_loss or None,
            take_profit=there.take_profit or None,
        )
        (plan,) = plan_for(self._occasion, [self._pictures.holding(follower, copy)])
        if isinstance(plan, Skipped) and plan.reason in PASSING:
            return None
        now = self._occasion.now
        first = copy_of(self._event, follower, plan, None, now, ids=self._ids)
        if isinstance(plan, Skipped) or plan.kind is not OrderKind.CLOSE or plan.lots is None:
            return _Form(first, self._ids)
        account = follower.account
        kind = self._scene.kind_of(account.id, account.server, account.currency)
        size = CopySize(plan.lots, plan.lots, sentence=plan.sentence)
        return _Form(first, self._ids, size, (kind, account.broker_zone, *_shared(plan)))


def _shared(plan: Planned) -> tuple[Hashable, ...]:
    """Return what closes must have in common to be sent as one thing."""
    return plan.symbol, plan.is_buy, plan.closes_all


class _Form:
    """The rows of one of those that are alike, and those of the others made like them.

    Closes have a size; those of one kind differ in nothing but that.
    """

    def __init__(
        self, first: Copy, ids: Ids, size: CopySize | None = None, kind: Hashable = None
    ) -> None:
        self.first = first
        self.size = size
        self.kind = kind
        self._ids = ids

    def copy(self, follower: Follower, ticket: int, place: int) -> Copy:
        """Return the rows of a follower."""
        ids, account, order = self._ids, follower.account, self.first.order
        own: dict[str, Any] = {"relationship_id": follower.terms.id, "follower_id": account.id}
        if order is None:
            return Copy(follower, like(self.first.row, id=ids.new_id(), **own), place=place)
        order = like(
            order,
            id=ids.new_id(),
            tag=ids.new_tag(),
            user_id=account.user_id,
            account_id=account.id,
            account_name=account.name,
            login=account.login,
            position_ticket=ticket,
        )
        own |= {"order_id": order.pk, "follower_position": ticket}
        return Copy(follower, like(self.first.row, id=ids.new_id(), **own), order, place=place)


class _Crowd:
    """Closes that differ in account, ticket and lots alone, as they are found."""

    def __init__(self, first: Copy) -> None:
        self._first = first
        self._members: list[int] = []
        self._tickets: list[int] = []
        self._sizes: list[CopySize] = []

    def add(self, member: int, ticket: int, size: CopySize) -> None:
        self._members.append(member)
        self._tickets.append(ticket)
        self._sizes.append(size)

    def laid_out(self, followers: Sequence[Follower], places: Sequence[int], ids: Ids) -> Alike:
        """Return them with ids and tags of their own."""
        first, members, count = self._first, self._members, len(self._members)
        if first.order is None:
            raise ValueError("a close needs an order")
        return Alike(
            first,
            first.order,
            members,
            [followers[member] for member in members],
            np.array([places[member] for member in members], dtype=np.int64),
            self._sizes,
            ids.new_ids(count),
            ids.new_ids(count),
            ids.new_tags(count),
            self._tickets,
        )


def crowds_of(event: CopyEvent) -> type[Crowds] | type[ClosingCrowds]:
    """Return what plans an event's followers together."""
    return ClosingCrowds if event.kind in _CHANGES else Crowds
