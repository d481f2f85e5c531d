"""Which events of copying are to be told, and when: once nothing of them is under way any more."""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from accounts.models import ConnectedAccount
from copytrade.models import CopyEvent, CopyOrder
from copytrade.notices.copies import copy_messages
from copytrade.notices.outages import Outages
from notifications.services import Message
from risk.models import Order

ROUND_SECONDS: Final = 1.0
# What has no end after so long is told as it stands.
PATIENCE: Final = timedelta(seconds=60)
# A worker that has just started tells what its predecessor may have died over; and so long the end
# of what went on is news.
RECENTLY: Final = timedelta(hours=1)
# All but the last of these were told before; an event has as many copies as there are followers.
MOST_RECENT: Final = 200
_TOLD_TOGETHER: Final = 50
_QUERY_ORDERS: Final = 5_000

Question = Callable[[datetime], Sequence[Message]]


class CopyNews:
    """Collects what is to be told of a host's copying; the answers are looked up beside the tick.

    `planned` and `ended` are for any thread, `due` is for the tick's.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._events: dict[UUID, bool] = {}  # whether it was told as it stood
        self._orders: set[UUID] = set()
        self._outages = Outages(host)
        self._due_at = float("-inf")
        self._has_begun = False

    def planned(self, event_id: UUID) -> None:
        """Take an event that was just written with all of its copies."""
        with self._lock:
            self._events.setdefault(event_id, False)

    def ended(self, orders: Iterable[Order]) -> None:
        """Take orders that have just ended; those of copies count."""
        mine = {order.pk for order in orders if order.origin == Order.Origin.COPY}
        if mine:
            with self._lock:
                self._orders |= mine

    def due(self, monotonic: float) -> list[Question]:
        """Return what to ask the database in the thread that tells, mostly nothing."""
        if monotonic < self._due_at:
            return []
        self._due_at = monotonic + ROUND_SECONDS
        questions: list[Question] = []
        if self._outages.is_due(monotonic):
            questions.append(self._outages.messages)
        with self._lock:
            events, self._events = self._events, {}
            orders, self._orders = self._orders, set()
        is_first, self._has_begun = not self._has_begun, True
        if events or orders or is_first:
            questions.append(lambda now: self._messages(events, orders, is_first, now))
        return questions

    def _messages(
        self, events: dict[UUID, bool], orders: Collection[UUID], is_first: bool, now: datetime
    ) -> list[Message]:
        """Tell of events what is over; the others wait. Asked again, it answers the same."""
        waiting = dict(events)
        listed = list(orders)
        for first in range(0, len(listed), _QUERY_ORDERS):
            copies = CopyOrder.objects.filter(order_id__in=listed[first : first + _QUERY_ORDERS])
            for event_id in copies.order_by().values_list("event_id", flat=True).distinct():
                waiting.setdefault(event_id, False)
        if is_first:
            for event_id in self._recent(now):
                waiting.setdefault(event_id, False)
        unfinished = CopyOrder.objects.filter(
            event_id__in=waiting, state__in=CopyOrder.UNFINISHED
        ).order_by()
        planned_at = dict(unfinished.values_list("event_id", "planned_at"))
        told = [event_id for event_id in waiting if event_id not in planned_at]
        with self._lock:
            for event_id, at in planned_at.items():
                is_overdue = at <= now - PATIENCE
                if is_overdue and not waiting[event_id]:
                    told.append(event_id)
                if at > now - RECENTLY:
                    self._events[event_id] = waiting[event_id] or is_overdue
        parts = (
            told[first : first + _TOLD_TOGETHER] for first in range(0, len(told), _TOLD_TOGETHER)
        )
        return [message for part in parts for message in copy_messages(part, now)]

    def _recent(self, now: datetime) -> Iterable[UUID]:
        accounts = ConnectedAccount.objects.on_host(self._host).order_by()
        events = CopyEvent.objects.filter(
            provider_id__in=accounts.values("pk"), detected_at__gt=now - RECENTLY
        )
        newest = events.order_by("-detected_at").values_list("pk", flat=True)
        # Told in the order in which they happened: the newest is read first then.
        return list(newest[:MOST_RECENT])[::-1]
