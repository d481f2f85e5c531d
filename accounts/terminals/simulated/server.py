"""The trade server: one object that answers every call, from one thread or from many."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from accounts.core.zones import broker_zone

from .administration import Administration
from .calls import BrokerCalls
from .engine import Engine
from .exports import BarExport
from .faults import FaultKind, Faults
from .journal import Journal
from .link import CODE_INVALID_PARAMS, LinkError
from .market import Market
from .quotations import Quotations
from .robots import Robots
from .terminals import Terminals

DEFAULT_ZONE = "America/New_York+7h"
# Calls that name an account first and go through its terminal, where a fault may wait.
_TERMINAL_CALLS = (
    "authorise", "terminal_info", "account_info", "positions", "orders", "history_deals",
    "history_orders", "order_send", "order_check",
)  # fmt: skip
_QUOTATION_CALLS = (
    "order_calc_margin", "order_calc_profit", "symbol_info", "symbol_tick", "symbols",
    "symbol_select", "market_book", "rates", "ticks",
)  # fmt: skip
_MANY_ACCOUNT_CALLS = ("authorise_many", "read_batch")
_ADMINISTRATION_CALLS = (
    "create_server", "create_account", "accounts", "transfer", "charge_swap", "set_prices",
    "release_prices", "set_account", "change_password", "set_market_open", "set_trade_mode",
    "set_robot",
    "set_fault", "clear_fault", "clear_faults", "server_time", "fingerprint",
)  # fmt: skip


class TradeServer(BrokerCalls):
    """A deterministic MetaTrader 5 trade server: the same seed, clock and calls, the same books.

    ``clock`` gives UTC epoch seconds, ``zone_name`` is the zone in which the broker writes times.
    Prices walk from ``seed``, or follow ``exports``, ``speed`` times as fast as the clock, whenever
    `step` is called; with ``feed=False`` they move only through `set_prices`. With ``home`` the
    books are journaled there and survive. With ``always_open`` symbols trade day and night, for
    a demonstration on a weekend.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        clock: Callable[[], float] = time.time,
        zone_name: str = DEFAULT_ZONE,
        exports: Mapping[str, BarExport] | None = None,
        speed: float = 1.0,
        feed: bool = True,
        home: Path | None = None,
        always_open: bool = False,
    ) -> None:
        self._lock = threading.RLock()
        self._faults = Faults(clock)
        self._engine = Engine(
            clock,
            broker_zone(zone_name),
            Market(seed, speed, exports) if feed else None,
            Journal(home / "journal") if home is not None else None,
            always_open=always_open,
        )
        self._office = Administration(self._engine, self._faults)
        self._terminals = Terminals(self._engine, self._faults, self._office)
        self._robots = Robots(self._engine, seed, speed)
        quotations = Quotations(self._engine, self._terminals.state)
        self._methods: dict[str, Callable[..., Any]] = {
            **{name: getattr(self._terminals, name) for name in _TERMINAL_CALLS},
            **{name: getattr(self._terminals, name) for name in _MANY_ACCOUNT_CALLS},
            **{name: getattr(quotations, name) for name in (*_QUOTATION_CALLS, "version")},
            **{name: getattr(self._office, name) for name in _ADMINISTRATION_CALLS},
        }

    def call(self, method: str, *arguments: Any) -> Any:
        """Answer one call. What it wrote is on the disk when it returns.

        Raises LinkError for what a terminal cannot answer, ValueError for wrong arguments of an
        administration call.
        """
        answer = self._methods.get(method)
        if answer is None:
            raise LinkError(CODE_INVALID_PARAMS, f"Terminal: Invalid params ({method})")
        if method in _TERMINAL_CALLS or method in _QUOTATION_CALLS:
            self._wait_while_hung(arguments[0])
        with self._lock:
            if method in _ADMINISTRATION_CALLS:
                self._engine.touch()
            try:
                result = answer(*arguments)
            finally:
                written = self._engine.commit()
        self._engine.durable(written)
        return result

    def step(self) -> None:
        """Let prices, stops and robots catch up with the clock."""
        with self._lock:
            written = self._engine.step(lambda: self._robots.run(self._office.robots_version))
        self._engine.durable(written)

    def close(self) -> None:
        """Release whoever hangs and close the books in order."""
        self._faults.clear_all()
        with self._lock:
            self._engine.close()

    def _wait_while_hung(self, login: int) -> None:
        # Outside the lock: a hung terminal holds up nobody else.
        fault = self._faults.of(login)
        if fault is not None and fault.kind is FaultKind.HANG:
            fault.hang(self._engine.clock())
