"""The trading part of the MetaTrader5 surface: positions, orders, history, requests."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from accounts.terminals.link import LinkError

from ..link import CODE_CALL_FAILED
from .arguments import (
    GROUP,
    ArgumentError,
    Parameter,
    epoch,
    exactly,
    named,
    no_unnamed,
    number,
    text,
    trade_request,
    unnamed,
    unsigned_32,
    unsigned_64,
)
from .session import Session, api
from .tuples import (
    OrderCheckResult,
    OrderSendResult,
    TradeDeal,
    TradeOrder,
    TradePosition,
    TradeRequest,
)

EVER: Final = (0, 2**31 - 1)
TICKET = Parameter("ticket", unsigned_64)
POSITION = Parameter("position", unsigned_64)
SYMBOL = Parameter("symbol", text)


def _first_given(keywords: Mapping[str, Any], *parameters: Parameter) -> dict[str, Any]:
    """Read the first of the filters that is there: the package looks at no other then."""
    for parameter in parameters:
        if given := named(keywords, parameter):
            return given
    return {}


def _open_filter(values: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    no_unnamed(values)
    given = _first_given(keywords, TICKET, SYMBOL, GROUP)
    return given.get("symbol"), given.get("group"), given.get("ticket")


def _history_filter(values: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[Any, ...]:
    dates = unnamed(values, epoch, epoch)
    given = _first_given(keywords, TICKET, POSITION)
    if given:
        return (*EVER, None, given.get("ticket"), given.get("position"))
    if not dates:
        raise ArgumentError
    if len(dates) == 1:
        raise ArgumentError("Invalid number of arguments")
    return (*dates, named(keywords, GROUP).get("group"), None, None)


class Trading(Session):
    """What a terminal knows of an account's trades, and the way to make some."""

    @api(None)
    def positions_total(self) -> int:
        return len(self._found("positions", None, None, None))

    @api(None)
    def positions_get(self, *args: Any, **kwargs: Any) -> tuple[TradePosition, ...]:
        """positions_get(*, symbol, group, ticket) -> tuple of TradePosition"""
        return self._rows(TradePosition, "positions", *_open_filter(args, kwargs))

    @api(None)
    def orders_total(self) -> int:
        return len(self._found("orders", None, None, None))

    @api(None)
    def orders_get(self, *args: Any, **kwargs: Any) -> tuple[TradeOrder, ...]:
        """orders_get(*, symbol, group, ticket) -> tuple of TradeOrder"""
        return self._rows(TradeOrder, "orders", *_open_filter(args, kwargs))

    @api(None)
    def history_orders_total(self, *args: Any) -> int:
        """history_orders_total(date_from, date_to) -> int"""
        return len(self._found("history_orders", *exactly(args, epoch, epoch), None, None, None))

    @api(None)
    def history_orders_get(self, *args: Any, **kwargs: Any) -> tuple[TradeOrder, ...]:
        """history_orders_get(date_from, date_to, *, group | ticket | position)"""
        return self._rows(TradeOrder, "history_orders", *_history_filter(args, kwargs))

    @api(None)
    def history_deals_total(self, *args: Any) -> int:
        """history_deals_total(date_from, date_to) -> int"""
        return len(self._found("history_deals", *exactly(args, epoch, epoch), None, None, None))

    @api(None)
    def history_deals_get(self, *args: Any, **kwargs: Any) -> tuple[TradeDeal, ...]:
        """history_deals_get(date_from, date_to, *, group | ticket | position)

        ``ticket`` is the ticket of the order that made the deals.
        """
        return self._rows(TradeDeal, "history_deals", *_history_filter(args, kwargs))

    @api(None)
    def order_check(self, *args: Any, **kwargs: Any) -> OrderCheckResult:
        """order_check(request) or order_check(**request); retcode 0 is success"""
        *answer, request = self._found("order_check", trade_request(args, kwargs))
        return OrderCheckResult((*answer, TradeRequest(request)))

    @api(None)
    def order_send(self, *args: Any, **kwargs: Any) -> OrderSendResult:
        """order_send(request) or order_send(**request)"""
        *answer, request = self._found("order_send", trade_request(args, kwargs))
        return OrderSendResult((*answer, TradeRequest(request)))

    @api(None)
    def order_calc_margin(self, *args: Any) -> float:
        """order_calc_margin(action, symbol, volume, price) -> margin in account currency"""
        return self._amount("order_calc_margin", *exactly(args, unsigned_32, text, number, number))

    @api(None)
    def order_calc_profit(self, *args: Any) -> float:
        """order_calc_profit(action, symbol, volume, price_open, price_close) -> profit"""
        checked = exactly(args, unsigned_32, text, number, number, number)
        return self._amount("order_calc_profit", *checked)

    def _amount(self, method: str, *arguments: Any) -> float:
        amount = float(self._found(method, *arguments))
        if not math.isfinite(amount):
            raise LinkError(CODE_CALL_FAILED)
        return amount
