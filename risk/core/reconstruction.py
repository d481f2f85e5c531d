"""The equity at a reset that nobody saw, worked out for one account."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from accounts.terminals.readings import Rows
from risk.core.arrays import Floats, Integers

_ENTRY_IN, _ENTRY_INOUT = 0, 2
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
    closed since, and of every one that has been added to or reversed since. Returns None
    where they don't.
    """
    trades = deals[deals["type"] <= _DEAL_TYPE_SELL]
    trades = trades[np.lexsort((trades["ticket"], trades["position"]))]
    numbers = np.concatenate([positions["identifier"], trades["position"]])
    identifiers, places = np.unique(numbers, return_inverse=True)
    now, traded = places[: len(positions)], places[len(positions) :]
    count = len(identifiers)

    def total(place: Integers, weights: Floats) -> Floats:
        return np.bincount(place, weights, minlength=count).astype(np.float64, copy=False)

    later = trades["time_msc"] >= reset_msc
    # Buys count up and sells down, whether they open, close or reverse: what is held now, less
    # what has been dealt since, was held then.
    dealt = _signed_lots(trades)
    lots = total(now, _signed_lots(positions)) - total(traded, np.where(later, dealt, 0.0))
    open_then = np.abs(lots) > _SMALLEST_VOLUME_LOTS

    price = np.full(count, np.nan)
    price[now] = positions["price_open"]
    price[traded[later & np.isin(trades["entry"], (_ENTRY_IN, _ENTRY_INOUT))]] = np.nan
    starts = np.searchsorted(traded, np.arange(count + 1))
    for place in np.flatnonzero(open_then & np.isnan(price)).tolist():
        mine = slice(starts[place], starts[place + 1])
        before = ~later[mine]
        held, price[place] = _average_price(dealt[mine][before], trades["price"][mine][before])
        if abs(held - lots[place]) > _SMALLEST_VOLUME_LOTS:
            return None
    symbol = np.full(count, -1, dtype=np.int64)
    symbol[traded], symbol[now] = trades["symbol"], positions["symbol"]
    swap = total(now, positions["swap"]) + total(traded, np.where(later, trades["swap"], 0.0))
    return OpenLegs(
        symbol=symbol[open_then],
        direction=np.sign(lots[open_then]),
        volume_lots=np.abs(lots[open_then]),
        price_open=price[open_then],
        swap=swap[open_then],
    )


def _signed_lots(rows: Rows) -> Floats:
    return np.where(rows["type"] == _DEAL_TYPE_SELL, -rows["volume"], rows["volume"])


def _average_price(dealt: Floats, prices: Floats) -> tuple[float, float]:
    """Deal signed lots one after the other; return what is held in the end, and its open price.

    What adds to a position moves its price, what reduces it does not, and what goes beyond
    reverses it at the price of the deal.
    """
    held = price = 0.0
    for lots, at in zip(dealt.tolist(), prices.tolist(), strict=True):
        total = held + lots
        if held * lots >= 0:
            price = (held * price + lots * at) / total
        elif held * total < 0:
            price = at
        held = total if abs(total) > _SMALLEST_VOLUME_LOTS else 0.0
    return held, price


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
