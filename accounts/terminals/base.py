"""What TradeGuard uses of the MetaTrader5 Python API, and the error that a failed call becomes."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from accounts.terminals.codes import (
    ALGO_TRADING_DISABLED,
    AUTHORIZATION_FAILED,
    IPC_CODES,
    IPC_TIMEOUT,
    may_have_executed,
)

if TYPE_CHECKING:  # a host of real terminals needs none of the simulated broker
    import numpy as np
    import numpy.typing as npt

    from accounts.terminals.simulated.surface.tuples import (
        AccountInfo,
        OrderCheckResult,
        OrderSendResult,
        SymbolInfo,
        TerminalInfo,
        Tick,
        TradeDeal,
        TradeOrder,
        TradePosition,
    )

    Rows = npt.NDArray[np.void]

Date = datetime | int | float
"""A moment of the broker's wall clock as a UTC epoch, or an aware datetime that stands for it."""


class TerminalError(Exception):
    """A call that a terminal answered with None or False; made from ``last_error()``."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(code, description)
        self.code = code
        self.description = description

    def __str__(self) -> str:
        return f"{self.description} ({self.code})"

    @property
    def is_refused_login(self) -> bool:
        return self.code == AUTHORIZATION_FAILED

    @property
    def is_algo_trading_disabled(self) -> bool:
        return self.code == ALGO_TRADING_DISABLED

    @property
    def is_connection_lost(self) -> bool:
        """Whether the line to the terminal failed, as opposed to the terminal refusing a call."""
        return self.code in IPC_CODES

    @property
    def is_timeout(self) -> bool:
        return self.code == IPC_TIMEOUT

    @property
    def may_have_executed(self) -> bool:
        """Whether an order whose call failed so may still have reached the broker."""
        return may_have_executed(self.code)

    def is_worth_reconnecting(self, attempt_count: int) -> bool:
        """Tell whether to connect again after ``attempt_count`` attempts ended in this error.

        A broken line is tried without end, a refused login once more,
        anything else never: it would fail in the same way.
        """
        if self.is_refused_login:
            return attempt_count < 2
        return self.is_connection_lost


class Terminal(Protocol):
    """The subset of the MetaTrader5 module that TradeGuard calls.

    A call that fails answers None (or False) and ``last_error()`` says why; an empty tuple means
    that there is nothing. Parameters before ``/`` are positional only in the package. Requests go
    to order_send and order_check as keywords, ``order_send(**request)``: prices and volumes float,
    the other numbers int, symbol and comment of at most 29 characters.
    """

    def initialize(
        self,
        path: str,
        /,
        *,
        login: int,
        password: str,
        server: str,
        timeout: int = 60_000,
        portable: bool = False,
    ) -> bool: ...

    def login(
        self, login: int, /, *, password: str, server: str, timeout: int = 60_000
    ) -> bool: ...

    def shutdown(self) -> bool | None: ...

    def last_error(self) -> tuple[int, str]: ...

    def version(self) -> tuple[int, int, str] | None: ...

    def terminal_info(self) -> TerminalInfo | None: ...

    def account_info(self) -> AccountInfo | None: ...

    def positions_get(self, **filters: Any) -> tuple[TradePosition, ...] | None: ...

    def orders_get(self, **filters: Any) -> tuple[TradeOrder, ...] | None: ...

    def history_deals_get(self, *dates: Date, **filters: Any) -> tuple[TradeDeal, ...] | None: ...

    def history_orders_get(self, *dates: Date, **filters: Any) -> tuple[TradeOrder, ...] | None: ...

    def order_send(self, **request: Any) -> OrderSendResult | None: ...

    def order_check(self, **request: Any) -> OrderCheckResult | None: ...

    def order_calc_margin(
        self, action: int, symbol: str, volume: float, price: float, /
    ) -> float | None: ...

    def order_calc_profit(
        self, action: int, symbol: str, volume: float, price_open: float, price_close: float, /
    ) -> float | None: ...

    def symbol_info(self, symbol: str, /) -> SymbolInfo | None: ...

    def symbol_info_tick(self, symbol: str, /) -> Tick | None: ...

    def symbol_select(self, symbol: str, enable: bool, /) -> bool: ...

    def symbols_get(self, group: str, /) -> tuple[SymbolInfo, ...] | None: ...

    def copy_rates_range(
        self, symbol: str, timeframe: int, date_from: Date, date_to: Date, /
    ) -> Rows | None: ...

    def copy_rates_from_pos(
        self, symbol: str, timeframe: int, start_pos: int, count: int, /
    ) -> Rows | None: ...
