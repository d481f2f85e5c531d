"""The equity at a reset that nobody saw, worked out for one account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accounts.terminals.readings import Rows
from risk.core.arrays import Floats, Integers

_ENTRY_IN, _ENTRY_OUT, _ENTRY_INOUT, _ENTRY_OUT_BY = 0, 1, 2, 3
_DEAL_TYPE_SELL = 1
_SMALLEST_VOLUME_LOTS = 1e-8
_MINUTE = 60
# Over a weekend with a holiday the last bar before a reset still is the last known price.
_OLDEST_BAR_SECONDS = 4 * 86_400


@dataclass(frozen=True, slots=True)
class OpenLegs:
    """The positions that were open at an instant; directions are 1 (buy) and -1 (sell).

    `swap` is what each has cost or earned until now or until it was closed.
    """

    symbol: Integers
    direction: Floats
    volume_lots: Floats
    price_open: Floats
    swap: Floats


@dataclass(frozen=True, slots=True)
class MinutePrices:
    """What a symbol cost in a minute: the range of the bid, and the spread, in price units."""

    low: float
    high: float
    spread: float


@dataclass(frozen=True, slots=True)
class EquityBounds:
    """The least and the most that an equity without credit can have been."""

    lower: float
    upper: float

    @property
    def cautious_reference(self) -> float:
        """Return the bound that gives a loss rule its higher floor."""
        return self.upper


def legs_at(reset_msc: int, deals: Rows, positions: Rows) -> OpenLegs | None:
    """Work out which positions of one account were open at `reset_msc` (broker's clock).

    `positions` are those open now, `deals` must reach back to the opening of every position
    closed since. Returns None where they don't, or where a netting position was reversed.
    """
    trades = deals[deals["type"] <= _DEAL_TYPE_SELL]
    if np.any(trades["entry"] == _ENTRY_INOUT):
        return None
    numbers = np.concatenate([positions["identifier"], trades["position"]])
    identifiers, places = np.unique(numbers, return_inverse=True)
    now, traded = places[: len(positions)], places[len(positions) :]
    count = len(identifiers)

    def total(place: Integers, weights: Floats) -> Floats:
        return np.bincount(place, weights, minlength=count).astype(np.float64, copy=False)

    later = trades["time_msc"] >= reset_msc
    opening = trades["entry"] == _ENTRY_IN
    volume = trades["volume"]
    opened_later = total(traded, np.where(later & opening, volume, 0.0))
    closed_later = total(traded, np.where(later & ~opening, volume, 0.0))
    lots = total(now, positions["volume"]) + closed_later - opened_later
    open_then = lots > _SMALLEST_VOLUME_LOTS

    opened_before = np.where(~later & opening, volume, 0.0)
    opened_lots = total(traded, opened_before)
    opened_value = total(traded, opened_before * trades["price"])
    with np.errstate(invalid="ignore", divide="ignore"):
        price = np.where(opened_lots > 0, opened_value / opened_lots, np.nan)
    symbol, direction = _symbols_and_directions(count, now, positions, traded, trades)
    alone_now = np.isnan(price[now]) & (opened_later[now] == 0)
    price[now[alone_now]] = positions["price_open"][alone_now]
    if np.any(np.isnan(price[open_then])):
        return None
    swap = total(now, positions["swap"]) + total(traded, np.where(later, trades["swap"], 0.0))
    return OpenLegs(
        symbol=symbol[open_then],
        direction=direction[open_then],
        volume_lots=lots[open_then],
        price_open=price[open_then],
        swap=swap[open_then],
    )


def minute_prices(
    rates: npt.NDArray[Any] | None, reset_seconds: int, point: float
) -> MinutePrices | None:
    """Take the price range of the minute that begins at a reset (broker's clock) from its bars.

    `rates` are one-minute bars of MetaTrader 5, `point` its size in price units. A minute
    without ticks has no bar: then the close of the bar before is the price. None without one.
    """
    if rates is None or not len(rates):
        return None
    minute = reset_seconds - reset_seconds % _MINUTE
    place = int(np.searchsorted(rates["time"], minute, side="right")) - 1
    if place < 0 or minute - int(rates["time"][place]) > _OLDEST_BAR_SECONDS:
        return None
    bar = rates[place]
    spread = float(bar["spread"]) * point
    if int(bar["time"]) == minute:
        return MinutePrices(float(bar["low"]), float(bar["high"]), spread)
    return MinutePrices(float(bar["close"]), float(bar["close"]), spread)


def equity_bounds(
    balance: float,
    legs: OpenLegs,
    prices: Mapping[int, MinutePrices],
    value_per_lot: Mapping[int, float],
) -> EquityBounds | None:
    """Value the open legs on the prices of a minute and add the balance of that moment.

    `value_per_lot` is what a price change of 1.0 is worth for one lot in account currency
    (tick value / tick size), by symbol. Buys are valued on the bid, sells on the ask. How much of a
    swap had been charged then is not known, so each bound takes what suits it. None when a
    symbol has no price or no value.
    """
    lower = upper = balance
    for leg in range(len(legs.symbol)):
        symbol = int(legs.symbol[leg])
        minute, value = prices.get(symbol), value_per_lot.get(symbol)
        if minute is None or value is None:
            return None
        direction, opened = float(legs.direction[leg]), float(legs.price_open[leg])
        ask_extra = 0.0 if direction > 0 else minute.spread
        factor = direction * float(legs.volume_lots[leg]) * value
        results = [(price + ask_extra - opened) * factor for price in (minute.low, minute.high)]
        swap = float(legs.swap[leg])
        lower += min(results) + min(swap, 0.0)
        upper += max(results) + max(swap, 0.0)
    return EquityBounds(lower, upper) if np.isfinite([lower, upper]).all() else None


def _symbols_and_directions(
    count: int, now: Integers, positions: Rows, traded: Integers, trades: Rows
) -> tuple[Integers, Floats]:
    symbol = np.full(count, -1, dtype=np.int64)
    direction = np.zeros(count)
    closing = np.isin(trades["entry"], (_ENTRY_OUT, _ENTRY_OUT_BY))
    selling = trades["type"] == _DEAL_TYPE_SELL
    symbol[traded] = trades["symbol"]
    direction[traded] = np.where(selling ^ closing, -1.0, 1.0)
    symbol[now] = positions["symbol"]
    direction[now] = np.where(positions["type"] == _DEAL_TYPE_SELL, -1.0, 1.0)
    return symbol, direction
