"""The register of all faults: which are set, when, and for whom."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any

from ..engine import Engine
from ..state import AccountState, present_state
from .disturbances import CALM, FROM_CACHE, Disturbance, Fault
from .specs import BEFORE, FaultKind, FaultSpec, own_details, spec_of

# A call that one of these strikes goes no further, so that no later fault has its turn.
_ENDING = (FaultKind.DISCONNECT_TERMINAL, FaultKind.TIMEOUT_BEFORE)
_CRASHES = (FaultKind.CRASH_TERMINAL, FaultKind.CRASH_BROKER)


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
            elif fault.spec.kind in FROM_CACHE and fault.spec.comes_and_goes:
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
        if spec.kind in FROM_CACHE:
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
