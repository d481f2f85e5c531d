"""Margin and profit of the simulated broker in every calculation mode."""

import math
from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.link import LinkError
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.terminals.simulated.symbols.contracts import (
    ACCOUNT_CURRENCIES,
    FILLING_FOK_FLAG,
    Contract,
)
from accounts.tests.books_audit import books_of
from accounts.tests.simulated_desk import Desk

BUY, SELL = mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture(scope="module")
def trading() -> Desk:
    """Return a desk at its first prices whose symbols are all open."""
    return Desk(always_open=True)


MARGIN_PRICES = {
    "EURUSD": (1.1000, 1.1002), "USDJPY": (150.00, 150.02), "USDMXN": (18.0, 18.02),
    "XAUUSD": (4000.0, 4001.0), "US500": (6700.0, 6700.5), "AAPL": (270.0, 270.1),
    "ESH30": (6700.0, 6700.25), "MSFT": (500.0, 500.05), "NQH30": (25_000.0, 25_000.5),
    "BTCUSD": (100_000.0, 100_050.0), "XAGUSD": (50.0, 50.1), "GER40": (24_000.0, 24_001.5),
}  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "lots", "long", "short"),
    [
        # Account in dollars, 1:100; GER40 is converted at EURUSD.
        ("EURUSD", 1.0, 100_000 * 1.1002 / 100, 100_000 * 1.1000 / 100),
        ("USDJPY", 1.0, 1000.0, 1000.0),
        ("USDMXN", 0.5, 100_000 * 0.5 * 0.05, 100_000 * 0.5 * 0.05),
        ("XAUUSD", 0.1, 100 * 0.1 * 4001 / 100, 100 * 0.1 * 4000 / 100),
        ("BTCUSD", 1.0, 100_050 / 100 * 5, 100_000 / 100 * 5),
        ("XAGUSD", 1.0, 5000 * 50.1 / 100 * 2, 5000 * 50.0 / 100 * 2),
        ("US500", 2.0, 2 * 6700.5 * 0.05, 2 * 6700.0 * 0.05),
        ("GER40", 1.0, 24_001.5 * 0.05 * 1.1002, 24_000.0 * 0.05 * 1.1),
        ("AAPL", 10.0, 10 * 270.1 * 0.2, 10 * 270.0 * 0.2),
        ("ESH30", 2.0, 26_400.0, 26_400.0),
        ("MSFT", 10.0, 5000.5, 5000.0),
        ("NQH30", 3.0, 59_400.0, 59_400.0),
    ],
)
def test_it_takes_the_margin_of_every_calculation_mode(
    desk: Desk, symbol: str, lots: float, long: float, short: float
) -> None:
    login = desk.open_account(deposit=1_000_000.0)
    for name, (bid, ask) in MARGIN_PRICES.items():
        desk.server.set_prices(name, bid, ask)
    bid, ask = MARGIN_PRICES[symbol]
    for side, price, margin in ((BUY, ask, long), (SELL, bid, short)):
        asked = desk.server.call("order_calc_margin", login, side, symbol, lots, price)
        assert asked == pytest.approx(margin, abs=0.006)


