"""The cascades of one host's providers, beside its tick."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import numpy as np
from django.db import DatabaseError, IntegrityError, InterfaceError, connections
from django.utils import timezone

from accounts.sessions.poll import Poll
from copytrade.cascade.beginning import begin
from copytrade.cascade.ending import settle_positions, tell_owner
from copytrade.cascade.liquidations import (
    REMEMBERED,
    Liquidation,
    Liquidator,
    find_liquidations,
)
from copytrade.models import CopyRelationship
from copytrade.publishing import ring_ledgers
from risk.enforcement.margin_watch import STOP_OUT_IN_PERCENT
from risk.orders.doubts import forget_connection
from risk.orders.terminal import HEDGING
from risk.orders.view import HostView
from risk.tracker import Assessment

logger = logging.getLogger(__name__)

ROUND_SECONDS: Final = 1.0
# Who hears of a liquidation looks until its ledger is written and its head start is over.
EAGER_SECONDS: Final = 3.0
EAGER_ROUND_SECONDS: Final = 0.05
# The provider's own closes are copied to many followers at a time, much faster than one run after
# another would close them; a cascade that is there first would keep them from it.
HEAD_START: Final = timedelta(seconds=1)
# What a tick or the watch over providers wrote is there well within this.
_LATELY: Final = timedelta(minutes=10)


class CascadeDesk:
    """Flattens what copied closes have left to the followers of liquidated providers.

    `hear` is told of a liquidation by anybody, in any thread, and returns at once; what nobody told
    is found in the ledgers. `take` is for the tick's thread. `standing_still` keeps whoever plans
    copies of these providers waiting, and `wake` has the lanes look for the runs. With `is_inline`
    everything is done in `take`.
    """

    def __init__(
        self,
        host: str,
        *,
        is_inline: bool = False,
        begin: Callable[[], None] = lambda: None,
        wake: Callable[[], None] = lambda: None,
        standing_still: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self.host = host
        self._is_inline = is_inline
        self._begin = begin
        self._wake_lanes = wake
        self._standing_still = standing_still
        self._view: HostView | None = None
        self._known: dict[UUID, Liquidation] = {}
        self._begun: set[UUID] = set()  # liquidations of which no follower waits any more
        self._over: set[UUID] = set()
        self._looked_at: datetime | None = None
        self._synced_at = float("-inf")
        self._eager_until = float("-inf")
        self._heard = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name=f"{host}-cascades", daemon=True)

    def hear(self, account_id: UUID) -> None:
        """Look at once: an account is being liquidated."""
        del account_id  # the ledgers say more, as soon as they are written
        self._eager_until = time.monotonic() + EAGER_SECONDS
        self._heard.set()

    def take(self, poll: Poll, assessment: Assessment) -> None:
        """Judge by what this tick found from now on; returns at once unless the desk is inline."""
        self._view = HostView(poll, assessment)
        if not self._is_inline:
            if not self._thread.is_alive() and not self._is_closing:
                self._thread.start()
            return
        if self._heard.is_set() or poll.monotonic - self._synced_at >= ROUND_SECONDS:
            self._synced_at = poll.monotonic
            self._heard.clear()
            self.sync(poll.now)

    def sync(self, now: datetime) -> None:
        """Find liquidations, begin what they bring about, and write down what has ended."""
        try:
            self._sync(now)
        except IntegrityError as error:
            logger.warning("A cascade of %s was begun elsewhere: %s", self.host, error)
        except (DatabaseError, InterfaceError) as error:
            forget_connection()
            logger.warning("The cascades of %s wait for the database: %s", self.host, error)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Begin nothing more; what is left is found by the next worker."""
        self._is_closing = True
        self._heard.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        try:
            self._begin()
            while not self._is_closing:
                is_eager = time.monotonic() < self._eager_until
                self._heard.wait(EAGER_ROUND_SECONDS if is_eager else ROUND_SECONDS)
                self._heard.clear()
                if not self._is_closing:
                    try:
                        self.sync(timezone.now())
                    except Exception:
                        logger.exception("The cascades of %s could not be looked at.", self.host)
        finally:
            connections.close_all()

    def _sync(self, now: datetime) -> None:
        self._find(now)
        for one in self._known.values():
            if one.id not in self._begun and now >= one.at + HEAD_START:
                self._carry_out(one, now)
        under_way = [one for key, one in self._known.items() if key not in self._over]
        if under_way:
            ended = tell_owner(under_way, now=now)
            providers = {one.provider_id for one in under_way}
            if settle_positions(provider_ids=providers):
                ring_ledgers(providers)
            self._over |= ended & self._begun

    def _find(self, now: datetime) -> None:
        providers = self._providers()
        # Of those that fell before, the beginning must be seen: it is what names a stop-out.
        fallen = {one.provider_id for one in self._known.values()} & providers
        since = None if self._looked_at is None else self._looked_at - _LATELY
        found = find_liquidations(providers - fallen, now=now, since=since)
        found += find_liquidations(fallen, now=now)
        self._looked_at = now
        self._known = {one.id: self._with_level(one) for one in found} | {
            key: one for key, one in self._known.items() if one.at > now - REMEMBERED
        }
        self._begun &= self._known.keys()
        self._over &= self._known.keys()

    def _carry_out(self, one: Liquidation, now: datetime) -> None:
        with self._standing_still():
            begun, waiting = begin(
                one,
                now=now,
                host=self.host,
                is_hedging=self._is_hedging,
                wake=self._wake_lanes,
            )
        if begun:
            logger.info("%s %d followers fall with it.", one.sentence, begun)
            ring_ledgers({one.provider_id})
        if not waiting:
            self._begun.add(one.id)

    def _providers(self) -> set[UUID]:
        rows = CopyRelationship.objects.copying().filter(provider__terminal_host=self.host)
        return set(rows.order_by().values_list("provider_id", flat=True).distinct())

    def _is_hedging(self, account_id: UUID) -> bool:
        reading = self._reading(account_id)
        return reading is not None and int(reading["margin_mode"]) == HEDGING

    def _with_level(self, one: Liquidation) -> Liquidation:
        """Add to a stop-out at which margin level its broker acts."""
        reading = self._reading(one.provider_id) if one.by is Liquidator.BROKER else None
        if reading is None or int(reading["stop_out_mode"]) != STOP_OUT_IN_PERCENT:
            return one
        return replace(one, level_percent=float(reading["stop_out_level"]))

    def _reading(self, account_id: UUID) -> np.void | None:
        """Return the account of the newest reading, unless it is another's."""
        view = self._view
        row = None if view is None else view.row_of(account_id)
        if view is None or row is None or not view.is_ours(row):
            return None
        reading: np.void = view.poll.batch.accounts[row]
        return reading
