"""The faults that are set, and what becomes of a call that they strike."""

import math
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any

from . import constants as mt5
from .engine import Engine
from .execution import UNDISTURBED, Execution
from .faults import (
    BEFORE,
    FIXED,
    REPLACE,
    TRUNCATE,
    UNIFORM,
    FaultKind,
    FaultSpec,
    own_details,
    spec_of,
)
from .link import LinkTimeout
from .state import AccountState, present_state

# A call that one of these strikes goes no further, so that no later fault has its turn.
_ENDING = (FaultKind.DISCONNECT_TERMINAL, FaultKind.TIMEOUT_BEFORE)
_CRASHES = (FaultKind.CRASH_TERMINAL, FaultKind.CRASH_BROKER)
_FROM_CACHE = (FaultKind.CUT_FROM_BROKER, FaultKind.CACHED)


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
        cached = (fault.frozen for fault in self.faults if fault.spec.kind in _FROM_CACHE)
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


@dataclass(slots=True)
class _General:
    """A fault of all accounts: each gets one of its own, with counts and chances of its own."""

    number: int
    spec: FaultSpec
    until: float | None
    logins: set[int] = field(default_factory=set)


class Faults:
    """All faults that are set. Not thread-safe: the trade server holds the lock."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._books = engine.books
        self._by_login: dict[int, list[Fault]] = {}
        self._general: list[_General] = []
        self._numbers = 0

    def __bool__(self) -> bool:
        return bool(self._by_login or self._general)

    def meet(self, login: int, calls: Collection[str]) -> Disturbance:
        """Return what strikes one call of an account, and count it."""
        self._spread(login)
        mine = self._by_login.get(login)
        if not mine:
            return CALM
        now, struck = self._engine.clock(), []
        for fault in mine:
            if fault.is_over(now):
                continue
            if fault.strikes(calls):
                struck.append(fault)
                if _ends_call(fault.spec):
                    break
            elif fault.spec.kind in _FROM_CACHE and fault.spec.comes_and_goes:
                fault.frozen = self._snapshot(fault.spec.kind, login)
        return Disturbance(tuple(struck)) if struck else CALM

    def faulty(self, logins: Sequence[int]) -> set[int]:
        """Return those of some logins that a fault may strike."""
        now = self._engine.clock()
        faulty = {
            login
            for login, faults in self._by_login.items()
            if any(not fault.is_over(now) for fault in faults)
        }
        for general in self._general:
            faulty.update(login for login in logins if login not in general.logins)
        return faulty

    def set_fault(
        self,
        login: int,
        kind: str,
        seconds: float | None,
        once: bool,
        peer: int | None,
        hang_seconds: float,
    ) -> int:
        given = {"kind": kind, "seconds": seconds, "times": 1 if once else None, "peer": peer,
                 "hang_seconds": hang_seconds}  # fmt: skip
        return self.script_faults(login, [own_details(kind, given)])[0]

    def add_fault(self, login: int | None, values: Mapping[str, Any]) -> int:
        """Set one more fault, of one account or of all; return its number."""
        return self._add(login, self._checked(login, values))

    def script_faults(self, login: int, scripted: Sequence[Mapping[str, Any]]) -> list[int]:
        """Put these faults, in order, in the place of those that an account has."""
        specs = [self._checked(login, values) for values in scripted]
        self.clear_fault(login)
        return [self._add(login, spec) for spec in specs]

    def random_faults(
        self,
        seed: int,
        probabilities: Mapping[str, float],
        logins: Sequence[int] | None,
        details: Mapping[str, Any],
    ) -> list[int]:
        """Add a fault of each kind that strikes at random, to some accounts or to all."""
        targets: Sequence[int | None] = [None] if logins is None else logins
        planned = [
            (login, self._checked(login, own_details(
                kind, {**details, "kind": kind, "probability": chance, "seed": seed}
            )))
            for login in targets
            for kind, chance in probabilities.items()
        ]  # fmt: skip
        return [self._add(login, spec) for login, spec in planned]

    def faults(self) -> list[dict[str, Any]]:
        """Return every fault that is not over: its spec, number, login, and how often it struck."""
        now = self._engine.clock()
        generals = {general.number: general for general in self._general}
        struck: dict[int, int] = dict.fromkeys(generals, 0)
        listed = []
        for fault in (fault for faults in self._by_login.values() for fault in faults):
            if fault.number in generals:
                struck[fault.number] += fault.struck
            elif not fault.is_over(now):
                listed.append(_listed(fault.number, fault.login, fault.spec, fault.struck))
        listed += [
            _listed(general.number, None, general.spec, struck[general.number])
            for general in self._general
            if general.until is None or now < general.until
        ]
        return sorted(listed, key=lambda row: int(row["number"]))

    def clear_fault(self, login: int) -> None:
        """Free an account of its faults, its share in those of all accounts included."""
        for general in self._general:
            general.logins.add(login)
        for fault in self._by_login.pop(login, []):
            fault.cleared.set()

    def clear_faults(self) -> None:
        self._general.clear()
        for login in list(self._by_login):
            self.clear_fault(login)

    def _checked(self, login: int | None, values: Mapping[str, Any]) -> FaultSpec:
        spec = spec_of(values)
        known = self._books.account_of
        for named in (login, spec.peer):
            if named is not None and named not in known:
                raise ValueError(f"there is no account {named}")
        if spec.kind is FaultKind.WRONG_ACCOUNT and spec.peer is None and len(known) < 2:
            raise ValueError("there is no other account whose data could be answered")
        return spec

    def _add(self, login: int | None, spec: FaultSpec) -> int:
        self._numbers += 1
        until = None if spec.seconds is None else self._engine.clock() + spec.seconds
        if login is not None:
            self._put(self._numbers, login, spec, until)
        else:
            self._general.append(_General(self._numbers, spec, until))
            for each in self._books.account_of:
                self._spread(each)
        return self._numbers

    def _spread(self, login: int) -> None:
        """Give an account its own of each fault that all accounts have."""
        for general in self._general:
            if login not in general.logins and login in self._books.account_of:
                general.logins.add(login)
                self._put(general.number, login, general.spec, general.until)

    def _put(self, number: int, login: int, spec: FaultSpec, until: float | None) -> None:
        mine = self._by_login.setdefault(login, [])
        # A stream of its own: no other account's calls, nor another fault's, can shift it.
        chance = Random(f"{spec.seed}/{login}/{len(mine)}/{spec.kind}")
        fault = Fault(number, spec, login, until, chance)
        if spec.kind in _FROM_CACHE:
            fault.frozen = self._snapshot(spec.kind, login)
        if spec.kind is FaultKind.WRONG_ACCOUNT:
            others = (other for other in self._books.account_of if other != login)
            fault.peer = spec.peer if spec.peer is not None else next(others, login)
        mine.append(fault)

    def _snapshot(self, kind: FaultKind, login: int) -> AccountState:
        engine, number = self._engine, self._books.account_of[login]
        state = present_state(engine.books, engine.valuation, engine.tick_msc, number)
        return replace(state, connected=False) if kind is FaultKind.CUT_FROM_BROKER else state


def _ends_call(spec: FaultSpec) -> bool:
    return spec.kind in _ENDING or (spec.kind in _CRASHES and spec.moment == BEFORE)


def _listed(number: int, login: int | None, spec: FaultSpec, struck: int) -> dict[str, Any]:
    return {**asdict(spec), "number": number, "login": login, "kind": str(spec.kind),
            "struck": struck}  # fmt: skip


def _rewritten(comment: str, spec: FaultSpec) -> str:
    if spec.rewrite == REPLACE:
        return spec.text
    return comment[: spec.length] if spec.rewrite == TRUNCATE else ""
