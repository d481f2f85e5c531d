"""Bring a whole desk up in the foreground, keep it up, and take it down."""

import http.client
import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.multiprocess import mark_process_dead
from redis import Redis, RedisError

from tradeguard.health.probes import OLDEST_TICK_SECONDS, read_tick, tick_age_seconds
from tradeguard.serving import programs, redis
from tradeguard.serving.claims import claim_home, require_free_port
from tradeguard.serving.programs import BASE_DIR, STOP_ORDER, BrokerOptions
from tradeguard.serving.supervisor import StartError, Supervisor

START_SECONDS = 120.0
WATCH_SECONDS = 0.2
HTTP_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True)
class DeskOptions:
    """What one `serve` runs. `redis_url` None means the bundled Redis."""

    home: Path
    broker_home: Path
    port: int
    host: str
    redis_url: str | None
    has_demo: bool = True
    broker: BrokerOptions = field(default_factory=BrokerOptions)


class Desk:
    """The processes of one home folder, from the claim of the folder to the last stop."""

    def __init__(
        self, options: DeskOptions, *, say: Callable[[str], None], sign_in: Callable[[], str]
    ) -> None:
        self._options = options
        self._say = say
        self._sign_in = sign_in
        # Plain flags: a signal may interrupt a thread that holds the lock of an event.
        self._is_stopping = False
        self._is_hurried = False
        self._metrics = options.home / "run" / "metrics"

    def ask_to_stop(self, *_signal: object) -> None:
        """Stop at the next look; asked twice, don't wait for anybody."""
        self._is_hurried = self._is_stopping
        self._is_stopping = True

    def run(self) -> None:
        """Run until asked to stop. Raises ClaimError or StartError with a sentence for people."""
        # Database, books and logs are for this user's eyes alone.
        os.umask(0o077)
        with claim_home(self._options.home):
            require_free_port(self._options.port)
            self._say(f"Starting TradeGuard in {self._options.home}; its logs are in logs/ there.")
            self._clean_metrics()
            supervisor = Supervisor(
                environment=self._environment(),
                folder=BASE_DIR,
                logs=self._options.home / "logs",
                run=self._options.home / "run",
                say=self._say,
                on_end=self._forget_metrics,
            )
            previous = self._take_signals()
            try:
                if self._start(supervisor):
                    self._say(
                        f"TradeGuard is ready: http://127.0.0.1:{self._options.port} "
                        f"({self._sign_in()})"
                    )
                while not self._pauses():
                    supervisor.watch()
                self._say("Stopping …")
            finally:
                supervisor.stop(STOP_ORDER, is_hurried=lambda: self._is_hurried)
                for number, handler in previous.items():
                    signal.signal(number, handler)
        self._say("TradeGuard has stopped.")

    def _pauses(self) -> bool:
        """Wait a moment; tell whether it is time to stop."""
        if not self._is_stopping:
            time.sleep(WATCH_SECONDS)
        return self._is_stopping

    def _forget_metrics(self, pid: int) -> None:
        """Drop the gauges of a process that ended; its counters stay in the sums."""
        mark_process_dead(pid, str(self._metrics))  # type: ignore[no-untyped-call]  # no types

    def _take_signals(self) -> dict[signal.Signals, Any]:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        return {number: signal.signal(number, self.ask_to_stop) for number in numbers}

    def _environment(self) -> dict[str, str]:
        options = self._options
        environment = {
            **os.environ,
            "TRADEGUARD_HOME": str(options.home),
            "PORT": str(options.port),
            "PYTHONUNBUFFERED": "1",
            "PROMETHEUS_MULTIPROC_DIR": str(self._metrics),
            # Celery warns root about its worker; here the whole desk runs as the user who
            # started it, and task messages are JSON.
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        }
        if options.redis_url:
            environment["REDIS_URL"] = options.redis_url
        return environment

    def _clean_metrics(self) -> None:
        shutil.rmtree(self._metrics, ignore_errors=True)
        self._metrics.mkdir(parents=True, mode=0o700)

    def _start(self, supervisor: Supervisor) -> bool:
        """Start everything in order; False when asked to stop meanwhile."""
        options = self._options
        redis_url = options.redis_url
        if redis_url is None:
            program, redis_url = redis.prepare_redis(options.home / "run")
            supervisor.set_environment(REDIS_URL=redis_url)
            supervisor.start(program)
        url = redis_url
        supervisor.start(programs.broker(options.broker_home, options.broker))
        steps = [
            programs.manage("migrate", "migrate", "--no-input"),
            *([programs.manage("demo", "create_demo", "--quiet")] if options.has_demo else []),
        ]
        is_up = self._await(supervisor, "Redis", lambda: redis.answers(url)) and self._await(
            supervisor, "The simulated broker", lambda: supervisor.is_ready("broker")
        )
        if not is_up or not all(
            supervisor.run(step, is_cancelled=lambda: self._is_stopping) for step in steps
        ):
            return False
        for program in (
            programs.terminals(options.host),
            programs.default(options.host),
            programs.deliveries(options.host),
            programs.beat(),
            programs.web(options.port),
        ):
            supervisor.start(program)
        return (
            self._await(supervisor, "The first tick", lambda: has_ticked(url, options.host))
            and self._await(supervisor, "The web server", lambda: self._answers("/health"))
            and self._await(supervisor, "The desk", self._is_ready)
        )

    def _await(self, supervisor: Supervisor, what: str, condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise StartError(
                    f"{what} was not ready after {START_SECONDS:.0f} s{self._failing_parts()}. "
                    f"The logs are in {self._options.home / 'logs'}."
                )
            if self._pauses():
                return False
            supervisor.watch()
            supervisor.raise_when_failing()
        return True

    def _is_ready(self) -> bool:
        """Tell whether all works that runs here; workers of other hosts may come later."""
        failed = self._failed_parts()
        ours = f"tick:{self._options.host}"
        return failed is not None and all(
            part != ours and part.startswith("tick:") for part in failed
        )

    def _failing_parts(self) -> str:
        failed = self._failed_parts()
        return f" (failing: {', '.join(failed)})" if failed else ""

    def _failed_parts(self) -> list[str] | None:
        """Return the parts that do not work, or None when the web server does not say."""
        failed = self._ask("/health/ready")[1].get("failed")
        return [str(part) for part in failed] if isinstance(failed, list) else None

    def _answers(self, path: str) -> bool:
        return self._ask(path)[0] == 200

    def _ask(self, path: str) -> tuple[int, dict[str, object]]:
        web = http.client.HTTPConnection(
            "127.0.0.1", self._options.port, timeout=HTTP_TIMEOUT_SECONDS
        )
        try:
            web.request("GET", path)
            answer = web.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return 0, {}
        finally:
            web.close()


def has_ticked(redis_url: str, host: str) -> bool:
    """Tell whether the host has ticked lately."""
    try:
        with closing(
            Redis.from_url(redis_url, socket_timeout=1.0, decode_responses=True)
        ) as client:
            age_seconds = tick_age_seconds(read_tick(client, host), now=datetime.now(UTC))
    except (RedisError, OSError):
        return False
    return age_seconds is not None and age_seconds <= OLDEST_TICK_SECONDS
