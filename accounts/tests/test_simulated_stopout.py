"""Margin calls and stop-outs of the simulated broker."""

from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.tests.simulated_desk import Desk

POINT = 0.00001


def margin_desk(deposit: float = 1_100.0, **terms: Any) -> Desk:
    """Return a desk with one lot of EURUSD bought at 1.1 by account 1001: margin 1,100."""
    desk = Desk()
    desk.open_account(1001, deposit=deposit, **terms)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.buy(1001, 1.0)
    return desk


def move(desk: Desk, bid: float, symbol: str = "EURUSD") -> None:
    desk.server.set_prices(symbol, bid, bid)


def lock_bitcoin(desk: Desk) -> None:
    """Buy and sell one bitcoin: covered lots of it take no margin."""
    for side in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL):
        answer = desk.send(1001, action=mt5.TRADE_ACTION_DEAL, symbol="BTCUSD", volume=1.0,
                           type=side, type_filling=mt5.ORDER_FILLING_IOC)  # fmt: skip
        assert answer[0] == mt5.TRADE_RETCODE_DONE, answer


def is_called(desk: Desk, login: int = 1001) -> bool:
    (account,) = [one for one in desk.server.accounts() if one["login"] == login]
    return bool(account["margin_call"])


@pytest.mark.parametrize(
    ("equity", "stays"), [(550.01, True), (550.0, False), (549.0, False), (-1.0, False)]
)
def test_it_stops_out_at_the_level_in_percent(equity: float, stays: bool) -> None:
    desk = margin_desk(deposit=equity + 2000)
    move(desk, 1.08)
    assert bool(desk.positions(1001)) == stays
    if not stays:
        deal = desk.deals(1001)[-1]
        assert (deal["reason"], deal["profit"]) == (mt5.DEAL_REASON_SO, -2000.0)
        assert deal["comment"] == f"[so {equity / 11:.2f}%/{equity:.2f}/1100.00]"
        assert desk.account(1001)["balance"] == equity


@pytest.mark.parametrize(("equity", "stays"), [(300.01, True), (300.0, False), (299.99, False)])
def test_it_stops_out_at_the_level_in_money(equity: float, stays: bool) -> None:
    desk = margin_desk(
        deposit=equity + 1000, stop_out_mode=mt5.ACCOUNT_STOPOUT_MODE_MONEY,
        stop_out_call=500.0, stop_out_level=300.0,
    )  # fmt: skip
    move(desk, 1.09)
    assert bool(desk.positions(1001)) == stays


@pytest.mark.parametrize(("equity", "called"), [(1100.01, False), (1100.0, True), (1099.99, True)])
def test_it_calls_for_margin_at_the_level(equity: float, called: bool) -> None:
    desk = margin_desk(deposit=equity + 500)
    assert not is_called(desk)
    move(desk, 1.095)
    assert is_called(desk) == called
    assert len(desk.positions(1001)) == 1


def test_it_lifts_the_call_when_the_level_recovers() -> None:
    desk = margin_desk(deposit=1_600.0)
    move(desk, 1.095)
    assert is_called(desk)
    move(desk, 1.095 + POINT)
    assert not is_called(desk)


def test_it_calls_for_margin_in_money() -> None:
    desk = margin_desk(
        deposit=1_500.0, stop_out_mode=mt5.ACCOUNT_STOPOUT_MODE_MONEY,
        stop_out_call=500.0, stop_out_level=300.0,
    )  # fmt: skip
    move(desk, 1.09 + POINT)
    assert not is_called(desk)
    move(desk, 1.09)
    assert is_called(desk)


def test_it_lifts_the_call_of_an_account_that_has_closed_all() -> None:
    desk = margin_desk(deposit=1_600.0)
    move(desk, 1.095)
    desk.sell(1001, 1.0, position=desk.positions(1001)[0]["ticket"])
    move(desk, 1.094)
    assert not is_called(desk)


