"""What midnight brings on the broker's clock: swaps, and the end of contracts that expire.

The night belongs to the day that ends. Its charge counts once, on the symbol's triple day three
times, on Saturdays, Sundays and days without a session not at all: seven nights a week where the
symbol is traded on workdays. A position is charged when it was open before midnight. Swaps stay
with the position until its close realises them; only the modes that reopen make deals.

An expired contract is settled at the last prices at which its positions could be closed. Of
MetaTrader's deal reasons that the API shows none means expiry, so these deals carry
DEAL_REASON_CLIENT, as all that a broker's back office books, and say it in the comment.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .. import constants as mt5
from ..books.books import CHANGED_POSITION, ROLLED_OVER, Books, RowNumbers
from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import CURRENCY_INDEX, Contract
from ..symbols.conversion import pair_index
from ..symbols.hours import DAY, SATURDAY, SUNDAY, day_of_week
from .ledger import Ledger
from .requests import TradeOrder
from .valuation import Valuation

Floats = npt.NDArray[np.float64]

DAY_MSC = DAY * 1000
INTEREST_DAYS = 360
EXPIRED = "expired"
_INTEREST = (mt5.SYMBOL_SWAP_MODE_INTEREST_CURRENT, mt5.SYMBOL_SWAP_MODE_INTEREST_OPEN)
_REOPENING = (mt5.SYMBOL_SWAP_MODE_REOPEN_CURRENT, mt5.SYMBOL_SWAP_MODE_REOPEN_BID)
_ACCOUNT_CURRENCY = -1


def nights(contract: Contract, day: int) -> int:
    """Return how many nights the end of a day counts for; days are numbered since 1970."""
    weekday = day_of_week(day * DAY)
    start, end = weekday * DAY, (weekday + 1) * DAY
    trades = any(opens < end and closes > start for opens, closes in contract.hours.sessions)
    if not trades or contract.swap_mode == mt5.SYMBOL_SWAP_MODE_DISABLED:
        return 0
    if weekday == contract.swap_rollover3days:
        return 3
    return 0 if weekday in (SATURDAY, SUNDAY) else 1


def charge(
    contract: Contract,
    long: npt.NDArray[np.bool_],
    lots: Floats,
    price_open: Floats,
    price_current: Floats,
) -> tuple[Floats, int]:
    """Return one night's swap of positions, and the number of the currency that it is in.

    Negative amounts are charges. The currency is -1 where it is the account's own.
    """
    swap = np.where(long, contract.swap_long, contract.swap_short)
    mode = contract.swap_mode
    if mode == mt5.SYMBOL_SWAP_MODE_CURRENCY_SYMBOL:
        return swap * lots, CURRENCY_INDEX[contract.base]
    if mode == mt5.SYMBOL_SWAP_MODE_CURRENCY_MARGIN:
        return swap * lots, CURRENCY_INDEX[contract.margin_currency]
    if mode == mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT:
        return swap * lots, _ACCOUNT_CURRENCY
    if mode in _INTEREST:
        at_open = mode == mt5.SYMBOL_SWAP_MODE_INTEREST_OPEN
        price = price_open if at_open else price_current
        yearly = price * contract.unit_value * lots * swap / 100.0
        return yearly / INTEREST_DAYS, CURRENCY_INDEX[contract.quote]
    points = swap * contract.point
    return points * contract.unit_value * lots, CURRENCY_INDEX[contract.quote]


class Rollover:
    """Charges every night once, over restarts as well, and settles what has expired."""

    def __init__(self, books: Books, valuation: Valuation, ledger: Ledger) -> None:
        self._books = books
        self._valuation = valuation
        self._ledger = ledger

    def begin(self, now_msc: int) -> None:
        """Let new books have no night behind them; older ones go on where they stopped."""
        if not self._books.rolled_over_day:
            self._books.write(ROLLED_OVER, now_msc // DAY_MSC - 1)

    def is_due(self, now_msc: int) -> bool:
        return self._books.rolled_over_day < now_msc // DAY_MSC - 1 or bool(self._expired(now_msc))

    def run(self, now_msc: int) -> None:
        """Charge the nights that have passed, the oldest first, then settle expired contracts.

        The charges and the record of the night are of one command: both survive, or neither.
        """
        for day in range(self._books.rolled_over_day + 1, now_msc // DAY_MSC):
            self._charge_night(day)
        for symbol in self._expired(now_msc):
            self._settle(symbol)

    def _charge_night(self, day: int) -> None:
        positions = self._books.positions
        held = positions["live"] & (positions["time_msc"] < (day + 1) * DAY_MSC)
        reopened: list[int] = []
        for symbol in np.unique(positions["symbol"][held]).tolist():
            count = nights(CONTRACTS[symbol], day)
            rows = np.flatnonzero(held & (positions["symbol"] == symbol))
            if count and CONTRACTS[symbol].swap_mode in _REOPENING:
                reopened += positions["ticket"][rows].tolist()
            elif count:
                self._charge(CONTRACTS[symbol], rows, count)
        self._books.write(ROLLED_OVER, day)
        self._valuation.mark()
        for ticket in reopened:
            self._reopen(ticket, day)

    def _charge(self, contract: Contract, rows: RowNumbers, count: int) -> None:
        positions = self._books.positions
        amounts, currency = charge(
            contract,
            positions["type"][rows] == mt5.POSITION_TYPE_BUY,
            positions["volume"][rows],
            positions["price_open"][rows],
            positions["price_current"][rows],
        )
        scale = positions["money_scale"][rows]
        charged = self._in_account_currency(amounts * count, currency, rows)
        cents = np.rint(positions["swap"][rows] * scale) + np.rint(charged * scale)
        tickets: Sequence[int] = positions["ticket"][rows].tolist()
        for ticket, swap in zip(tickets, (cents / scale + 0.0).tolist(), strict=True):
            self._books.write(CHANGED_POSITION, ticket, {"swap": swap})

    def _in_account_currency(self, amounts: Floats, currency: int, rows: RowNumbers) -> Floats:
        if currency == _ACCOUNT_CURRENCY:
            return amounts
        owners = self._books.accounts["currency"][self._books.positions["account"][rows]]
        pairs = pair_index(currency, 0) + owners
        return self._valuation.conversion.all_converted(amounts, pairs)

    def _reopen(self, ticket: int, day: int) -> None:
        """Close a position and open it again, worse or better by the swap's points."""
        row = self._books.position_row(ticket)
        if row is None:
            return
        position = self._books.positions.row(row)
        contract = CONTRACTS[position["symbol"]]
        is_long = position["type"] == mt5.POSITION_TYPE_BUY
        closing = float(self._valuation.closing[position["side"]])
        at_bid = contract.swap_mode == mt5.SYMBOL_SWAP_MODE_REOPEN_BID
        base = float(self._valuation.bid[position["symbol"]]) if at_bid else closing
        points = contract.swap_long if is_long else contract.swap_short
        moved = points * contract.point * nights(contract, day) * (-1 if is_long else 1)
        self._ledger.reopen_position(row, closing, round(base + moved, contract.digits))

    def _expired(self, now_msc: int) -> list[int]:
        """Return the expired symbols that somebody still has positions or orders in."""
        books, expired = self._books, []
        for symbol, contract in enumerate(CONTRACTS):
            if contract.expires_at and now_msc >= contract.expires_at * 1000:
                held = books.positions["live"] & (books.positions["symbol"] == symbol)
                if held.any() or (books.orders["symbol"] == symbol).any():
                    expired.append(symbol)
        return expired

    def _settle(self, symbol: int) -> None:
        books = self._books
        waiting: Sequence[int] = books.orders["ticket"][books.orders["symbol"] == symbol].tolist()
        self._ledger.orders.expire(waiting)
        positions = books.positions
        held: Sequence[int] = positions["ticket"][
            positions["live"] & (positions["symbol"] == symbol)
        ].tolist()
        for ticket in held:
            row = books.position_row(ticket)
            if row is not None:
                request = TradeOrder(comment=EXPIRED, magic=int(positions["magic"][row]))
                lots = float(positions["volume"][row])
                self._ledger.close_position(row, lots, mt5.DEAL_REASON_CLIENT, request)
