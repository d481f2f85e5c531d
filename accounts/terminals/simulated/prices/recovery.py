"""Bringing prices back from the journal after a crash."""

from collections.abc import Sequence
from typing import Any

from .feeds import Quotes
from .history import PriceHistory


class PriceRecovery:
    """Restores bars: those that closed as they were, those that were growing from prices.

    The journal holds a bar when it closes, and all prices about once a second. The prices since a
    symbol's last closed bar are what is left of its present one: a high or low within a second is
    lost, and so are the trades of an exchange.
    """

    def __init__(self, history: PriceHistory, quotes: Quotes) -> None:
        self._history = history
        self._known: list[tuple[float, ...] | None] = [tuple(quote) for quote in quotes]
        self._since: list[list[tuple[int, float, float]]] = [[] for _ in history.symbols]

    def close_bar(self, symbol: int, bar: Sequence[Any]) -> None:
        self._history.symbols[symbol].restore(bar)
        self._since[symbol].clear()
        self._known[symbol] = None  # the tick that closed it opened the next, at whatever price

    def take(self, time_msc: int, quotes: Quotes) -> None:
        """Take the prices of a moment, of which only those that moved are ticks."""
        for symbol, quote in enumerate(quotes):
            bid, ask = quote
            if self._known[symbol] != (bid, ask):
                self._known[symbol] = (bid, ask)
                self._since[symbol].append((time_msc, bid, ask))

    def finish(self) -> None:
        for history, prices in zip(self._history.symbols, self._since, strict=True):
            history.regrow(prices)
