"""What makes a process the worker of a terminal host: the lease, the sessions and the tick."""

import logging
import time
from threading import Lock

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.utils import timezone

from accounts.models import TerminalHost
from accounts.sessions.lease import LEASE_SECONDS, Lease, acquire, owner_name, release, renew
from accounts.sessions.process import close_sessions, open_sessions
from accounts.sessions.roster import ensure_hosts
from risk.state_store import stored_cursors
from tradeguard.tick.driver import TickCounts, TickDriver
from tradeguard.tick.metrics import requests_total
from tradeguard.tick.patience import wait_briefly
from tradeguard.tick.runner import HostTick

logger = logging.getLogger(__name__)

RENEW_SECONDS = LEASE_SECONDS / 3
ACQUIRE_SECONDS = 0.5


class HostWorker:
    """Runs the ticks of one host as long as this process holds its lease.

    A process that loses the lease forgets its sessions at once, and asks for it again like any
    other.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.driver = TickDriver(
            self.tick,
            interval_seconds=settings.TICK_INTERVAL_SECONDS,
            begin=wait_briefly,
            finish=self.let_go,
        )
        self._owner = owner_name()
        self._lease: Lease | None = None
        self._host_tick: HostTick | None = None
        self._asked_at = float("-inf")
        self._counted = TickCounts()

    def tick(self) -> None:
        now, monotonic = timezone.now(), time.monotonic()
        if self._holds_lease(monotonic) and self._host_tick is not None:
            self._host_tick.run(now, monotonic)
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

    def _holds_lease(self, monotonic: float) -> bool:
        try:
            if self._lease is None:
                self._ask_for_lease(monotonic)
            elif monotonic - self._asked_at >= RENEW_SECONDS:
                self._renew(self._lease, monotonic)
        except (DatabaseError, InterfaceError) as error:
            # Watching goes on without the database; nothing may be sent without the lease.
            logger.warning("The lease of %s could not be looked at: %s", self.host, error)
            close_old_connections()
        return self._lease is not None

    def _ask_for_lease(self, monotonic: float) -> None:
        if monotonic - self._asked_at < ACQUIRE_SECONDS:
            return
        self._asked_at = monotonic
        ensure_hosts()
        self._lease = acquire(self.host, self._owner, timezone.now())
        if self._lease is None:
            return
        logger.info("This worker watches the accounts of %s.", self.host)
        sessions = open_sessions(self.host, load_cursors=stored_cursors)
        self._host_tick = HostTick(self.host, sessions, lambda: self.driver.counts)

    def _renew(self, lease: Lease, monotonic: float) -> None:
        now = timezone.now()
        if renew(lease, now):
            self._asked_at = monotonic
            TerminalHost.objects.filter(pk=self.host).update(last_tick_at=now)
            return
        logger.error("Another worker has taken over %s; this one stops watching it.", self.host)
        self._lease = None
        self._forget()

    def _forget(self) -> None:
        close_sessions()
        if self._host_tick is not None:
            self._host_tick.close()
            self._host_tick = None

    def _count(self) -> None:
        counts, before = self.driver.counts, self._counted
        for name in ("run", "dropped", "late", "self_driven", "failed"):
            grown = getattr(counts, name) - getattr(before, name)
            if grown:
                requests_total.labels(self.host, name).inc(grown)
                setattr(before, name, getattr(before, name) + grown)


_workers: dict[str, HostWorker] = {}
_lock = Lock()


def worker_of(host: str) -> HostWorker:
    """Return this process's worker of a host, started on first use."""
    with _lock:
        worker = _workers.get(host)
        if worker is None:
            worker = _workers[host] = HostWorker(host)
            worker.driver.start()
        return worker


def stop_workers() -> None:
    """End all ticks of this process and give their hosts back."""
    with _lock:
        while _workers:
            _workers.popitem()[1].driver.stop()
