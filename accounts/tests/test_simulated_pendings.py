"""Pending orders of the simulated broker: placed, moved, removed and triggered."""

from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.tests.simulated_desk import Desk

BUY_LIMIT, SELL_LIMIT = mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT
BUY_STOP, SELL_STOP = mt5.ORDER_TYPE_BUY_STOP, mt5.ORDER_TYPE_SELL_STOP
BUY_STOP_LIMIT, SELL_STOP_LIMIT = mt5.ORDER_TYPE_BUY_STOP_LIMIT, mt5.ORDER_TYPE_SELL_STOP_LIMIT
DONE = mt5.TRADE_RETCODE_DONE


@pytest.fixture
def desk() -> Desk:
    desk = Desk(always_open=True)
    desk.open_account(1001)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    return desk


@pytest.mark.parametrize(
    ("kind", "price", "untouched", "touched", "fill"),
    [
        # Buys look at the ask, sells at the bid; the other side of the book is far beyond.
        (BUY_LIMIT, 1.0990, (1.0900, 1.09901), (1.0900, 1.0990), 1.0990),
        (BUY_STOP, 1.1010, (1.0900, 1.10099), (1.0900, 1.1010), 1.1010),
        (SELL_LIMIT, 1.1010, (1.10099, 1.2), (1.1010, 1.2), 1.1010),
        (SELL_STOP, 1.0990, (1.09901, 1.2), (1.0990, 1.2), 1.0990),
        # Over a gap a limit order deals at the better price, a stop at the worse one.
        (BUY_LIMIT, 1.0990, (1.0989, 1.0991), (1.0978, 1.0980), 1.0980),
        (BUY_STOP, 1.1010, (1.1007, 1.1009), (1.1028, 1.1030), 1.1030),
        (SELL_LIMIT, 1.1010, (1.1009, 1.1011), (1.1030, 1.1032), 1.1030),
        (SELL_STOP, 1.0990, (1.0991, 1.0993), (1.0970, 1.0972), 1.0970),
    ],
)
def test_it_triggers_on_the_right_side_of_the_book(
    desk: Desk,
    kind: int,
    price: float,
    untouched: tuple[float, float],
    touched: tuple[float, float],
    fill: float,
) -> None:
    result = desk.place(1001, kind, 0.1, price, magic=5, comment="wait")
    ticket = result[2]
    assert result[:5] == (DONE, 0, ticket, 0.1, 0.0)
    desk.server.set_prices("EURUSD", *untouched)
    (order,) = desk.orders(1001)
    assert (order["ticket"], order["state"]) == (ticket, mt5.ORDER_STATE_PLACED)
    assert order["price_current"] == untouched[1 if kind % 2 == 0 else 0]
    assert desk.positions(1001) == []

    desk.server.set_prices("EURUSD", *touched)

    assert desk.orders(1001) == []
    (position,) = desk.positions(1001)
    assert (position["ticket"], position["identifier"]) == (ticket, ticket)
    assert (position["price_open"], position["type"]) == (fill, kind % 2)
    assert (position["magic"], position["comment"]) == (5, "wait")
    (done,) = desk.done_orders(1001)
    assert (done["type"], done["state"]) == (kind, mt5.ORDER_STATE_FILLED)
    assert (done["price_open"], done["volume_current"], done["position_id"]) == (price, 0.0, ticket)
    deal = desk.deals(1001)[-1]
    assert (deal["order"], deal["price"], deal["entry"]) == (ticket, fill, mt5.DEAL_ENTRY_IN)


@pytest.mark.parametrize(
    ("kind", "price", "limit", "start", "back", "fill"),
    [
        (BUY_STOP_LIMIT, 1.1010, 1.1005, (1.1008, 1.1010), (1.1002, 1.1004), 1.1004),
        (SELL_STOP_LIMIT, 1.0990, 1.0995, (1.0990, 1.0992), (1.0996, 1.0998), 1.0996),
    ],
)
def test_it_turns_a_stop_limit_into_a_limit_order(
    desk: Desk,
    kind: int,
    price: float,
    limit: float,
    start: tuple[float, float],
    back: tuple[float, float],
    fill: float,
) -> None:
    ticket = desk.wait_for(1001, kind, 0.1, price, stoplimit=limit)

    desk.server.set_prices("EURUSD", *start)

    (order,) = desk.orders(1001)
    turned = BUY_LIMIT if kind == BUY_STOP_LIMIT else SELL_LIMIT
    assert (order["ticket"], order["type"], order["price_open"]) == (ticket, turned, limit)
    assert order["price_stoplimit"] == 0.0
    desk.server.set_prices("EURUSD", *back)
    (position,) = desk.positions(1001)
    assert (position["ticket"], position["price_open"]) == (ticket, fill)


