from collections.abc import Iterator

import pytest

from notifications.services.roads import breaker, pace
from notifications.services.sending import stopping
from notifications.tests.carrier import Carrier
from notifications.transports import transports


@pytest.fixture(autouse=True)
def _fresh_senders() -> Iterator[None]:
    """What senders know of servers belongs to the process, so to all tests."""
    yield
    breaker.forget_all()
    pace.forget_all()
    stopping.clear()


@pytest.fixture
def carrier(monkeypatch: pytest.MonkeyPatch) -> Carrier:
    """Stand in for the transport by e-mail, which every user has a channel of."""
    return _stand_in("email", monkeypatch)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Carrier:
    """Stand in for the transport by webhook, whose channels have servers of their own."""
    return _stand_in("webhook", monkeypatch)


def _stand_in(name: str, monkeypatch: pytest.MonkeyPatch) -> Carrier:
    carrier = Carrier(name)
    monkeypatch.setitem(transports(), name, carrier)
    return carrier
