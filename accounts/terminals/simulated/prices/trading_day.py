"""What SymbolInfo tells of a symbol's day on the broker's clock: ranges, last trade, session."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from .. import constants as mt5
from ..symbols.contracts import Contract
from ..symbols.depth import levels
from ..symbols.hours import DAY
from .history import SymbolHistory
from .timeframes import Bars

Range = tuple[float, float]  # the highest and the lowest of the day
_NO_RANGE: Range = (0.0, 0.0)
_PERCENT_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The trades of the day and the orders in the book, of symbols of an exchange."""

    deals: int = 0
    volume: float = 0.0
    turnover: float = 0.0
    average_price: float = 0.0
    buy_orders: int = 0
    sell_orders: int = 0
    buy_orders_volume: float = 0.0
    sell_orders_volume: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingDay:
    """``change_percent`` compares the present price with the close of the day before."""

    bid: Range = _NO_RANGE
    ask: Range = _NO_RANGE
    last: float = 0.0
    last_range: Range = _NO_RANGE
    last_volume: float = 0.0
    volume_range: Range = _NO_RANGE
    opened_at: float = 0.0
    closed_before_at: float = 0.0
    change_percent: float = 0.0
    session: Session = field(default_factory=Session)


def known_tick(history: SymbolHistory, until_msc: int) -> Bars:
    """Return the last tick of a symbol at a moment, as an array of one row or none."""
    ticks = history.ticks
    end = int(np.searchsorted(ticks["time_msc"], until_msc, "right"))
    return ticks[max(0, end - 1) : end]


def trading_day(
    contract: Contract, history: SymbolHistory, bid: float, ask: float, until_msc: int
) -> TradingDay:
    """Return the day of a moment, or the last one before it that had prices.

    It comes from the daily bars, which go on over restarts, and from the ticks that are kept.
    """
    present, before = _days(history, until_msc)
    today = int(present["time"][0]) if len(present) else until_msc // 1000 // DAY * DAY
    first, end = np.searchsorted(history.ticks["time_msc"], (today * 1000, until_msc + 1))
    ticks = history.ticks[first:end]
    bid_range, ask_range = _quote_ranges(contract, present, ticks, bid, ask)
    is_traded = contract.chart_mode == mt5.SYMBOL_CHART_MODE_LAST
    known = known_tick(history, until_msc) if is_traded else ticks[:0]
    last, last_volume = 0.0, 0.0
    if len(known):
        last, last_volume = float(known["last"][0]), float(known["volume_real"][0])
    closed = float(before["close"][-1]) if len(before) else 0.0
    day = TradingDay(
        bid=bid_range,
        ask=ask_range,
        last=last,
        opened_at=float(present["open"][0]) if len(present) else 0.0,
        closed_before_at=closed,
        change_percent=_change_percent(last or bid, closed),
    )
    if not is_traded:
        return day
    trades = ticks[ticks["flags"] & mt5.TICK_FLAG_LAST != 0]
    return replace(
        day,
        last_range=_range(present),
        last_volume=last_volume,
        volume_range=_extremes(trades["volume_real"]) or _NO_RANGE,
        session=_session(contract, present, trades, bid, ask),
    )


def _change_percent(price: float, closed: float) -> float:
    return round((price / closed - 1) * 100, _PERCENT_DIGITS) if closed else 0.0


def _days(history: SymbolHistory, until_msc: int) -> tuple[Bars, Bars]:
    """Return the last daily bar that a moment knows and the one before it, each one row or none."""
    bars = history.bars(mt5.TIMEFRAME_D1)
    if bars is None:
        return history.closed[:0], history.closed[:0]
    end = int(np.searchsorted(bars["time"], until_msc // 1000, "right"))
    return bars[max(0, end - 1) : end], bars[max(0, end - 2) : max(0, end - 1)]


def _quote_ranges(
    contract: Contract, present: Bars, ticks: Bars, bid: float, ask: float
) -> tuple[Range, Range]:
    """Return the day's ranges of bid and ask, the quotes of this moment included.

    Daily bars reach back further than ticks do, but only where they are made of bids.
    """
    bids = [bid, *(_extremes(ticks["bid"]) or ())]
    asks = [ask, *(_extremes(ticks["ask"]) or ())]
    if contract.chart_mode == mt5.SYMBOL_CHART_MODE_BID and len(present):
        spread = contract.spread_points * contract.point
        high, low = _range(present)
        bids += [high, low]
        asks += [round(high + spread, contract.digits), round(low + spread, contract.digits)]
    return (max(bids), min(bids)), (max(asks), min(asks))


def _extremes(column: npt.NDArray[np.float64]) -> Range | None:
    known = column[column > 0]
    return (float(known.max()), float(known.min())) if len(known) else None


def _range(present: Bars) -> Range:
    return (float(present["high"][0]), float(present["low"][0])) if len(present) else _NO_RANGE


def _session(contract: Contract, present: Bars, trades: Bars, bid: float, ask: float) -> Session:
    buys, sells = levels(contract, bid, ask)
    volume = float(present["real_volume"][0]) if len(present) else 0.0
    traded = float(trades["volume_real"].sum())
    money = float((trades["last"] * trades["volume_real"]).sum())
    average = round(money / traded, contract.digits) if traded else 0.0
    return Session(
        deals=len(trades),
        volume=max(volume, traded),
        turnover=round(average * max(volume, traded) * contract.unit_value, 2),
        average_price=average,
        buy_orders=len(buys),
        sell_orders=len(sells),
        buy_orders_volume=float(sum(lots for _, lots in buys)),
        sell_orders_volume=float(sum(lots for _, lots in sells)),
    )
