"""The market part of the MetaTrader5 surface: symbols, quotes, market book, bars and ticks."""

from typing import Any

import numpy as np
import numpy.typing as npt

from accounts.terminals.link import LinkError

from ..link import CODE_CALL_FAILED, CODE_INVALID_PARAMS, CODE_NOT_FOUND
from ..prices.timeframes import RATES_DTYPE, TICKS_DTYPE, TIMEFRAMES
from .arguments import (
    GROUP,
    epoch,
    exactly,
    mixed,
    signed_32,
    switch,
    text,
    unsigned_32,
)
from .session import Session, api
from .tuples import BookInfo, SymbolInfo, Tick

Rows = npt.NDArray[np.void]


class Market(Session):
    """What a terminal knows of symbols and prices."""

    @api(None)
    def symbols_total(self) -> int:
        return len(self._found("symbols", None))

    @api(None)
    def symbols_get(self, *args: Any, **kwargs: Any) -> tuple[SymbolInfo, ...]:
        """symbols_get(group=None) -> tuple of SymbolInfo"""
        given = mixed(args, kwargs, GROUP)
        return self._rows(SymbolInfo, "symbols", given.get("group"))

    @api(None)
    def symbol_info(self, *args: Any) -> SymbolInfo:
        """symbol_info(symbol) -> SymbolInfo"""
        (symbol,) = exactly(args, text)
        return self._row(SymbolInfo, "symbol_info", symbol, missing=CODE_NOT_FOUND)

    @api(None)
    def symbol_info_tick(self, *args: Any) -> Tick:
        """symbol_info_tick(symbol) -> Tick"""
        (symbol,) = exactly(args, text)
        return self._row(Tick, "symbol_tick", symbol, missing=CODE_NOT_FOUND)

    @api(False)
    def symbol_select(self, *args: Any) -> bool:
        """symbol_select(symbol, enable=True) -> bool"""
        if len(args) == 1:
            args = (*args, True)
        symbol, enable = exactly(args, text, switch)
        if not self._ask("symbol_select", symbol, enable):
            raise LinkError(CODE_CALL_FAILED)
        return True

    @api(False)
    def market_book_add(self, *args: Any) -> bool:
        """market_book_add(symbol) -> bool"""
        (symbol,) = exactly(args, text)
        self._found("symbol_info", symbol, missing=CODE_NOT_FOUND)
        self._book_symbols.add(symbol)
        return True

    @api(None)
    def market_book_get(self, *args: Any) -> tuple[BookInfo, ...]:
        """market_book_get(symbol) -> tuple of BookInfo, from the highest price down

        () for a symbol whose broker shows no depth.
        """
        (symbol,) = exactly(args, text)
        levels = self._found("market_book", symbol, missing=CODE_NOT_FOUND)
        if symbol not in self._book_symbols:
            raise LinkError(CODE_CALL_FAILED)
        return tuple(map(BookInfo, levels))

    @api(False)
    def market_book_release(self, *args: Any) -> bool:
        """market_book_release(symbol) -> bool"""
        (symbol,) = exactly(args, text)
        self._found("symbol_info", symbol, missing=CODE_NOT_FOUND)
        if symbol not in self._book_symbols:
            raise LinkError(CODE_CALL_FAILED)
        self._book_symbols.remove(symbol)
        return True

    @api(None)
    def copy_rates_from(self, *args: Any) -> Rows:
        """copy_rates_from(symbol, timeframe, date_from, count) -> bars up to date_from"""
        symbol, timeframe, date_from, count = exactly(args, text, unsigned_32, epoch, signed_32)
        return self._rates(symbol, timeframe, date_from, None, None, count)

    @api(None)
    def copy_rates_from_pos(self, *args: Any) -> Rows:
        """copy_rates_from_pos(symbol, timeframe, start_pos, count) -> bars; 0 is the current one"""
        symbol, timeframe, start_pos, count = exactly(args, text, unsigned_32, signed_32, signed_32)
        return self._rates(symbol, timeframe, None, None, start_pos, count)

    @api(None)
    def copy_rates_range(self, *args: Any) -> Rows:
        """copy_rates_range(symbol, timeframe, date_from, date_to) -> bars opened in that range"""
        symbol, timeframe, date_from, date_to = exactly(args, text, unsigned_32, epoch, epoch)
        return self._rates(symbol, timeframe, date_from, date_to, None, None)

    @api(None)
    def copy_ticks_from(self, *args: Any) -> Rows:
        """copy_ticks_from(symbol, date_from, count, flags) -> ticks from date_from on"""
        symbol, date_from, count, flags = exactly(args, text, epoch, signed_32, signed_32)
        return self._ticks(symbol, date_from, None, count, flags)

    @api(None)
    def copy_ticks_range(self, *args: Any) -> Rows:
        """copy_ticks_range(symbol, date_from, date_to, flags) -> ticks of that range"""
        symbol, date_from, date_to, flags = exactly(args, text, epoch, epoch, signed_32)
        return self._ticks(symbol, date_from, date_to, None, flags)

    # Copies: the caller owns what the package returns and may write to it.

    def _rates(
        self,
        symbol: str,
        timeframe: int,
        date_from: int | None,
        date_to: int | None,
        start_pos: int | None,
        count: int | None,
    ) -> Rows:
        self._require_account()
        positive = (count is None or count > 0) and (start_pos is None or start_pos >= 0)
        if timeframe not in TIMEFRAMES or not positive:
            raise LinkError(CODE_INVALID_PARAMS)
        bars = self._found("rates", symbol, timeframe, date_from, date_to, start_pos, count)
        return np.array(bars, dtype=RATES_DTYPE)

    def _ticks(
        self, symbol: str, date_from: int, date_to: int | None, count: int | None, flags: int
    ) -> Rows:
        self._require_account()
        if count is not None and count <= 0:
            raise LinkError(CODE_INVALID_PARAMS)
        ticks = self._found("ticks", symbol, date_from, date_to, count, flags)
        return np.array(ticks, dtype=TICKS_DTYPE)
