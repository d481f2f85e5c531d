"""Requests that the simulated broker carries out, and each answer to those that it refuses."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.terminals.link import LinkError
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.trading.requests import (
    add_lots,
    floor_to_step,
    is_multiple,
    subtract_lots,
)
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

BUY, SELL = mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.open_account(1001)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    return desk


def test_it_fills_at_the_side_of_the_book_and_answers_like_mt5(desk: Desk) -> None:
    result = desk.market(1001, BUY, 0.1, magic=77, comment="copy", sl=1.09, tp=1.12)

    retcode, deal, order, volume, price, bid, ask, comment, number, external, request = result
    assert (retcode, volume, price) == (mt5.TRADE_RETCODE_DONE, 0.1, 1.1002)
    assert (bid, ask, comment, number, external) == (1.1, 1.1002, "Request executed", 1, 0)
    assert request == (
        mt5.TRADE_ACTION_DEAL, 77, 0, "EURUSD", 0.1, 0.0, 0.0, 1.09, 1.12, 0, BUY,
        mt5.ORDER_FILLING_FOK, 0, 0, "copy", 0, 0,
    )  # fmt: skip
    (position,) = desk.positions(1001)
    assert (position["ticket"], position["magic"], position["comment"]) == (order, 77, "copy")
    assert (position["sl"], position["tp"], position["reason"]) == (1.09, 1.12, 3)
    assert desk.deals(1001)[-1]["ticket"] == deal
    (done,) = desk.server.call("history_orders", 1001, 0, 0, None, order, None)
    assert (done[0], done[9], done[11]) == (order, mt5.ORDER_STATE_FILLED, order)


def _refusals() -> list[Any]:
    deal = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1, "type": BUY}
    return [
        pytest.param({**deal, "action": 99}, mt5.TRADE_RETCODE_INVALID, id="action"),
        pytest.param({**deal, "symbol": "XPDUSD"}, mt5.TRADE_RETCODE_INVALID, id="symbol"),
        pytest.param({**deal, "type": 2}, mt5.TRADE_RETCODE_INVALID_ORDER, id="type"),
        pytest.param({**deal, "volume": 0.015}, mt5.TRADE_RETCODE_INVALID_VOLUME, id="volume"),
        pytest.param({**deal, "price": -1.0}, mt5.TRADE_RETCODE_INVALID_PRICE, id="price"),
        pytest.param({**deal, "sl": 1.1}, mt5.TRADE_RETCODE_INVALID_STOPS, id="sl at the bid"),
        pytest.param({**deal, "sl": float("nan")}, mt5.TRADE_RETCODE_INVALID_STOPS, id="sl nan"),
        pytest.param({**deal, "tp": float("inf")}, mt5.TRADE_RETCODE_INVALID_STOPS, id="tp inf"),
        pytest.param({**deal, "position": 2**63}, mt5.TRADE_RETCODE_INVALID, id="ticket"),
        pytest.param({**deal, "type_time": 4}, mt5.TRADE_RETCODE_INVALID_EXPIRATION, id="time"),
        pytest.param({**deal, "tp": 1.1}, mt5.TRADE_RETCODE_INVALID_STOPS, id="tp at the bid"),
        pytest.param({**deal, "type_filling": mt5.ORDER_FILLING_RETURN},
                     mt5.TRADE_RETCODE_INVALID_FILL, id="filling"),
        pytest.param({**deal, "volume": 10.0}, mt5.TRADE_RETCODE_NO_MONEY, id="money"),
        pytest.param({**deal, "position": 4711}, mt5.TRADE_RETCODE_POSITION_CLOSED, id="closed"),
        pytest.param({**deal, "action": mt5.TRADE_ACTION_SLTP, "position": 4711},
                     mt5.TRADE_RETCODE_POSITION_CLOSED, id="stops of nothing"),
    ]  # fmt: skip


@pytest.mark.parametrize(("request_", "retcode"), _refusals())
def test_it_refuses_and_changes_nothing(desk: Desk, request_: dict[str, Any], retcode: int) -> None:
    before = desk.server.fingerprint()

    result = desk.send(1001, **request_)

    assert result[0] == retcode
    assert result[1:5] == (0, 0, 0.0, 0.0)
    assert desk.server.fingerprint() == before


def test_it_checks_a_request_as_it_would_send_it(desk: Desk) -> None:
    request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1, "type": BUY}
    checked = desk.server.call("order_check", 1001, request)
    refused = desk.server.call("order_check", 1001, {**request, "volume": 50.0})

    desk.buy(1001, 0.1)

    assert (checked[0], checked[4]) == (0, desk.account(1001)["margin"])
    assert refused[0] == mt5.TRADE_RETCODE_NO_MONEY


def test_it_lets_an_account_use_its_last_free_margin() -> None:
    desk = Desk()
    desk.open_account(1, deposit=1100.0)
    desk.open_account(2, deposit=1099.99)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    assert desk.market(1, BUY, 1.0)[0] == mt5.TRADE_RETCODE_DONE
    assert desk.market(2, BUY, 1.0)[0] == mt5.TRADE_RETCODE_NO_MONEY


def test_it_always_lets_a_hedge_lower_the_risk() -> None:
    desk = Desk()
    login = desk.open_account(deposit=1100.0, stop_out_level=10.0)
    desk.server.set_prices("EURUSD", 1.1, 1.1)
    desk.buy(login, 1.0)
    desk.server.set_prices("EURUSD", 1.099, 1.099)
    assert desk.market(login, SELL, 1.0)[0] == mt5.TRADE_RETCODE_DONE


def test_it_refuses_to_close_more_than_there_is(desk: Desk) -> None:
    ticket = desk.buy(1001, 0.5)
    too_much = desk.market(1001, SELL, 0.51, position=ticket)
    same_side = desk.market(1001, BUY, 0.5, position=ticket)
    other_symbol = desk.market(1001, SELL, 0.5, "GBPUSD", position=ticket)
    no_step = desk.market(1001, SELL, 0.015, position=ticket)
    endless = desk.market(1001, SELL, float("inf"), position=ticket)
    wrong_filling = desk.send(1001, action=1, symbol="EURUSD", volume=0.5, type=SELL,
                              position=ticket, type_filling=mt5.ORDER_FILLING_BOC)  # fmt: skip

    assert too_much[0] == mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME
    assert same_side[0] == other_symbol[0] == mt5.TRADE_RETCODE_INVALID
    assert no_step[0] == endless[0] == mt5.TRADE_RETCODE_INVALID_VOLUME
    assert wrong_filling[0] == mt5.TRADE_RETCODE_INVALID_FILL
    assert desk.positions(1001)[0]["volume"] == 0.5


def test_it_never_closes_another_accounts_position(desk: Desk) -> None:
    stranger = desk.open_account(1002)
    ticket = desk.buy(1001, 0.5)
    result = desk.market(stranger, SELL, 0.5, position=ticket)
    assert result[0] == mt5.TRADE_RETCODE_POSITION_CLOSED
    assert len(desk.positions(1001)) == 1


def test_it_sets_and_removes_stops(desk: Desk) -> None:
    ticket = desk.buy(1001, 0.1, sl=1.09, tp=1.12)

    def stops(**levels: float) -> int:
        result = desk.send(1001, action=mt5.TRADE_ACTION_SLTP, symbol="EURUSD",
                           position=ticket, **levels)  # fmt: skip
        return int(result[0])

    assert stops(sl=1.09, tp=1.12) == mt5.TRADE_RETCODE_NO_CHANGES
    assert stops(sl=1.1) == mt5.TRADE_RETCODE_INVALID_STOPS
    assert stops(sl=1.095) == mt5.TRADE_RETCODE_DONE
    (position,) = desk.positions(1001)
    assert (position["sl"], position["tp"]) == (1.095, 0.0)


@pytest.mark.parametrize(
    ("sl", "tp", "retcode"),
    [
        # EURGBP: no stop within ten points of the price at which the position would be closed.
        (0.84989, 0.85011, mt5.TRADE_RETCODE_DONE),
        (0.84990, 0.85010, mt5.TRADE_RETCODE_DONE),
        (0.84991, 0.85010, mt5.TRADE_RETCODE_INVALID_STOPS),
        (0.84990, 0.85009, mt5.TRADE_RETCODE_INVALID_STOPS),
    ],
)
def test_it_keeps_stops_at_a_distance(desk: Desk, sl: float, tp: float, retcode: int) -> None:
    desk.server.set_prices("EURGBP", 0.85, 0.8502)
    assert desk.market(1001, BUY, 0.1, "EURGBP", sl=sl, tp=tp)[0] == retcode


def test_it_limits_the_volume_of_one_direction() -> None:
    desk = Desk()
    login = desk.open_account(deposit=1_000_000.0)
    desk.buy(login, 100.0, "NZDUSD")
    assert desk.market(login, BUY, 50.01, "NZDUSD")[0] == mt5.TRADE_RETCODE_LIMIT_VOLUME
    assert desk.market(login, BUY, 50.0, "NZDUSD")[0] == mt5.TRADE_RETCODE_DONE
    assert desk.market(login, BUY, 0.01, "NZDUSD")[0] == mt5.TRADE_RETCODE_LIMIT_VOLUME
    assert desk.market(login, SELL, 0.01, "NZDUSD")[0] == mt5.TRADE_RETCODE_DONE


def test_it_says_when_trading_is_not_possible(desk: Desk) -> None:
    desk.open_account(1002, position_limit=1)
    desk.buy(1002, 0.1)
    assert desk.market(1002, BUY, 0.1)[0] == mt5.TRADE_RETCODE_LIMIT_POSITIONS

    desk.server.set_market_open("EURUSD", False)
    assert desk.market(1001, BUY, 0.1)[0] == mt5.TRADE_RETCODE_MARKET_CLOSED
    desk.server.set_market_open("EURUSD", True)

    desk.server.set_trade_mode("EURUSD", mt5.SYMBOL_TRADE_MODE_CLOSEONLY)
    assert desk.market(1001, BUY, 0.1)[0] == mt5.TRADE_RETCODE_CLOSE_ONLY
    desk.server.set_trade_mode("EURUSD", mt5.SYMBOL_TRADE_MODE_DISABLED)
    assert desk.market(1001, BUY, 0.1)[0] == mt5.TRADE_RETCODE_TRADE_DISABLED
    desk.server.set_trade_mode("EURUSD", mt5.SYMBOL_TRADE_MODE_FULL)

    desk.server.set_trade_allowed(1001, False)
    assert desk.market(1001, BUY, 0.1)[0] == mt5.TRADE_RETCODE_TRADE_DISABLED
    assert desk.account(1001)["trade_allowed"] is False


def test_it_sends_nothing_while_algo_trading_is_off(desk: Desk) -> None:
    desk.server.set_algo_trading(1001, False)
    request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1, "type": BUY}

    assert desk.send(1001, **request)[0] == mt5.TRADE_RETCODE_CLIENT_DISABLES_AT
    checked = desk.server.call("order_check", 1001, request)
    assert checked[0] == mt5.TRADE_RETCODE_CLIENT_DISABLES_AT
    assert desk.server.call("terminal_info", 1001)[4] is False
    assert desk.positions(1001) == []


def test_it_rejects_one_order_on_request(desk: Desk) -> None:
    desk.server.set_fault(1001, FaultKind.REJECT, once=True)
    assert desk.market(1001, BUY, 0.1)[0] == mt5.TRADE_RETCODE_REJECT
    assert desk.market(1001, BUY, 0.1)[0] == mt5.TRADE_RETCODE_DONE


def test_it_lets_an_investor_watch_only(desk: Desk) -> None:
    desk.open_account(1002, investor_password="look")
    desk.server.call("authorise", 1002, "look", SERVER)
    assert desk.account(1002)["trade_allowed"] is False
    assert desk.market(1002, BUY, 0.1)[0] == mt5.TRADE_RETCODE_TRADE_DISABLED

    desk.server.call("authorise", 1002, PASSWORD, SERVER)
    assert desk.account(1002)["trade_allowed"] is True
    assert desk.market(1002, BUY, 0.1)[0] == mt5.TRADE_RETCODE_DONE


@pytest.mark.parametrize(
    ("login", "password", "server"),
    [(1001, "wrong", SERVER), (1001, PASSWORD, "Other-Live"), (9, PASSWORD, SERVER),
     (1001, "", SERVER)],
)  # fmt: skip
def test_it_refuses_credentials(desk: Desk, login: int, password: str, server: str) -> None:
    with pytest.raises(LinkError) as refused:
        desk.server.call("authorise", login, password, server)
    assert refused.value.code == -6


def test_it_opens_an_account_once(desk: Desk) -> None:
    again = desk.server.create_account(1001, "other", SERVER, "Again", deposit=5.0)
    assert again is False
    assert desk.account(1001)["balance"] == 10_000.0
    desk.server.call("authorise", 1001, PASSWORD, SERVER)


@pytest.mark.parametrize(
    "terms",
    [{"currency": "XXX"}, {"leverage": 0}, {"deposit": -1.0}, {"leverage": -5},
     {"robot": {"strategy": "oracle"}}, {"robot": {"strategy": "grid", "luck": 1}}],
)  # fmt: skip
def test_it_refuses_terms_that_it_does_not_offer(desk: Desk, terms: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        desk.open_account(1002, **terms)
    assert len(desk.server.accounts()) == 1


@given(
    steps=st.integers(1, 20_000), more=st.integers(1, 20_000),
    step=st.sampled_from(["0.01", "0.1", "1", "0.001"]),
)  # fmt: skip
def test_lots_are_whole_numbers_of_steps(steps: int, more: int, step: str) -> None:
    step_lots = float(step)
    lots, others = float(Decimal(step) * steps), float(Decimal(step) * more)
    assert is_multiple(lots, step_lots)
    assert floor_to_step(lots, step_lots) == lots
    assert floor_to_step(lots + step_lots * 0.4, step_lots) == lots
    assert not is_multiple(lots + step_lots * 0.4, step_lots)
    together = add_lots(lots, others)
    assert together == float(Decimal(step) * (steps + more))
    assert subtract_lots(together, others) == lots
