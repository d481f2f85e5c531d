"""Marking to market: what open positions are worth at the current quotes."""

from collections import defaultdict
from collections.abc import Iterable
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
        price = self.closing.take(positions["side"])
        positions["price_current"][:] = price
        positions["profit"][:] = self._profit(
            positions["units"],
            positions["price_open"],
            price,
            positions["pair"],
            positions["money_scale"],
        )
        accounts["floating"][:] = np.bincount(
            positions["account"],
            weights=positions["profit"] + positions["swap"],
            minlength=len(accounts),
        )

    def settle(self, account: int) -> None:
        """Revalue one account after a trade: its positions, floating result and margin."""
        positions, accounts = self._books.positions, self._books.accounts
        rows = self._books.rows_of(account)
        price = self.closing[positions["side"][rows]]
        profit = self._profit(
            positions["units"][rows],
            positions["price_open"][rows],
            price,
            positions["pair"][rows],
            positions["money_scale"][rows],
        )
        positions["price_current"][rows] = price
        positions["profit"][rows] = profit
        # Added up one by one in row order, as `mark` adds them: the same sum to the last bit.
        floating = 0.0
        for result in (profit + positions["swap"][rows]).tolist():
            floating += result
        accounts["floating"][account] = floating
        reserved = self._books.orders["margin"][self._books.orders_of(account)].tolist()
        self._set_margin(account, self._holdings(rows), reserved)

    def settle_all(self) -> None:
        """Revalue everything, as after the books were read back."""
        self.mark()
        accounts, positions, orders = (
            self._books.accounts, self._books.positions, self._books.orders,
        )  # fmt: skip
        rows = np.flatnonzero(positions["live"])
        held: defaultdict[int, list[Holding]] = defaultdict(list)
        owners = positions["account"][rows].tolist()
        for account, holding in zip(owners, self._holdings(rows), strict=True):
            held[account].append(holding)
        reserved: defaultdict[int, list[float]] = defaultdict(list)
        for account, margin in zip(
            orders["account"].tolist(), orders["margin"].tolist(), strict=True
        ):
            reserved[account].append(margin)
        accounts["margin"][:] = 0.0
        for account in held.keys() | reserved.keys():
            self._set_margin(account, held[account], reserved[account])

    def margin(self, rows: RowNumbers, extra: Holding | None = None) -> float:
        """Return the margin of an account's positions, and of one more."""
        return total_margin((*self._holdings(rows), *((extra,) if extra else ())))

    def _holdings(self, rows: RowNumbers) -> Iterable[Holding]:
        positions = self._books.positions
        return zip(
            positions["symbol"][rows].tolist(),
            positions["type"][rows].tolist(),
            positions["volume"][rows].tolist(),
            positions["margin_per_lot"][rows].tolist(),
            strict=True,
        )

    def _set_margin(self, account: int, held: Iterable[Holding], reserved: Iterable[float]) -> None:
        accounts = self._books.accounts
        digits = int(accounts["currency_digits"][account])
        accounts["margin"][account] = round(total_margin(held) + sum(reserved), digits)

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

    def _profit(
        self,
        units: Floats,
        opened: Floats,
        price: Floats,
        pair: npt.NDArray[np.int32],
        scale: Floats,
    ) -> Floats:
        amounts = self.conversion.all_converted((price - opened) * units, pair)
        result: Floats = np.rint(amounts * scale) / scale + 0.0  # never -0.0
        return result
