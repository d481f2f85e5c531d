"""Trade requests as they arrive, what answers them, and what any of them has to fulfil."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

from .. import constants as mt5
from ..symbols.contracts import ORDER_SL_FLAG, ORDER_TP_FLAG, Contract

_MOST_STEPS = 1e15


class Refusal(Exception):  # noqa: N818 (an ordinary answer of the server, not an error)
    """The server's answer to a request that it does not carry out."""

    def __init__(self, retcode: int, comment: str) -> None:
        super().__init__(retcode, comment)
        self.retcode = retcode
        self.comment = comment


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The part of an OrderSendResult that depends on how the request fared."""

    retcode: int = mt5.TRADE_RETCODE_DONE
    deal: int = 0
    order: int = 0
    volume: float = 0.0
    price: float = 0.0
    comment: str = "Request executed"


@dataclass(frozen=True, slots=True)
class TradeOrder:
    """A trade request with MetaTrader's defaults, fields in the order of TradeRequest."""

    action: int = 0
    magic: int = 0
    order: int = 0
    symbol: str = ""
    volume: float = 0.0
    price: float = 0.0
    stoplimit: float = 0.0
    sl: float = 0.0
    tp: float = 0.0
    deviation: int = 0
    type: int = 0
    type_filling: int = 0
    type_time: int = 0
    expiration: int = 0
    comment: str = ""
    position: int = 0
    position_by: int = 0

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> "TradeOrder":
        """Read a request; numpy's numbers become Python's, which is what the journal can hold.

        Raises ValueError for what no terminal would send: texts without an encoding, and numbers
        that are none.
        """
        try:
            given = {name: kind(request[name]) for name, kind in _KINDS.items() if name in request}
        except OverflowError as error:
            raise ValueError(f"a request holds a number that is none ({error})") from error
        for name in ("symbol", "comment"):
            given.get(name, "").encode()  # UnicodeEncodeError is a ValueError
        return cls(**given)

    def row(self) -> tuple[Any, ...]:
        """Return the fields in their order."""
        return _FIELDS(self)


_KINDS: dict[str, Callable[[Any], Any]] = {
    field.name: type(field.default) for field in fields(TradeOrder)
}
_FIELDS: Callable[[TradeOrder], tuple[Any, ...]] = attrgetter(*_KINDS)


def is_multiple(volume_lots: float, step_lots: float) -> bool:
    """Tell whether a volume is a whole number of steps, in decimal arithmetic."""
    if not abs(volume_lots) < step_lots * _MOST_STEPS:
        return False  # no number, or beyond the digits of a double
    return Decimal(str(volume_lots)) % Decimal(str(step_lots)) == 0


def floor_to_step(volume_lots: float, step_lots: float) -> float:
    """Round a volume down to a whole number of steps, in decimal arithmetic."""
    step = Decimal(str(step_lots))
    return float(Decimal(str(volume_lots)) // step * step)


def add_lots(volume_lots: float, more_lots: float) -> float:
    return float(Decimal(str(volume_lots)) + Decimal(str(more_lots)))


def subtract_lots(volume_lots: float, taken_lots: float) -> float:
    return float(Decimal(str(volume_lots)) - Decimal(str(taken_lots)))


def check_volume(contract: Contract, volume_lots: float) -> None:
    inside = contract.volume_min <= volume_lots <= contract.volume_max
    if not inside or not is_multiple(volume_lots, contract.volume_step):
        raise Refusal(mt5.TRADE_RETCODE_INVALID_VOLUME, "Invalid volume")


def on_tick(contract: Contract, price: float) -> bool:
    """Tell whether a price, rounded to the symbol's digits, is a whole number of its ticks."""
    return is_multiple(round(price, contract.digits), contract.tick_size)


def points_between(contract: Contract, upper: float, lower: float) -> int:
    """Return how many whole points one price lies above another."""
    return round((upper - lower) / contract.point)


def check_stops(contract: Contract, side: int, price: float, sl: float, tp: float) -> None:
    """Refuse stops on the wrong side of a price or inside the stops level around it (10016).

    ``price`` is where the position would be closed now, or a waiting order's own. A stop that the
    symbol does not offer is as invalid as one between its ticks.
    """
    sign = 1.0 if side == mt5.POSITION_TYPE_BUY else -1.0
    nearest = max(contract.stops_level, 1)
    for level, direction, flag in ((sl, sign, ORDER_SL_FLAG), (tp, -sign, ORDER_TP_FLAG)):
        valid = math.isfinite(level) and level >= 0
        if valid and level:
            valid = bool(contract.order_flags & flag) and on_tick(contract, level)
            valid = valid and points_between(contract, price, level) * direction >= nearest
        if not valid:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_STOPS, "Invalid stops")
