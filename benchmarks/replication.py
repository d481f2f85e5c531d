"""Measure copying: from a provider's fill to the last follower's order handed to its session.

Run it from the repository: ``python benchmarks/replication.py --followers 1000``. All accounts are
connected and watched with the rules of `benchmarks/tick.py`, and ticks go on all the time; again
and again the provider opens a position at its broker, past TradeGuard, and closes it. The simulated
broker is a process of its own that may take `--broker-ms` to answer each order; Redis is the
bundled one. With `--terms` the followers copy in so many different ways. The aim is 100 ms (p99) to
the last order of an open. Told is also what the host's process computes for an event once its
orders have left, beyond what it does all the time. With `--burst` the provider opens twice, 0.2 s
apart, and then closes both in the same way. With `--change` it moves its stop in between, first
nearer and then further away, or with `--pending` it places, moves and cancels an order that waits.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.tick import (  # noqa: E402  # the repository must be on the path
    FIRST_LOGIN,
    create_accounts,
    create_rules,
    start_broker,
)

DONE = (10009, 10008)
DEAL, PENDING, STOPS, MODIFY, REMOVE = 1, 5, 6, 7, 8  # TRADE_ACTION_*
# Of the price: so far off nothing is reached while it is measured.
NEAR, FAR = 0.94, 0.93
LONGEST_RUN_SECONDS = 60.0
BURST_SECONDS = 0.2
SECONDS_BETWEEN_RUNS = 1.5
TRADE = {"symbol": "EURUSD", "volume": 0.1}
# Whoever asks the database in the measured process holds up what is measured.
ENDED_SECONDS = 0.5
# What follows from the last answer is over by then.
CALM_SECONDS = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--followers", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=8, help="rules on every account")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--broker-ms", type=float, default=0.0, help="until an order is answered")
    parser.add_argument("--terms", type=int, default=1, help="so many sizes among the followers")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--burst", action="store_true", help="events so close that they meet")
    ways.add_argument("--change", action="store_true", help="move the stop before the close")
    ways.add_argument("--pending", action="store_true", help="an order that waits, no position")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    options.accounts = options.followers + 1
    os.environ["TEST_DATABASE"] = options.database
    os.environ["LOG_LEVEL"] = "WARNING"
    os.environ.pop("REDIS_URL", None)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradeguard.settings")
    import django

    from tradeguard.tests import services  # noqa: F401  # starts the servers

    django.setup()
    with tempfile.TemporaryDirectory(prefix="tradeguard-bench-") as home:
        broker = start_broker(Path(home), options)
        try:
            measure(options)
        finally:
            broker.terminate()
            broker.wait(20)


class HandOvers:
    """Notes when each order is handed to its session."""

    def __init__(self, source: Any) -> None:
        self._submit, self._submit_many = source.submit, source.submit_many
        self._submit_alike, self._call = source.submit_alike, source.call
        self.moments: list[float] = []
        source.submit, source.submit_many = self.submit, self.submit_many
        source.submit_alike, source.call = self.submit_alike, self.call

    def call(self, method: str, *arguments: Any) -> Any:
        # Lanes wait for each answer; what the provider does by hand is none of the copies.
        if method == "order_send" and arguments[0] != FIRST_LOGIN:
            self.moments.append(time.time())
        return self._call(method, *arguments)

    def submit(self, method: str, *arguments: Any) -> Any:
        answer = self._submit(method, *arguments)
        if method == "order_send":
            self.moments.append(time.time())
        return answer

    def submit_many(self, method: str, calls: Sequence[Any]) -> Any:
        answers = self._submit_many(method, calls)
        self.moments += [time.time()] * len(calls)
        return answers

    def submit_alike(self, orders: Any, answered: Any) -> None:
        self._submit_alike(orders, answered)
        self.moments += [time.time()] * len(orders)


class Ticks:
    """Runs the host's ticks on their beat, in a thread as its worker does."""

    def __init__(self, tick: Any) -> None:
        self._tick = tick
        self._is_over = False
        self.known = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over = True
        self._thread.join(30.0)

    def _run(self) -> None:
        from django.utils import timezone

        while not self._is_over:
            time.sleep(0.2 - time.time() % 0.2)
            assessment = self._tick.run(timezone.now(), time.monotonic())
            self.known = int(assessment.accounts.known.sum())


