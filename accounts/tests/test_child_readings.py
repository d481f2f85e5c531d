"""What a child reads through the package, against the batch read of the same broker."""

import math
from types import SimpleNamespace
from typing import Any

import pytest

from accounts.terminals.readings import Outcome
from accounts.terminals.simulated import constants as mt5
from accounts.tests.child_comparison import assert_equal_to_batch
from accounts.tests.child_reader import TAKEN_AT, OneReader
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

NETTING, HEDGING = mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING, mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
SYMBOLS = {
    "EURUSD": (0.3, mt5.ORDER_FILLING_FOK), "EURGBP": (0.17, mt5.ORDER_FILLING_FOK),
    "USDJPY": (0.05, mt5.ORDER_FILLING_FOK), "USDMXN": (0.02, mt5.ORDER_FILLING_FOK),
    "AUDNZD": (0.11, mt5.ORDER_FILLING_FOK), "XAUUSD": (0.13, mt5.ORDER_FILLING_FOK),
    "GER40": (0.1, mt5.ORDER_FILLING_FOK), "US500": (1.0, mt5.ORDER_FILLING_FOK),
}  # fmt: skip
EXPIRES_AT = 4_000_000_000


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.server.create_server(SERVER, suffix=".r")
    return desk


def open_positions(desk: Desk, login: int) -> None:
    for symbol, (lots, filling) in SYMBOLS.items():
        desk.buy(login, lots, f"{symbol}.r", type_filling=filling)
    desk.sell(login, 0.04, "EURUSD.r", magic=2**64 - 5, comment="part")
    ticket = desk.sell(login, 0.2, "GBPUSD.r", sl=1.5)
    desk.server.charge_swap(ticket, -1.23)
    desk.wait_for(login, mt5.ORDER_TYPE_BUY_LIMIT, 0.2, 1.0, "EURUSD.r", magic=2**63)
    desk.wait_for(login, mt5.ORDER_TYPE_SELL_LIMIT, 0.3, 200.0, "GBPJPY.r", tp=150.0)
    desk.wait_for(
        login, mt5.ORDER_TYPE_BUY_STOP_LIMIT, 0.1, 1.3, "EURUSD.r", stoplimit=1.2,
        type_time=mt5.ORDER_TIME_SPECIFIED, expiration=EXPIRES_AT,
    )  # fmt: skip


@pytest.mark.parametrize("margin_mode", [HEDGING, NETTING])
@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY", "CHF"])
def test_it_reads_an_account_as_the_batch_does(desk: Desk, currency: str, margin_mode: int) -> None:
    deposit = 50_000_000.0 if currency == "JPY" else 500_000.0
    login = desk.open_account(
        currency=currency, margin_mode=margin_mode, deposit=deposit, commission_per_lot=3.5
    )
    open_positions(desk, login)
    desk.server.credit(login, 500.0)
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)

    assert_equal_to_batch(one.look(), desk.server.read_batch([login], [0]))

    desk.pass_time(1.0)
    desk.server.set_prices("EURUSD", 1.0911, 1.0914)
    desk.server.set_prices("USDJPY", 149.20, 149.24)
    desk.server.set_prices("XAUUSD", 4010.11, 4010.52)
    desk.sell(login, 0.1, "AUDUSD.r")

    reading = one.look(after_seconds=1.0)

    assert_equal_to_batch(reading, desk.server.read_batch([login], [0]))
    assert reading.taken_at == TAKEN_AT
    assert (reading.positions["notional"] > 0).all()
    assert reading.orders["price_stoplimit"].tolist() == [0.0, 0.0, 1.2]
    assert reading.orders["type_time"].tolist() == [0, 0, mt5.ORDER_TIME_SPECIFIED]
    assert reading.orders["time_expiration"].tolist() == [0, 0, EXPIRES_AT]


def test_it_reads_an_account_without_any_trades(desk: Desk) -> None:
    login = desk.open_account()
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)

    reading = one.look()

    batch = desk.server.read_batch([login], [0])
    assert_equal_to_batch(reading, batch)
    assert reading.account["tick_msc"][0] == batch.accounts["tick_msc"][0] > 0
    assert len(reading.deals) == 1  # the deposit, without a symbol
    assert reading.deals["symbol"][0] == -1


def test_it_reads_a_thousand_positions(desk: Desk) -> None:
    login = desk.open_account(deposit=10_000_000.0)
    for _ in range(1000):
        desk.buy(login, 0.01, "EURUSD.r")
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)
    one.look()
    desk.server.set_prices("EURUSD", 1.0911, 1.0914)
    one.package.calls.clear()

    reading = one.look()

    assert_equal_to_batch(reading, desk.server.read_batch([login], [0]))
    assert one.package.calls["symbol_info_tick"] == 1


def test_it_needs_four_calls_to_look_at_what_stands_still(desk: Desk) -> None:
    login = desk.open_account()
    desk.buy(login, 0.1, "EURUSD.r")
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)
    one.look()
    one.look(after_seconds=2.0)
    one.package.calls.clear()

    one.look(after_seconds=0.05)

    looked = dict.fromkeys(("account_info", "positions_get", "orders_get", "terminal_info"), 1)
    assert one.package.calls == looked

    desk.server.set_prices("EURUSD", 1.0911, 1.0914)
    one.package.calls.clear()
    one.look(after_seconds=0.05)

    assert one.package.calls == {**looked, "symbol_info_tick": 1}


