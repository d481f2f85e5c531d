"""What became of copies, told to the owners of the followers; a provider's owner learns nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from django.urls import reverse

from accounts.models import ConnectedAccount
from copytrade.core.kinds import EventKind, SkipReason
from copytrade.core.sentences import lots_text
from copytrade.models import CopyEvent, CopyOrder
from notifications.models import Notification, NotificationType, Priority
from notifications.services import Message
from risk.core.figures import counted_text
from risk.models import Order

State = CopyOrder.State

# What an owner has chosen by a filter, a switch or a pause is no news, and what is closed with
# a cascade is told by it.
NEWS: Final = frozenset(
    {
        SkipReason.LATE,
        SkipReason.SYMBOL_UNKNOWN,
        SkipReason.MOST_POSITIONS,
        SkipReason.BELOW_MINIMUM,
        SkipReason.NO_STOP,
        SkipReason.NO_READING,
        SkipReason.NO_RATE,
        SkipReason.LOCKED,
        SkipReason.SLIPPAGE,
    }
)
# Of an order that was not sent, or came too late: the broker has refused nothing.
_HELD_BACK: Final = frozenset({SkipReason.LATE, SkipReason.SLIPPAGE})
# So long the same reason is not told again for the same symbol: each skip is in the ledger.
HUSH: Final = timedelta(hours=6)
_HUSH_LATE: Final = timedelta(minutes=10)
_TRADES: Final = (EventKind.OPEN, EventKind.PARTIAL_CLOSE, EventKind.CLOSE)
_CLOSES: Final = (EventKind.PARTIAL_CLOSE, EventKind.CLOSE)
_NAMED: Final = 5
_FIELDS: Final = (
    "event_id", "provider_id", "follower_id", "order_id", "state", "reason", "sentence", "symbol",
    "filled_volume",
)  # fmt: skip
_GATED: Final = "gated"


class _Copy(NamedTuple):
    """One row of the ledger."""

    event_id: UUID
    provider_id: UUID
    follower_id: UUID
    order_id: UUID | None
    state: str
    reason: str
    sentence: str
    symbol: str
    filled_volume: Decimal | None


class _Owner(NamedTuple):
    user_id: int
    follower: str


@dataclass(frozen=True, slots=True)
class _Told:
    """A message of which the like was perhaps told lately."""

    message: Message
    prefix: str = ""
    hush: timedelta = timedelta(0)


def copy_messages(event_ids: Collection[UUID], now: datetime) -> list[Message]:
    """Build what owners of followers are told of these events; the same again has the same keys.

    Raises a database error.
    """
    rows = CopyOrder.objects.filter(event_id__in=event_ids).order_by("planned_at", "pk")
    copies = _told_apart([_Copy(*values) for values in rows.values_list(*_FIELDS)])
    if not copies:
        return []
    events = CopyEvent.objects.in_bulk({copy.event_id for copy in copies})
    accounts = ConnectedAccount.objects.filter(pk__in={copy.follower_id for copy in copies})
    owners = {
        pk: _Owner(user_id, name)
        for pk, user_id, name in accounts.order_by().values_list("pk", "user_id", "name")
    }
    by_event: dict[tuple[int, UUID], list[_Copy]] = defaultdict(list)
    for copy in copies:
        if copy.follower_id in owners:
            by_event[owners[copy.follower_id].user_id, copy.event_id].append(copy)
    found: list[_Told] = []
    skipped: dict[tuple[int, UUID, str, str], list[_Copy]] = defaultdict(list)
    for (user_id, event_id), mine in by_event.items():
        event = events.get(event_id)
        found += map(_Told, _outcome_messages(user_id, event_id, event, mine, owners))
        for copy in mine:
            if _is_skip_news(copy):
                symbol = "" if copy.reason == SkipReason.LATE else _symbol(copy, event)
                skipped[user_id, copy.provider_id, copy.reason, symbol].append(copy)
    found += [_skip_message(key, mine, events, owners) for key, mine in skipped.items()]
    return _news(found, now)


def _told_apart(copies: Sequence[_Copy]) -> list[_Copy]:
    """Let the copies that our own gate refused have another reason than a broker's refusals."""
    refused = [
        copy.order_id
        for copy in copies
        if copy.state == State.FAILED and copy.reason == SkipReason.REFUSED and copy.order_id
    ]
    orders = Order.objects.filter(pk__in=refused, refused_by=Order.RefusedBy.GATE).order_by()
    gated = set(orders.values_list("pk", flat=True)) if refused else set()
    return [copy._replace(reason=_GATED) if copy.order_id in gated else copy for copy in copies]


def _is_skip_news(copy: _Copy) -> bool:
    if copy.state == State.SKIPPED:
        return copy.reason in NEWS
    return copy.state == State.FAILED and copy.reason in (_GATED, *_HELD_BACK)


def _symbol(copy: _Copy, event: CopyEvent | None) -> str:
    return event.symbol if event is not None else copy.symbol