def measure(options: argparse.Namespace) -> None:
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import User
    from accounts.sessions.lease import OpenFence
    from accounts.sessions.process import close_sessions, open_sessions
    from accounts.terminals.simulated.faults.specs import FaultKind
    from tradeguard.tick.cursors import needed_cursors
    from tradeguard.tick.runner import HostTick

    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench", "bench@example.com", "benchmark")
    provider, *followers = create_accounts(user, options.accounts)
    create_rules(user, options.rules)
    relate(provider, followers, options)
    sessions = open_sessions("local", load_cursors=needed_cursors)
    source: Any = sessions.source
    if options.broker_ms:
        source.add_fault(
            None, FaultKind.LATENCY, calls=("order_send",), median_seconds=options.broker_ms / 1000
        )
    hand_overs = HandOvers(source)
    ticks = Ticks(HostTick("local", sessions, fence=OpenFence()))
    wait_for(lambda: ticks.known >= options.accounts, "All accounts should be connected.", 600.0)
    time.sleep(5.0)
    run = way(options)
    runs = [run(source, hand_overs, options) for _ in range(options.runs)]
    ticks.close()
    ticks._tick.close(timezone.now())
    close_sessions("local")
    report(options, runs[1:] or runs)


def relate(provider: Any, followers: list[Any], options: argparse.Namespace) -> None:
    from django.utils import timezone

    from copytrade.models import CopyRelationship

    long_ago = timezone.now() - timedelta(days=1)
    CopyRelationship.objects.bulk_create(
        CopyRelationship(
            provider=provider,
            follower=follower,
            alias=follower.name,
            multiplier=1 + Decimal(number % options.terms) / 10,
            copies_pendings=options.pending,
            state=CopyRelationship.State.ACTIVE,
            created_by_id=follower.user_id,
            created_at=long_ago,
            accepted_at=long_ago,
            started_at=long_ago,
            terms_changed_at=long_ago,
            state_changed_at=long_ago,
        )
        for number, follower in enumerate(followers)
    )


def way(options: argparse.Namespace) -> Any:
    """Return what is done again and again."""
    if options.burst:
        return one_burst
    return one_pending if options.pending else one_run


def one_run(source: Any, hand_overs: HandOvers, options: argparse.Namespace) -> dict[str, Any]:
    """Let the provider open a position, then close it; return what `copied` says of both."""
    told: dict[str, Any] = {}
    request = {**TRADE, "action": DEAL, "type_filling": 1, "deviation": 500}
    told["open"], position = copied(source, hand_overs, options, {**request, "type": 0})
    if options.change:
        stops = {"action": STOPS, "position": position, "symbol": "EURUSD", "tp": 0.0}
        price = bid(source)
        for name, part in (("first", FAR), ("tighter", NEAR), ("wider", FAR)):
            moved = {**stops, "sl": round(price * part, 5)}
            told[name], _ = copied(source, hand_overs, options, moved)
        del told["first"]
    closing = {**request, "type": 1, "position": position}
    told["close"], _ = copied(source, hand_overs, options, closing)
    return named(told)


def one_pending(source: Any, hand_overs: HandOvers, options: argparse.Namespace) -> dict[str, Any]:
    """Let the provider place an order that waits, move it and cancel it."""
    told: dict[str, Any] = {}
    price = bid(source)
    levels = {"price": round(price * NEAR, 5), "sl": 0.0, "tp": 0.0}
    placing = {**TRADE, **levels, "action": PENDING, "type": 2, "type_filling": 2}
    told["place"], ticket = copied(source, hand_overs, options, placing)
    moving = {**levels, "action": MODIFY, "order": ticket, "price": round(price * FAR, 5)}
    told["move"], _ = copied(source, hand_overs, options, moving)
    removing = {"action": REMOVE, "order": ticket}
    told["cancel"], _ = copied(source, hand_overs, options, removing)
    return named(told)


def bid(source: Any) -> float:
    return float(source.call("symbol_tick", FIRST_LOGIN, "EURUSD")[1])


def named(told: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{event}: {name}": value for event, each in told.items() for name, value in each.items()
    }


def one_burst(source: Any, _: HandOvers, __: argparse.Namespace) -> dict[str, Any]:
    """Let the provider trade twice in a moment, and close both; return what `met` says of each."""
    request = {"action": 1, "symbol": "EURUSD", "volume": 0.1, "type_filling": 1, "deviation": 500}
    told: dict[str, Any] = {}
    opens = [{**request, "type": 0}] * 2
    opened, positions = met(source, opens)
    closes = [{**request, "type": 1, "position": position} for position in positions]
    closed = met(source, closes)[0]
    for name, events in (("open", opened), ("close", closed)):
        for number, event in enumerate(events, 1):
            told |= {f"{name} {number}: {what}": value for what, value in event.items()}
    return told


def met(source: Any, requests: Sequence[Any]) -> tuple[list[dict[str, Any]], list[int]]:
    """Let the provider trade again and again in a moment; return what `of_event` says, by event."""
    from copytrade.models import CopyEvent

    time.sleep(SECONDS_BETWEEN_RUNS)
    before = set(CopyEvent.objects.values_list("pk", flat=True))
    filled, tickets = [], []
    for request in requests:
        result = source.call("order_send", FIRST_LOGIN, request)
        filled.append(time.time())
        if result[0] not in DONE:
            raise SystemExit(f"The provider's order was refused: {result}")
        tickets.append(int(result[2]))
        time.sleep(max(0.0, filled[-1] + BURST_SECONDS - time.time()))
    events = CopyEvent.objects.exclude(pk__in=before).order_by("happened_at", "deal_ticket")
    # What comes while an account is busy goes by its lane, and may be too late to go at all.
    wait_for(
        lambda: events.filter(planned_at=None).count() == 0 and events.count() == len(requests),
        "All events should be planned.",
        interval_seconds=ENDED_SECONDS,
    )
    time.sleep(CALM_SECONDS)
    return [of_event(*each) for each in zip(events, filled, strict=True)], tickets


