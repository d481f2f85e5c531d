"""What the simulated broker trades.

New contracts go to the end: the books know them by their place.
"""

from typing import Any

from .. import constants as mt5
from .contracts import (
    ALL_ORDERS,
    FILLING_BOC_FLAG,
    FILLING_FOK_FLAG,
    FILLING_IOC_FLAG,
    ORDER_STOP_LIMIT_FLAG,
    Contract,
)
from .hours import ALWAYS, INDEX_HOURS, METAL_HOURS, STOCK_HOURS

_FRIDAY = mt5.DAY_OF_WEEK_FRIDAY
_BOOK_FILLINGS = FILLING_FOK_FLAG | FILLING_IOC_FLAG | FILLING_BOC_FLAG
_MARCH_2030_SETTLEMENT = 1_899_822_600  # 15 March 2030, 16:30 on the broker's clock


def _pair(
    name: str,
    description: str,
    digits: int,
    start_bid: float,
    spread_points: int,
    volatility: float,
    swaps: tuple[float, float],
    **more: Any,
) -> Contract:
    group = "Majors" if "USD" in name else "Crosses"
    terms = {"margin_currency": name[:3], "path": f"Forex\\{group}\\{name}", **more}
    return Contract(
        name=name, description=description, base=name[:3], quote=name[3:], digits=digits,
        start_bid=start_bid, spread_points=spread_points, annual_volatility=volatility,
        swap_long=swaps[0], swap_short=swaps[1], **terms,
    )  # fmt: skip


def _gold(name: str, ounces: float, **more: Any) -> Contract:
    return Contract(
        name=name, description=f"Gold vs US Dollar, {ounces:.0f} oz", base="XAU", quote="USD",
        margin_currency="USD", path=f"Metals\\{name}", digits=2, start_bid=4085.2,
        spread_points=22, annual_volatility=0.18, calc_mode=mt5.SYMBOL_CALC_MODE_CFDLEVERAGE,
        contract_size=ounces, margin_hedged=ounces / 2, volume_max=50.0, stops_level=10,
        swap_long=-62.4, swap_short=31.0, hours=METAL_HOURS, depth_lots=2.0, **more,
    )  # fmt: skip


