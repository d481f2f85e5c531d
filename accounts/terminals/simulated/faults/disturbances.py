"""A fault of one account, and the disturbance of a call that faults strike."""

import math
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from accounts.terminals.link import LinkTimeout

from .. import constants as mt5
from ..state import AccountState
from ..trading.execution import UNDISTURBED, Execution
from .specs import FIXED, REPLACE, TRUNCATE, UNIFORM, FaultKind, FaultSpec

# A terminal that one of these strikes shows what it knew before.
FROM_CACHE = (FaultKind.CUT_FROM_BROKER, FaultKind.CACHED)


@dataclass(slots=True, eq=False)
class Fault:
    """One fault of one account, with what it has met so far. ``until`` is an epoch or None."""

    number: int
    spec: FaultSpec
    login: int
    until: float | None
    chance: Random
    peer: int | None = None
    met: int = 0
    struck: int = 0
    frozen: AccountState | None = None
    cleared: threading.Event = field(default_factory=threading.Event)

    def is_over(self, now: float) -> bool:
        is_used_up = self.spec.times is not None and self.struck >= self.spec.times
        return is_used_up or (self.until is not None and now >= self.until)

    def strikes(self, calls: Collection[str]) -> bool:
        """Tell whether it strikes a call, or a read that is several calls; it counts as one."""
        spec = self.spec
        if not any(call in spec.calls for call in calls):
            return False
        if self._only_belongs_to_a_reading(calls):
            return self.met >= spec.skip and spec.probability == 1
        self.met += 1
        # The chance is drawn for skipped calls too, or else skipping would shift the others.
        is_drawn = spec.probability == 1 or self.chance.random() < spec.probability
        if self.met <= spec.skip or not is_drawn:
            return False
        self.struck += 1
        return True

    def hang(self, now: float) -> None:
        """Block until the fault is over; raise LinkTimeout when that takes too long."""
        left = math.inf if self.until is None else max(0.0, self.until - now)
        ended = self.cleared.wait(min(left, self.spec.hang_seconds))
        if not ended and left >= self.spec.hang_seconds:
            raise LinkTimeout

    def latency_seconds(self) -> float:
        spec = self.spec
        if spec.distribution == FIXED or not spec.median_seconds:
            return spec.median_seconds
        if spec.distribution == UNIFORM:
            return self.chance.uniform(spec.least_seconds, spec.most_seconds)
        drawn = self.chance.lognormvariate(math.log(spec.median_seconds), spec.sigma)
        return min(drawn, spec.most_seconds)

    def disturbed(self, execution: Execution, comment: str) -> Execution:
        """Return how the order desk carries out an order that this fault has struck."""
        spec = self.spec
        if spec.kind is FaultKind.REJECT and not execution.retcode:
            return replace(
                execution, retcode=mt5.TRADE_RETCODE_REJECT, retcode_comment="Request rejected"
            )
        if spec.kind is FaultKind.REQUOTE and not execution.retcode:
            return replace(execution, retcode=mt5.TRADE_RETCODE_REQUOTE, retcode_comment="Requote")
        if spec.kind is FaultKind.PARTIAL_FILL:
            return replace(execution, fill_fraction=execution.fill_fraction * spec.fraction)
        if spec.kind is FaultKind.SLIPPAGE:
            points = execution.slippage_points + self._slippage_points()
            return replace(execution, slippage_points=points)
        if spec.kind is FaultKind.LATE:
            delay = max(execution.delay_seconds, spec.delay_seconds)
            return replace(execution, delay_seconds=delay)
        if spec.kind is FaultKind.COMMENT_REWRITTEN:
            present = comment if execution.comment is None else execution.comment
            return replace(execution, comment=_rewritten(present, spec))
        return execution

    def _slippage_points(self) -> int:
        points, points_to = self.spec.points, self.spec.points_to
        return points if points_to is None else self.chance.randint(points, points_to)

    def _only_belongs_to_a_reading(self, calls: Collection[str]) -> bool:
        """Tell whether a torn reading's other call, the positions, is the one that counts."""
        return (
            self.spec.kind is FaultKind.TORN
            and "positions" in self.spec.calls
            and "positions" not in calls
        )


@dataclass(frozen=True, slots=True)
class Disturbance:
    """The faults that strike one call, in the order in which they were set."""

    faults: tuple[Fault, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.faults)

    def on(self, call: str) -> "Disturbance":
        """Return what strikes one call of a reading that is several calls."""
        return Disturbance(tuple(fault for fault in self.faults if call in fault.spec.calls))

    def of(self, kind: FaultKind) -> Fault | None:
        return next((fault for fault in self.faults if fault.spec.kind is kind), None)

    @property
    def frozen(self) -> AccountState | None:
        cached = (fault.frozen for fault in self.faults if fault.spec.kind in FROM_CACHE)
        return next((state for state in cached if state is not None), None)

    @property
    def peer(self) -> int | None:
        fault = self.of(FaultKind.WRONG_ACCOUNT)
        return fault.peer if fault is not None else None

    def execution(self, request: Mapping[str, Any]) -> Execution:
        """Return how the order desk is to carry out a request."""
        execution = UNDISTURBED
        for fault in self.faults:
            execution = fault.disturbed(execution, str(request.get("comment") or ""))
        return execution


CALM = Disturbance()


def _rewritten(comment: str, spec: FaultSpec) -> str:
    if spec.rewrite == REPLACE:
        return spec.text
    return comment[: spec.length] if spec.rewrite == TRUNCATE else ""
