"""The calls that ask a terminal about symbols, prices and what a trade would cost."""

from collections.abc import Callable

from . import constants as mt5
from . import rows
from .catalogue import CONTRACTS
from .contracts import CURRENCY_INDEX
from .engine import Engine
from .history import Bars, select_rates, select_ticks
from .rows import Row
from .selection import in_group
from .state import AccountState


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
        state = self._state_of(login)
        number, index = state.row, state.naming.symbol(symbol)
        if index is None or action not in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL):
            return None
        per_lot = self._engine.valuation.margin_per_lot(number, index, action, price)
        return round(per_lot * volume, int(self._books.accounts["currency_digits"][number]))

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
        if index is None or action not in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL):
            return None
        contract, accounts = CONTRACTS[index], self._books.accounts
        sign = 1.0 if action == mt5.ORDER_TYPE_BUY else -1.0
        profit = self._engine.valuation.conversion.converted(
            (price_close - price_open) * sign * contract.unit_value * volume,
            CURRENCY_INDEX[contract.quote],
            int(accounts["currency"][number]),
        )
        return round(profit, int(accounts["currency_digits"][number]))

    def symbol_info(self, login: int, symbol: str) -> Row | None:
        state = self._state_of(login)
        index = state.naming.symbol(symbol)
        return None if index is None else self._symbol_row(login, state, index)

    def symbol_tick(self, login: int, symbol: str) -> Row | None:
        state = self._state_of(login)
        index = state.naming.symbol(symbol)
        return None if index is None else rows.tick_row(state, index)

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
            day_range=self._engine.history.symbols[index].day_range(),
            selected=(login, index) not in self._hidden,
        )
