"""The command lines of a desk's processes."""

import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from tradeguard.serving.child import Program

BASE_DIR = Path(__file__).resolve().parents[2]

# Later ones need earlier ones, so they stop in the opposite order. What sends needs nothing but
# Redis, and finishes the letter at hand while the others stop.
STOP_ORDER = (
    ("beat",),
    ("terminals", "default"),
    ("web",),
    ("broker",),
    ("deliveries",),
    ("redis",),
)

# Sending may take a second longer, and gives way to the tick, the pages and the broker: ten
# thousand letters keep a processor busy for half a minute. The worker `default` does not: its
# transactions keep SQLite's other writers waiting, a tick with a violation among them, so they must
# end soon.
SENDING_NICENESS = 10


@dataclass(frozen=True)
class BrokerOptions:
    """How the simulated broker makes its prices; None leaves the choice to the broker."""

    prices: Path | None = None
    speed: float | None = None
    seed: int | None = None


def broker(home: Path, options: BrokerOptions) -> Program:
    chosen = {"--prices": options.prices, "--speed": options.speed, "--seed": options.seed}
    return Program(
        "broker",
        (
            *_module("accounts.terminals.simulated"),
            "--home",
            str(home),
            # Whoever looks at the demo desk on a weekend should see it move.
            "--always-open",
            *(
                text
                for name, value in chosen.items()
                if value is not None
                for text in (name, str(value))
            ),
        ),
        ready_prefix="broker ready",
        stop_seconds=3.0,
        death_signal=signal.SIGTERM,
    )


def web(port: int) -> Program:
    application = "tradeguard.asgi:application"
    return Program(
        "web",
        (*_module("daphne"), "-b", "127.0.0.1", "-p", str(port), application),
        stop_seconds=3.0,
    )


def terminals(host: str) -> Program:
    worker = _worker("terminals", queue=f"terminals.{host}", node=f"terminals@{host}", threads=8)
    # As long as it is away nothing is watched.
    return replace(worker, longest_restart_seconds=5.0)


def default(host: str) -> Program:
    return _worker("default", queue="default", node=f"default@{host}", threads=4)


def deliveries(host: str) -> Program:
    # Enough for two senders of every transport, all of which may be waiting for somebody.
    worker = _worker(
        "deliveries",
        queue="deliveries",
        node=f"deliveries@{host}",
        threads=16,
        niceness=SENDING_NICENESS,
    )
    # A letter that is cut off may come twice: a slow server gets as long as there is.
    return replace(worker, stops_first=True, stop_seconds=8.0)


def beat() -> Program:
    # No pid file: one left behind by a killed beat could name a process of today.
    return Program("beat", (*_celery(), "beat", "--pidfile="), stop_seconds=2.0)


def manage(name: str, *arguments: str) -> Program:
    return Program(name, (sys.executable, str(BASE_DIR / "manage.py"), *arguments))


def _worker(name: str, *, queue: str, node: str, threads: int, niceness: int = 0) -> Program:
    return Program(
        name,
        (
            *_celery(),
            "worker",
            "--pool=threads",
            f"--concurrency={threads}",
            f"--queues={queue}",
            f"--hostname={node}",
            # One worker per queue has nobody to talk to.
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ),
        niceness=niceness,
    )


def _celery() -> tuple[str, ...]:
    return (*_module("celery"), "--app=tradeguard", "--quiet")


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name)
