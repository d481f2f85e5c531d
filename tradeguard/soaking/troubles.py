"""What goes wrong: faults of single accounts, the worker's sudden death, an empty Redis."""

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from accounts.terminals.link import LinkError
from accounts.terminals.simulated.faults.specs import FaultKind as Kind
from accounts.terminals.simulated.service.client import RemoteBroker
from tradeguard.soaking.cast import Cast
from tradeguard.soaking.desk import SoakDesk

_SENDS: Final = {"calls": ("order_send",), "times": 1}
_ONCE: Final[dict[Kind, dict[str, Any]]] = {
    Kind.TIMEOUT_BEFORE: _SENDS,
    Kind.TIMEOUT_AFTER: _SENDS,
    Kind.LATE: {"times": 1, "delay_seconds": 1.5},
    Kind.REQUOTE: {"times": 2},
    Kind.REJECT: {"times": 1},
    Kind.PARTIAL_FILL: {"times": 1},
    Kind.SLIPPAGE: {"times": 3, "points": -20, "points_to": 60},
    Kind.LATENCY: {"times": 5, "median_seconds": 0.3},
    Kind.CRASH_TERMINAL: {"calls": ("order_send",), "times": 1},
}
_LASTING: Final = (
    Kind.DISCONNECT_TERMINAL,
    Kind.CUT_FROM_BROKER,
    Kind.NONE,
    Kind.EMPTY,
    Kind.TORN,
    Kind.WRONG_ACCOUNT,
)
_LONGEST_SECONDS: Final = 8.0
_FLUSH_SECONDS: Final = 25.0
_KILL_REDIS_SECONDS: Final = 70.0


@dataclass(slots=True)
class Troubles:
    """Brings trouble about in its own time; `kill_seconds` 0 leaves the worker alive."""

    cast: Cast
    desk: SoakDesk
    random: Random
    kill_seconds: float
    done: Counter[str] = field(default_factory=Counter)
    # When readings went missing, for those who judge what was skipped for want of one.
    struck_at: list[datetime] = field(default_factory=list)
    _due: dict[str, float] = field(default_factory=dict)

    def begin(self, now: float) -> None:
        self._due = {"fault": now + 1.0, "flush": now + _FLUSH_SECONDS / 2}
        if self.kill_seconds:
            self._due |= {"kill": now + self.kill_seconds, "Redis": now + _KILL_REDIS_SECONDS / 2}

    def look(self) -> None:
        now, before = time.monotonic(), self.done.total()
        if now >= self._due["fault"]:
            self._due["fault"] = now + self.random.uniform(0.1, 0.8)
            self._go_wrong()
        if now >= self._due["flush"]:
            self._due["flush"] = now + self._around(_FLUSH_SECONDS)
            self.done["Redis flushed"] += self.desk.flush_redis()
        if now >= self._due.get("Redis", now + 1.0):
            self._due["Redis"] = now + self._around(_KILL_REDIS_SECONDS)
            self.desk.kill_redis()
            self.done["Redis killed"] += 1
        if self.kill_seconds:
            self._look_after_worker(now)
        if self.done.total() > before:
            self.struck_at.append(datetime.now(UTC))

    def end(self) -> None:
        self.desk.broker.clear_faults()

    def _look_after_worker(self, now: float) -> None:
        """Kill it, and again so many seconds after its successor has begun to work."""
        due = self._due.get("kill")
        if due is None:
            if self.desk.is_working():
                self._due["kill"] = now + self._around(self.kill_seconds)
        elif now >= due:
            del self._due["kill"]
            self.desk.kill_worker()
            self.done["worker killed"] += 1

    def _around(self, seconds: float) -> float:
        return self.random.uniform(0.5, 1.5) * seconds

    def _go_wrong(self) -> None:
        accounts = self.cast.accounts
        login = self.random.choice(accounts).login
        if self.random.random() < 0.75:
            kind = self.random.choice(list(_ONCE))
            details = dict(_ONCE[kind])
        else:
            kind = self.random.choice(_LASTING)
            details = {"seconds": round(self.random.uniform(0.3, _LONGEST_SECONDS), 1)}
            if kind is Kind.WRONG_ACCOUNT:
                details["peer"] = self.random.choice(accounts).login
        if self._add(self.desk.broker, login, kind, details):
            self.done[kind.value] += 1

    def _add(self, broker: RemoteBroker, login: int, kind: Kind, details: dict[str, Any]) -> bool:
        try:
            broker.add_fault(login, kind, **details)
        except (LinkError, ValueError):
            return False
        return True