FOREX = (
    _pair("EURUSD", "Euro vs US Dollar", 5, 1.08774, 8, 0.075, (-7.2, 3.1)),
    _pair("GBPUSD", "Great Britain Pound vs US Dollar", 5, 1.2712, 12, 0.085, (-3.4, -1.1)),
    _pair("USDCAD", "US Dollar vs Canadian Dollar", 5, 1.3641, 15, 0.065, (1.2, -6.0)),
    _pair("USDJPY", "US Dollar vs Japanese Yen", 3, 151.42, 11, 0.1, (12.6, -24.1)),
    _pair("USDCHF", "US Dollar vs Swiss Franc", 5, 0.8984, 14, 0.08, (5.8, -11.9)),
    _pair("NZDUSD", "New Zealand Dollar vs US Dollar", 5, 0.5888, 16, 0.1, (-1.6, -1.2),
          volume_limit=150.0),
    _pair("AUDUSD", "Australian Dollar vs US Dollar", 5, 0.6521, 12, 0.095, (-2.3, -0.8)),
    _pair("EURGBP", "Euro vs Great Britain Pound", 5, 0.8557, 14, 0.055, (-4.1, 0.6),
          stops_level=10),
)  # fmt: skip
CROSSES = (
    _pair("EURJPY", "Euro vs Japanese Yen", 3, 164.706, 18, 0.09, (6.1, -15.3), freeze_level=15,
          execution=mt5.SYMBOL_TRADE_EXECUTION_INSTANT),
    _pair("GBPJPY", "Great Britain Pound vs Japanese Yen", 3, 192.485, 25, 0.1, (14.2, -27.9),
          depth_lots=4.0),
    _pair("EURCHF", "Euro vs Swiss Franc", 5, 0.97723, 20, 0.06, (1.9, -7.0), volume_max=50.0),
    _pair("AUDNZD", "Australian Dollar vs New Zealand Dollar", 5, 1.1075, 24, 0.06, (-1.4, -2.2)),
    # Exotic: no leverage, in money rather than in points over night, and no stop-limit orders.
    _pair("USDMXN", "US Dollar vs Mexican Peso", 4, 18.3421, 320, 0.13, (-38.5, 9.2),
          calc_mode=mt5.SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE, margin_rate=0.05, volume_max=20.0,
          path="Forex\\Exotics\\USDMXN", swap_mode=mt5.SYMBOL_SWAP_MODE_CURRENCY_SYMBOL,
          order_flags=ALL_ORDERS & ~ORDER_STOP_LIMIT_FLAG),
)  # fmt: skip
METALS = (
    _gold("XAUUSD", 100.0),
    _gold("GOLD", 10.0, price_of="XAUUSD"),
    Contract(
        name="XAGUSD", description="Silver vs US Dollar", base="XAG", quote="USD",
        margin_currency="USD", path="Metals\\XAGUSD", digits=3, start_bid=51.24, spread_points=24,
        annual_volatility=0.3, calc_mode=mt5.SYMBOL_CALC_MODE_CFDLEVERAGE,
        execution=mt5.SYMBOL_TRADE_EXECUTION_REQUEST, contract_size=5_000.0, margin_hedged=0.0,
        volume_max=20.0, margin_rate=2.0, swap_long=-4.6, swap_short=1.9, hours=METAL_HOURS,
        filling_flags=FILLING_FOK_FLAG,
    ),
)  # fmt: skip
CFDS = (
    Contract(
        name="GER40", description="Germany 40 Index", base="EUR", quote="EUR",
        margin_currency="EUR", path="Indices\\GER40", digits=1, start_bid=23_912.4,
        spread_points=14, annual_volatility=0.16, calc_mode=mt5.SYMBOL_CALC_MODE_CFDINDEX,
        contract_size=1.0, tick_size=0.1, tick_value=0.1, volume_min=0.1, volume_step=0.1,
        volume_max=200.0, volume_limit=400.0, margin_hedged=0.5, margin_rate=0.05, stops_level=50,
        swap_mode=mt5.SYMBOL_SWAP_MODE_INTEREST_CURRENT, swap_long=-5.1, swap_short=0.4,
        swap_rollover3days=_FRIDAY, hours=INDEX_HOURS,
    ),
    Contract(
        name="US500", description="US 500 Index", base="USD", quote="USD", margin_currency="USD",
        path="Indices\\US500", digits=2, start_bid=6_734.25, spread_points=50,
        annual_volatility=0.15, calc_mode=mt5.SYMBOL_CALC_MODE_CFDINDEX, contract_size=1.0,
        tick_size=0.25, tick_value=0.25, volume_min=0.1, volume_step=0.1, volume_max=500.0,
        margin_hedged=1.0, margin_hedged_use_leg=True, margin_rate=0.05,
        swap_mode=mt5.SYMBOL_SWAP_MODE_INTEREST_OPEN, swap_long=-6.8, swap_short=1.7,
        swap_rollover3days=_FRIDAY, hours=INDEX_HOURS,
    ),
    Contract(
        name="BTCUSD", description="Bitcoin vs US Dollar", base="BTC", quote="USD",
        margin_currency="USD", path="Crypto\\BTCUSD", digits=2, start_bid=96_410.5,
        spread_points=1_850, annual_volatility=0.55, calc_mode=mt5.SYMBOL_CALC_MODE_CFDLEVERAGE,
        contract_size=1.0, volume_max=10.0, margin_hedged=0.0, margin_rate=5.0,
        filling_flags=FILLING_IOC_FLAG, swap_mode=mt5.SYMBOL_SWAP_MODE_INTEREST_CURRENT,
        swap_long=-20.0, swap_short=-5.0, swap_rollover3days=_FRIDAY, hours=ALWAYS,
        depth_lots=0.5,
    ),
    Contract(
        name="AAPL", description="Apple Inc, CFD", base="USD", quote="USD", margin_currency="USD",
        path="Stocks\\US\\AAPL", digits=2, start_bid=268.4, spread_points=9,
        annual_volatility=0.28, calc_mode=mt5.SYMBOL_CALC_MODE_CFD, contract_size=1.0,
        volume_min=1.0, volume_step=1.0, volume_max=10_000.0, margin_hedged=0.0, margin_rate=0.2,
        swap_mode=mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT, swap_long=-0.06, swap_short=-0.03,
        swap_rollover3days=_FRIDAY, hours=STOCK_HOURS, isin="US0378331005",
    ),
    Contract(
        name="ESH30", description="E-mini S&P 500 future, March 2030", base="USD", quote="USD",
        margin_currency="USD", path="Futures\\ESH30", digits=2, start_bid=6_748.5,
        spread_points=25, annual_volatility=0.15, calc_mode=mt5.SYMBOL_CALC_MODE_FUTURES,
        contract_size=50.0, tick_size=0.25, tick_value=12.5, volume_min=1.0, volume_step=1.0,
        volume_max=100.0, margin_initial=13_200.0, margin_hedged=6_600.0,
        swap_mode=mt5.SYMBOL_SWAP_MODE_DISABLED, hours=INDEX_HOURS,
        expires_at=_MARCH_2030_SETTLEMENT,
    ),
)  # fmt: skip
EXCHANGE = (
    Contract(
        name="MSFT", description="Microsoft Corp", base="USD", quote="USD", margin_currency="USD",
        path="Exchange\\Stocks\\MSFT", digits=2, start_bid=503.3, spread_points=2,
        annual_volatility=0.25, calc_mode=mt5.SYMBOL_CALC_MODE_EXCH_STOCKS,
        execution=mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE, chart_mode=mt5.SYMBOL_CHART_MODE_LAST,
        contract_size=1.0, volume_min=1.0, volume_step=1.0, volume_max=100_000.0,
        margin_hedged=0.0, pending_margin_rate=1.0, filling_flags=_BOOK_FILLINGS,
        gtc_mode=mt5.SYMBOL_ORDERS_DAILY, swap_mode=mt5.SYMBOL_SWAP_MODE_DISABLED,
        hours=STOCK_HOURS, depth_lots=300.0, exchange="NASDAQ", isin="US5949181045",
    ),
    Contract(
        name="NQH30", description="E-mini Nasdaq 100 future, March 2030", base="USD", quote="USD",
        margin_currency="USD", path="Exchange\\Futures\\NQH30", digits=2, start_bid=24_890.25,
        spread_points=50, annual_volatility=0.2, calc_mode=mt5.SYMBOL_CALC_MODE_EXCH_FUTURES,
        execution=mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE, chart_mode=mt5.SYMBOL_CHART_MODE_LAST,
        contract_size=20.0, tick_size=0.25, tick_value=5.0, volume_min=1.0, volume_step=1.0,
        volume_max=500.0, margin_initial=19_800.0, margin_hedged=0.0, pending_margin_rate=1.0,
        filling_flags=_BOOK_FILLINGS, swap_mode=mt5.SYMBOL_SWAP_MODE_DISABLED, hours=INDEX_HOURS,
        depth_lots=5.0, expires_at=_MARCH_2030_SETTLEMENT, exchange="CME",
    ),
)  # fmt: skip
CONTRACTS: tuple[Contract, ...] = (*FOREX, *CROSSES, *METALS, *CFDS, *EXCHANGE)
CONTRACT_INDEX = {contract.name: index for index, contract in enumerate(CONTRACTS)}
