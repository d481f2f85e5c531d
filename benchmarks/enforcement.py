"""Measure enforcement: from the tick that first shows a violation to the last close, and to flat.

Run it from the repository: ``python benchmarks/enforcement.py --accounts 1000 --positions 20``.
All accounts are connected and watched with the rules of `benchmarks/tick.py`; again and again one
of them opens positions until an armed rule closes them all. The simulated broker is a process of
its own and moves its prices all the time; Redis is the bundled one. The aim is 250 ms (p99) to the
last close.
"""

import argparse
import os
import sys
import tempfile
import time
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
    open_positions,
    start_broker,
)

LONGEST_RUN_SECONDS = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=8, help="other rules on every account")
    parser.add_argument("--positions", type=int, default=20, help="positions to close")
    parser.add_argument("--held", type=int, default=1, help="positions of every other account")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    check_options(parser, options)
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


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.positions <= max(options.held, 1):
        # What violates the rule while it is armed never closes, and a limit is at least one.
        parser.error("--positions must be more than --held, and at least 2")
    if not 1 <= options.runs <= options.accounts:
        parser.error("--runs must be from 1 to --accounts: every run takes another account")


def measure(options: argparse.Namespace) -> None:
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.models import User
    from accounts.sessions.lease import OpenFence
    from accounts.sessions.process import close_sessions, open_sessions
    from tradeguard.tick.cursors import needed_cursors
    from tradeguard.tick.runner import HostTick

    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench", "bench@example.com", "benchmark")
    accounts = create_accounts(user, options.accounts)
    create_rules(user, options.rules)
    # The last position that is opened violates the rule, so that no tick acts on a part of them.
    arm_position_limit(user, accounts, limit=options.positions - 1)
    sessions = open_sessions("local", load_cursors=needed_cursors)
    options.positions, wanted = options.held, options.positions
    open_positions(sessions.source, options)
    tick = HostTick("local", sessions, fence=OpenFence())
    connected = 0
    while connected < options.accounts:
        pace()
        connected = int(tick.run(timezone.now(), time.monotonic()).accounts.known.sum())
    for _ in range(25):
        pace()
        tick.run(timezone.now(), time.monotonic())
    samples: list[tuple[float, float]] = []
    for number in range(options.runs):
        place = number * options.accounts // options.runs
        login, account = FIRST_LOGIN + place, accounts[place]
        samples.append(one_run(tick, sessions.source, account, login, options.held, wanted))
        sys.stdout.write(f"\r{number + 1} of {options.runs}")
        sys.stdout.flush()
    tick.close(timezone.now())
    close_sessions("local")
    report(options, wanted, samples)


def pace() -> None:
    time.sleep(0.2 - time.time() % 0.2)


def arm_position_limit(user: Any, accounts: list[Any], limit: int) -> None:
    """Give every account an armed rule that closes everything at more than `limit` positions."""
    from django.utils import timezone

    from risk.models import RiskRule, RuleArming

    rule = RiskRule.objects.create(
        user=user,
        name="Positions",
        rule_type=RiskRule.Type.POSITION_LIMIT,
        limit=Decimal(limit),
        action=RiskRule.Action.CLOSE_ALL,
        applies_to_all_accounts=True,
    )
    long_ago = timezone.now() - timedelta(days=1)
    RuleArming.objects.bulk_create(
        RuleArming(rule=rule, account=account, armed_at=long_ago, calm_at=long_ago)
        for account in accounts
    )


def one_run(
    tick: Any, source: Any, account: Any, login: int, held: int, positions: int
) -> tuple[float, float]:
    """Open what is missing from `held` to `positions` and wait until all of them are closed.

    Return the milliseconds from the tick that saw it to the last close sent, and to flat.
    """
    from django.utils import timezone

    from risk.models import Enforcement

    for place in range(held, positions):
        symbol = ("EURUSD", "GBPUSD", "USDCAD", "USDJPY")[place % 4]
        quote = source.call("symbol_tick", login, symbol)
        request = {"action": 1, "symbol": symbol, "volume": 0.01, "type": 0, "price": quote[2]}
        source.call("order_send", login, {**request, "deviation": 100, "type_filling": 1})
    runs = Enforcement.objects.filter(account_id=account.pk, cause="rule")
    seen_at = None
    deadline = time.monotonic() + LONGEST_RUN_SECONDS
    while time.monotonic() < deadline:
        pace()
        now = timezone.now()
        assessment = tick.run(now, time.monotonic())
        if seen_at is None and any(due.account.id == account.pk for due in assessment.due):
            seen_at = now
        run = runs.exclude(finished_at=None).first()
        if run is None or seen_at is None:
            continue
        if run.last_sent_at is None or run.confirmed_at is None:
            raise SystemExit("A run ended without having closed anything.")
        if run.positions_closed != positions:
            raise SystemExit(f"A run closed {run.positions_closed} of {positions} positions.")
        return _milliseconds(run.last_sent_at - seen_at), _milliseconds(run.confirmed_at - seen_at)
    raise SystemExit("A run did not end." if seen_at else "A violation was not acted on.")


def _milliseconds(duration: timedelta) -> float:
    return duration.total_seconds() * 1000


def report(options: argparse.Namespace, positions: int, samples: list[tuple[float, float]]) -> None:
    import numpy as np

    print(
        f"\r{options.database}: {options.accounts} accounts connected, one closes {positions}"
        f" positions, {len(samples)} times; milliseconds from the tick that first shows it"
    )
    print(f"{'until':20}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}")
    for place, name in enumerate(("last close sent", "confirmed flat")):
        values = [sample[place] for sample in samples]
        points = [*np.percentile(values, [50, 95, 99]), max(values)]
        print(f"{name:20}" + "".join(f"{point:9.1f}" for point in points))


if __name__ == "__main__":
    main()
