"""Measure what 10,000 notifications at once cost the tick, and how fast they reach people.

Run it from the repository: ``python benchmarks/notifications.py --notifications 10000``. The desk
is that of `benchmarks/tick.py`. A worker that decides and a worker that sends run beside the tick,
as in production; mail goes to a real SMTP server that throws it away. First ticks are measured
while nothing is told, then from the moment on at which another process tells all notifications in
one call, until the last one is sent. Aim: the tick's p99 stays where it was.

Below each whole tick stands for how much of it the tick's thread was ready to run and had no
processor (Linux knows): on a machine with few of them that is most of what is told beside it. After
each tick one row is written, for which SQLite makes it wait for whoever writes just then. With
--niceness 0 what sends does not give way to the tick, as it does in production.

With --users 1 a storm limit gathers nearly all of them into one letter; with as many users as a
tenth of the notifications every one is a letter of its own.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.tick import (  # noqa: E402  # the repository must be on the path
    create_desk,
    open_positions,
    run_paced,
    start_broker,
)
from tradeguard.serving import programs  # noqa: E402
from tradeguard.serving.child import Lifeline  # noqa: E402

LONGEST_SECONDS = 600.0
# As beat does, for what waits for its time.
SWEEP_SECONDS = 10.0
# Counting costs, too.
LOOK_SECONDS = 1.0
SCHEDULED = Path("/proc/thread-self/schedstat")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notifications", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=8, help="rules on every account")
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--positions", type=int, default=3, help="open positions of each account")
    parser.add_argument("--ticks", type=int, default=150, help="ticks measured before the storm")
    parser.add_argument(
        "--niceness", type=int, default=programs.SENDING_NICENESS, help="of the worker that sends"
    )
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--tell", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not 1 <= options.users <= options.notifications:
        parser.error("--users must be from 1 to --notifications")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradeguard.settings")
    os.environ["LOG_LEVEL"] = "WARNING"
    if options.tell:
        tell(options)
        return
    os.environ["TEST_DATABASE"] = options.database
    os.environ.pop("REDIS_URL", None)
    port = free_port()
    import django

    from tradeguard.tests import services  # noqa: F401  # starts the servers

    os.environ["EMAIL_URL"] = f"smtp://127.0.0.1:{port}"
    django.setup()
    with tempfile.TemporaryDirectory(prefix="tradeguard-bench-") as home, mail_server(port):
        broker = start_broker(Path(home), options)
        try:
            measure(options)
        finally:
            broker.terminate()
            broker.wait(20)


def measure(options: argparse.Namespace) -> None:
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.sessions.lease import OpenFence
    from accounts.sessions.process import close_sessions, open_sessions
    from tradeguard.tick.cursors import needed_cursors
    from tradeguard.tick.runner import HostTick

    call_command("migrate", verbosity=0)
    create_desk(options)
    create_readers(options.users)
    sessions = open_sessions("local", load_cursors=needed_cursors)
    open_positions(sessions.source, options)
    tick = HostTick("local", sessions, fence=OpenFence())
    with workers(options.niceness):
        warm = 0
        while warm < 25:
            warm += run_paced(tick, timezone.now) >= options.accounts
        quiet = [run_timed(tick, timezone.now) for _ in range(options.ticks)]
        print_head(options)
        print_row("nothing told", quiet)
        storm(tick, options)
    tick.close(timezone.now())
    close_sessions("local")


def storm(tick: Any, options: argparse.Namespace) -> None:
    """Go on with ticks while everything is told, decided and sent; print when each was done."""
    from django.utils import timezone

    command = [sys.executable, __file__, "--tell", *sys.argv[1:]]
    begun = time.monotonic()
    teller = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603
    samples: list[Sample] = []
    done: dict[str, float] = {}
    swept_at = looked_at = begun
    while "sent" not in done:
        samples.append(run_timed(tick, timezone.now))
        elapsed = time.monotonic() - begun
        if elapsed > LONGEST_SECONDS:
            raise SystemExit(f"Not all was sent within {LONGEST_SECONDS:.0f} s: {counts()}")
        if time.monotonic() - swept_at > SWEEP_SECONDS:
            swept_at = time.monotonic()
            sweep()
        if time.monotonic() - looked_at > LOOK_SECONDS:
            looked_at = time.monotonic()
            for stage in reached(options.notifications) - done.keys():
                done[stage] = elapsed
    if teller.wait() != 0:
        raise SystemExit("The notifications could not be told.")
    print_row("while told and sent", samples)
    parts = ", ".join(f"{stage} {done[stage]:.1f} s" for stage in ("told", "decided", "sent"))
    print(f"From the start of the process that tells: {parts}. {letters()} letters.")


class Sample(NamedTuple):
    """A tick and a write after it, in milliseconds."""

    tick: float
    without_processor: float
    write: float


def run_timed(tick: Any, now: Any) -> Sample:
    # The time between the ticks is left out: nobody waits for a processor who sleeps.
    waited = waited_for_processor()
    run_paced(tick, now)
    waited = waited_for_processor() - waited
    begun = time.perf_counter()
    write()
    return Sample(tick.seconds["total"] * 1000, waited, (time.perf_counter() - begun) * 1000)


def waited_for_processor() -> float:
    """Return how long this thread was ready to run and did not, in milliseconds since its start."""
    return int(SCHEDULED.read_text().split()[1]) / 1e6 if SCHEDULED.exists() else 0.0


def write() -> None:
    """Write one row, as the tick does when something happens."""
    from accounts.models import TerminalHost

    TerminalHost.objects.filter(name="local").update(name="local")


def reached(expected: int) -> set[str]:
    told, decided, pending, sent = counts()
    stages = {"told"} if told >= expected else set()
    stages |= {"decided"} if decided >= expected else set()
    return stages | ({"sent"} if decided >= expected and not pending and sent else set())


def counts() -> tuple[int, int, int, int]:
    """Return how many are told and decided, and how many deliveries are pending and sent."""
    from notifications.models import Delivery, Notification

    ours = Notification.objects.filter(type="system_alert")
    deliveries = Delivery.objects.filter(notification__type="system_alert")
    return (
        ours.count(),
        ours.exclude(routed_at=None).count(),
        deliveries.filter(state="pending").count(),
        deliveries.filter(state="sent").count(),
    )


def letters() -> int:
    from notifications.models import Delivery

    sent = Delivery.objects.filter(notification__type="system_alert", state="sent")
    return sent.values("letter_id").distinct().count()


def sweep() -> None:
    from celery import current_app

    current_app.send_task("notifications.deliver_due", queue="deliveries")
    current_app.send_task("notifications.route", queue="default")


def create_readers(count: int) -> None:
    from accounts.models import User

    User.objects.bulk_create(
        User(username=f"reader{number}", email=f"reader{number}@example.com")
        for number in range(count)
    )


def tell(options: argparse.Namespace) -> None:
    """Tell everything in one call, in a process of its own."""
    import django

    django.setup()
    from django.utils import timezone

    from accounts.models import User
    from notifications.models import NotificationType, Priority
    from notifications.services import Message, notify

    readers = list(User.objects.filter(username__startswith="reader").values_list("pk", flat=True))
    messages = [
        Message(
            user_id=readers[number % len(readers)],
            type=NotificationType.SYSTEM_ALERT,
            priority=Priority.HIGH,
            title=f"Bench {number}: something to know",
            body="It happened to many at once.",
            link="/accounts",
            object_type="account",
            object_id=str(number),
            dedupe_key=f"bench:{number}",
        )
        for number in range(options.notifications)
    ]
    notify(messages, now=timezone.now())
    time.sleep(1.0)  # the thread that wakes the worker is a daemon


@contextmanager
def workers(niceness: int) -> Iterator[None]:
    running = [
        start(list(programs.default("bench").command)),
        start(list(programs.deliveries("bench").command), niceness),
    ]
    try:
        yield
    finally:
        end(running)


@contextmanager
def mail_server(port: int) -> Iterator[None]:
    handler = "aiosmtpd.handlers.Sink"
    command = [sys.executable, "-m", "aiosmtpd", "-n", "-l", f"127.0.0.1:{port}", "-c", handler]
    # In life it is another machine's.
    server = start(command, niceness=programs.SENDING_NICENESS)
    try:
        yield
    finally:
        end([server])


def start(command: list[str], niceness: int = 0) -> "subprocess.Popen[bytes]":
    """Start a process as `serve` does: in a session of its own, which ends with this one."""
    leash = Lifeline().leash(signal.SIGTERM, niceness)
    return subprocess.Popen(  # noqa: S603
        [*leash, *command], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )


def end(running: list["subprocess.Popen[bytes]"]) -> None:
    for process in running:
        process.terminate()
    for process in running:
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def print_head(options: argparse.Namespace) -> None:
    print(
        f"{options.database}: {options.notifications} notifications to {options.users} users; the "
        f"whole tick of {options.accounts} accounts × {options.rules} rules, milliseconds"
    )
    print(f"{'':22}{'ticks':>7}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}")


def print_row(name: str, samples: list[Sample]) -> None:
    import numpy as np

    print(f"{name:22}{len(samples):7d}")
    parts = ("the tick", "without a processor", "a write after it")
    for part, values in zip(parts, zip(*samples, strict=True), strict=True):
        points = [*np.percentile(values, [50, 95, 99]), max(values)]
        print(f"  {part:27}" + "".join(f"{point:9.2f}" for point in points), flush=True)


if __name__ == "__main__":
    main()
