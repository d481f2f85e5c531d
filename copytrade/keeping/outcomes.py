"""What the ends of orders make of copies and of the positions that they are about."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from accounts.core.right_of_way import RIGHT_OF_WAY
from copytrade.core.kinds import SkipReason
from copytrade.keeping.matching import Matches, is_changed_again
from copytrade.keeping.plain import settle_plain
from copytrade.keeping.slippage import Slippages
from copytrade.keeping.writing import write_changes
from copytrade.models import CopyOrder, CopyPosition
from copytrade.publishing import ring_ledgers
from risk.models import Order

_NONE: Final = Decimal(0)
_DEALT: Final = (Order.State.FILLED, Order.State.PARTIAL)
# On SQLite everybody else who writes waits for such a part to be worked out.
_TOGETHER: Final = 25
_LONGEST_SENTENCE: Final = 255
_NOTHING_DONE: Final = "Its order has ended without a trade."


@dataclass(frozen=True, slots=True)
class Settled:
    """Copies whose orders' ends were taken in, and those of whom a part is left to be done."""

    copies: int = 0
    unfinished: int = 0
    followers: frozenset[UUID] = frozenset()

    def __add__(self, other: "Settled") -> "Settled":
        return Settled(
            self.copies + other.copies,
            self.unfinished + other.unfinished,
            self.followers | other.followers,
        )


def unsettled(follower_ids: Any) -> list[UUID]:
    """Return the orders of copies that have ended without that being taken in."""
    ended = Order.objects.filter(pk=OuterRef("order_id")).exclude(state__in=Order.UNFINISHED)
    told = Q(reconciled_at=OuterRef("answered_at"))
    told |= Q(reconciled_at=None, answered_at=OuterRef("answered_at"))
    waiting = CopyOrder.objects.filter(
        Q(answered_at=None) | ~Exists(ended.filter(told)),
        Exists(ended),
        state=CopyOrder.State.ORDERED,
        follower_id__in=follower_ids,
    )
    return [pk for pk in waiting.order_by().values_list("order_id", flat=True) if pk is not None]


def settle(
    order_ids: Collection[UUID],
    now: datetime,
    *,
    slippages: Slippages,
    tickets: Mapping[tuple[UUID, str], int],
) -> Settled:
    """Take in how orders ended, each once, whoever tells it how often.

    `tickets` are the netted positions by account and symbol, as far as they are known.
    """
    listed = sorted(order_ids)
    plain = settle_plain(listed, now, slippages=slippages, tickets=tickets)
    listed = [pk for pk in listed if pk not in plain]
    total = Settled(len(plain), followers=frozenset(plain.values()))
    for first in range(0, len(listed), _TOGETHER):
        RIGHT_OF_WAY.give()
        total += _settle_part(listed[first : first + _TOGETHER], now, slippages, tickets)
    return total


def _settle_part(
    order_ids: Collection[UUID],
    now: datetime,
    slippages: Slippages,
    tickets: Mapping[tuple[UUID, str], int],
) -> Settled:
    ended = Order.objects.filter(pk__in=order_ids).exclude(state__in=Order.UNFINISHED)
    orders = {order.pk: order for order in ended}
    if not orders:
        return Settled()
    slippages.learn(orders.values(), now)
    with transaction.atomic():
        rows = CopyOrder.objects.filter(order_id__in=orders, state=CopyOrder.State.ORDERED)
        copies = [row for row in rows.select_for_update().order_by("pk") if row.answered_at is None
                  or row.answered_at != _ended_at(orders, row)]  # fmt: skip
        if not copies:
            return Settled()
        matches = Matches(copies, locks=True)
        before = {row.pk: _values(row) for row in matches.positions}
        unfinished = 0
        for copy in sorted(copies, key=lambda one: (one.planned_at, one.pk)):
            order = orders[copy.order_id] if copy.order_id else None
            if order is not None:
                Outcome(copy, order, matches, tickets, now).apply(slippages)
                unfinished += copy.state == CopyOrder.State.ORDERED
        write_changes(CopyOrder, [(copy.pk, _copy_values(copy)) for copy in copies])
        changed = [row for row in matches.positions if _values(row) != before[row.pk]]
        write_changes(CopyPosition, [(row.pk, _values(row)) for row in changed])
    ring_ledgers({copy.provider_id for copy in copies})
    return Settled(len(copies), unfinished, frozenset(copy.follower_id for copy in copies))


