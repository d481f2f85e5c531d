"""One look at the copies of a host, in the order in which one thing may change the next."""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.models import ConnectedAccount
from accounts.terminals.registry import Source
from copytrade.keeping.adopting import adopt_open_trades
from copytrade.keeping.cancels import cancel_needless
from copytrade.keeping.changes import Changes
from copytrade.keeping.closing import begin_closing, carry_on_closes
from copytrade.keeping.moving import carry_on_moves
from copytrade.keeping.outcomes import settle, unsettled
from copytrade.keeping.pendings import heed_pendings
from copytrade.keeping.planning import Planner
from copytrade.keeping.slippage import Slippages
from copytrade.keeping.stops import heed_equity_stops
from copytrade.keeping.surroundings import Surroundings, netted_tickets
from copytrade.keeping.sweeping import end_abandoned
from copytrade.keeping.truth import heed_readings
from copytrade.keeping.waiting import carry_out_waiting
from copytrade.models import CopyOrder
from copytrade.services.states import settle_endings
from risk.orders.view import HostView

SWEEP: Final = timedelta(minutes=1)
ALL_PENDINGS: Final = timedelta(seconds=10)
THOROUGH: Final = timedelta(seconds=10)
# An event is stored a little after it was detected.
STORED_LATE: Final = timedelta(seconds=2)


class Round:
    """What a keeper does; for one thread. Each part returns whether it wrote orders to be sent."""

    def __init__(
        self,
        host: str,
        source: Source,
        standing_still: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._host = host
        self._source = source
        self._standing_still = standing_still
        self._slippages = Slippages(source)
        self._planner = Planner(source)
        self._changes = Changes()
        self._swept_at: datetime | None = None
        self._thorough_at: datetime | None = None
        self._pendings_at: datetime | None = None
        self._all_pendings_at: datetime | None = None

    def settle(self, order_ids: Collection[UUID], view: HostView, now: datetime) -> bool:
        """Take in how orders ended, and go on with what waited for that."""
        return bool(self._settle(order_ids, view, now)) and self._carry_on(view, now)

    def _settle(self, order_ids: Collection[UUID], view: HostView, now: datetime) -> int:
        self._know(view)
        settled = settle(order_ids, now, slippages=self._slippages, tickets=netted_tickets(view))
        self._changes.look_again(settled.followers)
        return settled.copies

    def look(self, view: HostView, now: datetime) -> bool:
        """Do all that is due, whoever has left it; what is to be sent comes before each part."""
        followers = self._followers()
        self._settle(unsettled(followers), view, now)
        # What waits for a fill is waited for by what comes next: it goes on before all the rest.
        RIGHT_OF_WAY.give()
        has_orders = self._carry_on(view, now)
        around = self._in_turn(view, now)
        heed_readings(followers, next(around), self._changes)
        heed_equity_stops(followers, next(around))
        is_begun = begin_closing(followers, next(around), is_thorough=self._is_thoroughly_due(now))
        is_begun |= heed_pendings(
            followers, next(around), self._changes, self._cancelled_since(now)
        )
        is_begun |= cancel_needless(followers, next(around))
        is_begun |= adopt_open_trades(next(around), self._planner)
        RIGHT_OF_WAY.give()
        settle_endings(now=now)
        if self._swept_at is None or now >= self._swept_at + SWEEP:
            self._swept_at = now
            RIGHT_OF_WAY.give()
            end_abandoned(now)
        return is_begun or has_orders

    def _in_turn(self, view: HostView, now: datetime) -> Iterator[Surroundings]:
        """Give each part its own surroundings, once nobody else comes first."""
        while True:
            RIGHT_OF_WAY.give()
            yield self._surroundings(view, now)

    def _is_thoroughly_due(self, now: datetime) -> bool:
        before = self._thorough_at
        if before is not None and before <= now < before + THOROUGH:
            return False
        self._thorough_at = now
        return True

    def _cancelled_since(self, now: datetime) -> datetime | None:
        """Return since when cancelled orders are news; None where all are to be looked through."""
        before, all_at = self._pendings_at, self._all_pendings_at
        self._pendings_at = now
        if before is None or all_at is None or not all_at <= now < all_at + ALL_PENDINGS:
            self._all_pendings_at = now
            return None
        return before - STORED_LATE

    def _carry_on(self, view: HostView, now: datetime) -> bool:
        followers = self._followers()
        if not _is_anything_left(followers):
            return False
        # Nothing is as urgent as what should be closed already.
        has_closed = carry_on_closes(followers, self._surroundings(view, now))
        around = self._surroundings(view, now)
        has_moved = carry_on_moves(followers, around)
        return carry_out_waiting(followers, around, self._planner) or has_closed or has_moved

    def _surroundings(self, view: HostView, now: datetime) -> Surroundings:
        return Surroundings(self._host, self._source, view, now, self._standing_still)

    def _know(self, view: HostView) -> None:
        self._slippages.know(
            (facts.id, facts.currency) for facts in view.assessment.desk.accounts if facts
        )

    def _followers(self) -> object:
        """Return the accounts of the host, to be asked about within other queries."""
        return ConnectedAccount.objects.on_host(self._host).order_by().values("pk")


def _is_anything_left(followers: Any) -> bool:
    """Tell whether a copy waits for another to end, or has a part that is to be done again."""
    waits = Q(state=CopyOrder.State.PLANNED, order_id=None)
    is_left = Q(state=CopyOrder.State.ORDERED, answered_at__isnull=False)
    unfinished = CopyOrder.objects.filter(state__in=CopyOrder.UNFINISHED, follower_id__in=followers)
    return unfinished.filter(waits | is_left).exists()
