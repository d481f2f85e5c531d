"""The batch read of orders, of servers with names of their own, and of netting accounts."""

from typing import Any

import numpy as np
import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.tests.batch_comparison import assert_equal_to_single_reads
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

SUFFIXED, PREFIXED, TWIN = "Southwind-Live", "Westwind-Demo", "Southwind-Demo"
LOGINS = [2001, 1001, 3001, 1002, 2002]
CURSORS = [0] * len(LOGINS)
EXPIRES_AT = 4_000_000_000


@pytest.fixture
def desk() -> Desk:
    """Five accounts on four servers: two of them with plain names, two with the same suffix."""
    desk = Desk()
    desk.server.create_server(SUFFIXED, suffix=".r")
    desk.server.create_server(TWIN, suffix=".r")
    desk.server.create_server(PREFIXED, prefix="m")
    for login in (1001, 1002):
        desk.open_account(login)
    for login, server in ((2001, SUFFIXED), (2002, TWIN), (3001, PREFIXED)):
        desk.server.create_account(login, PASSWORD, server, "Other", deposit=10_000.0)
    for number, login in enumerate(LOGINS):
        desk.sell(login, 0.1, name(login, "USDJPY"))
        desk.buy(login, 0.2, name(login, "EURUSD"))
        for lots in range(number):
            wait(desk, login, (lots + 1) / 10)
    return desk


