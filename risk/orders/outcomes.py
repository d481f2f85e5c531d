"""What became of an order, as the fields that its row gets."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from risk.models import Order
from risk.orders.retcodes import (
    BY_TERMINAL,
    DONE_PARTIAL,
    IN_DOUBT,
    NO_CHANGES,
    PLACED,
    SUCCESSES,
    sentence_of,
)
from risk.orders.terminal import SendResult

_LONGEST_MESSAGE = 255
_DEALING = (Order.Kind.OPEN, Order.Kind.CLOSE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state that an order goes to, and the other fields that say why."""

    state: str
    message: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        return {"state": self.state, "message": self.message[:_LONGEST_MESSAGE], **self.fields}

    def with_note(self, note: str) -> "Outcome":
        """Return an outcome whose message goes on with a note, if there is one."""
        return replace(self, message=f"{self.message} {note}") if note else self

    def put_on(self, order: Order) -> dict[str, Any]:
        """Give the order these values; return them."""
        values = self.values()
        for name, value in values.items():
            setattr(order, name, value)
        return values


def answered(order: Order, result: SendResult, now: datetime) -> Outcome:
    """Return what the broker's answer makes of an order."""
    fields: dict[str, Any] = {
        "retcode": result.retcode,
        "answered_at": now,
        "next_attempt_at": None,
        "deal_ticket": result.deal or None,
        **_order_ticket(order, result),
    }
    sentence = sentence_of(result.retcode, result.comment)
    if result.retcode in IN_DOUBT:
        return doubtful(sentence, now, retcode=result.retcode)
    if result.retcode in SUCCESSES:
        return _success(order, result, fields, sentence, now)
    if result.retcode == NO_CHANGES:
        return Outcome(Order.State.FILLED, sentence, fields)
    is_terminal = result.retcode in BY_TERMINAL
    by = Order.RefusedBy.TERMINAL if is_terminal else Order.RefusedBy.BROKER
    return Outcome(Order.State.REJECTED, sentence, {**fields, "refused_by": by})


def _success(
    order: Order, result: SendResult, fields: dict[str, Any], sentence: str, now: datetime
) -> Outcome:
    if order.kind not in _DEALING:
        if order.kind == Order.Kind.CLOSE_BY:
            fields |= {"filled_volume": result.volume, "fill_price": result.price or None}
        is_placed = order.kind == Order.Kind.PLACE
        is_on_its_way = result.retcode == PLACED and not is_placed
        if is_on_its_way:
            # A change that arrives later; whether it did is read from what the terminal holds.
            return doubtful(sentence, now, retcode=result.retcode)
        return Outcome(Order.State.PLACED if is_placed else Order.State.FILLED, "Done.", fields)
    if result.retcode == PLACED:
        # Taken in, to be carried out in a moment: the deal is looked for by the tag.
        return doubtful(sentence, now, retcode=result.retcode, **_order_ticket(order, result))
    fields |= {"filled_volume": result.volume, "fill_price": result.price or None}
    is_partial = result.retcode == DONE_PARTIAL or result.volume < (order.volume or Decimal(0))
    return Outcome(Order.State.PARTIAL if is_partial else Order.State.FILLED, sentence, fields)


def _order_ticket(order: Order, result: SendResult) -> dict[str, Any]:
    """Return the ticket that the broker gave; an order about another one keeps that one's."""
    if order.kind in (Order.Kind.CANCEL, Order.Kind.MODIFY_ORDER) or not result.order:
        return {}
    return {"order_ticket": result.order}


def doubtful(sentence: str, now: datetime, **fields: Any) -> Outcome:
    """The order may have been carried out: it is looked for from now on."""
    return Outcome(
        Order.State.UNKNOWN,
        sentence,
        {"answered_at": now, "absences": 0, "absent_at": None, "next_attempt_at": now, **fields},
    )


def refused(sentence: str, by: str, now: datetime) -> Outcome:
    return Outcome(
        Order.State.REJECTED,
        sentence,
        {"refused_by": by, "answered_at": now, "next_attempt_at": None},
    )


def not_sent(sentence: str, now: datetime) -> Outcome:
    """The order never left, and whoever made it looks again."""
    return Outcome(
        Order.State.NOT_EXECUTED, sentence, {"answered_at": now, "next_attempt_at": None}
    )


def waiting(sentence: str, again_at: datetime) -> Outcome:
    """The order never left, and waits for another attempt."""
    return Outcome(Order.State.PENDING, sentence, {"sent_at": None, "next_attempt_at": again_at})


def expired(now: datetime, why: str = "") -> Outcome:
    sentence = f"The order came too late to be sent. {why}".strip()
    return Outcome(Order.State.EXPIRED, sentence, {"answered_at": now, "next_attempt_at": None})
