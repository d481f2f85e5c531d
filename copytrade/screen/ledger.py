"""The ledger of copies: a row per event of a provider, and in it a row per follower.

A provider's owner sees what became of each event on every follower, another's by its alias and
without its money; a follower's owner sees the part of it that is theirs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Max, Q, QuerySet, Value, When

from accounts.figures import signed
from accounts.models import ConnectedAccount, User
from copytrade.core.kinds import EventKind
from copytrade.models import CopyEvent, CopyOrder
from copytrade.screen.words import (
    COPY_LABELS,
    COPY_TONES,
    EVENT_LABELS,
    decimals_of,
    lots,
    milliseconds,
    points,
    price,
)
from copytrade.selectors.ledger import CopyView, copies_of, copy_views

State = CopyOrder.State
_SHOWN_FIRST: Final = (State.FAILED, State.PLANNED, State.ORDERED, State.SKIPPED)
_MOST_DIGITS: Final = 5
_FAILED_ELSEWHERE: Final = "The order did not go through on the follower's account."


@dataclass(frozen=True, slots=True)
class EventRow:
    """`whole` is how long it took from noticing the event until the last copy was answered.

    `under_way` are the copies that may still become something else.
    """

    event: CopyEvent
    label: str
    what: str
    counts: tuple[tuple[str, str, int], ...]
    total: int
    handed: str
    whole: str
    copies: tuple["CopyRow", ...] = ()
    is_open: bool = False
    under_way: int = 0

    @property
    def more(self) -> int:
        return max(0, self.total - len(self.copies)) if self.is_open else 0


@dataclass(frozen=True, slots=True)
class CopyRow:
    """What became of one event on one follower; `hops` are the times since the one before."""

    view: CopyView
    name: str
    tone: str
    label: str
    lots: str
    slippage: str
    money: str
    latency: str
    hops: str
    reason: str


def event_rows(
    user: User,
    events: Iterable[CopyEvent],
    *,
    relationship_id: UUID | None = None,
    opened: Iterable[UUID] = (),
    most_copies: int = 50,
    beside: Iterable[CopyEvent] = (),
) -> list[EventRow]:
    """Return the rows of a page of events, those in `opened` with their copies.

    Prices are written with the digits that those of the symbol have, here and in events `beside`. A
    constant number of queries, and one more for each opened event.
    """
    events, wanted = list(events), set(opened)
    orders = copies_of(user).filter(event_id__in=[event.pk for event in events])
    if relationship_id is not None:
        orders = orders.filter(relationship_id=relationship_id)
    sums = {
        row["event_id"]: row
        for row in orders.order_by()
        .values("event_id")
        .annotate(
            total=Count("pk"),
            **{state.value: Count("pk", filter=Q(state=state)) for state in State},
            last_sent_at=Max("sent_at"),
            last_answered_at=Max("answered_at"),
        )
    }
    rows = []
    digits = _digits_of([*events, *beside])
    for event in events:
        copies: tuple[CopyRow, ...] = ()
        if event.pk in wanted:
            copies = copy_rows(user, event, orders.filter(event_id=event.pk), most=most_copies)
        what = event_text(event, digits[event.provider_id, event.symbol])
        rows.append(_event_row(event, what, sums.get(event.pk, {}), copies, event.pk in wanted))
    return rows


def copy_rows(
    user: User, event: CopyEvent, orders: QuerySet[CopyOrder], *, most: int, first: int = 0
) -> tuple[CopyRow, ...]:
    """Return what became of an event on each follower, failures and skips first."""
    ranked = orders.annotate(
        rank=Case(
            *(When(state=state, then=Value(rank)) for rank, state in enumerate(_SHOWN_FIRST)),
            default=Value(len(_SHOWN_FIRST)),
            output_field=IntegerField(),
        )
    ).order_by("rank", "planned_at", "pk")
    views = copy_views(user, ranked[first : first + most])
    own = {view.copy.follower_id for view in views if view.shows_money}
    currencies = dict(
        ConnectedAccount.with_archived.filter(pk__in=own).values_list("pk", "currency")
    )
    return tuple(
        _copy_row(event, view, currencies.get(view.copy.follower_id, "")) for view in views
    )


def event_text(event: CopyEvent, digits: int = 0) -> str:
    """Say what the provider did: "Sell 1.00 EURUSD at 1.08420", with so many digits at least."""
    side = event.direction.capitalize()
    if event.kind == EventKind.STOPS:
        loss, profit = price(event.stop_loss, digits), price(event.take_profit, digits)
        return f"{event.symbol}: stop loss {loss}, take profit {profit}"
    order_type = (
        "" if event.order_type in ("", "market") else f" {event.order_type}".replace("_", " ")
    )
    volume = "" if event.volume is None else f" {lots(event.volume)}"
    if event.kind == EventKind.PARTIAL_CLOSE and event.volume_before is not None:
        volume = f"{volume} of {lots(event.volume_before)}"
    at = "" if event.price is None else f" at {price(event.price, digits)}"
    return f"{side}{order_type}{volume} {event.symbol}{at}".strip()


def _digits_of(events: Iterable[CopyEvent]) -> Mapping[tuple[UUID, str], int]:
    """Return the most digits that a price of each provider's symbol has among these events."""
    found: dict[tuple[UUID, str], int] = {}
    for event in events:
        told = (event.price, event.stop_loss, event.take_profit, event.stop_limit_price)
        shown = (decimals_of(each) for each in told if each is not None)
        # The mean of several deals has more than any of them.
        most = max((each for each in shown if each <= _MOST_DIGITS), default=0)
        key = event.provider_id, event.symbol
        found[key] = max(found.get(key, 0), most)
    return found


