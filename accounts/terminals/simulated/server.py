"""The trade server: one object that answers every call, from one thread or from many."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounts.core.zones import broker_zone
from accounts.terminals.link import LinkError

from .administration import Administration
from .books.journal import Journal
from .calls import BrokerCalls
from .engine import Engine
from .faults.disturbances import CALM, Disturbance
from .faults.interference import Interference
from .faults.register import Faults
from .faults.specs import ALL_CALLS, QUOTATION_CALLS, TERMINAL_CALLS, FaultKind
from .link import CODE_INVALID_PARAMS, CODE_NO_CONNECTION, BrokerCrash, TerminalLink
from .prices.exports import Export
from .prices.market import Market
from .rights import Rights
from .robots.robots import Robots
from .terminals.batch_desk import BatchDesk
from .terminals.quotations import Quotations
from .terminals.terminals import Terminals, Visit

DEFAULT_ZONE = "America/New_York+7h"
_MANY_ACCOUNT_CALLS = ("authorise_many", "read_batch")
_ADMINISTRATION_CALLS = (
    "create_server", "create_account", "accounts", "transfer", "charge_swap", "trade_by_hand",
    "set_prices", "release_prices", "set_account", "change_password", "set_market_open",
    "set_quotes", "set_trade_mode", "set_robot",
    "server_time", "fingerprint",
)  # fmt: skip
_FAULT_CALLS = (
    "set_fault", "add_fault", "script_faults", "random_faults", "faults", "clear_fault",
    "clear_faults",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BegunCall:
    """A call that has come in, and the faults that strike it."""

    terminal: str
    method: str
    arguments: tuple[Any, ...]
    disturbance: Disturbance

    @property
    def may_hang(self) -> bool:
        return self.disturbance.of(FaultKind.HANG) is not None


def raise_crash() -> None:
    """Let a crash of the broker be seen by its caller alone, in a process that it shares."""
    raise BrokerCrash


class TradeServer(BrokerCalls):
    """A deterministic MetaTrader 5 trade server: the same seed, clock and calls, the same books.

    ``clock`` gives UTC epoch seconds; the broker's own goes on when that one is set back.
    ``zone_name`` is the zone in which the broker writes times.
    Prices walk from ``seed``, or follow ``exports``, ``speed`` times as fast as the clock, whenever
    `step` is called; with ``feed=False`` they move only through `set_prices`. With ``home`` the
    books are journaled there and survive. With ``always_open`` symbols trade day and night, for
    a demonstration on a weekend.

    Terminals are told apart by name: `terminal` gives out lines with sessions of their own, `call`
    is the line of whoever holds the server. Faults wait with ``sleep`` and end the broker with
    ``crash``.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        clock: Callable[[], float] = time.time,
        zone_name: str = DEFAULT_ZONE,
        exports: Mapping[str, Export] | None = None,
        speed: float = 1.0,
        feed: bool = True,
        home: Path | None = None,
        always_open: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        crash: Callable[[], None] = raise_crash,
    ) -> None:
        self._lock = threading.RLock()
        self._terminals_made = 0
        self._engine = Engine(
            clock,
            broker_zone(zone_name),
            Market(seed, speed, exports) if feed else None,
            Journal(home / "journal") if home is not None else None,
            always_open=always_open,
        )
        self._office = Administration(self._engine)
        self._faults = Faults(self._engine)
        self._rights = Rights(self._engine.books)
        self._interference = Interference(self._rights, self._engine.clock, sleep, crash)
        self._terminals = Terminals(self._engine, self._rights)
        batch = BatchDesk(
            self._engine, self._faults, self._rights, self._terminals, self._interference
        )
        self._robots = Robots(self._engine, seed, speed)
        quotations = Quotations(self._engine, self._terminals.state)
        self._methods: dict[str, Callable[..., Any]] = {
            **{name: getattr(self._terminals, name) for name in TERMINAL_CALLS},
            **{name: getattr(batch, name) for name in _MANY_ACCOUNT_CALLS},
            **{name: getattr(quotations, name) for name in (*QUOTATION_CALLS, "version")},
            **{name: getattr(self._office, name) for name in _ADMINISTRATION_CALLS},
            **{name: getattr(self._faults, name) for name in _FAULT_CALLS},
        }

    def call(self, method: str, *arguments: Any) -> Any:
        return self.call_as("", method, *arguments)

    def terminal(self) -> TerminalLink:
        """Return the line of one more terminal."""
        with self._lock:
            self._terminals_made += 1
            return TerminalLink(self.call_as, f"terminal {self._terminals_made}")

    def call_as(self, terminal: str, method: str, *arguments: Any) -> Any:
        """Answer one call of a terminal. What it wrote is on the disk when it returns.

        Raises LinkError for what a terminal cannot answer, ValueError for wrong arguments of an
        administration call.
        """
        call = self.begin(terminal, method, arguments)
        # Outside the lock: a hung or slow terminal holds up nobody else.
        if call.disturbance:
            self._interference.before(call.disturbance, terminal, arguments[0])
        result, written = self.carry_out(call)
        self.durable(written)
        self.finish(call)
        return result

    def begin(self, terminal: str, method: str, arguments: tuple[Any, ...]) -> BegunCall:
        """Take in a call that is answered in steps: `waits`, `carry_out`, `durable`, `finish`.

        Whoever has many of them does one step for all. Each step raises what `call_as` does.
        """
        if method not in self._methods:
            raise LinkError(CODE_INVALID_PARAMS, f"Terminal: Invalid params ({method})")
        return BegunCall(
            terminal, method, arguments, self._disturbance(terminal, method, arguments)
        )

    def waits(self, call: BegunCall) -> Iterator[float]:
        """Yield how many seconds to wait, one time after another, before it is carried out."""
        if call.disturbance:
            yield from self._interference.waits(call.disturbance, call.terminal, call.arguments[0])

    def carry_out(self, call: BegunCall) -> tuple[Any, int]:
        """Return the answer, and the number of what was written, for `durable`."""
        with self._lock:
            self._terminals.visit = Visit(call.terminal, call.disturbance)
            if call.method in _ADMINISTRATION_CALLS:
                self._engine.touch()
            try:
                result = self._methods[call.method](*call.arguments)
            finally:
                written = self._engine.commit()
        return result, written

    def durable(self, written: int) -> None:
        """Return when what was written up to a number is on the disk."""
        self._engine.durable(written)

    def finish(self, call: BegunCall) -> None:
        """Let the answer go out; raises LinkError when a fault keeps it back."""
        if call.disturbance:
            self._interference.after(call.disturbance, call.terminal, call.arguments[0])

    def step(self) -> None:
        """Let prices, stops and robots catch up with the clock."""
        with self._lock:
            written = self._engine.step(lambda: self._robots.run(self._office.robots_version))
        self._engine.durable(written)

    def close(self) -> None:
        """Release whoever hangs and close the books in order."""
        with self._lock:
            self._faults.clear_faults()
            self._engine.close()

    def _disturbance(self, terminal: str, method: str, arguments: tuple[Any, ...]) -> Disturbance:
        """Return the faults that strike a call; raise LinkError when its terminal is gone."""
        if method not in ALL_CALLS:
            return CALM
        login = arguments[0]
        if method != "authorise" and self._rights.has_crashed(terminal, login):
            raise LinkError(CODE_NO_CONNECTION)
        if not self._faults:
            return CALM
        # An order that names its server looks at the account first, as a reading's calls do.
        calls = ("account_info", method) if _names_server(method, arguments) else (method,)
        with self._lock:
            return self._faults.meet(login, calls)


def _names_server(method: str, arguments: tuple[Any, ...]) -> bool:
    return method == "order_send" and len(arguments) > 2
