"""Past deals and bars of one account, asked of its terminal host's source.

These are single calls that may take a while: never made from the tick itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from accounts.terminals.readings import DEAL_DTYPE, Rows

TIMEFRAME_M1 = 1
TIMEFRAME_D1 = 16408
_DAY_SECONDS = 86_400


class Calls(Protocol):
    """The part of a source that answers single calls; raises when the terminal is away."""

    def call(self, method: str, *arguments: Any) -> Any: ...


class HistoryUnavailableError(Exception):
    """The terminal did not answer; worth asking again later."""


# Positions in the rows of TradeDeal and SymbolInfo, as MetaTrader 5 orders their fields.
_DEAL_FIELDS = {
    "ticket": 0,
    "order": 1,
    "time_msc": 3,
    "type": 4,
    "entry": 5,
    "magic": 6,
    "position": 7,
    "reason": 8,
    "volume": 9,
    "price": 10,
    "commission": 11,
    "swap": 12,
    "profit": 13,
    "fee": 14,
}
_DEAL_SYMBOL = 15
# MetaTrader's magic numbers have a bit more than ours, which goes to the sign.
_KEPT_AS = {"magic": np.uint64}


def deals_between(
    source: Calls,
    login: int,
    from_broker_epoch: float,
    to_broker_epoch: float,
    symbols: Mapping[str, int],
) -> Rows:
    """Return an account's deals between two moments of the broker's clock, oldest first.

    `symbols` gives the number of each symbol; one that it lacks becomes -1. The column `account` is
    left at 0. Raises HistoryUnavailableError when the call failed (None is never "no deals").
    """
    answer = _ask(
        source, "history_deals", login, from_broker_epoch, to_broker_epoch, None, None, None
    )
    deals = np.zeros(len(answer), dtype=DEAL_DTYPE)
    for name, place in _DEAL_FIELDS.items():
        values = np.array([row[place] for row in answer], dtype=_KEPT_AS.get(name))
        deals[name] = values
    deals["symbol"] = [symbols.get(row[_DEAL_SYMBOL], -1) for row in answer]
    return deals[np.argsort(deals["ticket"], kind="stable")]


def minute_bars(
    source: Calls, login: int, symbol: str, broker_epoch: float, days_back: int
) -> npt.NDArray[Any]:
    """Return the one-minute bars of the days up to and including the minute of `broker_epoch`."""
    minute = broker_epoch - broker_epoch % 60
    first = minute - days_back * _DAY_SECONDS
    rates = _ask(source, "rates", login, symbol, TIMEFRAME_M1, first, minute, None, None)
    return np.asarray(rates)


def daily_bars(
    source: Calls, login: int, symbol: str, broker_epoch: float, days_back: int
) -> npt.NDArray[Any]:
    """Return the bars of the days that ended before the broker's date of `broker_epoch`."""
    today = broker_epoch - broker_epoch % _DAY_SECONDS
    first = today - days_back * _DAY_SECONDS
    rates = _ask(source, "rates", login, symbol, TIMEFRAME_D1, first, today - 1, None, None)
    return np.asarray(rates)


def symbol_row(source: Calls, login: int, symbol: str) -> Sequence[Any]:
    """Return the SymbolInfo row of a symbol, as this account sees it."""
    row: Sequence[Any] = _ask(source, "symbol_info", login, symbol)
    return row


def _ask(source: Calls, method: str, *arguments: Any) -> Any:
    try:
        answer = source.call(method, *arguments)
    except Exception as error:
        raise HistoryUnavailableError(f"{method} failed: {error}") from error
    if answer is None:
        raise HistoryUnavailableError(f"{method} gave no answer.")
    return answer
