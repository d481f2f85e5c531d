"""The fenced lease of a terminal host: one worker at a time may use its terminals.

Each new owner gets a higher token. Whoever is about to act asks `is_held` first, so that a worker
that was suspended past its lease finds out before it does anything. Expiry compares the wall
clocks of the workers of one host.
"""

import os
import socket
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from secrets import token_hex
from typing import Protocol

from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models import F, Q, QuerySet

from accounts.models import TerminalHost

LEASE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Lease:
    host: str
    owner: str
    token: int


def owner_name() -> str:
    """Return a name for a new owner: where it runs, its process, and a random part."""
    return f"{_machine()}:{os.getpid()}:{token_hex(4)}"


def acquire(host: str, owner: str, now: datetime) -> Lease | None:
    """Take the lease of a host that is free, expired, or whose owner's process is gone.

    Returns None while somebody else holds it. An owner that holds it already keeps its token.
    """
    row = TerminalHost.objects.filter(name=host).values("lease_owner", "lease_token").first()
    if row is None:
        return None
    held = Lease(host, row["lease_owner"], row["lease_token"])
    if held.owner == owner and is_held(held, now):
        return held if renew(held, now) else None
    is_free = Q(lease_owner="") | Q(lease_expires_at=None) | Q(lease_expires_at__lte=now)
    if _is_dead(held.owner):
        is_free |= Q(lease_owner=held.owner)
    updated = TerminalHost.objects.filter(is_free, name=host, lease_token=held.token).update(
        lease_owner=owner, lease_token=F("lease_token") + 1, lease_expires_at=_expiry(now)
    )
    return Lease(host, owner, held.token + 1) if updated else None


def renew(lease: Lease, now: datetime) -> bool:
    """Prolong the lease; False means that it is lost and its worker must stop."""
    return bool(_row(lease).update(lease_expires_at=_expiry(now)))


def is_held(lease: Lease, now: datetime) -> bool:
    return _row(lease).filter(lease_expires_at__gt=now).exists()


def release(lease: Lease) -> None:
    """Let the next worker in at once."""
    _row(lease).update(lease_owner="", lease_expires_at=None)


def _row(lease: Lease) -> QuerySet[TerminalHost]:
    return TerminalHost.objects.filter(
        name=lease.host, lease_owner=lease.owner, lease_token=lease.token
    )


def _expiry(now: datetime) -> datetime:
    return now + timedelta(seconds=LEASE_SECONDS)


def _machine() -> str:
    """Name the space in which a process number means one process: the host, or a container."""
    namespace = Path("/proc/self/ns/pid")
    space = f"/{namespace.stat().st_ino}" if namespace.exists() else ""
    return f"{socket.gethostname()[:80]}{space}"


def _is_dead(owner: str) -> bool:
    """Tell whether an owner is known to be gone; a pid that is in use again counts as alive."""
    machine, _, process = owner.rpartition(":")[0].rpartition(":")
    if machine != _machine() or not process.isdecimal() or sys.platform == "win32":
        return False  # on Windows signal 0 would be a Ctrl-C
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class Standing(Enum):
    """What is known of a lease at this moment."""

    HELD = "held"
    LOST = "lost"  # another worker has it
    UNKNOWN = "unknown"  # the database does not say, or it lapsed and nobody has taken it yet


class Fence(Protocol):
    """Asked right before each order: may this worker still act for its host?"""

    def standing(self, now: datetime) -> Standing: ...


class LeaseFence:
    """The fence of a worker that holds a lease; looks into the database each time."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def standing(self, now: datetime) -> Standing:
        lease = self._lease
        try:
            row = (
                TerminalHost.objects.filter(name=lease.host)
                .values_list("lease_owner", "lease_token", "lease_expires_at")
                .first()
            )
        except (DatabaseError, InterfaceError):
            if not connection.in_atomic_block:
                close_old_connections()
            return Standing.UNKNOWN
        if row is None or row[:2] != (lease.owner, lease.token):
            return Standing.LOST
        return Standing.HELD if row[2] is not None and row[2] > now else Standing.UNKNOWN


class OpenFence:
    """The fence of whoever is alone with a host, as in a test or a demonstration."""

    def standing(self, now: datetime) -> Standing:
        del now
        return Standing.HELD
