"""Orders of the ledger as a trader reads them: what was wanted, what became of it, and why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from accounts.figures import UNKNOWN
from risk.models import GateCheck, Order
from risk.presentation.runs import clock

State, Kind, Verdict = Order.State, Order.Kind, GateCheck.Verdict

_TONES = {
    State.FILLED: "safe",
    State.PLACED: "safe",
    State.PARTIAL: "caution",
    State.PENDING: "none",
    State.SENT: "none",
    State.UNKNOWN: "unknown",
    State.REJECTED: "violated",
    State.EXPIRED: "violated",
    State.NOT_EXECUTED: "violated",
    State.LOST: "unknown",
}
VERDICT_TONES = {
    Verdict.ALLOW: "safe",
    Verdict.WARN: "caution",
    Verdict.REDUCE: "critical",
    Verdict.BLOCK: "violated",
}
_WANTED = {
    Kind.MODIFY_ORDER: "Change order {order_ticket}",
    Kind.CANCEL: "Delete order {order_ticket}",
    Kind.MODIFY_POSITION: "Set the stops of position {position_ticket}",
    Kind.CLOSE: "Close {volume}position {position_ticket}",
    Kind.CLOSE_BY: "Close {volume}position {position_ticket} by {opposite_ticket}",
}


@dataclass(frozen=True, slots=True)
class OrderRow:
    order: Order
    wanted: str
    title: str
    outcome: str
    tone: str
    is_reduced: bool

    @property
    def latency(self) -> str:
        """Say how long it took from asking until the answer of the broker."""
        return _milliseconds(self.order.created_at, self.order.answered_at)


@dataclass(frozen=True, slots=True)
class Hop:
    """One step on the way of an order, with the time since the step before."""

    name: str
    at: str
    after: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check of the gate, stored or of a preview."""

    name: str
    sentence: str
    verdict: str
    tone: str
    rule_id: UUID | None

    @property
    def passes(self) -> bool:
        return self.tone == "safe"


def order_rows(orders: Iterable[Order]) -> list[OrderRow]:
    return [order_row(order) for order in orders]


def order_row(order: Order) -> OrderRow:
    is_reduced = (
        order.volume is not None
        and order.requested_volume is not None
        and order.volume < order.requested_volume
    )
    tone = _TONES[State(order.state)]
    return OrderRow(order, wanted(order), _title(order), outcome(order), tone, is_reduced)


def wanted(order: Order) -> str:
    """Say what was asked for: "Buy 0.50 EURUSD at the market"."""
    kind = Kind(order.kind)
    if kind in _WANTED:
        text = _WANTED[kind].format_map(_told(order))
        return f"{text}, {order.symbol}" if order.symbol else text
    side = order.get_direction_display()
    text = f"{side} {lots(order.requested_volume)} {order.symbol}"
    if order.type == Order.Type.MARKET:
        return f"{text} at the market"
    at = "" if order.price is None else f" at {order.price:g}"
    return f"{text}, {order.get_type_display().lower()}{at}"


def outcome(order: Order) -> str:
    """Say honestly what became of an order, in one sentence without its full stop."""
    return _outcome(order).rstrip(".")


def _title(order: Order) -> str:
    if order.state == State.FILLED and not order.opens:
        return "Closed" if order.kind in (Kind.CLOSE, Kind.CLOSE_BY) else "Done"
    if order.state == State.REJECTED and order.refused_by == Order.RefusedBy.GATE:
        return "Blocked"
    return order.get_state_display()


def _outcome(order: Order) -> str:
    state = State(order.state)
    if state == State.FILLED:
        return f"{_done(order)}{_reduced(order)}"
    if state == State.PARTIAL:
        return f"Partly done: {lots(order.filled_volume)} of {lots(order.volume)} lots{_at(order)}"
    if state == State.PLACED:
        return f"Placed at the broker as order {order.order_ticket or UNKNOWN}{_reduced(order)}"
    if state == State.REJECTED:
        return _rejected(order)
    if state == State.EXPIRED:
        return order.message or "Not sent: its time was over before it could be sent"
    if state == State.NOT_EXECUTED:
        return order.message or "Not executed: the broker knows nothing of it"
    if state == State.LOST:
        return order.message or "Whether it was executed cannot be found out any more"
    if state == State.UNKNOWN:
        return "The broker did not answer in time. Whether it was executed is being looked up"
    if state == State.SENT:
        return "Sent; waiting for the broker's answer"
    return order.message or "Waiting to be sent"


