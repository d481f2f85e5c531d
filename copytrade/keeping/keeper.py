"""The keeping of one host: what became of copies, and what its followers really hold."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from accounts.core.right_of_way import RIGHT_OF_WAY
from accounts.sessions.poll import Poll
from accounts.terminals.registry import Source
from copytrade.keeping.rounds import Round
from risk.models import Order
from risk.orders.doubts import forget_connection
from risk.orders.view import HostView
from risk.tracker import Assessment

logger = logging.getLogger(__name__)

ROUND_SECONDS: Final = 1.0
# Orders that were sent together end together: what follows from it is looked for once.
TOGETHER_SECONDS: Final = 0.1


class Keeper:
    """Follows the copies of a host's accounts to their end.

    `note` is for the tick's thread, `take` for any: it is told which orders have ended. Whatever
    nobody told is found in the database by the next round, so a successor goes on where another
    one died. `wake` has the lanes look for the orders that the keeper writes, and `standing_still`
    waits for the rows of what was sent, and has nothing copied meanwhile. With `is_inline`
    everything is done in `note` and `take`.
    """

    def __init__(
        self,
        host: str,
        source: Source,
        *,
        wake: Callable[[], None] = lambda: None,
        standing_still: Callable[[], AbstractContextManager[object]] = nullcontext,
        is_inline: bool = False,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        self.host = host
        self._wake_lanes = wake
        self._standing_still = standing_still
        self._is_inline = is_inline
        self._begin = begin
        self._view: HostView | None = None
        self._round = Round(host, source, standing_still)
        self._round_at = float("-inf")
        self._ended: set[UUID] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=f"{host}-keeper", daemon=True)

    def note(self, poll: Poll, assessment: Assessment, now: datetime) -> None:
        """Judge by what this tick found from now on; returns at once unless inline."""
        self._view = HostView(poll, assessment)
        if self._is_inline:
            if poll.monotonic - self._round_at >= ROUND_SECONDS:
                self._round_at = poll.monotonic
                self._look(now)
        elif not self._thread.is_alive() and not self._is_closing:
            self._thread.start()

    def take(self, orders: Sequence[Order]) -> None:
        """Write soon what these orders, as far as they are of copies, mean for the copies."""
        mine = {order.pk for order in orders if order.origin == Order.Origin.COPY}
        if not mine:
            return
        with self._lock:
            self._ended |= mine
        if self._is_inline:
            self._settle(self._now())
        else:
            self._wake.set()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Begin nothing more; what is left is found by the next worker."""
        self._is_closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            self._begin()
            look_at = time.monotonic() + ROUND_SECONDS
            while not self._is_closing:
                if self._wake.wait(max(look_at - time.monotonic(), 0.0)):
                    time.sleep(TOGETHER_SECONDS)
                    self._wake.clear()
                    RIGHT_OF_WAY.give()
                    self._settle(self._now())
                # However many orders end meanwhile, what nobody tells is looked for as well.
                if time.monotonic() >= look_at and not self._is_closing:
                    RIGHT_OF_WAY.give()
                    self._look(self._now())
                    look_at = time.monotonic() + ROUND_SECONDS
        finally:
            connections.close_all()

    def _settle(self, now: datetime) -> None:
        view = self._view
        if view is None or self._is_closing:
            return
        with self._lock:
            ended, self._ended = self._ended, set()
        self._guarded(lambda: self._round.settle(ended, view, now))

    def _look(self, now: datetime) -> None:
        view = self._view
        if view is not None and not self._is_closing:
            self._guarded(lambda: self._round.look(view, now))

    def _guarded(self, work: Callable[[], bool]) -> None:
        """Do a part; what fails is found again by the next round."""
        try:
            # Orders that a reading shows may have left before they were in their rows: the reading
            # was taken before this, the rows are read after it.
            with self._standing_still():
                pass
            if work():
                self._wake_lanes()
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("The copies of %s wait for the database: %s", self.host, error)
        except Exception:
            logger.exception("The copies of %s could not be looked at.", self.host)

    def _now(self) -> datetime:
        view = self._view
        return view.poll.now if self._is_inline and view is not None else timezone.now()