class Outcome:
    """One copy whose order has ended, and its position."""

    def __init__(
        self,
        copy: CopyOrder,
        order: Order,
        matches: Matches,
        tickets: Mapping[tuple[UUID, str], int],
        now: datetime,
    ) -> None:
        self._copy = copy
        self._order = order
        self._matches = matches
        self._ticket = tickets.get((order.account_id, order.symbol)) or order.order_ticket
        self._now = now

    def apply(self, slippages: Slippages) -> None:
        copy, order = self._copy, self._order
        copy.gated_at = copy.gated_at or order.gated_at
        copy.sent_at = copy.sent_at or order.sent_at
        copy.answered_at = order.reconciled_at or order.answered_at or self._now
        if self._matches.closes(copy, order):
            self._closed()
        elif order.kind == Order.Kind.OPEN:
            self._opened()
        elif order.kind == Order.Kind.MODIFY_POSITION:
            self._moved()
        elif order.state in (Order.State.FILLED, Order.State.PLACED):
            copy.is_waiting = order.kind == Order.Kind.PLACE
            self._end(CopyOrder.State.DONE)
        elif order.kind == Order.Kind.MODIFY_ORDER and self._may_be_repeated:
            # It is planned anew: see `waiting`.
            copy.state, copy.order_id, copy.answered_at = CopyOrder.State.PLANNED, None, None
        else:
            self._fail()
        event = self._matches.event_of(copy)
        if event is not None and order.fill_price is not None and self._filled > 0:
            copy.slippage_points, copy.slippage_money = slippages.of(
                order, event.price, self._filled
            )

    @property
    def _filled(self) -> Decimal:
        if self._order.state not in _DEALT:
            return _NONE
        return self._order.filled_volume or _NONE

    def _opened(self) -> None:
        filled, row = self._filled, self._matches.opened_by(self._copy)
        if filled <= 0:
            if row is not None and row.state == CopyPosition.State.OPENING:
                row.volume, row.state, row.closed_at = _NONE, CopyPosition.State.CLOSED, self._now
            self._fail()
            return
        self._copy.filled_volume, self._copy.follower_position = filled, self._ticket
        if row is not None and row.state == CopyPosition.State.OPENING:
            row.volume, row.follower_position = filled, self._ticket
            is_leaving = row.closes_on_fill
            row.state = CopyPosition.State.CLOSING if is_leaving else CopyPosition.State.OPEN
        self._end(CopyOrder.State.DONE)

    def _closed(self) -> None:
        """Take off what was closed; what of it failed stays to be done again."""
        copy, filled = self._copy, self._filled
        copy.filled_volume = (copy.filled_volume or _NONE) + filled
        is_whole = self._matches.is_whole_close(copy)
        for row in self._matches.closed_by(copy, self._order):
            filled -= self._taken_off(row, filled)
        is_held = bool(self._matches.closed_by(copy, self._order))
        is_done = copy.volume is not None and copy.filled_volume >= copy.volume
        if not is_held or (is_done and not is_whole):
            if copy.filled_volume > 0:
                self._end(CopyOrder.State.DONE)
            else:
                self._fail()
        else:
            copy.sentence = self._order.message[:_LONGEST_SENTENCE]

    def _moved(self) -> None:
        """Take in that the stops of a copy were moved; further tickets of it come next."""
        copy, order = self._copy, self._order
        if self._may_be_repeated:
            return
        if order.state != Order.State.FILLED:
            copy.sentence = order.message[:_LONGEST_SENTENCE]
        if not self._matches.moved_after(copy, order):
            self._end(CopyOrder.State.FAILED if copy.sentence else CopyOrder.State.DONE)

    @property
    def _may_be_repeated(self) -> bool:
        """Tell whether a change never reached the broker, and is the last one of its kind."""
        event = self._matches.event_of(self._copy)
        if event is None or self._order.state != Order.State.NOT_EXECUTED:
            return False
        return not is_changed_again(event)

    def _taken_off(self, row: CopyPosition, most: Decimal) -> Decimal:
        if row.state == CopyPosition.State.OPENING:
            return _NONE
        taken = min(row.volume, most)
        row.volume -= taken
        if row.volume <= 0:
            row.state, row.closed_at = CopyPosition.State.CLOSED, self._now
        return taken

    def _fail(self) -> None:
        order, copy = self._order, self._copy
        copy.sentence = order.message[:_LONGEST_SENTENCE] or _NOTHING_DONE
        if order.state == Order.State.EXPIRED:
            copy.reason = SkipReason.LATE.value
        elif order.refused_by:
            copy.reason = SkipReason.REFUSED.value
        self._end(CopyOrder.State.FAILED)

    def _end(self, state: str) -> None:
        self._copy.state, self._copy.ended_at = state, self._now


def _ended_at(orders: Mapping[UUID, Order], copy: CopyOrder) -> datetime | None:
    order = orders.get(copy.order_id) if copy.order_id else None
    return None if order is None else order.reconciled_at or order.answered_at


def _values(row: CopyPosition) -> dict[str, Any]:
    return {
        "state": row.state,
        "volume": row.volume,
        "follower_position": row.follower_position,
        "closed_at": row.closed_at,
    }


_COPY_FIELDS: Final = (
    "state", "order_id", "reason", "sentence", "filled_volume", "slippage_points", "slippage_money",
    "follower_position", "is_waiting", "gated_at", "sent_at", "answered_at", "ended_at",
)  # fmt: skip


def _copy_values(copy: CopyOrder) -> dict[str, Any]:
    return {name: getattr(copy, name) for name in _COPY_FIELDS}
