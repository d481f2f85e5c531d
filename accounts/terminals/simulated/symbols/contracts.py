"""Contract specifications in the terms of SymbolInfo, and the currencies that they involve."""

from dataclasses import dataclass

from .. import constants as mt5
from .hours import FOREX_HOURS, WeeklyHours

CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "MXN")
CURRENCY_INDEX = {currency: index for index, currency in enumerate(CURRENCIES)}
ACCOUNT_CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD")

# Flags of SymbolInfo that the Python package has no names for.
FILLING_FOK_FLAG, FILLING_IOC_FLAG, FILLING_BOC_FLAG = 1, 2, 4
EXPIRATION_GTC_FLAG, EXPIRATION_DAY_FLAG = 1, 2
EXPIRATION_SPECIFIED_FLAG, EXPIRATION_SPECIFIED_DAY_FLAG = 4, 8
ORDER_MARKET_FLAG, ORDER_LIMIT_FLAG, ORDER_STOP_FLAG, ORDER_STOP_LIMIT_FLAG = 1, 2, 4, 8
ORDER_SL_FLAG, ORDER_TP_FLAG, ORDER_CLOSE_BY_FLAG = 16, 32, 64
ALL_EXPIRATIONS = 15
ALL_ORDERS = 127

_TICK_VALUE_MODES = (mt5.SYMBOL_CALC_MODE_FUTURES, mt5.SYMBOL_CALC_MODE_EXCH_FUTURES)


def currency_digits(currency: str) -> int:
    return 0 if currency == "JPY" else 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One symbol's specification, under the name that it has without a server's prefix or suffix.

    Levels are in points, ``tick_size`` in price (0: one point), ``tick_value`` in money of the
    profit currency per tick and lot (0: it follows from the contract size). ``margin_initial`` and
    ``margin_hedged`` are as MetaTrader takes them: money per lot of the margin currency, and units
    of the contract unless ``margin_initial`` is set. ``margin_rate`` multiplies the margin,
    ``pending_margin_rate`` that of orders which wait. Swaps are in what ``swap_mode`` says, per
    lot and night. ``depth_lots`` is what the best price of the book holds (0: any volume).
    ``annual_volatility`` (0.08 = 8 % a year) and ``start_bid`` shape the random walk;
    ``price_of`` names the contract whose quotes this one shares. ``expires_at`` is the end of
    trading on the broker's clock (0: never).
    """

    name: str
    description: str
    base: str
    quote: str
    margin_currency: str
    path: str
    digits: int
    start_bid: float
    spread_points: int
    annual_volatility: float
    calc_mode: int = mt5.SYMBOL_CALC_MODE_FOREX
    execution: int = mt5.SYMBOL_TRADE_EXECUTION_MARKET
    chart_mode: int = mt5.SYMBOL_CHART_MODE_BID
    trade_mode: int = mt5.SYMBOL_TRADE_MODE_FULL
    contract_size: float = 100_000.0
    tick_size: float = 0.0
    tick_value: float = 0.0
    volume_min: float = 0.01
    volume_max: float = 100.0
    volume_step: float = 0.01
    volume_limit: float = 0.0
    stops_level: int = 0
    freeze_level: int = 0
    filling_flags: int = FILLING_FOK_FLAG | FILLING_IOC_FLAG
    expiration_flags: int = ALL_EXPIRATIONS
    order_flags: int = ALL_ORDERS
    gtc_mode: int = mt5.SYMBOL_ORDERS_GTC
    margin_initial: float = 0.0
    margin_hedged: float = 100_000.0
    margin_hedged_use_leg: bool = False
    margin_rate: float = 1.0
    pending_margin_rate: float = 0.0
    swap_mode: int = mt5.SYMBOL_SWAP_MODE_POINTS
    swap_long: float = 0.0
    swap_short: float = 0.0
    swap_rollover3days: int = mt5.DAY_OF_WEEK_WEDNESDAY
    hours: WeeklyHours = FOREX_HOURS
    depth_lots: float = 0.0
    price_of: str = ""
    expires_at: int = 0
    exchange: str = ""
    isin: str = ""

    def __post_init__(self) -> None:
        if not self.tick_size:
            object.__setattr__(self, "tick_size", self.point)

    @property
    def point(self) -> float:
        return float(f"1e-{self.digits}")

    @property
    def unit_value(self) -> float:
        """What one lot gains in the profit currency when the price rises by 1."""
        if self.calc_mode in _TICK_VALUE_MODES:
            return self.tick_value / self.tick_size
        return self.contract_size

    @property
    def hedged_fraction(self) -> float:
        """The share of a lot's margin that a covered lot (buy against sell) is charged."""
        return self.margin_hedged / (self.margin_initial or self.contract_size)