def test_it_fills_a_stop_limit_whose_limit_lies_behind_the_gap(desk: Desk) -> None:
    """The price comes back through both levels at once: trigger and fill in one round."""
    desk.wait_for(1001, BUY_STOP_LIMIT, 0.1, 1.1010, stoplimit=1.1005)
    desk.server.set_prices("EURUSD", 1.1013, 1.1015)
    assert desk.positions(1001) == []
    desk.server.set_prices("EURUSD", 1.1003, 1.1005)
    assert desk.positions(1001)[0]["price_open"] == 1.1005


@pytest.mark.parametrize(
    ("kind", "limit", "inside"),
    # EURGBP with a stops level of ten points, at 0.85000 / 0.85020.
    [
        (BUY_LIMIT, 0.85010, 0.85011), (BUY_STOP, 0.85030, 0.85029),
        (SELL_LIMIT, 0.85010, 0.85009), (SELL_STOP, 0.84990, 0.84991),
    ],
)  # fmt: skip
def test_it_keeps_orders_at_a_distance(desk: Desk, kind: int, limit: float, inside: float) -> None:
    desk.server.set_prices("EURGBP", 0.85, 0.8502)
    assert desk.place(1001, kind, 0.1, inside, "EURGBP")[0] == mt5.TRADE_RETCODE_INVALID_PRICE
    assert desk.place(1001, kind, 0.1, limit, "EURGBP")[0] == DONE


@pytest.mark.parametrize(
    ("sl", "tp", "retcode"),
    [
        (0.84890, 0.84910, DONE),
        (0.84891, 0.84910, mt5.TRADE_RETCODE_INVALID_STOPS),
        (0.84890, 0.84909, mt5.TRADE_RETCODE_INVALID_STOPS),
    ],
)
def test_it_measures_stops_from_the_orders_own_price(
    desk: Desk, sl: float, tp: float, retcode: int
) -> None:
    desk.server.set_prices("EURGBP", 0.85, 0.8502)
    result = desk.place(1001, BUY_LIMIT, 0.1, 0.8490, "EURGBP", sl=sl, tp=tp)
    assert result[0] == retcode


@pytest.mark.parametrize(
    "levels",
    [
        {"price": 1.0}, {"price": 1.1010}, {"price": 1.1010, "stoplimit": 1.1010},
        {"price": 1.1010, "stoplimit": 1.1011}, {"price": 1.1002, "stoplimit": 1.1000},
        {"price": 0.0, "stoplimit": 1.1}, {"price": float("nan"), "stoplimit": 1.1},
    ],
)  # fmt: skip
def test_it_refuses_a_stop_limit_that_makes_no_sense(desk: Desk, levels: dict[str, Any]) -> None:
    before = desk.server.fingerprint()
    price = levels.pop("price")
    result = desk.place(1001, BUY_STOP_LIMIT, 0.1, price, **levels)
    assert result[0] == mt5.TRADE_RETCODE_INVALID_PRICE
    assert desk.server.fingerprint() == before


def test_it_keeps_prices_on_the_symbols_ticks(desk: Desk) -> None:
    desk.server.set_prices("US500", 6_700.00, 6_700.50)
    off_tick = desk.place(1001, BUY_LIMIT, 1.0, 6_650.10, "US500")
    stop_off_tick = desk.place(1001, BUY_LIMIT, 1.0, 6_650.25, "US500", sl=6_600.30)
    assert off_tick[0] == mt5.TRADE_RETCODE_INVALID_PRICE
    assert stop_off_tick[0] == mt5.TRADE_RETCODE_INVALID_STOPS
    assert desk.place(1001, BUY_LIMIT, 1.0, 6_650.25, "US500", sl=6_600.5)[0] == DONE