def test_it_closes_the_largest_loss_first_until_the_level_recovers() -> None:
    desk = Desk()
    desk.open_account(1001, deposit=2_000.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.server.set_prices("GBPUSD", 1.3, 1.3)
    small = desk.buy(1001, 0.5)
    large = desk.buy(1001, 0.5, "GBPUSD")
    move(desk, 1.0950)  # -250: 1,750 of equity over 1,200 of margin
    move(desk, 1.2760, "GBPUSD")  # -1,200: 550 of equity, below 600

    (left,) = desk.positions(1001)
    assert left["ticket"] == small
    stopped = [deal for deal in desk.deals(1001) if deal["reason"] == mt5.DEAL_REASON_SO]
    assert [deal["position"] for deal in stopped] == [large]
    assert desk.account(1001)["equity"] == 550.0


def test_it_counts_the_swap_into_the_loss() -> None:
    desk = Desk()
    desk.open_account(1001, deposit=1_500.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.buy(1001, 0.5)
    burdened = desk.buy(1001, 0.5)
    desk.server.charge_swap(burdened, -10.0)
    move(desk, 1.0905)
    stopped = [deal for deal in desk.deals(1001) if deal["reason"] == mt5.DEAL_REASON_SO]
    assert [deal["position"] for deal in stopped] == [burdened]
    assert stopped[0]["swap"] == -10.0


def test_it_closes_everything_when_equity_is_gone() -> None:
    desk = Desk()
    desk.open_account(1001, deposit=12_000.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.server.set_prices("BTCUSD", 100_000.0, 100_000.0)
    lock_bitcoin(desk)
    desk.buy(1001, 1.0)
    assert len(desk.positions(1001)) == 3
    move(desk, 0.97)
    assert desk.positions(1001) == []
    assert desk.account(1001)["balance"] == -1000.0


def test_it_stops_out_nobody_without_margin() -> None:
    desk = Desk()
    desk.open_account(1001, deposit=6_000.0)
    desk.server.set_prices("BTCUSD", 100_000.0, 100_000.0)
    lock_bitcoin(desk)
    assert desk.account(1001)["margin"] == 0.0

    desk.server.set_prices("BTCUSD", 90_000.0, 100_000.0)  # the spread alone costs more

    assert desk.account(1001)["equity"] == -4000.0
    assert len(desk.positions(1001)) == 2
    assert not is_called(desk)


def test_it_counts_credit_into_equity_until_it_is_taken_back() -> None:
    desk = margin_desk(deposit=1_100.0)
    desk.server.credit(1001, 500.0)
    move(desk, 1.0940)  # -600: 1,000 of equity, 500 of it own money
    assert len(desk.positions(1001)) == 1
    desk.server.credit(1001, -500.0)
    assert len(desk.positions(1001)) == 1
    move(desk, 1.0940)
    assert desk.positions(1001) == []


def test_it_leaves_positions_of_closed_markets_until_they_open() -> None:
    desk = Desk()
    desk.open_account(1001, deposit=3_000.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.server.set_prices("GBPUSD", 1.3, 1.3)
    worst = desk.buy(1001, 1.0)
    other = desk.buy(1001, 0.1, "GBPUSD")
    desk.server.set_market_open("EURUSD", False)

    move(desk, 1.07)  # -3,000
    assert [position["ticket"] for position in desk.positions(1001)] == [worst]
    assert desk.deals(1001)[-1]["position"] == other
    move(desk, 1.30, "GBPUSD")
    assert len(desk.positions(1001)) == 1

    desk.server.set_market_open("EURUSD", True)
    move(desk, 1.07)
    assert desk.positions(1001) == []


def test_it_frees_what_orders_reserve_before_it_closes_positions() -> None:
    desk = Desk()
    desk.clock.now += 4 * 3600  # the exchange is open
    desk.open_account(1001, deposit=30_000.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.server.set_prices("MSFT", 500.0, 500.0)
    position = desk.buy(1001, 10.0)  # 11,000
    orders = [
        desk.send(1001, action=mt5.TRADE_ACTION_PENDING, symbol="MSFT", volume=shares, price=400.0,
                  type=mt5.ORDER_TYPE_BUY_LIMIT, type_filling=mt5.ORDER_FILLING_RETURN)
        for shares in (10.0, 20.0)
    ]  # fmt: skip
    assert [order[0] for order in orders] == [mt5.TRADE_RETCODE_PLACED] * 2
    assert desk.account(1001)["margin"] == 11_000.0 + 12_000.0

    # 50 % of 23,000 is 11,500; without the larger order it is 7,500.
    move(desk, 1.1 - 0.0185)
    waiting = desk.server.call("orders", 1001, None, None, None)
    assert [row[0] for row in waiting] == [orders[0][2]]
    assert desk.account(1001)["margin"] == 15_000.0
    assert [held["ticket"] for held in desk.positions(1001)] == [position]
    history = desk.server.call("history_orders", 1001, 0, 4_000_000_000, None, None, None)
    (gone,) = [row for row in history if row[0] == orders[1][2]]
    assert gone[9] == mt5.ORDER_STATE_CANCELED
    assert gone[22].startswith("[so ")


def test_it_charges_commission_for_a_stop_out() -> None:
    desk = margin_desk(deposit=1_107.0, commission_per_lot=3.5)
    move(desk, 1.0940)
    assert [deal["commission"] for deal in desk.deals(1001)[1:]] == [-3.5, -3.5]
    assert desk.account(1001)["balance"] == 1_107.0 - 7.0 - 600.0


def test_it_remembers_a_margin_call(tmp_path: Any) -> None:
    desk = Desk(home=tmp_path)
    desk.open_account(1001, deposit=1_600.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.buy(1001, 1.0)
    move(desk, 1.095)
    desk.server.close()
    again = Desk(home=tmp_path)
    assert is_called(again)
    again.server.close()
