"""What time brings by itself: orders whose turn has come or that expire, stops for a day."""

import numpy as np
import numpy.typing as npt

from .. import constants as mt5
from ..books.books import Books
from ..symbols.catalogue import CONTRACTS
from ..symbols.hours import DAY
from .ledger import Ledger
from .order_desk import OrderDesk

_DAY_MSC = DAY * 1000
_LATEST = 2**53  # seconds: later times would overflow in milliseconds
# Contracts whose orders, or whose orders and stops, hold for one day only.
_DAILY = np.array([contract.gtc_mode != mt5.SYMBOL_ORDERS_GTC for contract in CONTRACTS])
_STOPS_DAILY = np.array([contract.gtc_mode == mt5.SYMBOL_ORDERS_DAILY for contract in CONTRACTS])


class DueOrders:
    """Carries out what has become due since the last step."""

    def __init__(self, books: Books, ledger: Ledger, desk: OrderDesk) -> None:
        self._books = books
        self._ledger = ledger
        self._desk = desk

    def run(self, now_msc: int) -> None:
        """Expire orders, drop stops that hold for a day, and carry out what was accepted."""
        self._ledger.orders.expire(self._expired(now_msc))
        for ticket in self._stopped_overnight(now_msc):
            self._ledger.move_stops(ticket, 0.0, 0.0)
        for ticket in self._accepted(now_msc):
            self._desk.fulfilment.carry_out(ticket)
        self._desk.run_delayed(now_msc)

    def _accepted(self, now_msc: int) -> list[int]:
        """Return the market orders whose execution is due, the first due first."""
        orders = self._books.orders
        if not len(orders):
            return []
        due_msc = orders["due_msc"]
        due = np.flatnonzero((due_msc > 0) & (due_msc <= now_msc))
        tickets: list[int] = orders["ticket"][due[np.argsort(due_msc[due], kind="stable")]].tolist()
        return tickets

    def _expired(self, now_msc: int) -> list[int]:
        orders = self._books.orders
        if not len(orders):
            return []
        kind = orders["type_time"]
        given = np.minimum(orders["time_expiration"], _LATEST)
        end = np.full(len(orders), np.iinfo(np.int64).max)
        day_only = (kind == mt5.ORDER_TIME_DAY) | _DAILY[orders["symbol"]]
        end[day_only] = _end_of_day(orders["time_setup_msc"][day_only])
        specified = kind == mt5.ORDER_TIME_SPECIFIED
        end[specified] = np.minimum(end[specified], given[specified] * 1000)
        days = kind == mt5.ORDER_TIME_SPECIFIED_DAY
        end[days] = np.minimum(end[days], _end_of_day(given[days] * 1000))
        expired: list[int] = orders["ticket"][end <= now_msc].tolist()
        return expired

    def _stopped_overnight(self, now_msc: int) -> list[int]:
        """Return the positions on daily symbols that have carried stops over midnight.

        Stops that were set today carry today's time of update.
        """
        positions = self._books.positions
        daily = positions["live"] & _STOPS_DAILY[positions["symbol"]]
        if not daily.any():
            return []
        daily &= (positions["sl"] != 0) | (positions["tp"] != 0)
        daily &= _end_of_day(positions["time_update_msc"]) <= now_msc
        tickets: list[int] = positions["ticket"][daily].tolist()
        return tickets


def _end_of_day(time_msc: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return (time_msc // _DAY_MSC + 1) * _DAY_MSC
