"""Reverse copying: the opposite trade at the same prices. Done twice it changes nothing."""

from typing import Final

from copytrade.core.kinds import OrderType

_OPPOSITES: Final = {
    OrderType.MARKET: OrderType.MARKET,
    OrderType.LIMIT: OrderType.STOP,
    OrderType.STOP: OrderType.LIMIT,
}


def reversed_type(order_type: OrderType) -> OrderType | None:
    """Return what is triggered at the same price in the opposite direction.

    A buy limit waits below the market, where a sell has to be a stop. A stop limit has no opposite:
    none of MetaTrader's orders waits for its limit to be passed the other way.
    """
    return _OPPOSITES.get(order_type)


def reversed_stops(
    stop_loss: float | None, take_profit: float | None
) -> tuple[float | None, float | None]:
    """Return stop loss and take profit of the opposite position: they change places."""
    return take_profit, stop_loss
