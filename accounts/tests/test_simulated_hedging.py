"""Hedging accounts: positions closed by ticket, in parts, by one another, and in their order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.terminals.simulated import constants as mt5
from accounts.tests.simulated_desk import Desk

BUY, SELL = mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL
DONE = mt5.TRADE_RETCODE_DONE


@pytest.fixture
def desk() -> Desk:
    desk = Desk(always_open=True)
    desk.open_account(1001, deposit=100_000.0)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    return desk


def test_it_closes_by_ticket_alone(desk: Desk) -> None:
    ticket = desk.buy(1001, 0.5, magic=7)
    result = desk.market(1001, SELL, 0.2, "", position=ticket)
    assert result[0] == DONE
    assert result[5:7] == (1.1000, 1.1002)
    (position,) = desk.positions(1001)
    assert (position["ticket"], position["volume"]) == (ticket, 0.3)
    assert desk.done_orders(1001)[-1]["position_id"] == ticket


def test_it_closes_what_is_left_whatever_the_step(desk: Desk) -> None:
    ticket = desk.buy(1001, 0.03)
    for _ in range(3):
        desk.sell(1001, 0.01, position=ticket)
    assert desk.positions(1001) == []


@pytest.mark.parametrize(
    ("long_lots", "short_lots", "left"),
    [(0.5, 0.5, None), (0.5, 0.2, ("long", 0.3)), (0.2, 0.5, ("short", 0.3))],
)
@pytest.mark.parametrize("starts_with", ["long", "short"])
def test_it_closes_positions_by_one_another(
    desk: Desk, long_lots: float, short_lots: float, left: tuple[str, float] | None,
    starts_with: str,
) -> None:  # fmt: skip
    tickets = {"long": desk.buy(1001, long_lots)}
    desk.server.set_prices("EURUSD", 1.1050, 1.1052)
    tickets["short"] = desk.sell(1001, short_lots)
    desk.server.set_prices("EURUSD", 1.2000, 1.2002)
    equity, balance = desk.account(1001)["equity"], desk.account(1001)["balance"]
    first = tickets[starts_with]
    second = tickets["short" if starts_with == "long" else "long"]

    result = desk.close_by(1001, first, second)

    lots = min(long_lots, short_lots)
    price = 1.1050 if starts_with == "long" else 1.1002
    assert (result[0], result[3], result[4]) == (DONE, lots, price)
    kept = [(position["ticket"], position["volume"]) for position in desk.positions(1001)]
    assert kept == ([(tickets[left[0]], left[1])] if left else [])
    deals = desk.deals(1001)[-2:]
    assert [deal["entry"] for deal in deals] == [mt5.DEAL_ENTRY_OUT_BY] * 2
    assert [deal["position"] for deal in deals] == [first, second]
    assert [deal["profit"] for deal in deals] == [round(480.0 * lots, 2), 0.0]
    assert deals[0]["ticket"] == result[1]
    order = desk.done_orders(1001)[-1]
    assert (order["ticket"], order["type"]) == (result[2], mt5.ORDER_TYPE_CLOSE_BY)
    assert (order["position_id"], order["position_by_id"]) == (first, second)
    assert order["comment"] == deals[0]["comment"] == f"close #{first} by #{second}"
    assert desk.account(1001)["balance"] == pytest.approx(balance + 480.0 * lots, abs=1e-6)
    # The price stands far away: closing by one another has no spread and takes no new loss.
    assert desk.account(1001)["equity"] == pytest.approx(equity + 20.0 * lots, abs=1e-6)


def test_it_closes_by_only_what_is_opposite(desk: Desk) -> None:
    desk.server.set_prices("GBPUSD", 1.3, 1.3002)
    long, same, other = desk.buy(1001, 0.1), desk.buy(1001, 0.1), desk.sell(1001, 0.1, "GBPUSD")
    stranger = desk.open_account(1002)
    foreign = desk.sell(stranger, 0.1)
    before = desk.server.fingerprint()
    assert desk.close_by(1001, long, same)[0] == mt5.TRADE_RETCODE_INVALID
    assert desk.close_by(1001, long, other)[0] == mt5.TRADE_RETCODE_INVALID
    assert desk.close_by(1001, long, long)[0] == mt5.TRADE_RETCODE_INVALID
    assert desk.close_by(1001, long, foreign)[0] == mt5.TRADE_RETCODE_POSITION_CLOSED
    assert desk.close_by(1001, long, 0)[0] == mt5.TRADE_RETCODE_POSITION_CLOSED
    assert desk.server.fingerprint() == before


def test_it_closes_the_oldest_first_where_the_law_wants_it(desk: Desk) -> None:
    login = desk.open_account(1002, fifo_close=True)
    oldest, newer = desk.buy(login, 0.1), desk.buy(login, 0.1)
    short = desk.sell(login, 0.1)
    before = desk.server.fingerprint()
    assert desk.market(login, SELL, 0.1, position=newer)[0] == mt5.TRADE_RETCODE_FIFO_CLOSE
    assert desk.close_by(login, newer, short)[0] == mt5.TRADE_RETCODE_FIFO_CLOSE
    assert desk.server.fingerprint() == before

    assert desk.market(login, BUY, 0.1, position=short)[0] == DONE
    assert desk.market(login, SELL, 0.05, position=oldest)[0] == DONE
    assert desk.market(login, SELL, 0.05, position=newer)[0] == mt5.TRADE_RETCODE_FIFO_CLOSE
    assert desk.market(login, SELL, 0.05, position=oldest)[0] == DONE
    assert desk.market(login, SELL, 0.1, position=newer)[0] == DONE


@pytest.mark.parametrize(
    ("bid", "retcode"),
    # EURJPY has a freeze level of 15 points; the stop lies at 160.000.
    [(160.014, mt5.TRADE_RETCODE_FROZEN), (160.015, DONE), (160.016, DONE)],
)
def test_it_freezes_a_position_near_its_stop(desk: Desk, bid: float, retcode: int) -> None:
    desk.server.set_prices("EURJPY", 161.0, 161.01)
    first, second, third = (desk.buy(1001, 0.1, "EURJPY", sl=160.0, price=161.01) for _ in range(3))
    opposite = desk.sell(1001, 0.1, "EURJPY", price=161.0)
    desk.server.set_prices("EURJPY", bid, bid + 0.01)
    moved = desk.send(1001, action=mt5.TRADE_ACTION_SLTP, position=first, sl=159.0)
    closed = desk.market(1001, SELL, 0.1, "EURJPY", position=second, price=bid)
    assert (moved[0], closed[0]) == (retcode, retcode)
    assert desk.close_by(1001, third, opposite)[0] == retcode


@pytest.mark.parametrize(
    ("reason", "login_reason"),
    [(mt5.ORDER_REASON_CLIENT, 0), (mt5.ORDER_REASON_MOBILE, 1), (mt5.ORDER_REASON_WEB, 2)],
)
def test_it_lets_a_person_trade_by_hand(desk: Desk, reason: int, login_reason: int) -> None:
    desk.server.set_algo_trading(1001, False)
    request = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1, "type": BUY}
    result = desk.server.trade_by_hand(1001, request, reason)
    assert result[0] == DONE
    (position,) = desk.positions(1001)
    assert position["reason"] == login_reason
    assert desk.deals(1001)[-1]["reason"] == login_reason
    assert desk.done_orders(1001)[-1]["reason"] == login_reason


def test_a_person_sends_no_order_of_a_program(desk: Desk) -> None:
    with pytest.raises(ValueError, match="person"):
        desk.server.trade_by_hand(1001, {}, mt5.ORDER_REASON_EXPERT)


def test_it_says_why_a_position_was_closed(desk: Desk) -> None:
    desk.buy(1001, 0.1, sl=1.0990, magic=11)
    desk.buy(1001, 0.1, tp=1.1010, magic=12)
    desk.server.set_prices("EURUSD", 1.1010, 1.1012)
    desk.server.set_prices("EURUSD", 1.0990, 1.0992)
    taken, stopped = desk.deals(1001)[-2:]
    orders = desk.done_orders(1001)[-2:]
    assert (taken["reason"], taken["comment"], taken["magic"]) == (5, "[tp 1.10100]", 12)
    assert (stopped["reason"], stopped["comment"], stopped["magic"]) == (4, "[sl 1.09900]", 11)
    assert [(order["reason"], order["magic"]) for order in orders] == [(5, 12), (4, 11)]


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_parts_add_up_to_the_whole(parts: list[int]) -> None:
    """Closing in parts leaves no lot behind, and books the result of a close in one go."""
    desk = Desk(always_open=True)
    desk.open_account(1, deposit=1_000_000.0)
    desk.open_account(2, deposit=1_000_000.0)
    desk.server.set_prices("EURUSD", 1.1000, 1.1002)
    whole = round(sum(parts) * 0.01, 2)
    tickets = {login: desk.buy(login, whole) for login in (1, 2)}
    for login, ticket in tickets.items():
        desk.server.charge_swap(ticket, -13.37 * login)
    desk.server.set_prices("EURUSD", 1.1013, 1.1015)
    for part in parts:
        desk.sell(1, round(part * 0.01, 2), position=tickets[1])
    desk.sell(2, whole, position=tickets[2])
    assert desk.positions(1) == desk.positions(2) == []
    swaps = [sum(deal["swap"] for deal in desk.deals(login)) for login in (1, 2)]
    assert swaps == pytest.approx([-13.37, -26.74], abs=1e-9)
    profits = [sum(deal["profit"] for deal in desk.deals(login)[1:]) for login in (1, 2)]
    assert profits[0] == pytest.approx(profits[1], abs=0.01 * len(parts))
