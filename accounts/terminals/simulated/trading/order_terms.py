"""Orders as the books keep them, and what an order hands on to the deals that it makes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import constants as mt5
from ..symbols.catalogue import CONTRACTS
from .requests import TradeOrder

_LARGEST_DEVIATION = 2**31 - 1  # points: more is as much as any price
PENDING_TYPES = range(mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_CLOSE_BY)
LIMIT_TYPES = (mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT)
STOP_LIMIT_TYPES = (mt5.ORDER_TYPE_BUY_STOP_LIMIT, mt5.ORDER_TYPE_SELL_STOP_LIMIT)


def side_of(order_type: int) -> int:
    """Return which way an order deals: 0 buys, 1 sells. MetaTrader numbers its types in pairs."""
    return order_type % 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """What an order's deals and positions take from it.

    ``position`` is the ticket of the position that it closes, 0 when it names none.
    """

    account: int
    symbol: int
    side: int
    ticket: int
    reason: int
    magic: int = 0
    comment: str = ""
    sl: float = 0.0
    tp: float = 0.0
    position: int = 0

    @classmethod
    def of(cls, order: Mapping[str, Any]) -> "OrderTerms":
        """Read the terms out of a row of the orders table."""
        return cls(
            account=order["account"], symbol=order["symbol"], side=side_of(order["type"]),
            ticket=order["ticket"], reason=order["reason"], magic=order["magic"],
            comment=order["comment"], sl=order["sl"], tp=order["tp"], position=order["position"],
        )  # fmt: skip


def order_row(
    account: int, symbol: int, request: TradeOrder, now_msc: int, **more: Any
) -> dict[str, Any]:
    """Return a row of the orders table for a request; ``more`` takes precedence over it."""
    digits = CONTRACTS[symbol].digits
    return {
        "account": account, "symbol": symbol, "type": request.type,
        "filling": request.type_filling, "type_time": request.type_time,
        "state": mt5.ORDER_STATE_STARTED, "magic": request.magic, "position": request.position,
        "position_by": request.position_by, "time_setup_msc": now_msc, "time_done_msc": 0,
        "time_expiration": 0, "volume_initial": request.volume,
        "volume_current": request.volume, "price_open": round(request.price, digits),
        "price_stoplimit": 0.0, "sl": round(request.sl, digits), "tp": round(request.tp, digits),
        "price_current": 0.0, "comment": request.comment, "due_msc": 0, "margin": 0.0,
        "deviation": min(request.deviation, _LARGEST_DEVIATION), **more,
    }  # fmt: skip
