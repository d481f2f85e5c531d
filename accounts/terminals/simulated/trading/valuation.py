"""Marking to market: what open positions are worth at the current quotes."""

from copy import copy

import numpy as np
import numpy.typing as npt

from .. import constants as mt5
from ..books.books import Books, RowNumbers
from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import CURRENCY_INDEX
from ..symbols.conversion import Conversion, pair_index
from .margin import Holding, lot_margin, total_margin

Floats = npt.NDArray[np.float64]


def rounded(amount: float, digits: int) -> float:
    """Round money half to even in binary, as whole columns are rounded; never to -0.0."""
    scale = 10.0**digits
    return float(np.rint(amount * scale) / scale + 0.0)


class Valuation:
    """The current quotes, and the values that follow from them.

    ``closing`` holds, at ``symbol × 2 + type``, the price at which a position of that type would be
    closed: the bid for a buy, the ask for a sell.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self.bid: Floats = np.zeros(len(CONTRACTS))
        self.ask: Floats = np.zeros(len(CONTRACTS))
        self.closing: Floats = np.zeros(len(CONTRACTS) * 2)
        self.conversion = Conversion()

    def over(self, books: Books) -> "Valuation":
        """Return a valuation of other books at these very quotes, which it shares."""
        other = copy(self)
        other._books = books
        return other

    def quote(self, symbol: int, bid: float, ask: float) -> None:
        self.bid[symbol] = self.closing[symbol * 2] = bid
        self.ask[symbol] = self.closing[symbol * 2 + 1] = ask

    def quoted(self, symbol: int) -> tuple[float, float]:
        """Return a symbol's bid and ask."""
        return float(self.bid[symbol]), float(self.ask[symbol])

    def opening_price(self, symbol: int, side: int) -> float:
        """Return the price at which a buy or a sell enters the market now."""
        return float((self.ask if side == mt5.ORDER_TYPE_BUY else self.bid)[symbol])

    def convert(self) -> None:
        """Renew the exchange rates after quotes have changed."""
        self.conversion.update(self.bid, self.ask)

    def mark(self) -> None:
        """Revalue every position and every account at the current quotes."""
        positions, accounts = self._books.positions, self._books.accounts
        self._revalue(slice(None))
        accounts["floating"][:] = np.bincount(
            positions["account"],
            weights=positions["profit"] + positions["swap"],
            minlength=len(accounts),
        )

    def mark_position(self, ticket: int) -> None:
        """Revalue one position, which a trade has opened or changed."""
        row = self._books.position_row(ticket)
        if row is not None:
            self._revalue(slice(row, row + 1))

    def settle(self, account: int) -> None:
        """Add up one account after a trade: floating result and margin of positions as marked."""
        positions, accounts = self._books.positions, self._books.accounts
        rows = self._books.rows_of(account)
        # Added up one by one in row order, as `mark` adds them: the same sum to the last bit.
        results = (positions["profit"][rows] + positions["swap"][rows]).cumsum()
        accounts["floating"][account] = results[-1] if len(rows) else 0.0
        reserved = self._books.orders["margin"][self._books.orders_of(account)].tolist()
        digits = accounts["currency_digits"].item(account)
        accounts["margin"][account] = round(self.margin(rows) + sum(reserved), digits)

    def settle_all(self) -> None:
        """Revalue everything, as after the books were read back."""
        self.mark()
        books = self._books
        books.accounts["margin"][:] = 0.0
        busy = books.positions["account"][books.positions["live"]], books.orders["account"]
        for account in np.unique(np.concatenate(busy)).tolist():
            self.settle(account)

    def margin(self, rows: RowNumbers, extra: Holding | None = None) -> float:
        """Return the margin of an account's positions, and of one more."""
        positions = self._books.positions
        sides, lots = positions["side"][rows], positions["volume"][rows]
        per_lot = positions["margin_per_lot"][rows]
        if extra is not None:
            symbol, side, more_lots, more_per_lot = extra
            sides, lots = np.append(sides, symbol * 2 + side), np.append(lots, more_lots)
            per_lot = np.append(per_lot, more_per_lot)
        return total_margin(sides, lots, per_lot)

    def margin_per_lot(self, account: int, symbol: int, side: int, price: float) -> float:
        """Return what a lot at a price takes of an account's money; ask for a buy, bid for a sell.

        Converted at the rate that costs more for a buy and less for a sell, as MetaTrader does.
        """
        return self._lot_margin(account, symbol, side, price, CONTRACTS[symbol].margin_rate)

    def pending_margin(
        self, account: int, symbol: int, side: int, price: float, lots: float
    ) -> float:
        """Return what a waiting order reserves of an account's money, 0 where orders are free.

        ``side`` is ORDER_TYPE_BUY or ORDER_TYPE_SELL, ``price`` the order's own.
        """
        rate = CONTRACTS[symbol].pending_margin_rate
        if not rate:
            return 0.0
        digits = int(self._books.accounts["currency_digits"][account])
        return round(self._lot_margin(account, symbol, side, price, rate) * lots, digits)

    def profit(
        self, account: int, symbol: int, side: int, lots: float, opened: float, closed: float
    ) -> float:
        """Return a result in account currency, to the cent that the open position showed."""
        contract, accounts = CONTRACTS[symbol], self._books.accounts
        sign = 1.0 if side == mt5.ORDER_TYPE_BUY else -1.0
        raw = (closed - opened) * (lots * contract.unit_value * sign)
        amount = self.conversion.converted(
            raw, CURRENCY_INDEX[contract.quote], int(accounts["currency"][account])
        )
        return rounded(amount, int(accounts["currency_digits"][account]))

    def _lot_margin(self, account: int, symbol: int, side: int, price: float, rate: float) -> float:
        contract, accounts = CONTRACTS[symbol], self._books.accounts
        currency = int(accounts["currency"][account])
        rates = self.conversion.loss if side == mt5.ORDER_TYPE_BUY else self.conversion.gain
        exchange = float(rates[pair_index(CURRENCY_INDEX[contract.margin_currency], currency)])
        if currency == CURRENCY_INDEX[contract.quote] and contract.margin_currency == contract.base:
            exchange = price if contract.base != contract.quote else 1.0
        return lot_margin(contract, int(accounts["leverage"][account]), price, rate) * exchange

    def _revalue(self, rows: slice) -> None:
        positions = self._books.positions
        price, scale = self.closing.take(positions["side"][rows]), positions["money_scale"][rows]
        raw = (price - positions["price_open"][rows]) * positions["units"][rows]
        amounts = self.conversion.all_converted(raw, positions["pair"][rows])
        positions["price_current"][rows] = price
        positions["profit"][rows] = np.rint(amounts * scale) / scale + 0.0  # never -0.0