def test_it_modifies_and_removes(desk: Desk) -> None:
    ticket = desk.wait_for(1001, BUY_LIMIT, 0.1, 1.0990, sl=1.09, tp=1.12)
    assert desk.modify(1001, ticket, 1.0990, sl=1.09, tp=1.12)[0] == mt5.TRADE_RETCODE_NO_CHANGES
    assert desk.modify(1001, ticket, 1.1002)[0] == mt5.TRADE_RETCODE_INVALID_PRICE
    assert desk.modify(1001, ticket, 1.0980, sl=1.0981)[0] == mt5.TRADE_RETCODE_INVALID_STOPS

    changed = desk.modify(1001, ticket, 1.0980, sl=1.0970)

    assert (changed[0], changed[1], changed[2]) == (DONE, 0, ticket)
    (order,) = desk.orders(1001)
    assert (order["price_open"], order["sl"], order["tp"]) == (1.0980, 1.0970, 0.0)
    assert desk.remove(1001, ticket)[:3] == (DONE, 0, ticket)
    assert desk.orders(1001) == []
    (done,) = desk.done_orders(1001)
    assert (done["state"], done["volume_current"]) == (mt5.ORDER_STATE_CANCELED, 0.1)
    assert desk.remove(1001, ticket)[0] == mt5.TRADE_RETCODE_INVALID


def test_it_leaves_orders_of_other_accounts_alone(desk: Desk) -> None:
    ticket = desk.wait_for(1001, BUY_LIMIT, 0.1, 1.0990)
    stranger = desk.open_account(1002)
    before = desk.server.fingerprint()
    assert desk.modify(stranger, ticket, 1.0980)[0] == mt5.TRADE_RETCODE_INVALID
    assert desk.remove(stranger, ticket)[0] == mt5.TRADE_RETCODE_INVALID
    assert desk.server.fingerprint() == before


@pytest.mark.parametrize(
    ("ask", "retcode"),
    # EURJPY has a freeze level of 15 points; the order waits at 160.000.
    [(160.014, mt5.TRADE_RETCODE_FROZEN), (160.015, DONE), (160.016, DONE)],
)
def test_it_freezes_orders_near_the_market(desk: Desk, ask: float, retcode: int) -> None:
    desk.server.set_prices("EURJPY", 161.0, 161.01)
    first = desk.wait_for(1001, BUY_LIMIT, 0.1, 160.0, "EURJPY")
    second = desk.wait_for(1001, BUY_LIMIT, 0.1, 160.0, "EURJPY")
    desk.server.set_prices("EURJPY", ask - 0.01, ask)
    assert desk.modify(1001, first, 159.0)[0] == retcode
    assert desk.remove(1001, second)[0] == retcode


def test_it_never_loses_an_order_that_cannot_be_paid_for(desk: Desk) -> None:
    poor = desk.open_account(1002, deposit=1_000.0)
    ticket = desk.wait_for(poor, BUY_LIMIT, 5.0, 1.0990)

    desk.server.set_prices("EURUSD", 1.0988, 1.0990)

    assert desk.orders(poor) == desk.positions(poor) == []
    (done,) = desk.done_orders(poor)
    assert (done["ticket"], done["state"]) == (ticket, mt5.ORDER_STATE_REJECTED)
    assert done["comment"] == "[No money]"
    assert done["volume_current"] == 5.0


def test_it_waits_while_the_market_is_closed(desk: Desk) -> None:
    ticket = desk.wait_for(1001, BUY_LIMIT, 0.1, 1.0990)
    desk.server.set_market_open("EURUSD", False)
    desk.server.set_prices("EURUSD", 1.0970, 1.0972)
    assert [order["ticket"] for order in desk.orders(1001)] == [ticket]
    assert desk.remove(1001, ticket)[0] == mt5.TRADE_RETCODE_MARKET_CLOSED
    assert desk.modify(1001, ticket, 1.0980)[0] == mt5.TRADE_RETCODE_MARKET_CLOSED

    desk.server.set_market_open("EURUSD", True)
    desk.server.set_prices("EURUSD", 1.0975, 1.0977)

    assert desk.positions(1001)[0]["price_open"] == 1.0977