def test_it_asks_for_quotes_of_which_only_the_other_side_moves(desk: Desk) -> None:
    login = desk.open_account()
    desk.buy(login, 0.1, "EURUSD.r")  # its price is the bid
    desk.server.set_prices("EURUSD", 1.0911, 1.0914)
    one = OneReader(desk, login)
    one.look()
    desk.server.set_prices("EURUSD", 1.0911, 1.0919)

    assert one.look(after_seconds=0.24).prices["ask"][0] == 1.0914
    assert one.look(after_seconds=0.02).prices["ask"][0] == 1.0919


def test_it_asks_for_quotes_at_once_when_the_price_of_any_position_moves(desk: Desk) -> None:
    login = desk.open_account()
    desk.buy(login, 0.1, "EURUSD.r")
    desk.sell(login, 0.2, "EURUSD.r")  # its price is the ask, which stays
    desk.server.set_prices("EURUSD", 1.0911, 1.0914)
    one = OneReader(desk, login)
    one.look()
    desk.server.set_prices("EURUSD", 1.0912, 1.0914)

    assert one.look(after_seconds=0.05).prices["bid"][0] == 1.0912


def test_it_keeps_what_an_exchange_rate_says_for_a_second(desk: Desk) -> None:
    login = desk.open_account(currency="EUR")
    desk.buy(login, 0.1, "EURUSD.r")
    desk.server.set_prices("EURUSD", 1.10, 1.10)
    one = OneReader(desk, login)
    assert one.look().positions["notional"][0] == 10_000.0
    desk.server.set_prices("EURUSD", 1.21, 1.21)

    assert one.look(after_seconds=0.9).positions["notional"][0] == 11_000.0
    assert one.look(after_seconds=0.1).positions["notional"][0] == 10_000.0


@pytest.mark.parametrize(
    ("fields", "value_of_a_lot"),
    [
        ({"trade_tick_value_profit": 1.0, "trade_tick_value_loss": 3.0}, 200_000.0 * 1.5),
        ({"trade_tick_value_profit": 0.0}, 100_000.0 * 1.5),
        ({"trade_tick_size": 0.0}, 100_000.0 * 1.5),
        ({"trade_tick_value_loss": 0.0, "currency_profit": "XXX"}, None),
        ({"trade_tick_value_loss": math.nan, "currency_profit": "XXX"}, None),
        ({"trade_tick_size": 0.0, "trade_contract_size": 0.0}, None),
    ],
)
def test_it_makes_up_no_value_of_a_position(
    desk: Desk, fields: dict[str, Any], value_of_a_lot: float | None
) -> None:
    login = desk.open_account()
    desk.buy(login, 1.0, "EURUSD.r")
    desk.server.set_prices("EURUSD", 1.5, 1.5001)
    one = OneReader(desk, login)
    info = one.package.symbol_info("EURUSD.r")._asdict()
    plain = {"trade_tick_value_profit": 1.0, "trade_tick_value_loss": 1.0}
    shown = SimpleNamespace(**{**info, **plain, **fields})
    one.package.replace(symbol_info=lambda name: shown)

    reading = one.look()

    if value_of_a_lot is None:
        assert reading.account["outcome"][0] == Outcome.NONE
        assert not len(reading.positions)
    else:
        assert reading.positions["notional"][0] == value_of_a_lot


def test_it_says_that_an_investor_may_only_watch(desk: Desk) -> None:
    login = desk.open_account(investor_password="look only")
    one = OneReader(desk, login, password="look only")

    account = one.look().account

    assert not account["trade_allowed"][0]
    assert account["algo_trading_allowed"][0]
    assert OneReader(desk, login, password=PASSWORD).look().account["trade_allowed"][0]


@pytest.mark.parametrize("switch", ["set_algo_trading", "set_python_api", "set_expert_trading"])
def test_it_says_which_switches_keep_programs_from_trading(desk: Desk, switch: str) -> None:
    login = desk.open_account()
    one = OneReader(desk, login)
    one.reader.deals.move_cursor(0)
    assert one.look().account["algo_trading_allowed"][0]

    getattr(desk.server, switch)(login, False)

    reading = one.look()
    assert not reading.account["algo_trading_allowed"][0]
    assert_equal_to_batch(reading, desk.server.read_batch([login], [0]))


def test_it_learns_the_brokers_time_from_a_symbol_that_comes_later(desk: Desk) -> None:
    login = desk.open_account()
    one = OneReader(desk, login)
    symbols_get = one.package.symbols_get
    one.package.replace(symbols_get=lambda group: ())
    assert one.look().account["tick_msc"][0] == 0
    one.package.replace(symbols_get=symbols_get)

    assert one.look(after_seconds=59.9).account["tick_msc"][0] == 0
    assert one.look(after_seconds=0.2).account["tick_msc"][0] > 0
