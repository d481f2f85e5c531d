"""Pending orders: placed, modified and removed while they wait for their price."""

import math
from dataclasses import dataclass, replace
from typing import Any

from .. import constants as mt5
from ..books.books import Books
from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import (
    ORDER_LIMIT_FLAG,
    ORDER_STOP_FLAG,
    ORDER_STOP_LIMIT_FLAG,
    Contract,
)
from ..symbols.hours import DAY
from .admission import Admission, invalid
from .closing import frozen
from .execution import Execution
from .ledger import Ledger
from .matching import check_filling, is_exchange
from .order_terms import LIMIT_TYPES, PENDING_TYPES, STOP_LIMIT_TYPES, side_of
from .requests import (
    Answer,
    Refusal,
    TradeOrder,
    check_stops,
    check_volume,
    on_tick,
    points_between,
)
from .valuation import Valuation

_EXPIRING = (mt5.ORDER_TIME_SPECIFIED, mt5.ORDER_TIME_SPECIFIED_DAY)


@dataclass(frozen=True, slots=True)
class PendingPlan:
    """A checked request: what becomes of an order, given by its row, or of a new one (None)."""

    account: int
    symbol: int
    request: TradeOrder
    order: dict[str, Any] | None
    changed: dict[str, Any]
    removes: bool = False


