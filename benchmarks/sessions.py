"""Measure what child processes of real terminals cost, against the simulated broker.

Run it from the repository: ``python -m benchmarks.sessions --children 50``. Children look at their
terminals every 50 ms, a pool takes their readings every 200 ms, as on a terminal host. The
simulated broker answers in the place of fifty terminals and moves its prices all the time; what it
costs is shown apart, and so is what a call to it costs the children: a real terminal is asked
through shared memory of its own, not through a socket.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np

from accounts.sessions.poll import AttemptResult, RosterChange
from accounts.sessions.pool import SessionPool
from accounts.sessions.states import Reason, SessionState, reason_of_code
from accounts.sessions.table import SessionSpec
from accounts.terminals.processes.keeper import SUCCESS
from accounts.terminals.processes.programs import TerminalPrograms
from accounts.terminals.processes.source import NO_CURSOR, ChildProcesses
from accounts.terminals.simulated.service.client import RemoteBroker

ROOT = Path(__file__).resolve().parent.parent
SERVER = "Bench-Demo"
PASSWORD = "benchmark"  # noqa: S105  # of accounts that live for a minute
FIRST_LOGIN = 10_000_001
TICK_SECONDS = 0.2
SYMBOLS = ("EURUSD", "GBPUSD", "USDCAD", "USDJPY")


@dataclass(frozen=True)
class Memory:
    """MiB: resident, proportional (shared pages divided by their users), and its own alone."""

    rss: float
    pss: float
    uss: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--children", type=int, default=50)
    parser.add_argument("--poll-ms", type=int, default=50)
    parser.add_argument("--positions", type=int, default=3, help="open positions of each account")
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tradeguard-bench-") as folder:
        home = Path(folder)
        broker = start_broker(home, options.children)
        try:
            open_positions(RemoteBroker(home / "broker" / "broker.json"), options)
            measure(home, broker, options)
        finally:
            broker.terminate()
            broker.wait(20)


def start_broker(home: Path, count: int) -> "subprocess.Popen[str]":
    accounts = [
        {"login": FIRST_LOGIN + number, "password": PASSWORD, "server": SERVER,
         "name": f"Bench {number}", "deposit": 100_000.0}
        for number in range(count)
    ]  # fmt: skip
    (home / "accounts.json").write_text(json.dumps(accounts))
    command = [sys.executable, "-m", "accounts.terminals.simulated", "--home", str(home / "broker")]
    command += ["--accounts", str(home / "accounts.json"), "--speed", "60", "--always-open"]
    broker = subprocess.Popen(  # noqa: S603
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    if broker.stdout is None or "broker ready" not in broker.stdout.readline():
        raise SystemExit("The simulated broker did not start.")
    return broker


def open_positions(broker: RemoteBroker, options: argparse.Namespace) -> None:
    for number in range(options.children):
        for place in range(options.positions):
            request = {
                "action": 1, "symbol": SYMBOLS[(number + place) % len(SYMBOLS)], "volume": 0.1,
                "type": (number + place) % 2, "deviation": 100, "type_filling": 1,
            }  # fmt: skip
            broker.call("order_send", FIRST_LOGIN + number, request)
    broker.close()


def measure(home: Path, broker: "subprocess.Popen[str]", options: argparse.Namespace) -> None:
    programs = TerminalPrograms(
        home / "terminals",
        module="simulated",
        poll_seconds=options.poll_ms / 1000,
        broker_home=home / "broker",
    )
    os.environ.setdefault("LOG_LEVEL", "WARNING")  # passed on: figures, not a line per child
    source = ChildProcesses(programs)
    try:
        pool = pool_of(source, options.children)
        seconds = connect(pool, source, options.children)
        print(f"{options.children} children connected after {seconds:.1f} s")
        report(pool, source, broker.pid, options)
    finally:
        source.close()


def pool_of(source: ChildProcesses, count: int) -> SessionPool:
    pool = SessionPool("local", source)
    specs = [
        SessionSpec(
            account_id=uuid4(), user_id=1, account_name=f"Bench {number}",
            login=FIRST_LOGIN + number, server=SERVER, currency="USD", key_mark="", is_wanted=True,
            state="connecting", since=None, reason="", message="", retries=0, next_attempt_at=None,
        )
        for number in range(count)
    ]  # fmt: skip
    cursors: dict[UUID, int] = {}
    pool.sync(RosterChange(added=specs), cursors, datetime.now(UTC), time.monotonic())
    return pool


def tick(pool: SessionPool) -> float:
    """Poll once; return the seconds that it took."""
    began = time.perf_counter()
    pool.poll(datetime.now(UTC), time.monotonic())
    pool.commit_cursors()
    return time.perf_counter() - began


def connect(pool: SessionPool, source: ChildProcesses, count: int) -> float:
    began = time.monotonic()
    while (pool.table.rows["state"] == SessionState.CONNECTED).sum() < count:
        if time.monotonic() - began > 300:
            raise SystemExit("Not every child connected within five minutes.")
        attempts = pool.due(time.monotonic(), count)
        codes = source.authorise_many([(each.login, PASSWORD, each.server) for each in attempts])
        results = [
            AttemptResult(each, Reason.NONE if code == SUCCESS else reason_of_code(code))
            for each, code in zip(attempts, codes, strict=True)
        ]
        pool.apply(results, datetime.now(UTC), time.monotonic())
        tick(pool)
        time.sleep(TICK_SECONDS)
    return time.monotonic() - began


def report(
    pool: SessionPool, source: ChildProcesses, broker: int, options: argparse.Namespace
) -> None:
    children = list(source.processes().values())
    groups = {"children": children, "parent": [os.getpid()], "broker": [broker]}
    before = {name: sum(cpu_seconds(pid) for pid in pids) for name, pids in groups.items()}
    looks = newest_looks(source)
    ages, polls = [], []
    began = time.monotonic()
    while time.monotonic() - began < options.seconds:
        time.sleep(TICK_SECONDS - time.time() % TICK_SECONDS)
        logins = pool.table.rows["login"].astype(np.int64)
        batch = source.read_batch(logins, pool.table.rows["cursor"].astype(np.int64))
        ages.append(batch.accounts["age_seconds"][batch.accounts["outcome"] == 0])
        polls.append(tick(pool))
    elapsed = time.monotonic() - began
    print(f"{'':10}{'CPU % of a core':>17}{'RSS MiB':>10}{'PSS MiB':>10}{'USS MiB':>10}")
    for name, pids in groups.items():
        used = 100 * (sum(cpu_seconds(pid) for pid in pids) - before[name]) / elapsed
        sizes = [memory_of(pid) for pid in pids]
        print(
            f"{name:10}{used:17.1f}{sum(size.rss for size in sizes):10.0f}"
            f"{sum(size.pss for size in sizes):10.0f}{sum(size.uss for size in sizes):10.0f}"
        )
    all_ages = np.concatenate(ages) * 1000
    points = np.percentile(all_ages, [50, 95, 99])
    print("age at read_batch, ms: " + ", ".join(
        f"p{name} {point:.0f}" for name, point in zip((50, 95, 99), points, strict=True)
    ))  # fmt: skip
    points = np.percentile(np.array(polls) * 1000, [50, 95, 99])
    print("poll of the pool, ms:  " + ", ".join(
        f"p{name} {point:.1f}" for name, point in zip((50, 95, 99), points, strict=True)
    ))  # fmt: skip
    looks_per_second = (newest_looks(source) - looks) / elapsed
    print(f"looks that reached the parent, per second: {looks_per_second:.0f}")
    connected = int((pool.table.rows["state"] == SessionState.CONNECTED).sum())
    is_same = children == list(source.processes().values())
    print(f"connected at the end: {connected}; {'no' if is_same else 'some'} child was restarted")


def newest_looks(source: ChildProcesses) -> int:
    """Return the number of the newest look of all: they are counted through."""
    logins = np.array(sorted(source.processes()), dtype=np.int64)
    batch = source.read_batch(logins, np.full(len(logins), NO_CURSOR))
    return int(batch.accounts["look"].max())


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> Memory:
    sizes = {"Rss": 0.0, "Pss": 0.0, "Private_Clean": 0.0, "Private_Dirty": 0.0}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        if name in sizes:
            sizes[name] = int(value.split()[0]) / 1024
    return Memory(sizes["Rss"], sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"])


if __name__ == "__main__":
    main()
