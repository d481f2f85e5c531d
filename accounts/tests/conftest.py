from collections.abc import Iterator

import pytest

from accounts.models import User
from accounts.origin import Origin
from accounts.terminals.registry import register, unregister
from accounts.terminals.simulated.server import TradeServer
from accounts.tests.factories import NOW


@pytest.fixture
def origin(alice: User) -> Origin:
    return Origin(alice.pk, "alice", "203.0.113.7", "Firefox")


@pytest.fixture
def server() -> Iterator[TradeServer]:
    """Answer for the terminals of the host `local`."""
    server = TradeServer(clock=NOW.timestamp, feed=False)
    register("local", server)
    yield server
    unregister("local")
    server.close()