def _outcome_messages(
    user_id: int,
    event_id: UUID,
    event: CopyEvent | None,
    copies: Sequence[_Copy],
    owners: Mapping[UUID, _Owner],
) -> Iterable[Message]:
    """Say what was done, what the brokers refused, and of what the end is still open."""
    is_trade = event is None or event.kind in _TRADES
    done = [copy for copy in copies if copy.state == State.DONE and copy.filled_volume]
    if done and is_trade:
        yield _message(
            user_id,
            event_id,
            event,
            NotificationType.ORDER_FILLED,
            Priority.LOW,
            f"{_trade(event, copies)}: copied to {_where(done, owners)}",
            _listed((owners[one.follower_id].follower, lots_text(one.filled_volume or Decimal(0)))
                    for one in done),
            "copied",
        )  # fmt: skip
    failed = [copy for copy in copies if copy.state == State.FAILED and not _is_skip_news(copy)]
    waiting = [copy for copy in copies if copy.state in CopyOrder.UNFINISHED]
    is_close = event is None or event.kind in _CLOSES
    for told, what, how in (
        (failed, f"failed:{len(failed)}", "not copied to"),
        (waiting, "waiting", "still not closed on" if is_close else "still open what became of"),
    ):
        if told:
            yield _message(
                user_id,
                event_id,
                event,
                NotificationType.COPY_ERROR,
                Priority.HIGH,
                f"{_trade(event, copies)}: {how} {_where(told, owners)}",
                _listed((owners[one.follower_id].follower, one.sentence) for one in told),
                what,
            )


def _message(
    user_id: int,
    event_id: UUID,
    event: CopyEvent | None,
    kind: str,
    priority: str,
    title: str,
    body: str,
    what: str,
) -> Message:
    return Message(
        user_id=user_id,
        type=kind,
        priority=priority,
        title=title,
        body=body,
        link=reverse("copying-ledger") if event is None else _event_page(event_id),
        object_type="copy_event",
        object_id=str(event_id),
        dedupe_key=f"copy:{event_id}:{what}",
        repeat_key=f"copy:{event_id}:{what}",
    )


def _skip_message(
    key: tuple[int, UUID, str, str],
    copies: Sequence[_Copy],
    events: Mapping[UUID, CopyEvent],
    owners: Mapping[UUID, _Owner],
) -> _Told:
    user_id, provider_id, reason, symbol = key
    first = copies[0]
    event = events.get(first.event_id)
    provider = event.provider_name if event is not None else "The provider"
    followers = {copy.follower_id for copy in copies}
    trades = {copy.event_id for copy in copies}
    what = _trade(event, copies) if len(trades) == 1 else f"{provider}: {len(trades)} trades"
    also = ""
    if len(copies) > 1:
        others = "another copy" if len(copies) == 2 else f"{len(copies) - 1} other copies"
        also = f" The same holds for {others}."
    prefix = f"copy_skipped:{provider_id}:{reason}:{symbol}:"
    return _Told(
        Message(
            user_id=user_id,
            type=NotificationType.COPY_SKIPPED,
            priority=Priority.MEDIUM,
            title=f"{what} not copied to {_where(copies, owners)}",
            body=f"{first.sentence}{also}",
            link=_event_page(first.event_id) if len(trades) == 1 and event is not None
            else reverse("copying-ledger"),
            object_type="account",
            object_id=str(first.follower_id if len(followers) == 1 else provider_id),
            dedupe_key=f"{prefix}{first.event_id}",
            repeat_key=prefix,
        ),
        f"{user_id}:{prefix}",
        _HUSH_LATE if reason == SkipReason.LATE else HUSH,
    )  # fmt: skip


def _news(found: Sequence[_Told], now: datetime) -> list[Message]:
    """Leave out the skips of which the like was told lately."""
    users = {one.message.user_id for one in found if one.prefix}
    last_told: dict[str, datetime] = {}
    if users:
        rows = Notification.objects.filter(
            user_id__in=users, type=NotificationType.COPY_SKIPPED, created_at__gt=now - HUSH
        )
        for user_id, dedupe_key, at in rows.order_by("created_at").values_list(
            "user_id", "dedupe_key", "created_at"
        ):
            last_told[f"{user_id}:{dedupe_key.rpartition(':')[0]}:"] = at
    return [
        one.message
        for one in found
        if one.prefix not in last_told or last_told[one.prefix] <= now - one.hush
    ]


def _trade(event: CopyEvent | None, copies: Sequence[_Copy]) -> str:
    if event is None:
        return f"Close of {copies[0].symbol}"
    kind = event.get_kind_display().lower()
    lots = "" if event.volume is None else f" {lots_text(event.volume)}"
    side = f" {event.direction}" if event.kind == EventKind.OPEN else ""
    return f"{event.provider_name}: {kind}{side}{lots} {event.symbol}"


def _where(copies: Sequence[_Copy], owners: Mapping[UUID, _Owner]) -> str:
    followers = {copy.follower_id for copy in copies}
    if len(followers) == 1:
        return owners[copies[0].follower_id].follower
    return counted_text(len(followers), "follower")


def _listed(told: Iterable[tuple[str, str]]) -> str:
    lines = [f"{name}: {text}" if text else name for name, text in told]
    rest = len(lines) - _NAMED
    more = f"\nand {rest} more." if rest > 0 else ""
    return "\n".join(lines[:_NAMED]) + more


def _event_page(event_id: UUID) -> str:
    return reverse("copying-event", args=[event_id])
