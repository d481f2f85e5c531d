"""What the simulated broker trades: contract specifications and the currencies they involve."""

from dataclasses import dataclass

CURRENCIES = ("USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD")
CURRENCY_INDEX = {currency: index for index, currency in enumerate(CURRENCIES)}
ACCOUNT_CURRENCIES = ("USD", "EUR", "GBP")

FILLING_FOK_FLAG = 1
FILLING_IOC_FLAG = 2

WEDNESDAY = 3


def currency_digits(currency: str) -> int:
    return 0 if currency == "JPY" else 2


@dataclass(frozen=True, slots=True)
class Contract:
    """One symbol's specification, in the terms of MetaTrader 5's SymbolInfo.

    Levels are in points, swaps in points per lot and night, ``annual_volatility`` is a fraction
    (0.08 = 8 % a year) and only shapes the random walk. ``start_bid`` is where that walk begins.
    """

    name: str
    base: str
    quote: str
    description: str
    digits: int
    start_bid: float
    spread_points: int
    annual_volatility: float
    swap_long: float
    swap_short: float
    contract_size: float = 100_000.0
    volume_min: float = 0.01
    volume_max: float = 100.0
    volume_step: float = 0.01
    volume_limit: float = 0.0
    stops_level: int = 0
    freeze_level: int = 0
    filling_flags: int = FILLING_FOK_FLAG | FILLING_IOC_FLAG
    margin_initial: float = 0.0
    margin_hedged: float = 100_000.0
    margin_hedged_use_leg: bool = False
    swap_rollover3days: int = WEDNESDAY

    @property
    def point(self) -> float:
        return float(f"1e-{self.digits}")

    @property
    def tick_size(self) -> float:
        return self.point

    @property
    def margin_currency(self) -> str:
        return self.base

    @property
    def path(self) -> str:
        return (
            f"Forex\\Majors\\{self.name}" if "USD" in self.name else f"Forex\\Crosses\\{self.name}"
        )


CONTRACTS: tuple[Contract, ...] = (
    Contract("EURUSD", "EUR", "USD", "Euro vs US Dollar", 5, 1.08774, 8, 0.075, -7.2, 3.1),
    Contract(
        "GBPUSD", "GBP", "USD", "Great Britain Pound vs US Dollar", 5, 1.2712, 12, 0.085, -3.4, -1.1
    ),
    Contract(
        "USDCAD", "USD", "CAD", "US Dollar vs Canadian Dollar", 5, 1.3641, 15, 0.065, 1.2, -6.0
    ),
    Contract("USDJPY", "USD", "JPY", "US Dollar vs Japanese Yen", 3, 151.42, 11, 0.1, 12.6, -24.1),
    Contract("USDCHF", "USD", "CHF", "US Dollar vs Swiss Franc", 5, 0.8984, 14, 0.08, 5.8, -11.9),
    Contract(
        "NZDUSD",
        "NZD",
        "USD",
        "New Zealand Dollar vs US Dollar",
        5,
        0.5888,
        16,
        0.1,
        -1.6,
        -1.2,
        volume_limit=150.0,
    ),
    Contract(
        "AUDUSD", "AUD", "USD", "Australian Dollar vs US Dollar", 5, 0.6521, 12, 0.095, -2.3, -0.8
    ),
    Contract(
        "EURGBP",
        "EUR",
        "GBP",
        "Euro vs Great Britain Pound",
        5,
        0.8557,
        14,
        0.055,
        -4.1,
        0.6,
        stops_level=10,
    ),
)
CONTRACT_INDEX = {contract.name: index for index, contract in enumerate(CONTRACTS)}