def name(login: int, symbol: str) -> str:
    return {1: symbol, 2: f"{symbol}.r", 3: f"m{symbol}"}[login // 1000]


def wait(desk: Desk, login: int, lots: float, **more: Any) -> int:
    """Place a buy limit far below the market."""
    placed = desk.send(
        login, action=mt5.TRADE_ACTION_PENDING, symbol=name(login, "EURUSD"), volume=lots,
        type=mt5.ORDER_TYPE_BUY_LIMIT, price=1.05, sl=1.04, tp=1.09, magic=7,
        type_filling=mt5.ORDER_FILLING_RETURN, **more,
    )  # fmt: skip
    assert placed[0] == mt5.TRADE_RETCODE_DONE, placed
    return int(placed[2])


def test_it_reads_waiting_orders_as_each_terminal_does(desk: Desk) -> None:
    batch = desk.server.read_batch(LOGINS, CURSORS)
    for place, login in enumerate(LOGINS):
        assert_equal_to_single_reads(desk, batch, place, login)
    assert batch.accounts["order_count"].tolist() == [0, 1, 2, 3, 4]
    assert batch.orders["account"].tolist() == [1, 2, 2, 3, 3, 3, 4, 4, 4, 4]


def test_it_reads_what_a_change_of_an_order_replaces(desk: Desk) -> None:
    for kind, lifetime in enumerate([mt5.ORDER_TIME_SPECIFIED, mt5.ORDER_TIME_DAY]):
        desk.wait_for(
            1001, mt5.ORDER_TYPE_BUY_STOP_LIMIT, 0.1, 1.3, stoplimit=1.2 - kind / 10,
            type_time=lifetime, expiration=EXPIRES_AT,
        )  # fmt: skip
    batch = desk.server.read_batch([1001], [0])
    assert_equal_to_single_reads(desk, batch, 0, 1001)
    told = batch.orders[-2:][["price_stoplimit", "type_time", "time_expiration"]].tolist()
    assert told == [(1.2, mt5.ORDER_TIME_SPECIFIED, EXPIRES_AT), (1.1, mt5.ORDER_TIME_DAY, 0)]


def test_it_reads_only_the_orders_of_those_asked(desk: Desk) -> None:
    batch = desk.server.read_batch([3001], [0])
    assert len(batch.orders) == 2
    assert_equal_to_single_reads(desk, batch, 0, 3001)


def test_it_forgets_an_order_that_was_deleted(desk: Desk) -> None:
    ticket = wait(desk, 2001, 0.3)
    assert len(desk.server.read_batch([2001], [0]).orders) == 1
    deleted = desk.send(2001, action=mt5.TRADE_ACTION_REMOVE, order=ticket)
    assert deleted[0] == mt5.TRADE_RETCODE_DONE
    batch = desk.server.read_batch([2001], [0])
    assert (len(batch.orders), batch.accounts["order_count"][0]) == (0, 0)


def test_it_lists_each_name_once_and_no_servers_that_are_not_there(desk: Desk) -> None:
    batch = desk.server.read_batch(LOGINS, CURSORS)
    assert len(set(batch.symbols)) == len(batch.symbols)
    assert {"EURUSD", "EURUSD.r", "mEURUSD"} <= set(batch.symbols)
    alone = desk.server.read_batch([2001, 2002], [0, 0])
    assert all(symbol.endswith(".r") for symbol in alone.symbols)
    assert desk.server.read_batch([], []).symbols == ()


def test_it_quotes_symbols_under_the_names_of_each_server(desk: Desk) -> None:
    batch = desk.server.read_batch(LOGINS, CURSORS)
    quoted = {
        (batch.servers[row["server"]], batch.symbols[row["symbol"]]): (row["bid"], row["ask"])
        for row in batch.prices
    }
    assert len(quoted) == len(batch.prices) == 4 * len(desk.server.call("symbols", 1001, None))
    for server, login in ((SERVER, 1001), (SUFFIXED, 2001), (TWIN, 2002), (PREFIXED, 3001)):
        tick = desk.server.call("symbol_tick", login, name(login, "XAUUSD"))
        assert quoted[server, name(login, "XAUUSD")] == (tick[1], tick[2])


@pytest.mark.parametrize("login", [1001, 2002])
def test_a_terminal_cut_off_goes_on_showing_the_orders_it_knows(desk: Desk, login: int) -> None:
    before = desk.server.call("orders", login, None, None, None)
    desk.server.set_fault(login, FaultKind.CUT_FROM_BROKER)
    hand = {"action": mt5.TRADE_ACTION_REMOVE, "order": before[0][0]}
    assert desk.server.trade_by_hand(login, hand)[0] == mt5.TRADE_RETCODE_DONE

    assert desk.server.call("orders", login, None, None, None) == before
    past = desk.server.call("history_orders", login, 0, 2**31 - 1, None, None, None)
    assert before[0][0] not in [row[0] for row in past]
    batch = desk.server.read_batch(LOGINS, CURSORS)
    assert_equal_to_single_reads(desk, batch, LOGINS.index(login), login)

    desk.server.clear_fault(login)
    assert desk.server.call("orders", login, None, None, None) == before[1:]


def test_it_shows_no_orders_before_it_has_synchronised(desk: Desk) -> None:
    desk.server.set_fault(2002, FaultKind.EMPTY)
    assert desk.server.call("orders", 2002, None, None, None) == []
    batch = desk.server.read_batch(LOGINS, CURSORS)
    assert batch.accounts["order_count"].tolist() == [0, 1, 2, 3, 0]
    assert not (batch.orders["account"] == 4).any()


def test_another_accounts_answer_has_the_names_of_its_server(desk: Desk) -> None:
    desk.server.set_fault(1001, FaultKind.WRONG_ACCOUNT, peer=2002)
    batch = desk.server.read_batch([1001, 1002], [0, 0])
    mine = batch.positions[batch.positions["account"] == 0]
    assert {batch.symbols[row["symbol"]] for row in mine} == {"EURUSD.r", "USDJPY.r"}
    assert batch.accounts["order_count"].tolist() == [4, 3]
    assert_equal_to_single_reads(desk, batch, 1, 1002)


def test_it_reads_a_netting_account_that_was_reversed(desk: Desk) -> None:
    netting = desk.open_account(1003, margin_mode=mt5.ACCOUNT_MARGIN_MODE_RETAIL_NETTING)
    opened = desk.buy(netting, 0.2)
    turned = desk.sell(netting, 0.5)
    batch = desk.server.read_batch([netting], [0])

    assert_equal_to_single_reads(desk, batch, 0, netting)
    (position,) = batch.positions
    assert (position["type"], position["volume"]) == (mt5.POSITION_TYPE_SELL, 0.3)
    assert (position["ticket"], position["identifier"]) == (turned, opened)
    assert batch.deals["entry"].tolist() == [0, mt5.DEAL_ENTRY_IN, mt5.DEAL_ENTRY_INOUT]


@pytest.mark.parametrize("switch", ["set_algo_trading", "set_python_api", "set_expert_trading"])
def test_it_says_that_programs_may_not_trade(desk: Desk, switch: str) -> None:
    getattr(desk.server, switch)(1001, False)
    batch = desk.server.read_batch([1001, 1002], [0, 0])
    assert batch.accounts["algo_trading_allowed"].tolist() == [False, True]
    assert batch.accounts["trade_allowed"].tolist() == [True, True]


def test_the_order_of_the_accounts_does_not_matter(desk: Desk) -> None:
    first = desk.server.read_batch(LOGINS, CURSORS)
    second = desk.server.read_batch(LOGINS[::-1], CURSORS)
    for place, login in enumerate(LOGINS[::-1]):
        assert_equal_to_single_reads(desk, second, place, login)
    assert first.symbols == second.symbols
    assert np.array_equal(np.sort(first.orders["ticket"]), np.sort(second.orders["ticket"]))
