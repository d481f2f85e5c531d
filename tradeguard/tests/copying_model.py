"""What followers are to hold, worked out from the deals at the brokers by plain arithmetic.

Nothing of what copies is used for that, but the ledger for which order was sent for which event.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from accounts.models import ConnectedAccount
from copytrade.models import CopyEvent, CopyOrder
from risk.models import Order
from risk.orders.terminal import Deal

STEP = Decimal("0.01")
NONE = Decimal(0)
IN, INOUT = 0, 2  # DEAL_ENTRY_*

Key = tuple[int, int]
"""A provider's position, and how often it had turned round."""


@dataclass(frozen=True)
class Rule:
    """How one follower copies."""

    multiplier: Decimal = Decimal(1)
    fixed_lots: Decimal | None = None
    most_lots: Decimal | None = None
    is_reverse: bool = False
    has_pendings: bool = False
    is_netting: bool = False

    def lots(self, theirs: Decimal) -> Decimal:
        """Return the copy of an open: whole steps, nothing below the smallest lot."""
        lots = theirs * self.multiplier if self.fixed_lots is None else self.fixed_lots
        if self.most_lots is not None:
            lots = min(lots, self.most_lots)
        return lots // STEP * STEP

    @property
    def terms(self) -> dict[str, object]:
        return {
            "sizing": "multiplier" if self.fixed_lots is None else "fixed_lot",
            "multiplier": self.multiplier,
            "fixed_lots": self.fixed_lots,
            "maximum_lots": self.most_lots,
            "is_reverse": self.is_reverse,
            "copies_pendings": self.has_pendings,
        }


def closed_part(mine: Decimal, closed: Decimal, before: Decimal) -> Decimal:
    if closed >= before:
        return mine
    return mine * closed / before // STEP * STEP


def shares(
    theirs: Sequence[Deal], rule: Rule, filled: Callable[[Deal, Decimal], Decimal]
) -> Mapping[Key, Decimal]:
    """Return what a follower is to hold of each position, sold lots below 0.

    `filled` tells what it got of an open: of the deal, and of so many of the provider's lots.
    """
    held: dict[int, Decimal] = defaultdict(Decimal)
    turns: dict[int, int] = defaultdict(int)
    mine: dict[Key, Decimal] = defaultdict(Decimal)
    for deal in sorted(theirs, key=lambda one: one.ticket):
        if not deal.symbol:
            continue
        signed = deal.volume if deal.type == 0 else -deal.volume
        before, position = held[deal.position], deal.position
        held[position] = before + signed
        key = (position, turns[position])
        side = (-1 if rule.is_reverse else 1) * (1 if signed > 0 else -1)
        if deal.entry == IN:
            mine[key] += side * filled(deal, deal.volume)
        elif deal.entry == INOUT:
            mine[key] = NONE
            turns[position] += 1
            rest = deal.volume - abs(before)
            mine[position, turns[position]] = side * filled(deal, rest)
        else:
            part = closed_part(abs(mine[key]), deal.volume, abs(before))
            mine[key] += part * (1 if mine[key] < 0 else -1)
    return {key: lots for key, lots in mine.items() if lots}


@dataclass(frozen=True)
class Books:
    """What was ordered for one follower, and what its broker did."""

    follower: ConnectedAccount
    theirs: Sequence[Deal]
    mine: Sequence[Deal]

    def filled(self, tag: int) -> Decimal:
        return sum((deal.volume for deal in self.mine if deal.magic == tag), NONE)

    def open_of(self, rule: Rule) -> Callable[[Deal, Decimal], Decimal]:
        """Return what looks up the fill of an open, and proves that it is as it should be."""

        def filled(deal: Deal, lots: Decimal) -> Decimal:
            if (placed := self._placed(deal.order)) is not None:
                return self.filled(placed.tag)
            event = CopyEvent.objects.get(kind="open", deal_ticket=deal.ticket)
            assert event.volume == lots, event
            copy = CopyOrder.objects.get(event_id=event.pk, follower_id=self.follower.pk)
            order = Order.objects.filter(pk=copy.order_id or copy.pk).first()
            got = NONE if order is None else self.filled(order.tag)
            assert got == (copy.filled_volume or NONE), (copy.sentence, got, copy.filled_volume)
            if order is not None and order.state == Order.State.FILLED:
                assert got == rule.lots(lots), (got, rule, lots)
            assert got <= rule.lots(lots)
            assert got or copy.sentence
            return got

        return filled

    def _placed(self, ticket: int) -> Order | None:
        """Return the copy of the pending order that an open came from, if there is one."""
        placed = CopyEvent.objects.filter(kind="pending_placed", order_ticket=ticket)
        copy = CopyOrder.objects.filter(
            event_id__in=placed.values("pk"), follower_id=self.follower.pk
        ).first()
        if copy is None:
            return None
        return Order.objects.filter(pk=copy.order_id or copy.pk).first()

    def origin_of(self, ticket: int) -> tuple[int, bool]:
        """Return the provider's position that one of the follower's is a copy of, and whether a
        pending order made it."""
        opened = next(deal for deal in self.mine if deal.position == ticket and deal.entry == IN)
        order = Order.objects.get(account_id=self.follower.pk, tag=opened.magic)
        copy = CopyOrder.objects.get(order_id=order.pk)
        event = CopyEvent.objects.get(pk=copy.event_id)
        if event.kind == "open":
            return event.position_ticket or 0, False
        theirs = (one.position for one in self.theirs if one.order == event.order_ticket)
        return next(theirs, event.order_ticket or 0), True
