"""Measure the whole tick: p50, p95 and p99 of each stage, paced like the running product.

The host acts, too: beside its ticks it looks for orders and for what is to be enforced, of which
there is none. Besides the rules that are asked for every account has its margin cut-off. Stages are
measured by the clock on the wall; the processor's time of all threads of the process is told, too.

Run it from the repository: ``python benchmarks/tick.py --accounts 1000 --rules 8 --groups 200``.
The simulated broker is a process of its own and moves its prices all the time; Redis is the bundled
one, the database SQLite and then PostgreSQL, both in a temporary folder.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SERVER = "Bench-Demo"
PASSWORD = "benchmark"  # noqa: S105  # of accounts that live for a minute
FIRST_LOGIN = 10_000_001
RULES: list[tuple[str, str, dict[str, object]]] = [
    ("MAX_DAILY_LOSS", "0.05", {}),
    ("MAX_DAILY_LOSS", "0.06", {"reference": "higher_of_balance_and_equity"}),
    ("MAX_DRAWDOWN", "0.1", {}),
    ("MAX_DRAWDOWN", "0.12", {"kind": "trailing_intraday_equity"}),
    ("MARGIN_LEVEL", "50", {}),
    ("MAX_POSITION_SIZE", "50", {}),
    ("POSITION_LIMIT", "20", {}),
    ("MAX_LEVERAGE", "60", {}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1000)
    parser.add_argument("--rules", type=int, default=8, help="rules on every account")
    parser.add_argument("--groups", type=int, default=200)
    parser.add_argument("--positions", type=int, default=3, help="open positions of each account")
    parser.add_argument("--watched", type=int, default=20, help="groups that somebody looks at")
    parser.add_argument("--ticks", type=int, default=300)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    options = parser.parse_args()
    if options.database == "both":
        for database in ("sqlite", "postgresql"):
            command = [sys.executable, __file__, *sys.argv[1:], "--database", database]
            subprocess.run(command, check=True)  # noqa: S603
        return
    sys.path.insert(0, str(ROOT))
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


def start_broker(home: Path, options: argparse.Namespace) -> "subprocess.Popen[str]":
    """Start a broker process with the accounts of the benchmark."""
    from django.conf import settings

    accounts = home / "accounts.json"
    accounts.write_text(
        json.dumps(
            [
                {
                    "login": FIRST_LOGIN + number,
                    "password": PASSWORD,
                    "server": SERVER,
                    "name": f"Bench {number}",
                    "deposit": 100_000.0,
                }
                for number in range(options.accounts)
            ]
        )
    )
    broker_home = Path(settings.SIMULATED_BROKER_HOME)
    broker_home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "accounts.terminals.simulated", "--home", str(broker_home)]
    # Always open: on a weekend prices would stand still, and the figures would flatter.
    command += ["--accounts", str(accounts), "--speed", "60", "--always-open"]
    broker = subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert broker.stdout is not None  # noqa: S101
    if "broker ready" not in broker.stdout.readline():
        raise SystemExit("The simulated broker did not start.")
    return broker


def measure(options: argparse.Namespace) -> None:
    from django.core.management import call_command
    from django.utils import timezone

    from accounts.publishing import mark_watched
    from accounts.sessions.lease import OpenFence
    from accounts.sessions.process import close_sessions, open_sessions
    from tradeguard.tick.cursors import needed_cursors
    from tradeguard.tick.runner import HostTick

    call_command("migrate", verbosity=0)
    groups = create_desk(options)
    sessions = open_sessions("local", load_cursors=needed_cursors)
    open_positions(sessions.source, options)
    tick = HostTick("local", sessions, fence=OpenFence())
    samples: dict[str, list[float]] = {}
    deadline = time.monotonic() + 600
    warm = 0
    while warm < 25:  # until all is known, also of missed resets, and five seconds more
        warm += run_paced(tick, timezone.now) >= options.accounts
        if time.monotonic() > deadline:
            raise SystemExit("Not everything was known within ten minutes.")
    busy = time.process_time()
    for number in range(options.ticks):
        if number % 25 == 0:
            for group in groups[: options.watched]:
                mark_watched("group", str(group))
        run_paced(tick, timezone.now)
        for stage, seconds in tick.seconds.items():
            samples.setdefault(stage, []).append(seconds * 1000)
    busy = (time.process_time() - busy) / options.ticks * 1000
    tick.close(timezone.now())
    close_sessions("local")
    report(options, samples)
    print(f"The processor worked {busy:.1f} ms for each tick, in all threads together.")


def run_paced(tick: Any, now: Any) -> int:
    """Run a tick on the beat; return how many accounts it knows everything of."""
    from risk.core.statuses import Status

    time.sleep(0.2 - time.time() % 0.2)
    assessment = tick.run(now(), time.monotonic())
    is_unknown = assessment.evaluation.status == Status.UNKNOWN
    rows = {*assessment.desk.pairs.account_index[is_unknown].tolist()}
    return int(assessment.accounts.known.sum()) - len(rows)


def create_desk(options: argparse.Namespace) -> list[Any]:
    """Fill the database and return the ids of the groups."""
    from accounts.models import User
    from groups.models import AccountGroup, Membership

    user = User.objects.create_user("bench", "bench@example.com", PASSWORD)
    accounts = create_accounts(user, options.accounts)
    groups = AccountGroup.objects.bulk_create(
        AccountGroup(user=user, name=f"Group {number:04d}") for number in range(options.groups)
    )
    Membership.objects.bulk_create(
        Membership(group=groups[number % len(groups)], account=account)
        for number, account in enumerate(accounts)
        if groups
    )
    create_rules(user, options.rules)
    return [group.pk for group in groups]


def create_accounts(user: Any, count: int) -> list[Any]:
    from django.utils import timezone

    from accounts.models import AccountConnection, ApiKey, ConnectedAccount, TerminalHost

    host, _ = TerminalHost.objects.get_or_create(name="local")
    keys = ApiKey.objects.bulk_create(
        ApiKey(user=user, name=f"Bench {number}", secret=PASSWORD) for number in range(count)
    )
    accounts = ConnectedAccount.objects.bulk_create(
        ConnectedAccount(
            user=user,
            name=f"Bench {number:05d}",
            broker="Bench",
            server=SERVER,
            login=FIRST_LOGIN + number,
            api_key=key,
            initial_balance=Decimal(100_000),
            terminal_host=host,
        )
        for number, key in enumerate(keys)
    )
    AccountConnection.objects.bulk_create(
        AccountConnection(account=account, is_wanted=True, state="connecting", since=timezone.now())
        for account in accounts
    )
    return accounts


def create_rules(user: Any, count: int) -> None:
    from risk.models import RiskRule

    RiskRule.objects.bulk_create(
        RiskRule(
            user=user,
            name=f"Rule {number}",
            rule_type=rule_type,
            limit=Decimal(limit),
            parameters=parameters,
            applies_to_all_accounts=True,
        )
        for number, (rule_type, limit, parameters) in enumerate(
            RULES[number % len(RULES)] for number in range(count)
        )
    )


def open_positions(source: Any, options: argparse.Namespace) -> None:
    symbols = ("EURUSD", "GBPUSD", "USDCAD", "USDJPY")
    for number in range(options.accounts):
        for place in range(options.positions):
            symbol = symbols[(number + place) % len(symbols)]
            side = (number + place) % 2
            tick = source.call("symbol_tick", FIRST_LOGIN + number, symbol)
            source.call(
                "order_send",
                FIRST_LOGIN + number,
                {
                    "action": 1,
                    "symbol": symbol,
                    "volume": 0.1,
                    "type": side,
                    "price": tick[1] if side else tick[2],
                    "deviation": 100,
                    "type_filling": 1,
                },
            )


def report(options: argparse.Namespace, samples: dict[str, list[float]]) -> None:
    import numpy as np

    print(
        f"{options.database}: {options.accounts} accounts × {options.rules} rules, "
        f"{options.groups} groups ({min(options.watched, options.groups)} watched), "
        f"{options.positions} positions each, {options.ticks} ticks, milliseconds"
    )
    print(f"{'stage':10}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}")
    for stage, values in samples.items():
        points = [*np.percentile(values, [50, 95, 99]), max(values)]
        print(f"{stage:10}" + "".join(f"{point:9.2f}" for point in points))


if __name__ == "__main__":
    main()
