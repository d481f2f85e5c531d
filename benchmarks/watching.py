"""Measure what watching providers costs: the CPU time of one look, and who waits for it.

Run it from the repository: ``python benchmarks/watching.py --providers 1 50 500``. The simulated
broker is a process of its own. Nothing but prices moves: so it is nearly always, twenty times a
second. Then every tenth provider trades, and the look that tells it is measured.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SERVER = "Northwind-Demo"
FIRST_LOGIN = 70_001
PASSWORD = "correct horse"  # noqa: S105  # of simulated accounts
LOOKS = 100
TICKS = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--providers", type=int, nargs="+", default=[1, 50, 500])
    parser.add_argument("--positions", type=int, default=3)
    options = parser.parse_args()
    os.environ["TEST_DATABASE"] = "sqlite"
    os.environ["LOG_LEVEL"] = "ERROR"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradeguard.settings")
    import django

    from tradeguard.tests import services  # noqa: F401  # starts the servers

    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        for count in options.providers:
            with tempfile.TemporaryDirectory(prefix="tradeguard-bench-") as home:
                measure(count, options.positions, Path(home))
    finally:
        teardown_databases(databases, verbosity=0)


def measure(count: int, positions: int, home: Path) -> None:
    """Print the figures of so many providers."""
    from accounts.terminals.simulated.server import TradeServer
    from accounts.terminals.simulated.service.client import RemoteBroker
    from accounts.terminals.simulated.service.process import BrokerService
    from copytrade.models import CopyEvent
    from copytrade.watching.watch import ProviderWatch

    server = TradeServer(seed=1, always_open=True)
    logins = range(FIRST_LOGIN, FIRST_LOGIN + count)
    for login in logins:
        server.create_account(login, PASSWORD, SERVER, f"Provider {login}", deposit=100_000.0)
        for _ in range(positions):
            buy(server, login)
    service = BrokerService(server, home)
    service.start()
    source = RemoteBroker(home / "broker.json")
    source.authorise_many([(login, PASSWORD, SERVER) for login in logins])
    told: list[Any] = []

    def store(events: list[CopyEvent]) -> None:
        CopyEvent.objects.bulk_create(events)
        told.extend(events)

    watch = ProviderWatch("local", source, on_events=store, is_inline=True)
    watch.sync(watched(logins))
    look = looker(watch)
    try:
        for _ in range(5):
            look()
        quiet = timed(look, LOOKS)
        for login in logins[:: max(count // 10, 1)]:
            buy(server, login)
        busy = timed(look, 1)
        print(f"{count:>4} providers × {positions} positions, a look every 50 ms")
        say("  a look at which nothing happens", quiet)
        say(f"  one that tells {len(told)} events", busy)
        wait_alone = ticks(source, logins)
        with looking(look):
            wait_beside = ticks(source, logins)
        print(f"  a tick's read of all of them, p50: {wait_alone:.2f} ms alone,"
              f" {wait_beside:.2f} ms beside the watch")  # fmt: skip
    finally:
        watch.close()
        source.close()
        service.stop()
        server.close()


def watched(logins: Sequence[int]) -> list[Any]:
    from copytrade.watching.facts import WatchedProvider

    return [
        WatchedProvider(
            account_id=uuid.uuid4(),
            name=f"Provider {login}",
            login=login,
            server=SERVER,
            currency="USD",
            broker_zone="America/New_York+7h",
            started_at=datetime.now(UTC),
        )
        for login in logins
    ]


def looker(watch: Any) -> Callable[[], None]:
    def look() -> None:
        watch.poll(datetime.now(UTC), time.monotonic())

    return look


def buy(server: Any, login: int) -> None:
    request = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
    result = server.call("order_send", login, request)
    if result[0] != 10009:
        raise SystemExit(f"The broker refused: {result}")


def timed(look: Callable[[], None], count: int) -> list[tuple[float, float]]:
    """Return CPU time of the thread and wall time of each look, in milliseconds."""
    found = []
    for _ in range(count):
        began, cpu = time.perf_counter(), time.thread_time()
        look()
        found.append(((time.thread_time() - cpu) * 1e3, (time.perf_counter() - began) * 1e3))
        time.sleep(0.005)
    return found


def say(what: str, figures: list[tuple[float, float]]) -> None:
    cpu, wall = np.array(figures).T
    share = np.mean(cpu) / 50.0
    print(f"{what}: CPU p50 {np.median(cpu):.2f} ms, p99 {np.percentile(cpu, 99):.2f} ms"
          f" ({share:.1%} of a core); took p50 {np.median(wall):.2f} ms")  # fmt: skip


def ticks(source: Any, logins: Sequence[int]) -> float:
    """Return how long a read as the tick does it takes, in milliseconds."""
    numbers = np.array(logins, dtype=np.int64)
    cursors = np.full(len(numbers), np.iinfo(np.int64).max)
    taken = []
    for _ in range(TICKS):
        began = time.perf_counter()
        source.read_batch(numbers, cursors)
        taken.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.05)
    return float(np.median(taken))


class looking:  # noqa: N801  # reads as what goes on meanwhile
    """Has a thread look every 50 ms."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        from django.db import connections

        while not self._over.wait(0.05):
            self._look()
        connections.close_all()


if __name__ == "__main__":
    main()
