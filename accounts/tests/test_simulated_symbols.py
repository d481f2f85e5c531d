"""What the simulated broker tells of its symbols, and the catalogue behind it."""

from decimal import Decimal
from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.surface.tuples import SymbolInfo, Tick
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.terminals.simulated.symbols.contracts import CURRENCIES, Contract
from accounts.tests.simulated_desk import PASSWORD, Clock, Desk

WEDNESDAY_AT_THE_EXCHANGE = 1_795_014_400.0  # 18 November 2026, 15:06:40 UTC
CONTRACT_IDS = [contract.name for contract in CONTRACTS]
every_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=CONTRACT_IDS)
LOGINS = {"USD": 1001, "EUR": 1002, "JPY": 1003}


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.open_account(1001)
    return desk


@pytest.fixture(scope="module")
def untouched() -> Desk:
    """Return a desk that tests only ask, with an account for each of LOGINS."""
    desk = Desk()
    for currency, login in LOGINS.items():
        desk.open_account(login, currency=currency)
    return desk


@pytest.fixture(scope="module")
def market() -> Desk:
    """Return a desk whose symbols have traded for ten minutes."""
    clock = Clock(WEDNESDAY_AT_THE_EXCHANGE)
    desk = Desk(feed=True, clock=clock, seed=5)
    desk.open_account(1001)
    for _ in range(120):
        clock.now += 5
        desk.server.step()
    return desk


def info(desk: Desk, symbol: str, login: int = 1001) -> Any:
    return SymbolInfo(desk.server.call("symbol_info", login, symbol))


def is_multiple(number: float, step: float) -> bool:
    return Decimal(str(number)) % Decimal(repr(step)) == 0


@every_contract
def test_the_catalogue_is_on_its_own_grid(contract: Contract) -> None:
    assert is_multiple(contract.start_bid, contract.tick_size)
    spread = round(contract.spread_points * contract.point, contract.digits)
    assert is_multiple(spread, contract.tick_size)
    assert is_multiple(contract.tick_size, contract.point)
    assert is_multiple(contract.volume_min, contract.volume_step)
    assert is_multiple(contract.volume_max, contract.volume_step)
    assert contract.volume_min <= contract.volume_max
    assert not contract.volume_limit or contract.volume_limit >= contract.volume_max
    assert contract.quote in CURRENCIES
    assert contract.margin_currency in CURRENCIES
    assert 0 <= contract.hedged_fraction <= 1


@every_contract
def test_the_catalogue_asks_plausible_money(contract: Contract) -> None:
    """A night costs less than 0.1 % of the position, leverage stays below 1:500."""
    notional = contract.start_bid * contract.unit_value
    nightly = {
        mt5.SYMBOL_SWAP_MODE_DISABLED: 0.0,
        mt5.SYMBOL_SWAP_MODE_POINTS: contract.point * contract.unit_value / notional,
        mt5.SYMBOL_SWAP_MODE_CURRENCY_SYMBOL: 1 / contract.contract_size,
        mt5.SYMBOL_SWAP_MODE_CURRENCY_DEPOSIT: 1 / notional,
        mt5.SYMBOL_SWAP_MODE_INTEREST_CURRENT: 1 / 100 / 360,
        mt5.SYMBOL_SWAP_MODE_INTEREST_OPEN: 1 / 100 / 360,
    }[contract.swap_mode]
    assert abs(contract.swap_long) * nightly < 0.001
    assert abs(contract.swap_short) * nightly < 0.001
    # No broker pays more than it takes.
    assert contract.swap_long + contract.swap_short <= 0
    if contract.margin_initial:
        assert notional / 50 < contract.margin_initial < notional / 5


def test_the_catalogue_has_every_kind() -> None:
    assert {contract.calc_mode for contract in CONTRACTS} == {
        mt5.SYMBOL_CALC_MODE_FOREX, mt5.SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE,
        mt5.SYMBOL_CALC_MODE_CFD, mt5.SYMBOL_CALC_MODE_CFDLEVERAGE,
        mt5.SYMBOL_CALC_MODE_CFDINDEX, mt5.SYMBOL_CALC_MODE_FUTURES,
        mt5.SYMBOL_CALC_MODE_EXCH_STOCKS, mt5.SYMBOL_CALC_MODE_EXCH_FUTURES,
    }  # fmt: skip
    assert {contract.execution for contract in CONTRACTS} == {
        mt5.SYMBOL_TRADE_EXECUTION_REQUEST, mt5.SYMBOL_TRADE_EXECUTION_INSTANT,
        mt5.SYMBOL_TRADE_EXECUTION_MARKET, mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE,
    }  # fmt: skip
    assert len(CONTRACT_INDEX) == len(CONTRACTS)


@every_contract
def test_it_tells_the_terms_of_a_contract(untouched: Desk, contract: Contract) -> None:
    told = info(untouched, contract.name)
    assert {
        "trade_calc_mode": contract.calc_mode, "trade_exemode": contract.execution,
        "chart_mode": contract.chart_mode, "trade_mode": mt5.SYMBOL_TRADE_MODE_FULL,
        "digits": contract.digits, "point": contract.point,
        "trade_tick_size": contract.tick_size, "trade_contract_size": contract.contract_size,
        "trade_stops_level": contract.stops_level, "trade_freeze_level": contract.freeze_level,
        "filling_mode": contract.filling_flags, "expiration_mode": contract.expiration_flags,
        "order_mode": contract.order_flags, "order_gtc_mode": contract.gtc_mode,
        "volume_min": contract.volume_min, "volume_max": contract.volume_max,
        "volume_step": contract.volume_step, "volume_limit": contract.volume_limit,
        "swap_mode": contract.swap_mode, "swap_long": contract.swap_long,
        "swap_short": contract.swap_short, "swap_rollover3days": contract.swap_rollover3days,
        "margin_initial": contract.margin_initial, "margin_hedged": contract.margin_hedged,
        "margin_hedged_use_leg": contract.margin_hedged_use_leg,
        "expiration_time": contract.expires_at, "currency_base": contract.base,
        "currency_profit": contract.quote, "currency_margin": contract.margin_currency,
        "description": contract.description, "exchange": contract.exchange,
        "isin": contract.isin, "path": contract.path, "name": contract.name,
        "spread": contract.spread_points, "bid": contract.start_bid,
        "ticks_bookdepth": 5 if contract.depth_lots else 0,
    }.items() <= told._asdict().items()  # fmt: skip


