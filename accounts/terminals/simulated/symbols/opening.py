"""Which symbols are quoted and can be traded now: by hours, by expiry, and by hand."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import constants as mt5
from .catalogue import CONTRACTS
from .hours import WeeklyHours


class Opening:
    """``server_seconds`` gives the broker's clock; with ``always_open`` the hours don't count.

    What a hand sets goes before the hours, until it is taken back: a symbol in ``closed`` is in no
    session, one in ``opened`` is in session day and night. What expired stays shut all the same.
    """

    def __init__(self, server_seconds: Callable[[], int], *, always_open: bool = False) -> None:
        self._server_seconds = server_seconds
        self.always_open = always_open
        self.closed: set[int] = set()  # by hand
        self.opened: set[int] = set()  # by hand
        self.without_quotes: set[int] = set()  # by hand: orders find no price (10021)
        self.trade_modes = [contract.trade_mode for contract in CONTRACTS]
        self._expiring = [(symbol, contract.expires_at)
                          for symbol, contract in enumerate(CONTRACTS)
                          if contract.expires_at]  # fmt: skip
        self._symbols_by_hours: dict[WeeklyHours, list[int]] = {}
        for symbol, contract in enumerate(CONTRACTS):
            self._symbols_by_hours.setdefault(contract.hours, []).append(symbol)

    def is_open(self, symbol: int) -> bool:
        """Tell whether a symbol is in a session (expiry is a matter of the trade mode)."""
        if symbol in self.closed:
            return False
        if self.always_open or symbol in self.opened:
            return True
        return CONTRACTS[symbol].hours.is_open(self._server_seconds())

    def dealable(self) -> npt.NDArray[np.bool_]:
        """Tell for every symbol whether orders in it find a market and a price now."""
        return np.array(
            [
                symbol not in self.without_quotes and self.is_open(symbol)
                for symbol in range(len(CONTRACTS))
            ]
        )

    def quoted(self, server_seconds: int) -> list[bool]:
        """Tell for every symbol whether the feed quotes it at a moment of the broker's clock."""
        quoted = [self.always_open] * len(CONTRACTS)
        if not self.always_open:
            for hours, symbols in self._symbols_by_hours.items():
                if hours.is_open(server_seconds):
                    for symbol in symbols:
                        quoted[symbol] = True
        for symbol in self.opened:
            quoted[symbol] = True
        for symbol in self.closed | self.without_quotes:
            quoted[symbol] = False
        for symbol, expires_at in self._expiring:
            if server_seconds >= expires_at:
                quoted[symbol] = False
        return quoted

    def trade_mode(self, symbol: int) -> int:
        """Return what may be traded of a symbol now (SYMBOL_TRADE_MODE_*)."""
        expires_at = CONTRACTS[symbol].expires_at
        if expires_at and self._server_seconds() >= expires_at:
            return mt5.SYMBOL_TRADE_MODE_DISABLED
        return self.trade_modes[symbol]

    def set_open(self, symbol: int, is_open: bool | None) -> None:
        """Open or close a symbol by hand; None lets its hours decide again."""
        self.opened.discard(symbol)
        self.closed.discard(symbol)
        if is_open is not None:
            (self.opened if is_open else self.closed).add(symbol)

    def set_quotes(self, symbol: int, on: bool) -> None:
        """Take a symbol's quotes away, or give them back."""
        (self.without_quotes.discard if on else self.without_quotes.add)(symbol)

    def state(self) -> Any:
        """Return what was set by hand, for the journal."""
        modes = [[symbol, mode] for symbol, mode in enumerate(self.trade_modes)
                 if mode != CONTRACTS[symbol].trade_mode]  # fmt: skip
        return [sorted(self.closed), sorted(self.opened), sorted(self.without_quotes), modes]

    def resume(self, state: Sequence[Any]) -> None:
        closed, opened, without_quotes, modes = state
        self.closed, self.opened = set(closed), set(opened)
        self.without_quotes = set(without_quotes)
        self.trade_modes = [contract.trade_mode for contract in CONTRACTS]
        for symbol, mode in modes:
            self.trade_modes[symbol] = mode
