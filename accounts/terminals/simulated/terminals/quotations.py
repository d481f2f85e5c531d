"""The calls that ask a terminal about symbols, prices and what a trade would cost."""

import math
from collections.abc import Callable

import numpy as np

from accounts.terminals.link import LinkError

from .. import constants as mt5
from ..engine import Engine
from ..link import CODE_INVALID_PARAMS
from ..prices.timeframes import Bars, select_rates, select_ticks
from ..prices.trading_day import known_tick, trading_day
from ..state import AccountState
from ..symbols.catalogue import CONTRACTS
from . import rows
from .rows import Row
from .selection import in_group

_MARKET_TYPES = (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL)
_BUYS = (
    mt5.ORDER_TYPE_BUY,
    mt5.ORDER_TYPE_BUY_LIMIT,
    mt5.ORDER_TYPE_BUY_STOP,
    mt5.ORDER_TYPE_BUY_STOP_LIMIT,
)
_SELLS = (
    mt5.ORDER_TYPE_SELL,
    mt5.ORDER_TYPE_SELL_LIMIT,
    mt5.ORDER_TYPE_SELL_STOP,
    mt5.ORDER_TYPE_SELL_STOP_LIMIT,
)
_ORDER_TYPES = (*_BUYS, *_SELLS)
_NO_POSITIONS = np.zeros(0, dtype=np.intp)


class Quotations:
    """Market data as each account's terminal sees it. The trade server holds the lock."""

    def __init__(self, engine: Engine, state_of: Callable[[int], AccountState]) -> None:
        self._engine = engine
        self._books = engine.books
        self._state_of = state_of
        self._hidden: set[tuple[int, int]] = set()  # (login, symbol) out of the Market Watch

    def version(self) -> tuple[int, int, str]:
        return 500, rows.BUILD, rows.BUILD_DATE

    def order_calc_margin(
        self, login: int, action: int, symbol: str, volume: float, price: float
    ) -> float | None:
        """Return what a position of any order type takes, or a waiting order reserves.

        What it says of a position opened from flat is what the account's margin is then.
        """
        state = self._state_of(login)
        number, index = state.row, state.naming.symbol(symbol)
        if index is None:
            return None
        _check_question(action in _ORDER_TYPES, volume, price)
        valuation, side = self._engine.valuation, _side(action)
        if action not in _MARKET_TYPES:
            return valuation.pending_margin(number, index, side, price, volume)
        per_lot = valuation.margin_per_lot(number, index, side, price)
        margin = valuation.margin(_NO_POSITIONS, (index, side, volume, per_lot))
        return round(margin, int(self._books.accounts["currency_digits"][number]))

    def order_calc_profit(
        self,
        login: int,
        action: int,
        symbol: str,
        volume: float,
        price_open: float,
        price_close: float,
    ) -> float | None:
        state = self._state_of(login)
        number, index = state.row, state.naming.symbol(symbol)
        if index is None:
            return None
        _check_question(action in _MARKET_TYPES, volume, price_open, price_close)
        return self._engine.valuation.profit(number, index, action, volume, price_open, price_close)

    def symbol_info(self, login: int, symbol: str) -> Row | None:
        state = self._state_of(login)
        index = state.naming.symbol(symbol)
        return None if index is None else self._symbol_row(login, state, index)

    def symbol_tick(self, login: int, symbol: str) -> Row | None:
        state = self._state_of(login)
        index = state.naming.symbol(symbol)
        if index is None:
            return None
        history = self._engine.history.symbols[index]
        return rows.tick_row(state, index, known_tick(history, int(state.tick_msc[index])))

    def market_book(self, login: int, symbol: str) -> list[Row] | None:
        """Return the levels of a symbol's book, the highest price first."""
        state = self._state_of(login)
        index = state.naming.symbol(symbol)
        return None if index is None else rows.book_rows(state, index)

    def symbols(self, login: int, group: str | None) -> list[Row]:
        state = self._state_of(login)
        return [
            self._symbol_row(login, state, index)
            for index in range(len(CONTRACTS))
            if in_group(state.naming.listed(index), group)
        ]

    def symbol_select(self, login: int, symbol: str, enable: bool) -> bool:
        state = self._state_of(login)
        index = state.naming.symbol(symbol)
        if index is None:
            return False
        if enable:
            self._hidden.discard((login, index))
            return True
        if index in state.positions["symbol"]:
            return False  # the terminal keeps a symbol that has positions
        self._hidden.add((login, index))
        return True

    def rates(
        self,
        login: int,
        symbol: str,
        timeframe: int,
        start: int | None,
        end: int | None,
        position: int | None,
        count: int | None,
    ) -> Bars | None:
        state = self._state_of(login)
        index = state.naming.symbol(symbol)
        if index is None:
            return None
        bars = self._engine.history.symbols[index].bars(timeframe)
        if bars is None:
            return None
        known = bars[bars["time"] <= int(state.tick_msc[index]) // 1000]
        return select_rates(known, start, end, position, count).copy()

    def ticks(
        self, login: int, symbol: str, start: int, end: int | None, count: int | None, flags: int
    ) -> Bars | None:
        state = self._state_of(login)
        index = state.naming.symbol(symbol)
        if index is None:
            return None
        ticks = self._engine.history.symbols[index].ticks
        known = ticks[ticks["time_msc"] <= int(state.tick_msc[index])]
        return select_ticks(known, start, end, count, flags).copy()

    def _symbol_row(self, login: int, state: AccountState, index: int) -> Row:
        return rows.symbol_row(
            state,
            index,
            self._engine.valuation.conversion,
            trade_mode=self._engine.opening.trade_mode(index),
            day=trading_day(
                CONTRACTS[index],
                self._engine.history.symbols[index],
                float(state.bid[index]),
                float(state.ask[index]),
                int(state.tick_msc[index]),
            ),
            selected=(login, index) not in self._hidden,
        )


def _side(order_type: int) -> int:
    return mt5.ORDER_TYPE_BUY if order_type in _BUYS else mt5.ORDER_TYPE_SELL


def _check_question(knows_action: bool, volume: float, *prices: float) -> None:
    """Refuse what the terminal calculates nothing for, with its own error."""
    sane = all(0 < number < math.inf for number in (volume, *prices))
    if not knows_action or not sane:
        raise LinkError(CODE_INVALID_PARAMS)
