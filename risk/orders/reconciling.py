"""Finding out what became of an order whose answer never came.

Looked for by its tag, or by what it was to change, in everything that a connected terminal shows:
positions, pending orders and history. Not to be found is no proof yet: an order may arrive late.
"""

import math
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from accounts.core.zones import broker_zone, to_broker_epoch
from risk.models import Order
from risk.orders.outcomes import Outcome
from risk.orders.terminal import AccountTerminal, Deal, PendingOrder, Position

_DAY_SECONDS = 86_400.0
_CANCELED, _PARTIAL, _FILLED, _REJECTED, _EXPIRED = 2, 3, 4, 5, 6  # ORDER_STATE_*
# Prices are rounded to the symbol's digits on their way; half a point of most symbols.
_SAME_PRICE = 5e-6


class Evidence:
    """What a terminal shows now, asked for once, of everything since the oldest order in doubt.

    Raises LinkError while the terminal cannot be believed.
    """

    def __init__(
        self, terminal: AccountTerminal, zone: str, since: datetime, now: datetime
    ) -> None:
        self._terminal = terminal
        clock = broker_zone(zone)
        # A day wider on both sides: the broker's clock need not be where it should be.
        self._start = to_broker_epoch(since.timestamp(), clock) - _DAY_SECONDS
        self._end = to_broker_epoch(now.timestamp(), clock) + _DAY_SECONDS

    @cached_property
    def positions(self) -> list[Position]:
        return self._terminal.positions()

    @cached_property
    def pending(self) -> list[PendingOrder]:
        return self._terminal.pending_orders()

    @cached_property
    def done(self) -> list[PendingOrder]:
        return self._terminal.history_orders(self._start, self._end)

    @cached_property
    def deals(self) -> list[Deal]:
        return self._terminal.history_deals(self._start, self._end)

    def read(self) -> None:
        """Ask for everything, history last, so that nothing slips from one list to the next."""
        _ = (self.positions, self.pending, self.done, self.deals)


class StillUnderWay(Exception):  # noqa: N818 (named for what is so)
    """The broker has the order, and has not carried it out yet."""


def found(order: Order, evidence: Evidence) -> Outcome | None:
    """Return what became of an order; None when nothing shows that it was carried out.

    Raises StillUnderWay, and LinkError like `Evidence`.
    """
    if order.kind == Order.Kind.CANCEL:
        return _cancelled(order, evidence)
    if order.kind == Order.Kind.MODIFY_POSITION:
        return _stops_moved(order, evidence)
    if order.kind == Order.Kind.MODIFY_ORDER:
        return _order_changed(order, evidence)
    return _by_tag(order, evidence)


def _by_tag(order: Order, evidence: Evidence) -> Outcome | None:
    waiting = _tagged(order, evidence.pending)
    if waiting is not None and order.kind == Order.Kind.PLACE:
        return Outcome(Order.State.PLACED, "It was placed.", {"order_ticket": waiting.ticket})
    if waiting is not None:
        raise StillUnderWay
    deals = [deal for deal in evidence.deals if deal.magic == order.tag]
    if deals:
        return _filled(order, deals)
    past = [one for one in evidence.done if one.magic == order.tag]
    ending = _ended(order, max(past, key=lambda one: one.ticket)) if past else None
    if ending is None and order.opens:
        return _held(order, evidence)
    return ending


def _filled(order: Order, deals: list[Deal]) -> Outcome:
    """Return the outcome of an order whose deals are known; the first is what it is about."""
    first = deals[0]
    # Closing by an opposite position makes two deals, one for each of the two.
    counted = [deal for deal in deals if deal.position == first.position]
    volume = sum((deal.volume for deal in counted), Decimal(0))
    value = sum(deal.price * float(deal.volume) for deal in counted)
    fields: dict[str, Any] = {
        "deal_ticket": counted[-1].ticket,
        "order_ticket": first.order,
        "filled_volume": volume,
        "fill_price": value / float(volume) if volume else first.price,
    }
    is_partial = order.volume is not None and volume < order.volume
    state = Order.State.PARTIAL if is_partial else Order.State.FILLED
    return Outcome(state, "It was carried out; the answer had been lost.", fields)


def _ended(order: Order, past: PendingOrder) -> Outcome | None:
    """Judge by the newest attempt; None when it was refused: the next may still arrive."""
    if past.state in (_FILLED, _PARTIAL):
        raise StillUnderWay  # its deals are not listed yet
    if order.kind == Order.Kind.PLACE and past.state in (_CANCELED, _EXPIRED):
        fields = {"order_ticket": past.ticket}
        return Outcome(Order.State.PLACED, "It was placed, and is gone again.", fields)
    return None


def _held(order: Order, evidence: Evidence) -> Outcome | None:
    held = next((p for p in evidence.positions if p.magic == order.tag), None)
    if held is None:
        return None
    is_partial = order.volume is not None and held.volume < order.volume
    return Outcome(
        Order.State.PARTIAL if is_partial else Order.State.FILLED,
        "It was carried out; the answer had been lost.",
        {"filled_volume": held.volume, "fill_price": held.price_open, "order_ticket": held.ticket},
    )


def _cancelled(order: Order, evidence: Evidence) -> Outcome | None:
    if any(pending.ticket == order.order_ticket for pending in evidence.pending):
        return None
    past = next((one for one in evidence.done if one.ticket == order.order_ticket), None)
    if past is not None and past.state in (_FILLED, _PARTIAL):
        return Outcome(
            Order.State.REJECTED,
            "The order was filled before it could be deleted.",
            {"refused_by": Order.RefusedBy.BROKER},
        )
    return Outcome(Order.State.FILLED, "The order is gone.")


def _stops_moved(order: Order, evidence: Evidence) -> Outcome | None:
    position = next((p for p in evidence.positions if p.ticket == order.position_ticket), None)
    if position is None:
        return _gone("The position is closed.")
    wanted = (order.stop_loss or 0.0, order.take_profit or 0.0)
    if _same(wanted, (position.stop_loss, position.take_profit)):
        return Outcome(Order.State.FILLED, "It was changed; the answer had been lost.")
    return None


def _order_changed(order: Order, evidence: Evidence) -> Outcome | None:
    pending = next((o for o in evidence.pending if o.ticket == order.order_ticket), None)
    if pending is None:
        return _gone("The order is there no longer.")
    wanted = (order.price, order.stop_limit_price, order.stop_loss, order.take_profit)
    there = (
        pending.price_open,
        pending.stop_limit_price,
        pending.stop_loss,
        pending.take_profit,
    )
    if _same((level or 0.0 for level in wanted), there):
        return Outcome(Order.State.FILLED, "It was changed; the answer had been lost.")
    return None


def _gone(sentence: str) -> Outcome:
    return Outcome(Order.State.REJECTED, sentence, {"refused_by": Order.RefusedBy.BROKER})


def _tagged(order: Order, among: Iterable[PendingOrder]) -> PendingOrder | None:
    return next((one for one in among if one.magic == order.tag), None)


def _same(wanted: Iterable[float], present: Iterable[float]) -> bool:
    return all(
        math.isclose(one, other, rel_tol=_SAME_PRICE, abs_tol=1e-9)
        for one, other in zip(wanted, present, strict=True)
    )
