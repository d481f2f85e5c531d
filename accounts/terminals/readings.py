"""The columnar reading: what the terminals of one host say at one moment.

A batch holds one row per account and, in tables of their own, the positions, pending orders
and new deals of those accounts, joined by ``account`` (the row number in ``accounts``).
Terminals fill it (one round trip for a whole host on the simulated broker), sessions check it,
the risk core evaluates it. Money is in the account's currency, volumes in lots, ``*_msc`` are
milliseconds of the broker's wall clock written as a UTC epoch, as MetaTrader 5 reports them.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

# An older reading is stale: what it said is not known any more.
STALE_AFTER_SECONDS = 2.0


class Outcome(IntEnum):
    """How a terminal answered when it was asked for a reading."""

    ANSWERED = 0
    NONE = 1  # a call returned None: unknown, never "no positions"
    SILENT = 2  # no answer within the limit (hung, crashed, still starting)
    NO_TERMINAL = 3  # the pipe to the terminal is gone
    REFUSED = 4  # the session is not (or no longer) authorised


ACCOUNT_DTYPE = np.dtype(
    [
        ("login", "<i8"),  # as the terminal reports it, not as we asked
        ("server", "<i4"),  # index into ReadingBatch.servers, -1 unknown
        ("outcome", "<i1"),
        ("error_code", "<i4"),  # last_error() code, 1 = success
        ("connected", "?"),  # terminal_info().connected
        ("trade_allowed", "?"),  # account: False for an investor login
        ("algo_trading_allowed", "?"),  # terminal: the "Algo Trading" button
        ("trade_mode", "<i1"),
        ("margin_mode", "<i1"),
        ("leverage", "<i4"),
        ("currency", "<i4"),  # index into ReadingBatch.currencies
        ("currency_digits", "<i1"),
        ("balance", "<f8"),
        ("credit", "<f8"),
        ("profit", "<f8"),  # floating result of the open positions, swap included
        ("equity", "<f8"),
        ("margin", "<f8"),
        ("margin_free", "<f8"),
        ("margin_level", "<f8"),  # percent; 0 when there is no margin
        ("stop_out_mode", "<i1"),
        ("stop_out_call", "<f8"),
        ("stop_out_level", "<f8"),
        ("position_count", "<i4"),
        ("order_count", "<i4"),
        ("last_deal", "<i8"),  # the newest deal ticket of the account, 0 = none
        ("tick_msc", "<i8"),  # newest tick time that the terminal knows
        ("age_seconds", "<f8"),  # how long before the batch the terminal was asked; 0 = for it
        ("look", "<i8"),  # a new number for each look at the terminal; 0 = taken for this batch
    ]
)

POSITION_DTYPE = np.dtype(
    [
        ("account", "<i4"),
        ("ticket", "<i8"),
        ("symbol", "<i4"),  # index into ReadingBatch.symbols
        ("type", "<i1"),  # POSITION_TYPE_BUY 0, POSITION_TYPE_SELL 1
        ("volume", "<f8"),
        ("price_open", "<f8"),
        ("price_current", "<f8"),
        ("price_digits", "<i1"),  # digits of the symbol's prices behind the point
        ("sl", "<f8"),
        ("tp", "<f8"),
        ("swap", "<f8"),
        ("profit", "<f8"),  # without swap
        ("notional", "<f8"),  # value of the position at price_current, account currency, >= 0
        ("magic", "<i8"),
        ("time_msc", "<i8"),
        ("identifier", "<i8"),
    ]
)

ORDER_DTYPE = np.dtype(
    [
        ("account", "<i4"),
        ("ticket", "<i8"),
        ("symbol", "<i4"),
        ("type", "<i1"),  # ORDER_TYPE_*
        ("volume", "<f8"),  # what is left of it
        ("price_open", "<f8"),
        ("price_stoplimit", "<f8"),  # of a stop limit's limit order, else 0
        ("sl", "<f8"),
        ("tp", "<f8"),
        ("magic", "<i8"),
        ("time_msc", "<i8"),
        ("type_time", "<i1"),  # ORDER_TIME_*
        ("time_expiration", "<i8"),  # seconds of the broker's clock, 0 without
    ]
)

DEAL_DTYPE = np.dtype(
    [
        ("account", "<i4"),
        ("ticket", "<i8"),
        ("order", "<i8"),
        ("position", "<i8"),
        ("time_msc", "<i8"),
        ("type", "<i1"),  # DEAL_TYPE_*
        ("entry", "<i1"),  # DEAL_ENTRY_*
        ("reason", "<i1"),  # DEAL_REASON_*
        ("symbol", "<i4"),  # -1 for balance operations
        ("volume", "<f8"),
        ("price", "<f8"),
        ("commission", "<f8"),
        ("swap", "<f8"),
        ("profit", "<f8"),
        ("fee", "<f8"),
        ("magic", "<i8"),
    ]
)

PRICE_DTYPE = np.dtype(
    [
        ("server", "<i4"),
        ("symbol", "<i4"),
        ("bid", "<f8"),
        ("ask", "<f8"),
        ("time_msc", "<i8"),
    ]
)

Rows = npt.NDArray[np.void]


@dataclass(frozen=True, slots=True)
class ReadingBatch:
    """What every account of a host answered, one row per account that was asked, in that order.

    ``positions``, ``orders`` and ``deals`` are sorted by ``account``. ``deals`` holds only those
    newer than the cursor that the caller sent. ``taken_at`` is the reader's UTC epoch in seconds;
    a source that polls its terminals by itself tells in each row how much older that one is.
    ``prices`` are the newest that any terminal of a server knows. With ``shows_all_symbols`` each
    of them would know them all; otherwise a terminal is only sure to show those that it trades.
    """

    taken_at: float
    accounts: Rows
    positions: Rows
    orders: Rows
    deals: Rows
    prices: Rows
    symbols: tuple[str, ...]
    servers: tuple[str, ...]
    currencies: tuple[str, ...]
    shows_all_symbols: bool = False
