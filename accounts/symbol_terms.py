"""What an order has to know of a symbol, as one account's terminal tells it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final, Self

import msgpack

# The places of the fields in a row of SymbolInfo, as MetaTrader 5 orders them.
_PLACES: Final = {
    "digits": 11,
    "calc_mode": 15,
    "trade_mode": 16,
    "stops_level": 19,
    "freeze_level": 20,
    "execution_mode": 21,
    "margin_hedged_use_leg": 24,
    "expiration_mode": 25,
    "filling_mode": 26,
    "order_mode": 27,
    "bid": 31,
    "ask": 34,
    "point": 44,
    "tick_value": 45,
    "tick_value_profit": 46,
    "tick_value_loss": 47,
    "tick_size": 48,
    "contract_size": 49,
    "volume_min": 53,
    "volume_max": 54,
    "volume_step": 55,
    "volume_limit": 56,
    "margin_initial": 59,
    "margin_hedged": 72,
    "currency_base": 85,
    "currency_profit": 86,
    "currency_margin": 87,
    "name": 93,
}


class SymbolTradeMode(IntEnum):
    """MetaTrader's SYMBOL_TRADE_MODE_*."""

    DISABLED = 0
    LONG_ONLY = 1
    SHORT_ONLY = 2
    CLOSE_ONLY = 3
    FULL = 4


class CalcMode(IntEnum):
    """MetaTrader's SYMBOL_CALC_MODE_*, as far as a margin is worked out by them."""

    FOREX = 0
    FUTURES = 1
    CFD = 2
    CFD_INDEX = 3
    CFD_LEVERAGE = 4
    FOREX_NO_LEVERAGE = 5
    EXCHANGE_STOCKS = 32
    EXCHANGE_FUTURES = 33


_LEVERAGED: Final = frozenset({CalcMode.FOREX, CalcMode.CFD_LEVERAGE})
_UNLEVERAGED: Final = frozenset(
    {CalcMode.CFD, CalcMode.FOREX_NO_LEVERAGE, CalcMode.EXCHANGE_STOCKS}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolTerms:
    """A symbol's terms; volumes in lots, levels in points, tick values in the account's currency.

    `read_at` is UTC epoch seconds. `margin_buy` and `margin_sell` are what the terminal says that
    one lot takes of the margin, None when it was not asked or did not say.
    """

    name: str
    digits: int
    point: float
    contract_size: float
    tick_size: float
    tick_value: float
    tick_value_profit: float
    tick_value_loss: float
    volume_min: float
    volume_max: float
    volume_step: float
    volume_limit: float
    filling_mode: int
    expiration_mode: int
    order_mode: int
    execution_mode: int
    trade_mode: int
    stops_level: int
    freeze_level: int
    margin_initial: float
    margin_hedged: float
    margin_hedged_use_leg: bool
    calc_mode: int
    currency_base: str
    currency_profit: str
    currency_margin: str
    bid: float
    ask: float
    read_at: float = math.nan
    margin_buy: float | None = None
    margin_sell: float | None = None

    @classmethod
    def from_row(
        cls,
        row: Sequence[Any],
        *,
        read_at: float = math.nan,
        margin_buy: float | None = None,
        margin_sell: float | None = None,
    ) -> Self:
        """Take the terms out of a SymbolInfo row in MetaTrader 5's order of fields."""
        told = {name: row[place] for name, place in _PLACES.items()}
        return cls(**told, read_at=read_at, margin_buy=margin_buy, margin_sell=margin_sell)

    def packed(self) -> bytes:
        return bytes(msgpack.packb(asdict(self)))

    @classmethod
    def unpacked(cls, packed: bytes) -> Self | None:
        """Read packed terms; None for those of another layout."""
        told = msgpack.unpackb(packed)
        if not isinstance(told, dict) or told.keys() != _FIELDS:
            return None
        return cls(**told)

    def with_quote(self, bid: float, ask: float) -> Self:
        return replace(self, bid=bid, ask=ask)

    @property
    def step(self) -> Decimal:
        return Decimal(repr(self.volume_step))

    def floored(self, volume: Decimal | float) -> Decimal:
        """Round a volume down to a whole number of steps, at most the largest volume.

        0 below the smallest. A double is taken as it prints, so 0.29 is 29 steps of 0.01; one that
        falls short of a step by its noise alone counts as the step.
        """
        lots = volume if isinstance(volume, Decimal) else _without_noise(volume)
        step = self.step
        if step <= 0 or lots <= 0:
            return Decimal(0)
        lots = min(lots, Decimal(repr(self.volume_max)))
        floored = lots // step * step
        return floored if floored >= Decimal(repr(self.volume_min)) else Decimal(0)

    def price_for(self, is_buy: bool) -> float | None:
        """Return what an order at the market would be filled at; None without a quote."""
        price = self.ask if is_buy else self.bid
        return price if price > 0 else None

    @property
    def loss_per_price(self) -> float | None:
        """What one lot loses when the price moves against it by 1, in the account's currency."""
        return _ratio(self.tick_value_loss or self.tick_value, self.tick_size)

    @property
    def value_per_price(self) -> float | None:
        """What one lot gains or loses, in the mean, when the price moves by 1."""
        gained = self.tick_value_profit or self.tick_value
        lost = self.tick_value_loss or self.tick_value
        return _ratio((gained + lost) / 2.0, self.tick_size)

    def notional_per_lot(self, price: float) -> float | None:
        """Return what one lot is worth at a price, in the account's currency."""
        value = self.value_per_price
        return None if value is None or price <= 0 else value * price

    def margin_per_lot(self, is_buy: bool, price: float, leverage: int) -> float | None:
        """Return the margin of one lot: what the terminal said, else MetaTrader's formula.

        In the account's currency; None where the formula needs a rate that the terms do not hold.
        The margin rates of order types are in no formula, for no terminal tells them.
        Source: DOMAIN.md, part 2.
        """
        told = self.margin_buy if is_buy else self.margin_sell
        if told is not None:
            return told
        notional = self.notional_per_lot(price)
        if notional is None:
            return None
        if self.margin_initial > 0:
            rate = self._margin_rate(notional, price)
            return None if rate is None else self.margin_initial * rate
        if self.calc_mode in _LEVERAGED:
            return notional / leverage if leverage > 0 else None
        if self.calc_mode in _UNLEVERAGED:
            return notional
        if self.calc_mode == CalcMode.CFD_INDEX:
            return notional * self.contract_size
        return None

    @property
    def hedged_fraction(self) -> float:
        """The share of a lot's margin that a lot covered by an opposite one is charged."""
        if self.margin_hedged_use_leg:
            return 1.0
        return self.margin_hedged / (self.margin_initial or self.contract_size or math.inf)

    def _margin_rate(self, notional: float, price: float) -> float | None:
        """Return what one unit of the margin's currency is in the account's."""
        if self.contract_size <= 0:
            return None
        of_profit = notional / (self.contract_size * price)
        if self.currency_margin == self.currency_profit:
            return of_profit
        return of_profit * price if self.currency_margin == self.currency_base else None


_FIELDS: Final = {each.name for each in fields(SymbolTerms)}


def _ratio(value: float, size: float) -> float | None:
    return value / size if value > 0 and size > 0 else None


def _without_noise(volume: float) -> Decimal:
    if not math.isfinite(volume):
        return Decimal(0) if math.isnan(volume) or volume < 0 else Decimal(10**12)
    return Decimal(repr(round(volume, 9)))
