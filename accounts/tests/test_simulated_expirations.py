"""Orders of the simulated broker that expire, and stops that hold for a day."""

from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.books.books import GONE_ORDERS
from accounts.terminals.simulated.books.journal import Journal
from accounts.tests.simulated_desk import Desk

BUY_LIMIT = mt5.ORDER_TYPE_BUY_LIMIT
DONE = mt5.TRADE_RETCODE_DONE
DAY = 86_400


@pytest.fixture
def desk() -> Desk:
    desk = Desk(always_open=True)
    desk.open_account(1001)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    return desk


def _broker_midnight(desk: Desk) -> int:
    return (int(desk.server.server_time()) // DAY + 1) * DAY


@pytest.mark.parametrize(
    ("terms", "lives_seconds"),
    [
        ({"type_time": mt5.ORDER_TIME_DAY}, None),
        ({"type_time": mt5.ORDER_TIME_SPECIFIED, "after": 3_600}, 3_600),
        ({"type_time": mt5.ORDER_TIME_SPECIFIED_DAY, "after": 60}, None),
    ],
)
def test_it_expires_orders_in_time(
    desk: Desk, terms: dict[str, Any], lives_seconds: int | None
) -> None:
    now = int(desk.server.server_time())
    if (after := terms.pop("after", None)) is not None:
        terms["expiration"] = now + after
    ticket = desk.wait_for(1001, BUY_LIMIT, 0.1, 1.0990, **terms)
    lives = _broker_midnight(desk) - now if lives_seconds is None else lives_seconds

    desk.pass_time(lives - 1)
    assert [order["ticket"] for order in desk.orders(1001)] == [ticket]
    desk.pass_time(1)

    assert desk.orders(1001) == []
    (done,) = desk.done_orders(1001)
    assert (done["ticket"], done["state"]) == (ticket, mt5.ORDER_STATE_EXPIRED)
    assert done["time_done"] == now + lives
    assert done["time_expiration"] == terms.get("expiration", 0)


def test_it_keeps_an_order_good_till_cancelled(desk: Desk) -> None:
    ticket = desk.wait_for(1001, BUY_LIMIT, 0.1, 1.0990)
    desk.pass_time(30 * DAY)
    assert [order["ticket"] for order in desk.orders(1001)] == [ticket]


@pytest.mark.parametrize(
    ("kind", "offset", "retcode"),
    [
        (mt5.ORDER_TIME_SPECIFIED, 0, mt5.TRADE_RETCODE_INVALID_EXPIRATION),
        (mt5.ORDER_TIME_SPECIFIED, 1, DONE),
        (mt5.ORDER_TIME_SPECIFIED_DAY, 0, DONE),
        (mt5.ORDER_TIME_SPECIFIED_DAY, -DAY, mt5.TRADE_RETCODE_INVALID_EXPIRATION),
        (9, DAY, mt5.TRADE_RETCODE_INVALID_EXPIRATION),
    ],
)
def test_it_wants_an_expiration_to_come(desk: Desk, kind: int, offset: int, retcode: int) -> None:
    when = int(desk.server.server_time()) + offset
    result = desk.place(1001, BUY_LIMIT, 0.1, 1.0990, type_time=kind, expiration=when)
    assert result[0] == retcode


def test_it_drops_orders_and_stops_of_a_daily_symbol_at_midnight() -> None:
    desk = Desk(always_open=True)
    desk.open_account(1001, deposit=1_000_000.0)
    desk.server.set_prices("MSFT", 500.0, 500.02)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    desk.market(1001, mt5.ORDER_TYPE_BUY, 10.0, "MSFT", sl=450.0, tp=600.0)
    desk.buy(1001, 0.1, sl=1.0)
    daily = desk.wait_for(1001, BUY_LIMIT, 10.0, 450.0, "MSFT")
    kept = desk.wait_for(1001, BUY_LIMIT, 0.1, 1.0)
    desk.pass_time(1)
    assert {p["symbol"]: (p["sl"], p["tp"]) for p in desk.positions(1001)} == {
        "MSFT": (450.0, 600.0), "EURUSD": (1.0, 0.0),
    }  # fmt: skip

    desk.pass_time(_broker_midnight(desk) - int(desk.server.server_time()) + 1)

    assert [order["ticket"] for order in desk.orders(1001)] == [kept]
    expired = [o["ticket"] for o in desk.done_orders(1001) if o["state"] == mt5.ORDER_STATE_EXPIRED]
    assert expired == [daily]
    assert {p["symbol"]: (p["sl"], p["tp"]) for p in desk.positions(1001)} == {
        "MSFT": (0.0, 0.0), "EURUSD": (1.0, 0.0),
    }  # fmt: skip


def test_it_expires_all_that_is_due_with_one_record(tmp_path: Path) -> None:
    desk = Desk(home=tmp_path, always_open=True)
    for login in (1001, 1002):
        desk.open_account(login)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    today = [desk.wait_for(1001 + number % 2, BUY_LIMIT, 0.01, 1.05, type_time=mt5.ORDER_TIME_DAY)
             for number in range(6)]  # fmt: skip
    kept = desk.wait_for(1001, BUY_LIMIT, 0.01, 1.05)

    desk.pass_time(DAY)

    batches = Journal(tmp_path / "journal").recover().batches
    gone = [list(record[1]) for batch in batches for record in batch if record[0] == GONE_ORDERS]
    assert gone == [today]
    again = Desk(home=tmp_path, always_open=True, clock=desk.clock)
    for each in (desk, again):
        assert [order["ticket"] for order in each.orders(1001)] == [kept]
        assert [order["ticket"] for order in each.done_orders(1001)] == today[::2]
        assert [order["ticket"] for order in each.done_orders(1002)] == today[1::2]
        states = {order["state"] for order in each.done_orders(1001)}
        assert states == {mt5.ORDER_STATE_EXPIRED}
