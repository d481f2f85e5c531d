"""The worker of a host: its lease, and what it holds while it has it."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from threading import Event
from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.db.models import F
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import TerminalHost
from accounts.redis import redis_client, tick_key
from accounts.sessions.lease import LEASE_SECONDS
from accounts.sessions.process import open_sessions, sessions_of
from accounts.sessions.roster import ensure_hosts
from accounts.terminals.registry import register, unregister
from accounts.terminals.simulated.server import TradeServer
from tradeguard.tick import worker as workers
from tradeguard.tick.worker import HostWorker, request_tick, stop_workers

pytestmark = pytest.mark.django_db(transaction=True)

HOSTS = ("local", "other")


@pytest.fixture(autouse=True)
def _desk(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    server = TradeServer(seed=7, feed=False)
    for host in HOSTS:
        register(host, server)
    settings.TERMINAL_HOSTS = list(HOSTS)
    monkeypatch.setattr(workers, "open_sessions", partial(open_sessions, is_inline=True))
    monkeypatch.setattr(workers, "RENEW_SECONDS", 0.0)
    monkeypatch.setattr(workers, "ACQUIRE_SECONDS", 0.0)
    yield
    for host in HOSTS:
        unregister(host)
    server.close()


@pytest.fixture
def departures() -> list[str]:
    return []


@pytest.fixture
def worker(departures: list[str]) -> Iterator[HostWorker]:
    worker = HostWorker("local", leave=lambda: departures.append("local"))
    yield worker
    worker.let_go()


def take_lease(host: str, *, seconds: float) -> None:
    """Be another worker, whose lease ends after `seconds`."""
    TerminalHost.objects.filter(pk=host).update(
        lease_owner="elsewhere:1:abcd",
        lease_token=F("lease_token") + 1,
        lease_expires_at=timezone.now() + timedelta(seconds=seconds),
    )


def has_ticked() -> bool:
    return bool(redis_client().delete(tick_key("local")))


def test_it_watches_while_it_holds_the_lease(worker: HostWorker) -> None:
    worker.tick()
    assert TerminalHost.objects.get(pk="local").lease_owner == worker._owner
    assert sessions_of("local") is not None
    assert has_ticked()


def test_it_forgets_its_sessions_with_the_lease_and_takes_both_again(worker: HostWorker) -> None:
    worker.tick()
    first = sessions_of("local")
    take_lease("local", seconds=60)
    has_ticked()
    worker.tick()
    assert sessions_of("local") is None
    assert not has_ticked()
    take_lease("local", seconds=-1)
    worker.tick()
    worker.tick()
    assert sessions_of("local") not in (None, first)
    assert has_ticked()


def test_it_leaves_when_another_worker_has_taken_over(
    worker: HostWorker, departures: list[str]
) -> None:
    worker.tick()
    assert departures == []
    take_lease("local", seconds=60)
    worker.tick()
    assert departures == ["local"]


def test_it_leaves_when_it_does_not_get_the_lease_for_a_while(
    worker: HostWorker, departures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure_hosts()
    take_lease("local", seconds=60)
    worker.tick()
    worker.tick()
    assert departures == []
    monkeypatch.setattr(workers, "PATIENCE_SECONDS", 0.0)
    worker.tick()
    assert departures == ["local"]
    assert not has_ticked()


def test_it_leaves_the_other_hosts_of_its_process_alone(worker: HostWorker) -> None:
    other = HostWorker("other")
    other.tick()
    worker.tick()
    held = sessions_of("other")
    take_lease("local", seconds=60)
    worker.tick()
    assert held is not None
    assert sessions_of("other") is held
    other.let_go()


def test_it_watches_on_when_the_lease_cannot_be_looked_at(worker: HostWorker) -> None:
    worker.tick()
    has_ticked()
    with patch.object(workers, "renew", side_effect=OperationalError("database is away")):
        worker.tick()
    assert has_ticked()


def test_a_lease_that_could_not_be_looked_at_once_is_no_alarm(
    worker: HostWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "RENEW_SECONDS", LEASE_SECONDS / 3)
    monkeypatch.setattr(workers, "AGAIN_SECONDS", 0.0)
    worker.tick()
    worker._asked_at = float("-inf")
    with patch.object(
        workers, "renew", side_effect=OperationalError("database is locked")
    ) as asked:
        worker.tick()
        worker.tick()
        assert asked.call_count == 2
        assert "could not be looked at" not in caplog.text
        worker._lapses_at -= timedelta(seconds=2 * LEASE_SECONDS / 3)
        worker.tick()
    assert "could not be looked at" in caplog.text


def test_it_asks_at_once_when_its_lease_has_lapsed(
    worker: HostWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.tick()
    monkeypatch.setattr(workers, "RENEW_SECONDS", 3600.0)
    take_lease("local", seconds=60)
    worker.tick()
    assert sessions_of("local") is not None  # it was not time to ask yet
    later = timezone.now() + timedelta(seconds=4)
    with patch("tradeguard.tick.worker.timezone.now", return_value=later):
        worker.tick()
    assert sessions_of("local") is None


def test_it_opens_its_sessions_later_when_that_failed_with_the_lease(worker: HostWorker) -> None:
    with (
        patch.object(workers, "open_sessions", side_effect=OperationalError("database is away")),
        pytest.raises(OperationalError),
    ):
        worker.tick()
    assert not has_ticked()
    worker.tick()
    assert has_ticked()


def test_it_gives_the_lease_back(worker: HostWorker) -> None:
    worker.tick()
    worker.let_go()
    row = TerminalHost.objects.get(pk="local")
    assert (row.lease_owner, row.lease_expires_at) == ("", None)
    assert sessions_of("local") is None


def test_it_takes_no_host_while_its_process_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_is_stopping", Event())
    stop_workers()
    assert not request_tick("local")
    assert workers._workers == {}