def hops(order: Order) -> list[Hop]:
    """Return the steps of an order with the time that each took."""
    steps = [
        ("Asked for", order.created_at),
        ("Checked", order.gated_at),
        ("Sent", order.sent_at),
        ("Answered", order.answered_at),
        ("Looked up", order.reconciled_at),
    ]
    found, before = [], None
    for name, at in steps:
        if at is None:
            continue
        found.append(Hop(name, clock(at), _milliseconds(before, at) if before else ""))
        before = at
    return found


def check_rows(checks: Iterable[GateCheck]) -> list[CheckRow]:
    """Show the stored checks of an order, the ones that stand in the way first."""
    order = (Verdict.BLOCK, Verdict.REDUCE, Verdict.WARN, Verdict.ALLOW)
    listed = sorted(checks, key=lambda each: order.index(Verdict(each.verdict)))
    return [
        check_row(check.rule_name or check.check_name, check.verdict, check.sentence, check.rule_id)
        for check in listed
    ]


def check_row(name: str, verdict: str, sentence: str, rule_id: UUID | None) -> CheckRow:
    known = Verdict(verdict)
    words = name.replace("_", " ")
    # The name stands before it already.
    said = sentence.removeprefix(f"{name}: ")
    return CheckRow(
        f"{words[:1].upper()}{words[1:]}",
        f"{said[:1].upper()}{said[1:]}",
        known.label,
        VERDICT_TONES[known],
        rule_id,
    )


def lots(volume: Decimal | float | None) -> str:
    """Write a volume without the zeros that it does not need, but with two places."""
    if volume is None:
        return UNKNOWN
    text = f"{Decimal(str(volume)).normalize():f}"
    whole, _, part = text.partition(".")
    return f"{whole}.{part.ljust(2, '0')}"


def _told(order: Order) -> dict[str, object]:
    names = ("order_ticket", "position_ticket", "opposite_ticket")
    volume = f"{lots(order.requested_volume)} lots of " if order.requested_volume else ""
    return {"volume": volume, **{name: getattr(order, name) or UNKNOWN for name in names}}


def _done(order: Order) -> str:
    kind = Kind(order.kind)
    if kind == Kind.MODIFY_ORDER:
        return "Changed"
    if kind == Kind.CANCEL:
        return "Deleted"
    if kind == Kind.MODIFY_POSITION:
        return "Stops are set"
    volume = f" {lots(order.filled_volume)} lots" if order.filled_volume else ""
    word = "Filled" if order.opens else "Closed"
    return f"{word}{volume}{_at(order)}"


def _at(order: Order) -> str:
    return "" if order.fill_price is None else f" at {order.fill_price:.10g}"


def _reduced(order: Order) -> str:
    if order.requested_volume is None or order.volume is None:
        return ""
    if order.volume >= order.requested_volume:
        return ""
    return f"; reduced from {lots(order.requested_volume)} to {lots(order.volume)} lots"


def _rejected(order: Order) -> str:
    by = {
        Order.RefusedBy.GATE.value: "Blocked by TradeGuard",
        Order.RefusedBy.TERMINAL.value: "Refused by the terminal",
        Order.RefusedBy.BROKER.value: "Rejected by the broker",
    }.get(order.refused_by, "Rejected")
    return f"{by}: {order.message}" if order.message else by


def _milliseconds(start: datetime | None, end: datetime | None) -> str:
    if start is None or end is None:
        return ""
    took = max((end - start).total_seconds(), 0.0)
    return f"{took * 1000:.0f} ms" if took < 10 else f"{took:.1f} s"
