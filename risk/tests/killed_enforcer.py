"""Workers that end themselves with SIGKILL in the middle of a CLOSE_ALL, and their successors.

Run as a program with a home folder of its own and a broker that outlives it: it prints, as JSON,
what each story came to. The workers are forks of one process, so that Django starts only once.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from risk.tests.killed_worker import forked, warm_up

MOST_TICKS = 60
TICK_SECONDS = 0.8
WORKER_SECONDS = 60.0  # by which each worker's clock starts later than the one before
# At which step, and at which time that it is reached, each worker in turn is killed.
STORIES: dict[str, list[tuple[str, int]]] = {
    "orders written": [("written", 2)],
    "cancel executed and not written": [("answered", 1)],
    "third executed and not written": [("answered", 3)],
    "outcomes written": [("outcome written", 2)],
    "again and again": [("answered", 2), ("reconciling", 1), ("written", 1)],
}
MODES = {"hedging": 2, "netting": 0}


def tell() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    warm_up()
    numbers = iter(range(1, 1000))
    found = {
        f"{mode}: {name}": _story(next(numbers), mode, points)
        for name, points in STORIES.items()
        for mode in MODES
    }
    sys.stdout.write(json.dumps(found))


def _story(number: int, mode: str, points: list[tuple[str, int]]) -> dict[str, Any]:
    from django.conf import settings
    from django.db import connections

    from accounts.models import ConnectedAccount
    from accounts.terminals.simulated.service.client import RemoteBroker
    from accounts.tests.factories import SECRET, make_account, make_user
    from risk.models import Enforcement, Order
    from risk.services.panic import close_all

    broker = RemoteBroker(Path(settings.SIMULATED_BROKER_HOME) / "broker.json")
    ConnectedAccount.objects.update(is_active=False)
    account = make_account(make_user(f"user-{number}"), "Bold", state="connected", with_key=True)
    terms = {"deposit": 100_000.0, "margin_mode": MODES[mode]}
    broker.create_account(account.login, SECRET, account.server, "Bold", **terms)
    for symbol, lots in (("EURUSD", 0.5), ("GBPUSD", 0.3), ("EURUSD", 0.2), ("EURUSD", -0.4)):
        request = {"action": 1, "symbol": symbol, "volume": abs(lots), "type": int(lots < 0)}
        assert broker.trade_by_hand(account.login, {**request, "type_filling": 1})[0] == 10009
    waiting = {"action": 5, "symbol": "EURUSD", "volume": 0.1, "type": 2, "price": 1.0}
    assert broker.trade_by_hand(account.login, {**waiting, "type_filling": 2})[0] == 10009
    now = datetime.now(UTC)
    close_all(accounts=[account], actor=account.user, reason="Enough.", now=now)
    connections.close_all()
    signals = [
        forked(partial(_work, account.pk, now + timedelta(seconds=WORKER_SECONDS * place), point))
        for place, point in enumerate(points)
    ]
    last = forked(
        partial(_work, account.pk, now + timedelta(seconds=WORKER_SECONDS * len(points)), ("", 0))
    )
    broker.authorise_many([(account.login, SECRET, account.server)])
    deals = broker.call("history_deals", account.login, 0, 2**31, None, None, None)
    (run,) = Enforcement.objects.filter(account_id=account.pk)
    found = {
        "signals": signals,
        "last": last,
        "stage": run.stage,
        "unfinished": Order.objects.unfinished().filter(account_id=account.pk).count(),
        "positions": len(broker.call("positions", account.login, None, None, None)),
        "orders": len(broker.call("orders", account.login, None, None, None)),
        # position, entry, volume
        "deals": [(deal[7], deal[5], deal[9]) for deal in deals if deal[15]],
    }
    broker.close()
    connections.close_all()
    return found


def _work(account_id: Any, now: datetime, point: tuple[str, int]) -> None:
    """Tick until the run is over, or this process."""
    reached = 0

    def reach(name: str) -> None:
        nonlocal reached
        reached += name == point[0]
        if name == point[0] and reached == point[1]:
            os.kill(os.getpid(), signal.SIGKILL)

    _tick(account_id, now, reach)


def _tick(account_id: Any, now: datetime, reach: Callable[[str], None]) -> None:
    from accounts.sessions.lease import OpenFence
    from accounts.sessions.process import close_sessions, open_sessions
    from risk.enforcement.enforcer import Enforcer
    from risk.models import Enforcement, Order
    from risk.orders.desk import HostDesk
    from risk.tests.order_stage import SetGate
    from risk.tracker import RiskTracker

    sessions = open_sessions("local", is_inline=True)
    tracker = RiskTracker("local", sessions.source, ThreadPoolExecutor(1))
    desk = HostDesk(
        "local",
        sessions.source,
        OpenFence(),
        enforcer=Enforcer("local"),
        gate=SetGate(),
        is_inline=True,
        checkpoint=reach,
    )
    unfinished = Order.objects.unfinished().filter(account_id=account_id)
    for number in range(MOST_TICKS):
        # The clock runs ahead of the day's: nothing here has to be waited for.
        at = now + timedelta(seconds=TICK_SECONDS * (number + 1))
        poll = sessions.poll(at, at.timestamp())
        tracker.refresh(poll)
        assessment = tracker.assess(poll)
        sessions.commit_cursors()
        if number > 3:  # connected by then
            desk.take(poll, assessment)
        running = Enforcement.objects.running().filter(account_id=account_id)
        if not running.exists() and not unfinished.exists():
            break
    close_sessions("local")


if __name__ == "__main__":
    tell()
