"""Workers that end themselves with SIGKILL in the middle of an order, and their successors.

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
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

LONGEST_STORY_SECONDS = 60
MOST_TICKS = 40
TICK_SECONDS = 0.8
LATER_TICKS = 10  # after the end, for what might be sent once more
# Each story: what is asked for, and the step at which each worker in turn is killed.
STORIES = {
    "open, before the row is committed": ("open", ["asking"]),
    "open, before it is gated": ("open", ["ticked"]),
    "open, gated": ("open", ["gated"]),
    "open, written as sent": ("open", ["written"]),
    "open, right before the broker": ("open", ["sending"]),
    "open, executed and not written": ("open", ["answered"]),
    "open, outcome written": ("open", ["outcome written"]),
    "open, executed, while reconciling": ("open", ["answered", "reconciling"]),
    "open, not executed, while reconciling": ("open", ["sending", "reconciling", "reconciled"]),
    "close, written as sent": ("close", ["written"]),
    "close, executed and not written": ("close", ["answered"]),
    "close, executed, while reconciling": ("close", ["answered", "reconciling"]),
}


def tell(home: Path) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    warm_up()
    found = {name: _story(number, *STORIES[name]) for number, name in enumerate(STORIES, 1)}
    sys.stdout.write(json.dumps(found))


def warm_up() -> None:
    """Load once what every worker would load by itself, for each is a fork of this process."""
    from django.urls import reverse

    from risk.enforcement import enforcer
    from risk.tests import order_stage

    del enforcer, order_stage
    reverse("account-detail", args=[UUID(int=0)])  # reads all URLs


def _story(number: int, kind: str, points: list[str]) -> dict[str, Any]:
    from django.conf import settings
    from django.db import connections

    from accounts.models import ConnectedAccount
    from accounts.terminals.simulated.service.client import RemoteBroker
    from accounts.tests.factories import SECRET, make_account, make_user
    from risk.models import Order

    broker = RemoteBroker(Path(settings.SIMULATED_BROKER_HOME) / "broker.json")
    # The account of the story before is not watched any more: no order of its may be counted here.
    ConnectedAccount.objects.update(is_active=False)
    account = make_account(make_user(f"user-{number}"), "Bold", state="connected", with_key=True)
    broker.create_account(account.login, SECRET, account.server, "Bold", deposit=100_000.0)
    ticket = 0
    if kind == "close":
        request = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type": 0, "type_filling": 1}
        ticket = int(broker.trade_by_hand(account.login, request)[2])
    connections.close_all()
    signals = [forked(partial(_work, account, kind, ticket, point)) for point in points]
    last = forked(lambda: _work(account, kind, ticket, None))
    orders = Order.objects.filter(account_id=account.pk)
    broker.authorise_many([(account.login, SECRET, account.server)])
    deals = broker.call("history_deals", account.login, 0, 2**31, None, None, None)
    found = {
        "signals": signals,
        "last": last,
        "states": [order.state for order in orders],
        "positions": len(broker.call("positions", account.login, None, None, None)),
        "deals": sum(1 for deal in deals if deal[15]),
    }
    broker.close()
    connections.close_all()
    return found


def forked(work: Callable[[], None]) -> int:
    """Do something in a process of its own; return its exit status, negative for a signal."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(LONGEST_STORY_SECONDS)  # nothing waits for ever
        try:
            work()
        except BaseException as error:
            sys.stderr.write(f"{error!r}\n")
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def _work(account: Any, kind: str, ticket: int, point: str | None) -> None:
    """Ask for the order, the same key each time, and tick until it has ended, or this has."""

    def reach(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    now = datetime.now(UTC)
    order = _ask(account, kind, ticket, now, reach)
    _tick(order, now, reach)


def _ask(account: Any, kind: str, ticket: int, now: datetime, reach: Callable[[str], None]) -> Any:
    from django.db import transaction

    from risk.services import orders

    asked = {"account": account, "user": account.user, "idempotency_key": f"key-{account.pk}"}
    with transaction.atomic():
        if kind == "close":
            order = orders.close_position(**asked, ticket=ticket, now=now)
        else:
            order = orders.place_order(
                **asked, origin="api", symbol="EURUSD", direction="buy",
                volume=Decimal("0.1"), now=now,
            )  # fmt: skip
        reach("asking")
    return order


def _tick(order: Any, now: datetime, reach: Callable[[str], None]) -> None:
    from accounts.sessions.lease import OpenFence
    from accounts.sessions.process import close_sessions, open_sessions
    from risk.orders.desk import HostDesk
    from risk.tests.order_stage import SetGate
    from risk.tracker import RiskTracker

    sessions = open_sessions("local", is_inline=True)
    tracker = RiskTracker("local", sessions.source, ThreadPoolExecutor(1))
    desk = HostDesk(
        "local", sessions.source, OpenFence(), gate=SetGate(), is_inline=True, checkpoint=reach
    )
    left = LATER_TICKS
    for number in range(MOST_TICKS):
        # The clock runs ahead of the day's: nothing here has to be waited for.
        at = now + timedelta(seconds=TICK_SECONDS * (number + 1))
        poll = sessions.poll(at, at.timestamp())
        tracker.refresh(poll)
        assessment = tracker.assess(poll)
        sessions.commit_cursors()
        if number > 3:  # connected by then
            reach("ticked")
            desk.take(poll, assessment)
        order.refresh_from_db()
        left -= order.state not in order.UNFINISHED
        if not left:
            break
    close_sessions("local")


if __name__ == "__main__":
    tell(Path(sys.argv[1]))