@pytest.mark.parametrize(
    ("symbol", "lots", "opened", "closed", "profit"),
    [
        ("EURUSD", 0.1, 1.1, 1.101, 10.0),
        ("XAUUSD", 0.1, 4000.0, 4001.5, 15.0),
        ("US500", 2.0, 6700.0, 6710.25, 20.5),
        ("AAPL", 10.0, 270.0, 271.1, 11.0),
        ("ESH30", 2.0, 6700.0, 6710.25, 41 * 12.5 * 2),
        ("MSFT", 10.0, 500.0, 500.5, 5.0),
        ("NQH30", 3.0, 25_000.0, 25_010.0, 40 * 5.0 * 3),
        ("USDMXN", 0.5, 18.0, 18.1, 0.1 * 50_000 / 18.02),
        ("USDJPY", 1.0, 150.0, 150.2, 20_000 / 150.02),
        ("GER40", 1.0, 24_000.0, 24_010.0, 10 * 1.1),
    ],
)
def test_it_gains_and_loses_in_every_calculation_mode(
    desk: Desk, symbol: str, lots: float, opened: float, closed: float, profit: float
) -> None:
    login = desk.open_account()
    for name, (bid, ask) in MARGIN_PRICES.items():
        desk.server.set_prices(name, bid, ask)
    gain = desk.server.call("order_calc_profit", login, BUY, symbol, lots, opened, closed)
    loss = desk.server.call("order_calc_profit", login, SELL, symbol, lots, opened, closed)
    assert gain == pytest.approx(profit, abs=0.006)
    assert loss <= -gain


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
@pytest.mark.parametrize(
    ("currency", "side"),
    [("USD", BUY), ("EUR", SELL), ("GBP", BUY), ("JPY", SELL), ("CHF", BUY), ("CAD", SELL),
     ("AUD", BUY), ("JPY", BUY), ("USD", SELL)],
)  # fmt: skip
def test_it_asks_beforehand_what_it_takes_then(
    trading: Desk, contract: Contract, currency: str, side: int
) -> None:
    """Question, check and deal agree on the margin; question, position and deal on the profit."""
    desk, symbol = trading, contract.name
    number = CONTRACT_INDEX[symbol] * 100 + ACCOUNT_CURRENCIES.index(currency) * 10 + side + 1
    login = desk.open_account(number, currency=currency, deposit=10_000_000.0)
    tick = desk.server.call("symbol_tick", login, symbol)
    price = tick[2] if side == BUY else tick[1]
    lots = round(max(contract.volume_min, 3 * contract.volume_step), 2)
    request = {
        "action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": lots, "type": side,
        "price": price, "type_filling": filling(contract),
    }  # fmt: skip

    asked = desk.server.call("order_calc_margin", login, side, symbol, lots, price)
    checked = desk.server.call("order_check", login, request)
    carry_out(desk, login, request)

    (position,) = desk.positions(login)
    assert position["price_open"] == price
    assert checked[0] == 0
    assert asked == checked[4] == desk.account(login)["margin"] > 0

    closing = tick[1] if side == BUY else tick[2]
    profit = desk.server.call("order_calc_profit", login, side, symbol, lots, price, closing)
    assert position["profit"] == profit
    carry_out(desk, login, {**request, "type": 1 - side, "price": closing,
                            "position": position["ticket"]})  # fmt: skip
    assert desk.deals(login)[-1]["profit"] == profit < 0
    assert desk.account(login)["balance"] == 10_000_000.0 + profit
    assert desk.account(login)["margin"] == 0.0


def filling(contract: Contract) -> int:
    takes_whole = contract.filling_flags & FILLING_FOK_FLAG
    return mt5.ORDER_FILLING_FOK if takes_whole else mt5.ORDER_FILLING_IOC


def carry_out(desk: Desk, login: int, request: dict[str, Any]) -> None:
    answer = desk.send(login, **request)
    assert answer[0] in (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_PLACED), answer
    if answer[0] == mt5.TRADE_RETCODE_PLACED:  # an exchange takes its time
        desk.clock.now += 1
        desk.server.step()


@pytest.mark.parametrize("action", [8, 9, 255])
def test_it_calculates_nothing_for_what_is_no_order(desk: Desk, action: int) -> None:
    login = desk.open_account()
    for question in (("order_calc_margin", 1.1), ("order_calc_profit", 1.1, 1.2)):
        with pytest.raises(LinkError) as refused:
            desk.server.call(question[0], login, action, "EURUSD", 0.1, *question[1:])
        assert (refused.value.code, refused.value.text) == (-2, "Terminal: Invalid params")


@pytest.mark.parametrize("volume", [0.0, -1.0, math.nan, math.inf])
def test_it_calculates_nothing_for_no_volume(desk: Desk, volume: float) -> None:
    login = desk.open_account()
    with pytest.raises(LinkError):
        desk.server.call("order_calc_margin", login, BUY, "EURUSD", volume, 1.1)
    with pytest.raises(LinkError):
        desk.server.call("order_calc_profit", login, BUY, "EURUSD", volume, 1.1, 1.2)


def test_it_calculates_profit_for_positions_only(desk: Desk) -> None:
    login = desk.open_account()
    with pytest.raises(LinkError):
        desk.server.call(
            "order_calc_profit", login, mt5.ORDER_TYPE_BUY_LIMIT, "EURUSD", 1.0, 1.1, 1.2
        )


@pytest.mark.parametrize("action", range(2, 8))
def test_it_says_what_waiting_orders_reserve(desk: Desk, action: int) -> None:
    login = desk.open_account()
    free = desk.server.call("order_calc_margin", login, action, "EURUSD", 1.0, 1.1)
    charged = desk.server.call("order_calc_margin", login, action, "MSFT", 10.0, 400.0)
    assert (free, charged) == (0.0, 4000.0)