class PendingOrders:
    """Checks and books requests for orders that wait for their price.

    A symbol with exchange execution answers an order with 10008, for the exchange has the last
    word; the broker's own symbols answer with 10009.
    """

    def __init__(
        self, books: Books, valuation: Valuation, ledger: Ledger, admission: Admission
    ) -> None:
        self._books = books
        self._valuation = valuation
        self._ledger = ledger
        self._admission = admission

    def plan_placing(self, account: int, request: TradeOrder, execution: Execution) -> PendingPlan:
        admission = self._admission
        symbol = admission.named_symbol(account, request)
        contract, side = CONTRACTS[symbol], side_of(request.type)
        if request.type not in PENDING_TYPES:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_ORDER, "Not a pending order")
        admission.check_market(symbol)
        if not contract.order_flags & _flag(request.type):
            raise Refusal(mt5.TRADE_RETCODE_INVALID_ORDER, "This type of order is prohibited")
        admission.check_trade_mode(symbol, side)
        check_volume(contract, request.volume)
        check_filling(contract, request.type, request.type_filling)
        self._check_prices(symbol, request)
        expiration = self._expiration(contract, request)
        admission.check_order_limit(account)
        admission.check_position_limit(account, symbol)
        admission.check_volume_limit(account, symbol, side, request.volume)
        price = _entry_price(request)
        margin = admission.pending_margin(account, symbol, side, request.volume, price)
        execution.obey()
        values = {
            "state": mt5.ORDER_STATE_PLACED, "time_expiration": expiration, "position": 0,
            "position_by": 0, "margin": margin, "due_msc": self._due_msc(symbol, request),
            "price_current": self._valuation.opening_price(symbol, side),
            "price_stoplimit": round(request.stoplimit, contract.digits)
            if request.type in STOP_LIMIT_TYPES else 0.0,
        }  # fmt: skip
        return PendingPlan(account, symbol, request, None, values)

    def plan_change(self, account: int, request: TradeOrder, execution: Execution) -> PendingPlan:
        order = self._waiting(account, request)
        if order["type"] not in PENDING_TYPES:
            raise invalid()
        symbol = order["symbol"]
        contract = CONTRACTS[symbol]
        asked = replace(
            request, type=order["type"], volume=order["volume_current"],
            type_filling=order["filling"],
        )  # fmt: skip
        self._check_not_frozen(order)
        self._check_prices(symbol, asked)
        digits = contract.digits
        changed = {
            "price_open": round(asked.price, digits), "sl": round(asked.sl, digits),
            "tp": round(asked.tp, digits), "type_time": asked.type_time,
            "price_stoplimit": round(asked.stoplimit, digits)
            if order["type"] in STOP_LIMIT_TYPES else 0.0,
            "time_expiration": self._expiration(contract, asked),
        }  # fmt: skip
        if all(order[name] == value for name, value in changed.items()):
            raise Refusal(mt5.TRADE_RETCODE_NO_CHANGES, "No changes")
        changed["margin"] = self._admission.pending_margin(
            account, symbol, side_of(order["type"]), order["volume_current"],
            _entry_price(asked), order["margin"],
        )  # fmt: skip
        changed["due_msc"] = self._due_msc(symbol, asked)
        execution.obey()
        return PendingPlan(account, symbol, request, order, changed)

    def plan_removal(self, account: int, request: TradeOrder, execution: Execution) -> PendingPlan:
        order = self._waiting(account, request)
        if order["type"] in PENDING_TYPES:
            self._check_not_frozen(order)
        execution.obey()
        return PendingPlan(account, order["symbol"], request, order, {}, removes=True)

    def carry_out(self, plan: PendingPlan, reason: int) -> Answer:
        volume, order = plan.request.volume, plan.order
        if order is None:
            return self._placed(plan, reason)
        if plan.removes:
            self._ledger.orders.finish(order["ticket"], mt5.ORDER_STATE_CANCELED)
        else:
            self._ledger.orders.change(order, plan.changed)
        return Answer(order=order["ticket"], volume=volume)

    def _placed(self, plan: PendingPlan, reason: int) -> Answer:
        ticket = self._ledger.orders.add(
            plan.account, plan.symbol, plan.request, reason=reason, **plan.changed
        )
        answer = Answer(order=ticket, volume=plan.request.volume)
        if is_exchange(CONTRACTS[plan.symbol]):
            return replace(answer, retcode=mt5.TRADE_RETCODE_PLACED, comment="Request placed")
        return answer

    def _waiting(self, account: int, request: TradeOrder) -> dict[str, Any]:
        """Return an account's own order; MetaTrader calls an unknown ticket an invalid request."""
        row = self._books.order_row(request.order)
        if row is None or self._books.orders["account"][row] != account:
            raise invalid()
        order = self._books.orders.row(row)
        self._admission.check_agrees(account, request, order["symbol"])
        self._admission.check_market(order["symbol"])
        if order["state"] == mt5.ORDER_STATE_STARTED:
            raise Refusal(mt5.TRADE_RETCODE_LOCKED, "The order is being executed")
        return order

    def _check_not_frozen(self, order: dict[str, Any]) -> None:
        contract = CONTRACTS[order["symbol"]]
        price = self._valuation.opening_price(order["symbol"], side_of(order["type"]))
        if abs(points_between(contract, price, order["price_open"])) < contract.freeze_level:
            raise frozen()

    def _check_prices(self, symbol: int, request: TradeOrder) -> None:
        """Check an order's price against the market, its limit and stops against its price.

        An exchange takes limit orders at any price and fills them at once where it can, but not
        one that is to book or cancel (10006).
        """
        contract, kind = CONTRACTS[symbol], request.type
        for price in (request.price, request.stoplimit):
            if not math.isfinite(price) or price < 0 or not on_tick(contract, price):
                raise _invalid_price()
        if not request.price:
            raise _invalid_price()
        market = self._valuation.opening_price(symbol, side_of(kind))
        sign = 1.0 if side_of(kind) == mt5.ORDER_TYPE_BUY else -1.0
        nearest = max(contract.stops_level, 1)
        # Limit orders wait on the better side of the market, stops on the worse.
        better = sign if kind in LIMIT_TYPES else -sign
        away_points = points_between(contract, market, request.price) * better
        if kind in LIMIT_TYPES and is_exchange(contract):
            if away_points <= 0 and request.type_filling == mt5.ORDER_FILLING_BOC:
                raise Refusal(mt5.TRADE_RETCODE_REJECT, "The order would fill at once")
        elif away_points < nearest:
            raise _invalid_price()
        entry = request.price
        if kind in STOP_LIMIT_TYPES:
            entry = request.stoplimit
            below_points = points_between(contract, request.price, entry) * sign
            if not entry or below_points < nearest:
                raise _invalid_price()
        check_stops(contract, side_of(kind), entry, request.sl, request.tp)

    def _expiration(self, contract: Contract, request: TradeOrder) -> int:
        """Return when an order is to expire, 0 unless it names a time; refuse an unusable one."""
        kind = request.type_time
        if kind not in range(4) or not contract.expiration_flags & 1 << kind:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_EXPIRATION, "Invalid expiration")
        if kind not in _EXPIRING:
            return 0
        now = self._ledger.now_msc() // 1000
        earliest = now + 1 if kind == mt5.ORDER_TIME_SPECIFIED else now // DAY * DAY
        if request.expiration < earliest:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_EXPIRATION, "Invalid expiration")
        return request.expiration

    def _due_msc(self, symbol: int, request: TradeOrder) -> int:
        """Return when an order is due without waiting for its price, 0 for one that waits.

        A limit order on an exchange meets the book at the next step when it can be filled there,
        or when it is to be filled then or never.
        """
        if request.type not in LIMIT_TYPES or not is_exchange(CONTRACTS[symbol]):
            return 0
        side = side_of(request.type)
        sign = 1.0 if side == mt5.ORDER_TYPE_BUY else -1.0
        reached = (self._valuation.opening_price(symbol, side) - request.price) * sign <= 0
        at_once = request.type_filling in (mt5.ORDER_FILLING_FOK, mt5.ORDER_FILLING_IOC)
        return self._ledger.now_msc() if reached or at_once else 0


def _entry_price(request: TradeOrder) -> float:
    """Return the price at which an order would enter the market."""
    return request.stoplimit if request.type in STOP_LIMIT_TYPES else request.price


def _flag(order_type: int) -> int:
    if order_type in LIMIT_TYPES:
        return ORDER_LIMIT_FLAG
    return ORDER_STOP_LIMIT_FLAG if order_type in STOP_LIMIT_TYPES else ORDER_STOP_FLAG


def _invalid_price() -> Refusal:
    return Refusal(mt5.TRADE_RETCODE_INVALID_PRICE, "Invalid price")