def test_it_puts_symbols_into_the_tree_under_the_names_of_the_server(untouched: Desk) -> None:
    untouched.server.create_server("Southwind", prefix="m", suffix=".r")
    untouched.server.create_account(1004, PASSWORD, "Southwind", "Account 1004")
    told = info(untouched, "mGBPJPY.r", 1004)
    assert (told.name, told.path) == ("mGBPJPY.r", "Forex\\Crosses\\mGBPJPY.r")


@every_contract
@pytest.mark.parametrize("login", LOGINS.values(), ids=list(LOGINS))
def test_it_gives_tick_values_that_profits_follow(
    untouched: Desk, contract: Contract, login: int
) -> None:
    told = info(untouched, contract.name, login)
    lots = 10 * told.volume_step * 1000
    for ticks, value in ((1000, told.trade_tick_value_profit), (-1000, told.trade_tick_value_loss)):
        closed = told.bid + ticks * told.trade_tick_size
        profit = untouched.server.call(
            "order_calc_profit", login, mt5.ORDER_TYPE_BUY, contract.name, lots, told.bid, closed
        )
        assert profit == pytest.approx(ticks * value * lots, rel=1e-6, abs=1)
    assert told.trade_tick_value == told.trade_tick_value_profit
    assert told.trade_tick_value_loss >= told.trade_tick_value_profit > 0


def test_it_gives_tick_values_of_both_sides(desk: Desk) -> None:
    desk.server.set_prices("USDJPY", 150.0, 151.0)
    told = info(desk, "USDJPY")
    assert told.trade_tick_value_profit == pytest.approx(100 / 151.0)
    assert told.trade_tick_value_loss == pytest.approx(100 / 150.0)
    assert told.spread == 1000


def test_it_tells_what_may_be_traded(desk: Desk) -> None:
    desk.server.set_trade_mode("EURUSD", mt5.SYMBOL_TRADE_MODE_CLOSEONLY)
    assert info(desk, "EURUSD").trade_mode == mt5.SYMBOL_TRADE_MODE_CLOSEONLY


def test_it_gives_the_range_of_the_day(desk: Desk) -> None:
    for bid, ask in ((1.10, 1.11), (1.12, 1.15), (1.08, 1.09), (1.09, 1.10)):
        desk.server.set_prices("EURUSD", bid, ask)
    told = info(desk, "EURUSD")
    assert (told.bidlow, told.bid, told.bidhigh) == (1.08, 1.09, 1.12)
    assert (told.asklow, told.ask, told.askhigh) == (1.08008, 1.10, 1.15)


def test_it_compares_the_price_with_the_close_of_the_day_before(desk: Desk) -> None:
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.clock.now += 86_400
    desk.server.set_prices("EURUSD", 1.2, 1.2)
    desk.server.set_prices("EURUSD", 1.21, 1.21)
    told = info(desk, "EURUSD")
    assert (told.session_open, told.session_close) == (1.2, 1.1)
    assert told.price_change == 10.0
    assert (told.bidlow, told.bidhigh) == (1.2, 1.21)


@every_contract
def test_it_keeps_the_price_inside_the_day(market: Desk, contract: Contract) -> None:
    told = info(market, contract.name)
    assert told.bidlow <= told.bid <= told.bidhigh
    assert told.asklow <= told.ask <= told.askhigh
    assert told.bidlow < told.asklow
    assert told.session_open > 0
    assert told.session_close > 0
    assert told.price_change == pytest.approx(
        ((told.last or told.bid) / told.session_close - 1) * 100, abs=1e-4
    )


@every_contract
def test_it_tells_trades_where_there_are_some(market: Desk, contract: Contract) -> None:
    told, tick = (
        info(market, contract.name),
        Tick(market.server.call("symbol_tick", 1001, contract.name)),
    )
    assert (tick.bid, tick.ask, tick.last) == (told.bid, told.ask, told.last)
    if not contract.exchange:
        trades = (told.last, told.lasthigh, told.volume, told.session_deals, told.session_volume)
        assert trades == (0, 0, 0, 0, 0)
        return
    assert told.lastlow <= told.last <= told.lasthigh
    assert told.volumelow <= told.volume == told.volume_real <= told.volumehigh
    assert told.volume == tick.volume == tick.volume_real > 0
    assert told.session_deals > 0
    assert told.lastlow <= told.session_aw <= told.lasthigh
    assert told.session_turnover > 0
    assert told.session_buy_orders == told.session_sell_orders == 5
    assert told.session_buy_orders_volume == contract.depth_lots * 15


def test_it_takes_a_symbol_out_of_the_market_watch(desk: Desk) -> None:
    assert desk.server.call("symbol_select", 1001, "GER40", False)
    told = info(desk, "GER40")
    assert (told.select, told.visible) == (False, False)
    assert info(desk, "EURUSD").visible
