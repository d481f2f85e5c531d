"""Which symbols can be traded now: by their hours, by their expiry, and by hand."""

from collections.abc import Callable

from . import constants as mt5
from .catalogue import CONTRACTS


class Opening:
    """``server_seconds`` gives the broker's clock; with ``always_open`` the hours don't count."""

    def __init__(self, server_seconds: Callable[[], int], *, always_open: bool = False) -> None:
        self._server_seconds = server_seconds
        self.always_open = always_open
        self.closed: set[int] = set()  # by hand
        self.without_quotes: set[int] = set()  # by hand: orders find no price (10021)
        self.trade_modes = [contract.trade_mode for contract in CONTRACTS]

    def is_open(self, symbol: int) -> bool:
        """Tell whether a symbol is in a session (expiry is a matter of the trade mode)."""
        if symbol in self.closed:
            return False
        return self.always_open or CONTRACTS[symbol].hours.is_open(self._server_seconds())

    def trade_mode(self, symbol: int) -> int:
        """Return what may be traded of a symbol now (SYMBOL_TRADE_MODE_*)."""
        expires_at = CONTRACTS[symbol].expires_at
        if expires_at and self._server_seconds() >= expires_at:
            return mt5.SYMBOL_TRADE_MODE_DISABLED
        return self.trade_modes[symbol]