def _event_row(
    event: CopyEvent,
    what: str,
    sums: Mapping[str, object],
    copies: tuple[CopyRow, ...],
    is_open: bool,
) -> EventRow:
    counts = ((state.value, _count(sums, state.value)) for state in State)
    shown = tuple(
        (COPY_TONES[state], COPY_LABELS[state].lower(), count) for state, count in counts if count
    )
    sent_at, answered_at = sums.get("last_sent_at"), sums.get("last_answered_at")
    return EventRow(
        event=event,
        label="Stopped out" if event.is_stop_out else EVENT_LABELS.get(event.kind, event.kind),
        what=what,
        counts=shown,
        total=_count(sums, "total"),
        handed=_since(event.detected_at, sent_at),
        whole=_since(event.detected_at, answered_at),
        copies=copies,
        is_open=is_open,
        under_way=sum(_count(sums, state.value) for state in (State.PLANNED, State.ORDERED)),
    )


def _count(sums: Mapping[str, object], name: str) -> int:
    count = sums.get(name, 0)
    return count if isinstance(count, int) else 0


def _since(before: datetime, moment: object) -> str:
    if not isinstance(moment, datetime):
        return ""
    return milliseconds((moment - before).total_seconds())


def _copy_row(event: CopyEvent, view: CopyView, currency: str) -> CopyRow:
    copy = view.copy
    money = view.slippage_money
    return CopyRow(
        view=view,
        name=view.follower_name,
        tone=COPY_TONES[copy.state],
        label=COPY_LABELS[copy.state],
        lots=_lots(copy),
        slippage=points(copy.slippage_points),
        # A slippage above 0 is a cost.
        money=f"{signed(-money)} {currency}" if money else "",
        latency=_since(event.detected_at, copy.answered_at),
        hops=_hops(event, copy),
        reason=view.sentence or (_FAILED_ELSEWHERE if _is_told_nothing(view) else ""),
    )


def _is_told_nothing(view: CopyView) -> bool:
    return view.copy.state == State.FAILED and not view.shows_money


def _lots(copy: CopyOrder) -> str:
    if copy.filled_volume == 0:
        return ""
    if copy.filled_volume is not None and copy.filled_volume != copy.volume:
        return f"{lots(copy.filled_volume)} of {lots(copy.volume)}"
    return lots(copy.volume) if copy.volume is not None else ""


def _hops(event: CopyEvent, copy: CopyOrder) -> str:
    """Say how long each step took: "planned 3 ms, checked 2 ms, sent 1 ms, answered 40 ms"."""
    before, told = event.detected_at, []
    for name, at in (
        ("planned", copy.planned_at),
        ("checked", copy.gated_at),
        ("sent", copy.sent_at),
        ("answered", copy.answered_at),
    ):
        if at is not None:
            told.append(f"{name} {milliseconds((at - before).total_seconds())}")
            before = at
    return ", ".join(told) if len(told) > 1 else ""