def test_it_reserves_margin_while_an_order_waits() -> None:
    desk = Desk(always_open=True)
    login = desk.open_account(deposit=100_000.0)
    desk.server.set_prices("MSFT", 500.0, 500.02)
    position = desk.buy(login, 0.1)
    held = desk.account(login)["margin"]
    answer = desk.send(
        login, action=mt5.TRADE_ACTION_PENDING, symbol="MSFT", volume=10.0, price=400.0,
        type=mt5.ORDER_TYPE_BUY_LIMIT, type_filling=mt5.ORDER_FILLING_RETURN,
    )  # fmt: skip
    assert answer[2], answer
    assert desk.account(login)["margin"] == held + 4000.0
    moved = desk.send(login, action=mt5.TRADE_ACTION_MODIFY, order=answer[2], price=450.0)
    assert moved[0] == mt5.TRADE_RETCODE_DONE, moved
    assert desk.account(login)["margin"] == held + 4500.0

    desk.sell(login, 0.1, position=position)
    assert desk.account(login)["margin"] == 4500.0
    desk.send(login, action=mt5.TRADE_ACTION_REMOVE, order=answer[2])
    assert desk.account(login)["margin"] == 0.0


@pytest.mark.parametrize(("price", "accepted"), [(999.99, True), (1000.0, True), (1000.01, False)])
def test_it_moves_no_order_to_a_price_that_it_has_no_money_for(
    price: float, accepted: bool
) -> None:
    desk = Desk(always_open=True)
    login = desk.open_account(deposit=10_000.0)
    desk.server.set_prices("MSFT", 1100.0, 1100.02)
    request = {"action": mt5.TRADE_ACTION_PENDING, "symbol": "MSFT", "volume": 10.0,
               "price": 500.0, "type": mt5.ORDER_TYPE_BUY_LIMIT,
               "type_filling": mt5.ORDER_FILLING_RETURN}  # fmt: skip
    ticket = desk.send(login, **request)[2]
    moved = desk.send(login, action=mt5.TRADE_ACTION_MODIFY, order=ticket, price=price)
    assert moved[0] == (mt5.TRADE_RETCODE_DONE if accepted else mt5.TRADE_RETCODE_NO_MONEY)
    reserved = 10 * price if accepted else 5000.0
    assert desk.account(login)["margin"] == pytest.approx(reserved)
    back = desk.send(login, action=mt5.TRADE_ACTION_MODIFY, order=ticket, price=400.0)
    assert back[0] == mt5.TRADE_RETCODE_DONE
    assert desk.account(login)["margin"] == 4000.0


@pytest.mark.parametrize(
    ("symbol", "margin"),
    [
        ("EURUSD", 1100.0),  # a whole contract
        ("XAUUSD", 4000.0 * 100 / 100 / 2),  # half of one
        ("BTCUSD", 0.0),
        ("US500", 6700.0 * 0.05),  # the larger leg
        ("GER40", 24_000 * 0.05 / 2 * 1.1),
        ("ESH30", 6600.0),  # half of the initial margin
    ],
)
def test_it_takes_the_hedged_margin_of_a_contract(desk: Desk, symbol: str, margin: float) -> None:
    login = desk.open_account(deposit=1_000_000.0)
    for name, (bid, _) in MARGIN_PRICES.items():
        desk.server.set_prices(name, bid, bid)
    contract = CONTRACTS[CONTRACT_INDEX[symbol]]
    for side in (BUY, SELL):
        carry_out(desk, login, {
            "action": mt5.TRADE_ACTION_DEAL, "symbol": symbol, "volume": 1.0, "type": side,
            "type_filling": filling(contract), "price": MARGIN_PRICES[symbol][0],
        })  # fmt: skip
    assert desk.account(login)["margin"] == pytest.approx(margin, abs=0.006)


def test_it_counts_the_same_margin_after_a_crash(tmp_path: Path) -> None:
    desk = Desk(home=tmp_path, always_open=True)
    desk.open_account(1001, deposit=1_000_000.0)
    desk.open_account(1002, deposit=1_000_000.0, currency="JPY")
    desk.open_account(1003)
    for login in (1001, 1002):
        for lots in (0.1, 0.2, 0.3):  # a sum that depends on its order
            desk.buy(login, lots)
            desk.sell(login, lots / 2, "XAUUSD")
        desk.sell(login, 0.4)
        desk.wait_for(login, mt5.ORDER_TYPE_BUY_LIMIT, 3.0, 450.0, "MSFT")
        desk.wait_for(login, mt5.ORDER_TYPE_BUY_LIMIT, 2.0, 440.0, "MSFT")
    margins = books_of(desk.server).accounts["margin"].tolist()
    assert min(margins[:2]) > 0
    assert margins[2] == 0

    again = Desk(home=tmp_path, always_open=True, clock=desk.clock)

    assert books_of(again.server).accounts["margin"].tolist() == margins
