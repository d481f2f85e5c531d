"""The processes of a soak: Redis, the simulated broker, the terminals' worker and its clock."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from redis import Redis, RedisError

from accounts.terminals.simulated.service.client import RemoteBroker
from tradeguard.health.probes import read_tick
from tradeguard.serving import programs, redis
from tradeguard.serving.child import Program
from tradeguard.serving.programs import BASE_DIR, STOP_ORDER, BrokerOptions
from tradeguard.serving.supervisor import StartError, Supervisor
from tradeguard.soaking.home import broker_address

START_SECONDS = 120.0
_LOOK_SECONDS = 0.05
# As soon as it is gone it comes back: the kills are to strike work, not pauses.
_RESTART_SECONDS = 0.2
_WORKER = "terminals"


class SoakDesk:
    """Starts what copying needs, and ends parts of it as accidents do; for the main thread."""

    def __init__(
        self, home: Path, broker_home: Path, host: str, *, seed: int, say: Callable[[str], None]
    ) -> None:
        self._host = host
        self._broker_home = broker_home
        self._seed = seed
        self._redis_program, self.redis_url = redis.prepare_redis(home / "run")
        self._supervisor = Supervisor(
            environment={
                **os.environ,
                "REDIS_URL": self.redis_url,
                "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
            },
            folder=BASE_DIR,
            logs=home / "logs",
            run=home / "run",
            say=say,
            on_end=lambda _pid: None,
        )
        self.broker = RemoteBroker(broker_address(broker_home), timeout_seconds=20.0)
        self.killed_at = 0.0

    def start_servers(self) -> None:
        """Start what must answer before the accounts are opened."""
        self._supervisor.start(_at_once(self._redis_program))
        self._supervisor.start(programs.broker(self._broker_home, BrokerOptions(seed=self._seed)))
        self._await(lambda: redis.answers(self.redis_url), "Redis")
        self._await(lambda: self._supervisor.is_ready("broker"), "The simulated broker")

    def start_worker(self) -> None:
        self._supervisor.start(_at_once(programs.terminals(self._host)))
        self._supervisor.start(_at_once(programs.beat()))
        self._await(lambda: self.ticked_since(0.0), "The worker")

    def look(self) -> None:
        """Start again what has ended."""
        self._supervisor.watch()

    def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.look()
            time.sleep(min(left, _LOOK_SECONDS))

    def kill_worker(self) -> None:
        """End the worker as `kill -9` does."""
        self._kill(_WORKER)
        self.killed_at = time.time()

    def kill_redis(self) -> None:
        self._kill("redis")

    def flush_redis(self) -> bool:
        """Empty Redis; tell whether it was there."""
        try:
            with closing(Redis.from_url(self.redis_url, socket_timeout=2.0)) as client:
                client.flushall()
        except (RedisError, OSError):
            return False
        return True

    def ticked_since(self, moment: float) -> bool:
        """Tell whether the worker has ticked after an epoch."""
        try:
            with closing(
                Redis.from_url(self.redis_url, socket_timeout=2.0, decode_responses=True)
            ) as client:
                facts = read_tick(client, self._host)
        except (RedisError, OSError):
            return False
        return "at" in facts and float(facts["at"]) > moment

    def is_working(self) -> bool:
        return self.ticked_since(max(self.killed_at, time.time() - 2.0))

    def stop(self) -> None:
        self.broker.close()
        self._supervisor.stop(STOP_ORDER, is_hurried=lambda: False)

    def _kill(self, name: str) -> None:
        pid = self._supervisor.pids.get(name)
        if pid is not None:
            os.killpg(pid, signal.SIGKILL)

    def _await(self, is_so: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + START_SECONDS
        while not is_so():
            self._supervisor.watch()
            self._supervisor.raise_when_failing()
            if time.monotonic() > until:
                raise StartError(f"{what} was not ready after {START_SECONDS:.0f} s.")
            time.sleep(_LOOK_SECONDS)


def _at_once(program: Program) -> Program:
    return replace(program, longest_restart_seconds=_RESTART_SECONDS)