def test_it_reserves_money_for_orders_on_an_exchange() -> None:
    desk = Desk(always_open=True)
    login = desk.open_account(deposit=100_000.0, margin_mode=mt5.ACCOUNT_MARGIN_MODE_EXCHANGE)
    desk.server.set_prices("MSFT", 500.0, 500.02)
    ticket = desk.wait_for(login, BUY_LIMIT, 100.0, 490.0, "MSFT")
    reserved = desk.account(login)["margin"]
    assert reserved == 49_000.0
    before = desk.server.fingerprint()
    assert desk.place(login, BUY_LIMIT, 105.0, 490.0, "MSFT")[0] == mt5.TRADE_RETCODE_NO_MONEY
    assert desk.server.fingerprint() == before

    assert desk.modify(login, ticket, 480.0)[0] == DONE
    assert desk.account(login)["margin"] == 48_000.0
    desk.remove(login, ticket)
    assert desk.account(login)["margin"] == 0.0


def test_it_limits_orders_lots_and_positions() -> None:
    desk = Desk(always_open=True)
    orders = desk.open_account(1, order_limit=1)
    positions = desk.open_account(2, position_limit=2)
    rich = desk.open_account(3, deposit=10_000_000.0)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    desk.server.set_prices("NZDUSD", 0.6000, 0.6002)

    desk.wait_for(orders, BUY_LIMIT, 0.1, 1.0990)
    assert desk.place(orders, BUY_LIMIT, 0.1, 1.0)[0] == mt5.TRADE_RETCODE_LIMIT_ORDERS

    desk.buy(positions, 0.1)
    desk.wait_for(positions, BUY_LIMIT, 0.1, 1.0990)
    assert desk.place(positions, BUY_LIMIT, 0.1, 1.0)[0] == mt5.TRADE_RETCODE_LIMIT_POSITIONS
    assert desk.market(positions, 0, 0.1)[0] == mt5.TRADE_RETCODE_LIMIT_POSITIONS
    desk.server.set_prices("EURUSD", 1.0980, 1.0990)
    assert len(desk.positions(positions)) == 2

    desk.buy(rich, 100.0, "NZDUSD")
    assert desk.place(rich, BUY_LIMIT, 50.01, 0.59, "NZDUSD")[0] == mt5.TRADE_RETCODE_LIMIT_VOLUME
    desk.wait_for(rich, BUY_LIMIT, 50.0, 0.59, "NZDUSD")
    assert desk.market(rich, 0, 0.01, "NZDUSD")[0] == mt5.TRADE_RETCODE_LIMIT_VOLUME
    desk.wait_for(rich, SELL_LIMIT, 100.0, 0.61, "NZDUSD")


def _after_crash(desk: Desk, home: Path) -> Desk:
    again = Desk(home=home, always_open=True)
    again.clock.now = desk.clock.now
    return again


def test_it_finds_orders_again_after_a_crash(tmp_path: Path) -> None:
    desk = Desk(home=tmp_path, always_open=True)
    desk.open_account(1001)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    desk.wait_for(1001, BUY_STOP_LIMIT, 0.1, 1.1010, stoplimit=1.1005, sl=1.09)
    moved = desk.wait_for(1001, BUY_LIMIT, 0.2, 1.0990)
    gone = desk.wait_for(1001, SELL_STOP, 0.2, 1.0990)
    desk.modify(1001, moved, 1.0980, tp=1.12)
    desk.remove(1001, gone)
    expected: list[Any] = [desk.orders(1001), desk.done_orders(1001), desk.account(1001)]

    again = _after_crash(desk, tmp_path)
    assert [again.orders(1001), again.done_orders(1001), again.account(1001)] == expected
    again.server.set_prices("EURUSD", 1.0978, 1.0980)
    filled = [again.positions(1001), again.orders(1001), again.deals(1001)]
    assert filled[0][0]["ticket"] == moved

    third = _after_crash(again, tmp_path)
    assert [third.positions(1001), third.orders(1001), third.deals(1001)] == filled


@pytest.mark.parametrize("kind", [mt5.ORDER_TIME_SPECIFIED, mt5.ORDER_TIME_SPECIFIED_DAY])
def test_it_keeps_an_order_until_the_last_time_that_can_be_named(desk: Desk, kind: int) -> None:
    desk.wait_for(1001, BUY_LIMIT, 0.1, 1.0, type_time=kind, expiration=2**63 - 1)
    desk.pass_time(1.0)
    assert len(desk.orders(1001)) == 1