def of_event(event: Any, filled: float) -> dict[str, Any]:
    """Return the milliseconds from a fill to what the ledgers say of its copies."""
    from copytrade.models import CopyOrder
    from risk.models import Order

    orders = Order.objects.filter(
        pk__in=CopyOrder.objects.filter(event_id=event.pk).values("order_id")
    )
    wait_for(
        lambda: not orders.filter(state__in=Order.UNFINISHED).exists(),
        "All orders should end.",
        interval_seconds=ENDED_SECONDS,
    )
    rows = list(orders.values_list("state", "sent_at", "answered_at"))
    sent = [sent_at.timestamp() for _, sent_at, _ in rows if sent_at is not None]
    answers = [answered_at.timestamp() for *_, answered_at in rows if answered_at is not None]
    return {
        "detected": [(event.detected_at.timestamp() - filled) * 1000],
        "orders sent": [(moment - filled) * 1000 for moment in sent],
        "last sent": [(max(sent) - filled) * 1000],
        "last answered": [(max(answers) - filled) * 1000],
        "done": sum(state == Order.State.FILLED for state, *_ in rows) / len(rows),
    }


def copied(
    source: Any, hand_overs: HandOvers, options: argparse.Namespace, request: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    """Let the provider trade; return the milliseconds from its fill to each step, and its order."""
    from copytrade.models import CopyEvent, CopyOrder
    from risk.models import Order

    idle, slept = time.process_time(), time.monotonic()
    time.sleep(SECONDS_BETWEEN_RUNS)
    idle_share = (time.process_time() - idle) / (time.monotonic() - slept)
    before = set(CopyEvent.objects.values_list("pk", flat=True))
    hand_overs.moments.clear()
    result = source.call("order_send", FIRST_LOGIN, request)
    filled = time.time()
    if result[0] not in DONE:
        raise SystemExit(f"The provider's order was refused: {result}")
    wait_for(
        lambda: len(hand_overs.moments) >= options.followers, "All orders should be handed over."
    )
    spent, left = time.process_time(), time.monotonic()
    time.sleep(ENDED_SECONDS)
    event = CopyEvent.objects.exclude(pk__in=before).get()
    orders = Order.objects.filter(
        pk__in=CopyOrder.objects.filter(event_id=event.pk).values("order_id")
    )
    wait_for(
        lambda: not orders.filter(state__in=Order.UNFINISHED).exists(),
        "All orders should end.",
        interval_seconds=ENDED_SECONDS,
    )
    time.sleep(CALM_SECONDS)
    after_work = time.process_time() - spent - idle_share * (time.monotonic() - left)
    ended = list(orders.values_list("state", "answered_at"))
    done = sum(state in (Order.State.FILLED, Order.State.PLACED) for state, _ in ended)
    answers = [answered_at.timestamp() for _, answered_at in ended if answered_at is not None]
    told = {
        "detected": [(event.detected_at.timestamp() - filled) * 1000],
        "orders handed over": [(moment - filled) * 1000 for moment in hand_overs.moments],
        "last handed over": [(max(hand_overs.moments) - filled) * 1000],
        "orders answered": [(moment - filled) * 1000 for moment in answers],
        "last answered": [(max(answers) - filled) * 1000],
        "processor after it": [after_work * 1000],
        "done": done / options.followers,
    }
    return told, int(result[2])


def wait_for(
    is_so: Any,
    complaint: str,
    seconds: float = LONGEST_RUN_SECONDS,
    interval_seconds: float = 0.05,
) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(complaint)
        time.sleep(interval_seconds)


def report(options: argparse.Namespace, runs: list[dict[str, Any]]) -> None:
    import numpy as np

    print(
        f"{options.database}: {options.followers} followers with {options.rules} rules,"
        f" {options.terms} sizes, the broker takes {options.broker_ms:g} ms, {len(runs)} events;"
        " milliseconds from the provider's fill"
    )
    print(f"{'until':27}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}")
    for name in runs[0]:
        if name.endswith("done"):
            continue
        values = [value for run in runs for value in run[name]]
        points = [*np.percentile(values, [50, 95, 99]), max(values)]
        print(f"{name:27}" + "".join(f"{point:9.1f}" for point in points))
    done = [run[name] for run in runs for name in run if name.endswith("done")]
    print(f"{100 * sum(done) / len(done):.2f} % of the orders were carried out.")


if __name__ == "__main__":
    main()
