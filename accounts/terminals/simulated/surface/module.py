"""The simulated broker with the surface of the MetaTrader5 Python package 5.0.6231."""

from typing import Any, Final, Literal

from .. import constants
from .market import Market
from .trading import Trading
from .tuples import RESULT_TUPLES, OrderSendResult, TradePosition

HELPER_TRIES: Final = 10
HELPER_DEVIATION_POINTS: Final = 10
PRICE_MOVED: Final = (constants.TRADE_RETCODE_REQUOTE, constants.TRADE_RETCODE_PRICE_OFF)
OPPOSITE: Final = {
    constants.POSITION_TYPE_BUY: constants.ORDER_TYPE_SELL,
    constants.POSITION_TYPE_SELL: constants.ORDER_TYPE_BUY,
}


class SimulatedMetaTrader5(Market, Trading):
    """Answer the calls of the MetaTrader5 package from a trade server behind ``link``.

    Functions, constants, result tuples and errors have the package's names and behaviour: a call
    that fails answers None (or False) and last_error() says why. Wrong counts and types of
    arguments are such failures; only keywords to a positional-only function raise TypeError.
    """

    __version__ = "5.0.6231"
    __author__ = "MetaQuotes Ltd."

    def Buy(
        self,
        symbol: str,
        volume: float,
        price: float | None = None,
        *,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> OrderSendResult | None:
        return self._at_market(constants.ORDER_TYPE_BUY, symbol, volume, price, comment, ticket)

    def Sell(
        self,
        symbol: str,
        volume: float,
        price: float | None = None,
        *,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> OrderSendResult | None:
        return self._at_market(constants.ORDER_TYPE_SELL, symbol, volume, price, comment, ticket)

    def Close(
        self, symbol: str, *, comment: str | None = None, ticket: int | None = None
    ) -> bool | Literal["Partially"] | None:
        """Close every position of a symbol, or the one ticket, at market.

        None when an answer is missing, False when nothing was closed.
        """
        if ticket is None:
            positions = self.positions_get(symbol=symbol)
        else:
            positions = self.positions_get(ticket=ticket)
        if positions is None:
            return None
        closed_count = 0
        for position in positions:
            result = self._close_position(position, symbol, comment)
            if result is None:
                return None
            closed_count += result.retcode == constants.TRADE_RETCODE_DONE
        if not closed_count:
            return False
        return True if closed_count == len(positions) else "Partially"

    def _RawOrder(
        self,
        order_type: int,
        symbol: str,
        volume: float,
        price: float,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> OrderSendResult | None:
        request: dict[str, Any] = {
            "action": constants.TRADE_ACTION_DEAL,
            "type": order_type,
            "symbol": symbol,
            "volume": volume,
            "price": price,
            "deviation": HELPER_DEVIATION_POINTS,
        }
        if comment is not None:
            request["comment"] = comment
        if ticket is not None:
            request["position"] = ticket
        return self.order_send(request)

    def _close_position(
        self, position: TradePosition, symbol: str, comment: str | None
    ) -> OrderSendResult | None:
        return self._at_market(
            OPPOSITE[position.type], symbol, position.volume, None, comment, position.ticket
        )

    def _at_market(
        self,
        order_type: int,
        symbol: str,
        volume: float,
        price: float | None,
        comment: str | None,
        ticket: int | None,
    ) -> OrderSendResult | None:
        """Send once at a given price, else at the current one until it holds still."""
        if price is not None:
            return self._RawOrder(order_type, symbol, volume, price, comment, ticket)
        result = None
        for _ in range(HELPER_TRIES):
            tick = self.symbol_info_tick(symbol)
            if tick is None:
                return None
            current = tick.ask if order_type == constants.ORDER_TYPE_BUY else tick.bid
            result = self._RawOrder(order_type, symbol, volume, current, comment, ticket)
            if result is None or result.retcode not in PRICE_MOVED:
                return result
        return result


for _name, _value in constants.CONSTANTS.items():
    setattr(SimulatedMetaTrader5, _name, _value)
for _kind in RESULT_TUPLES:
    setattr(SimulatedMetaTrader5, _kind.__name__, _kind)
