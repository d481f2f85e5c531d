"""What an order finds on the other side of the book, by its filling mode."""

import math
from dataclasses import dataclass

from .. import constants as mt5
from ..symbols.contracts import (
    FILLING_BOC_FLAG,
    FILLING_FOK_FLAG,
    FILLING_IOC_FLAG,
    Contract,
)
from ..symbols.depth import Level, levels
from .execution import UNDISTURBED, Execution
from .order_terms import LIMIT_TYPES, STOP_LIMIT_TYPES
from .requests import Refusal, add_lots, floor_to_step, points_between, subtract_lots

_FLAGS = {
    mt5.ORDER_FILLING_FOK: FILLING_FOK_FLAG,
    mt5.ORDER_FILLING_IOC: FILLING_IOC_FLAG,
    mt5.ORDER_FILLING_BOC: FILLING_BOC_FLAG,
}


_PRICE_ASKED = (mt5.SYMBOL_TRADE_EXECUTION_INSTANT, mt5.SYMBOL_TRADE_EXECUTION_REQUEST)


@dataclass(frozen=True, slots=True)
class Match:
    """The deals that an order can make now (price, lots), and what stays without a counterparty."""

    deals: tuple[Level, ...]
    filled_lots: float
    left_lots: float

    @property
    def price(self) -> float:
        """The volume-weighted price of the deals, 0 without any."""
        if len(self.deals) == 1:
            return self.deals[0][0]
        value = sum(price * lots for price, lots in self.deals)
        return value / self.filled_lots if self.filled_lots else 0.0


def is_exchange(contract: Contract) -> bool:
    return contract.execution == mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE


def check_filling(contract: Contract, order_type: int, filling: int) -> None:
    """Refuse a filling mode that the symbol does not offer for a type of order (10030).

    RETURN needs no flag: waiting orders always have it, market orders on an exchange only.
    BOC is for limit orders.
    """
    is_market = order_type in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL)
    if filling == mt5.ORDER_FILLING_RETURN:
        offered = not is_market or is_exchange(contract)
    else:
        offered = bool(contract.filling_flags & _FLAGS.get(filling, 0))
    if filling == mt5.ORDER_FILLING_BOC:
        offered &= order_type in LIMIT_TYPES or order_type in STOP_LIMIT_TYPES
    if not offered:
        raise Refusal(mt5.TRADE_RETCODE_INVALID_FILL, "Unsupported filling mode")


def check_price(
    contract: Contract,
    side: int,
    quote: tuple[float, float],
    price: float,
    deviation_points: int,
    slippage_points: int = 0,
) -> None:
    """Refuse a market order without a price (10015), or with one too far off the quote (10004).

    Only INSTANT and REQUEST execution ask for one. Either way it deals at the quote.
    """
    if price < 0 or not math.isfinite(price / contract.point):
        raise Refusal(mt5.TRADE_RETCODE_INVALID_PRICE, "Invalid price")
    if contract.execution not in _PRICE_ASKED:
        return
    if not price:
        raise Refusal(mt5.TRADE_RETCODE_INVALID_PRICE, "Invalid price")
    bid, ask = quote
    sign = 1 if side == mt5.ORDER_TYPE_BUY else -1
    away_points = points_between(contract, ask if sign > 0 else bid, price)
    if abs(away_points + sign * slippage_points) > deviation_points:
        raise Refusal(mt5.TRADE_RETCODE_REQUOTE, "Requote")


def matched(
    contract: Contract,
    side: int,
    quote: tuple[float, float],
    lots: float,
    *,
    limit: float = 0.0,
    execution: Execution = UNDISTURBED,
) -> Match:
    """Match a volume against bid and ask (``quote``), no worse than ``limit`` (0: any price).

    An exchange makes a deal at each level of its book. Elsewhere the broker deals at the quote, and
    the sum of the levels is all that it takes at once.
    """
    wanted = lots
    if execution.fill_fraction < 1.0:
        wanted = floor_to_step(lots * max(execution.fill_fraction, 0.0), contract.volume_step)
    sign = 1.0 if side == mt5.ORDER_TYPE_BUY else -1.0
    slip = execution.slippage_points * contract.point * sign
    deals: list[Level] = []
    filled = 0.0
    for price, offered in _offers(contract, side, quote, lots):
        taken = min(offered, subtract_lots(wanted, filled))
        dealt = max(round(price + slip, contract.digits), contract.tick_size)
        if taken <= 0 or (limit and (dealt - limit) * sign > 0):
            break
        deals.append((dealt, taken))
        filled = add_lots(filled, taken)
    return Match(tuple(deals), filled, subtract_lots(lots, filled))


def _offers(contract: Contract, side: int, quote: tuple[float, float], lots: float) -> list[Level]:
    bid, ask = quote
    buys, sells = levels(contract, bid, ask)
    book = sells if side == mt5.ORDER_TYPE_BUY else buys
    best = ask if side == mt5.ORDER_TYPE_BUY else bid
    if not book:
        return [(best, lots)]
    if is_exchange(contract):
        return book
    return [(best, sum(offered for _, offered in book))]
