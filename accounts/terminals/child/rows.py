"""Rows of a reading as raw bytes, straight from the package's result tuples.

A few rows are packed twenty times a second, so that numpy would cost more than it does for them:
the layouts of `readings` are turned into struct formats once.
"""

import struct
from typing import Any, Final

import numpy as np

from accounts.terminals.readings import (
    ACCOUNT_DTYPE,
    DEAL_DTYPE,
    ORDER_DTYPE,
    POSITION_DTYPE,
    PRICE_DTYPE,
    Outcome,
)

_LETTERS: Final = {"<f8": "d", "<i8": "q", "<i4": "i", "|i1": "b", "|b1": "?"}
# The package has 64 bits without a sign for these; what does not fit in ours goes to the sign.
_UNSIGNED: Final = frozenset({"ticket", "order", "position", "identifier", "magic"})
_HERE: Final = 0  # the place of the one account, server and currency of a reading
_UNKNOWN: Final = -1
_SUCCESS: Final = 1
_FOR_THE_HOST: Final = (0.0, 0)  # age and number of a look: the host fills them in


def _layout(dtype: np.dtype[np.void]) -> struct.Struct:
    letters = [
        "Q" if name in _UNSIGNED else _LETTERS[dtype[name].str] for name in dtype.names or ()
    ]
    layout = struct.Struct("<" + "".join(letters))
    if layout.size != dtype.itemsize:
        raise TypeError("a reading's rows have gaps")
    return layout


_ACCOUNT: Final = _layout(ACCOUNT_DTYPE)
_POSITION: Final = _layout(POSITION_DTYPE)
_ORDER: Final = _layout(ORDER_DTYPE)
_DEAL: Final = _layout(DEAL_DTYPE)
_PRICE: Final = _layout(PRICE_DTYPE)
_EMPTY: Final = np.zeros(1, dtype=ACCOUNT_DTYPE)


def account_row(
    account: Any,
    terminal: Any,
    *,
    position_count: int,
    order_count: int,
    last_deal: int,
    tick_msc: int,
) -> bytes:
    """Return the row of an AccountInfo and a TerminalInfo."""
    # Each of the three alone keeps a program from trading; an investor may not at all.
    algo_trading = (
        terminal.trade_allowed and not terminal.tradeapi_disabled and account.trade_expert
    )
    return _ACCOUNT.pack(
        account.login, _HERE, Outcome.ANSWERED, _SUCCESS, terminal.connected,
        account.trade_allowed, bool(algo_trading), account.trade_mode, account.margin_mode,
        account.leverage, _HERE, account.currency_digits, account.balance, account.credit,
        account.profit, account.equity, account.margin, account.margin_free, account.margin_level,
        account.margin_so_mode, account.margin_so_call, account.margin_so_so,
        position_count, order_count, last_deal, tick_msc, *_FOR_THE_HOST,
    )  # fmt: skip


def unanswered_row(outcome: Outcome, error_code: int) -> bytes:
    """Return the row of a terminal that gave no reading."""
    row = _EMPTY.copy()
    row["server"], row["outcome"], row["error_code"] = _UNKNOWN, outcome, error_code
    return row.tobytes()


def position_row(position: Any, symbol: int, price_digits: int, notional: float) -> bytes:
    return _POSITION.pack(
        _HERE, position.ticket, symbol, position.type, position.volume, position.price_open,
        position.price_current, price_digits, position.sl, position.tp, position.swap,
        position.profit, notional, position.magic, position.time_msc, position.identifier,
    )  # fmt: skip


def order_row(order: Any, symbol: int) -> bytes:
    return _ORDER.pack(
        _HERE, order.ticket, symbol, order.type, order.volume_current, order.price_open,
        order.price_stoplimit, order.sl, order.tp, order.magic, order.time_setup_msc,
        order.type_time, order.time_expiration,
    )  # fmt: skip


def deal_row(deal: Any, symbol: int) -> bytes:
    """Return the row of a TradeDeal; ``symbol`` is -1 for balance operations."""
    return _DEAL.pack(
        _HERE, deal.ticket, deal.order, deal.position_id, deal.time_msc, deal.type, deal.entry,
        deal.reason, symbol, deal.volume, deal.price, deal.commission, deal.swap, deal.profit,
        deal.fee, deal.magic,
    )  # fmt: skip


def price_row(tick: Any, symbol: int) -> bytes:
    return _PRICE.pack(_HERE, symbol, tick.bid, tick.ask, tick.time_msc)
