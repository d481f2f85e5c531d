"""What makes a process the worker of a terminal host: the lease, the sessions and the tick."""

import logging
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Lock

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.utils import timezone

from accounts.sessions.lease import (
    LEASE_SECONDS,
    Lease,
    LeaseFence,
    acquire,
    owner_name,
    release,
    renew,
)
from accounts.sessions.process import close_sessions, open_sessions
from accounts.sessions.roster import ensure_hosts
from tradeguard.tick.complaints import Complaints
from tradeguard.tick.cursors import needed_cursors
from tradeguard.tick.driver import TickCounts, TickDriver
from tradeguard.tick.metrics import requests_total
from tradeguard.tick.patience import wait_briefly
from tradeguard.tick.runner import HostTick

logger = logging.getLogger(__name__)

RENEW_SECONDS = LEASE_SECONDS / 3
ACQUIRE_SECONDS = 0.5
# What the database did not take for once, be it that somebody else wrote for long, is tried again.
AGAIN_SECONDS = 0.5
# The lease of a worker that died elsewhere lapses well within this.
PATIENCE_SECONDS = 4 * LEASE_SECONDS


class HostWorker:
    """Runs the ticks of one host as long as this process holds its lease.

    A process that loses the lease forgets its sessions at once and leaves, and so does one that
    does not get it for a while: it would take its share of the ticks off the host's queue.
    """

    def __init__(self, host: str, leave: Callable[[], None] | None = None) -> None:
        self.host = host
        self._leave = leave or end_process
        self._first_asked_at: float | None = None
        self.driver = TickDriver(
            self.tick,
            interval_seconds=settings.TICK_INTERVAL_SECONDS,
            begin=wait_briefly,
            finish=self.let_go,
        )
        self._owner = owner_name()
        self._lease: Lease | None = None
        self._lapses_at = datetime.min.replace(tzinfo=UTC)
        self._asked_at = float("-inf")
        self._host_tick: HostTick | None = None
        self._counted = TickCounts()
        self._complaints = Complaints()

    def tick(self) -> None:
        now, monotonic = timezone.now(), time.monotonic()
        if self._holds_lease(now, monotonic) and self._lease is not None:
            self._watch(self._lease).run(now, monotonic)
        self._count()

    def let_go(self) -> None:
        """Hand the host over: the sessions end here, connections stay wanted."""
        self._forget()
        if self._lease is not None:
            lease, self._lease = self._lease, None
            try:
                release(lease)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("The lease of %s lapses by itself: %s", self.host, error)
        connections.close_all()

    def _holds_lease(self, now: datetime, monotonic: float) -> bool:
        is_held = self._lease is not None
        wait = RENEW_SECONDS if is_held else ACQUIRE_SECONDS
        # By the wall clock too: a machine that slept finds out before it writes anything.
        has_lapsed = is_held and now >= self._lapses_at
        if monotonic - self._asked_at < wait and not has_lapsed:
            return is_held
        self._asked_at = monotonic
        try:
            if self._lease is None:
                self._ask_for_lease(now, monotonic)
            else:
                self._renew(self._lease, now)
        except (DatabaseError, InterfaceError) as error:
            # Watching goes on without the database; nothing may be sent without the lease.
            close_old_connections()
            self._asked_at = monotonic - wait + AGAIN_SECONDS
            if now >= self._lapses_at - timedelta(seconds=RENEW_SECONDS):
                self._complaints.say(
                    "lease", f"The lease of {self.host} could not be looked at: {error}"
                )
        return self._lease is not None

    def _ask_for_lease(self, now: datetime, monotonic: float) -> None:
        ensure_hosts()
        self._lease = acquire(self.host, self._owner, now)
        if self._lease is not None:
            self._first_asked_at = None
            self._lapses_at = now + timedelta(seconds=LEASE_SECONDS)
            logger.info("This worker watches the accounts of %s.", self.host)
            return
        if self._first_asked_at is None:
            self._first_asked_at = monotonic
        elif monotonic - self._first_asked_at >= PATIENCE_SECONDS:
            logger.error("Another worker watches %s already; this one leaves.", self.host)
            self._leave()

    def _renew(self, lease: Lease, now: datetime) -> None:
        if renew(lease, now):
            self._lapses_at = now + timedelta(seconds=LEASE_SECONDS)
            return
        logger.error("Another worker has taken over %s; this one leaves.", self.host)
        self._lease = None
        self._forget()
        self._leave()

    def _watch(self, lease: Lease) -> HostTick:
        # Not together with the lease: what fails here is tried again by the next tick.
        if self._host_tick is None:
            sessions = open_sessions(self.host, load_cursors=needed_cursors)
            self._host_tick = HostTick(
                self.host, sessions, lambda: self.driver.counts, fence=LeaseFence(lease)
            )
        return self._host_tick

    def _forget(self) -> None:
        close_sessions(self.host)
        if self._host_tick is not None:
            host_tick, self._host_tick = self._host_tick, None
            host_tick.close(timezone.now())

    def _count(self) -> None:
        counts, before = self.driver.counts, self._counted
        for name in ("run", "dropped", "late", "self_driven", "failed"):
            grown = getattr(counts, name) - getattr(before, name)
            if grown:
                requests_total.labels(self.host, name).inc(grown)
                setattr(before, name, getattr(before, name) + grown)


def end_process() -> None:
    """Have Celery shut this worker down in order, as a supervisor would."""
    os.kill(os.getpid(), signal.SIGTERM)


_workers: dict[str, HostWorker] = {}
_is_stopping = Event()
_lock = Lock()


def request_tick(host: str) -> bool:
    """Ask this process's worker of a host, started on first use, for a tick; tell if it runs one.

    A process that is stopping runs none: it would take a host that it has just given back.
    """
    with _lock:
        if _is_stopping.is_set():
            return False
        worker = _workers.get(host)
        if worker is None:
            worker = _workers[host] = HostWorker(host)
            worker.driver.start()
    return worker.driver.request()


def stop_workers() -> None:
    """End all ticks of this process and give their hosts back; no new one begins."""
    with _lock:
        _is_stopping.set()
        while _workers:
            _workers.popitem()[1].driver.stop()
