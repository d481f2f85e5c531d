"""Execution modes and filling modes: what a market order meets, now or at the next step."""

from pathlib import Path
from typing import Any

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.symbols.catalogue import CONTRACT_INDEX, CONTRACTS
from accounts.terminals.simulated.trading.execution import Execution
from accounts.terminals.simulated.trading.matching import matched
from accounts.tests.simulated_desk import Desk

BUY, SELL = mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL
FOK, IOC = mt5.ORDER_FILLING_FOK, mt5.ORDER_FILLING_IOC
RETURN, BOC = mt5.ORDER_FILLING_RETURN, mt5.ORDER_FILLING_BOC
DONE, PLACED = mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_PLACED
FILLED, PARTIAL = mt5.ORDER_STATE_FILLED, mt5.ORDER_STATE_PARTIAL
CANCELED, REJECTED = mt5.ORDER_STATE_CANCELED, mt5.ORDER_STATE_REJECTED


@pytest.fixture
def desk() -> Desk:
    return _desk()


def _desk(**options: Any) -> Desk:
    desk = Desk(always_open=True, **options)
    desk.open_account(1001, deposit=1_000_000.0)
    _quote(desk)
    return desk


def _quote(desk: Desk) -> None:
    for symbol, bid, ask in (
        ("EURUSD", 1.1, 1.1002), ("EURJPY", 160.0, 160.02), ("XAGUSD", 50.0, 50.02),
        ("MSFT", 500.0, 500.02), ("BTCUSD", 90_000.0, 90_010.0),
    ):  # fmt: skip
        desk.server.set_prices(symbol, bid, ask)


def _disturbed(desk: Desk, execution: Execution, login: int = 1001, **request: Any) -> Any:
    """Send a market buy that a fault has got hold of, past the terminal."""
    engine = desk.server._engine
    engine.touch()
    values = {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 1.0, "type": BUY}
    account = engine.books.account_of[login]
    result = engine.desk.send(account, {**values, **request}, mt5.ORDER_REASON_EXPERT, execution)
    engine.commit()
    return result


@pytest.mark.parametrize("symbol", ["EURJPY", "XAGUSD"])
@pytest.mark.parametrize(
    ("side", "off_points", "deviation", "retcode"),
    [
        (BUY, 0, 0, DONE), (BUY, 1, 0, mt5.TRADE_RETCODE_REQUOTE), (BUY, 4, 5, DONE),
        (BUY, 5, 5, DONE), (BUY, 6, 5, mt5.TRADE_RETCODE_REQUOTE), (BUY, -5, 5, DONE),
        (BUY, -6, 5, mt5.TRADE_RETCODE_REQUOTE), (SELL, 5, 5, DONE),
        (SELL, -6, 5, mt5.TRADE_RETCODE_REQUOTE),
    ],
)  # fmt: skip
def test_it_asks_for_a_price_and_holds_to_the_deviation(
    desk: Desk, symbol: str, side: int, off_points: int, deviation: int, retcode: int
) -> None:
    bid, ask = (160.0, 160.02) if symbol == "EURJPY" else (50.0, 50.02)
    quote = ask if side == BUY else bid
    price = round(quote + off_points * 0.001, 3)
    before = desk.server.fingerprint()

    result = desk.market(1001, side, 0.1, symbol, price=price, deviation=deviation)

    assert (result[0], result[5], result[6]) == (retcode, bid, ask)
    if retcode == DONE:
        assert result[4] == desk.positions(1001)[0]["price_open"] == quote
    else:
        assert desk.server.fingerprint() == before
    assert desk.market(1001, side, 0.1, symbol)[0] == mt5.TRADE_RETCODE_INVALID_PRICE


def test_it_ignores_the_price_in_market_execution(desk: Desk) -> None:
    assert desk.market(1001, BUY, 0.1, price=2.0, deviation=0)[4] == 1.1002


@pytest.mark.parametrize(
    ("symbol", "filling", "retcode"),
    [
        ("EURUSD", FOK, DONE), ("EURUSD", IOC, DONE), ("EURUSD", RETURN, 10030),
        ("EURUSD", BOC, 10030), ("BTCUSD", FOK, 10030), ("BTCUSD", IOC, DONE),
        ("MSFT", RETURN, PLACED), ("MSFT", BOC, 10030), ("MSFT", 7, 10030),
    ],
)  # fmt: skip
def test_it_offers_some_filling_modes(desk: Desk, symbol: str, filling: int, retcode: int) -> None:
    result = desk.market(1001, BUY, 1.0, symbol, type_filling=filling)
    assert result[0] == retcode


def test_a_close_needs_a_filling_mode_too(desk: Desk) -> None:
    ticket = desk.buy(1001, 1.0)
    result = desk.market(1001, SELL, 1.0, position=ticket, type_filling=RETURN)
    assert result[0] == mt5.TRADE_RETCODE_INVALID_FILL


@pytest.mark.parametrize("lots", [299.0, 300.0, 301.0, 900.0])
def test_an_exchange_fills_at_the_next_step_level_by_level(desk: Desk, lots: float) -> None:
    result = desk.market(1001, BUY, lots, "MSFT")
    assert result[:5] == (PLACED, 0, result[2], lots, 0.0)
    (order,) = desk.orders(1001)
    assert (order["ticket"], order["state"]) == (result[2], mt5.ORDER_STATE_STARTED)
    assert desk.positions(1001) == []

    desk.pass_time(1)

    assert desk.orders(1001) == []
    levels = [(500.02, min(lots, 300.0)), (500.03, lots - 300.0)]
    deals = [(deal["price"], deal["volume"]) for deal in desk.deals(1001)[1:]]
    assert deals == [level for level in levels if level[1] > 0]
    assert {deal["order"] for deal in desk.deals(1001)[1:]} == {result[2]}
    (position,) = desk.positions(1001)
    average = sum(price * volume for price, volume in deals) / lots
    assert (position["ticket"], position["volume"]) == (result[2], lots)
    assert position["price_open"] == pytest.approx(average, abs=1e-9)
    assert desk.done_orders(1001)[-1]["state"] == FILLED


@pytest.mark.parametrize(
    ("filling", "lots", "held", "state"),
    # The book's five levels hold 300 + 600 + 900 + 1200 + 1500 = 4500 together.
    [
        (FOK, 4_500.0, 4_500.0, FILLED), (FOK, 4_501.0, 0.0, CANCELED),
        (IOC, 4_500.0, 4_500.0, FILLED), (IOC, 4_501.0, 4_500.0, PARTIAL),
    ],
)  # fmt: skip
def test_an_exchange_fills_what_there_is(
    filling: int, lots: float, held: float, state: int
) -> None:
    desk = Desk(always_open=True)
    desk.open_account(1001, deposit=10_000_000.0)
    _quote(desk)
    desk.market(1001, BUY, lots, "MSFT", type_filling=filling)
    desk.pass_time(1)
    assert desk.orders(1001) == []
    assert sum(position["volume"] for position in desk.positions(1001)) == held
    done = desk.done_orders(1001)[-1]
    assert (done["state"], done["volume_current"]) == (state, lots - held)


def test_an_exchange_goes_on_with_the_rest() -> None:
    desk = Desk(always_open=True)
    desk.open_account(1001, deposit=10_000_000.0, margin_mode=mt5.ACCOUNT_MARGIN_MODE_EXCHANGE)
    _quote(desk)
    ticket = desk.market(1001, BUY, 6_000.0, "MSFT", type_filling=RETURN)[2]
    desk.pass_time(1)
    (order,) = desk.orders(1001)
    assert (order["ticket"], order["state"], order["volume_current"]) == (ticket, PARTIAL, 1_500.0)
    assert desk.positions(1001)[0]["volume"] == 4_500.0
    desk.pass_time(1)
    assert desk.orders(1001) == []
    assert desk.positions(1001)[0]["volume"] == 6_000.0
    assert desk.done_orders(1001)[-1]["state"] == FILLED


def test_the_rest_of_an_order_can_be_withdrawn() -> None:
    desk = Desk(always_open=True)
    desk.open_account(1001, deposit=10_000_000.0)
    _quote(desk)
    ticket = desk.market(1001, BUY, 6_000.0, "MSFT", type_filling=RETURN)[2]
    assert desk.remove(1001, ticket)[0] == mt5.TRADE_RETCODE_LOCKED
    desk.pass_time(1)
    assert desk.modify(1001, ticket, 499.0)[0] == mt5.TRADE_RETCODE_INVALID
    assert desk.remove(1001, ticket)[0] == DONE
    desk.pass_time(1)
    assert desk.positions(1001)[0]["volume"] == 4_500.0


def test_a_limit_order_on_an_exchange_takes_no_level_beyond_its_price(desk: Desk) -> None:
    ticket = desk.wait_for(1001, mt5.ORDER_TYPE_BUY_LIMIT, 1_000.0, 500.03, "MSFT")
    desk.server.set_prices("MSFT", 500.0, 500.02)
    (order,) = desk.orders(1001)
    assert (order["state"], order["volume_current"]) == (PARTIAL, 100.0)
    deals = [(deal["price"], deal["volume"]) for deal in desk.deals(1001)[1:]]
    assert deals == [(500.02, 300.0), (500.03, 600.0)]
    assert desk.account(1001)["margin"] == pytest.approx(900 * 500.02667 + 100 * 500.03, abs=5.0)

    desk.server.set_prices("MSFT", 500.01, 500.03)

    assert desk.orders(1001) == []
    (position,) = desk.positions(1001)
    assert (position["ticket"], position["volume"]) == (ticket, 1_000.0)


def test_an_order_to_book_or_cancel_never_takes(desk: Desk) -> None:
    limit = mt5.ORDER_TYPE_BUY_LIMIT
    refused = desk.place(1001, limit, 10.0, 500.02, "MSFT", type_filling=BOC)
    assert refused[0] == mt5.TRADE_RETCODE_REJECT
    assert desk.place(1001, limit, 10.0, 500.01, "MSFT", type_filling=BOC)[0] == PLACED
    stop = mt5.ORDER_TYPE_BUY_STOP
    no_limit = desk.place(1001, stop, 10.0, 510.0, "MSFT", type_filling=BOC)
    assert no_limit[0] == mt5.TRADE_RETCODE_INVALID_FILL


@pytest.mark.parametrize(
    ("filling", "fraction", "retcode", "filled"),
    [
        (IOC, 1.0, DONE, 1.0), (IOC, 0.5, mt5.TRADE_RETCODE_DONE_PARTIAL, 0.5),
        (IOC, 0.004, mt5.TRADE_RETCODE_REJECT, 0.0), (FOK, 0.5, mt5.TRADE_RETCODE_REJECT, 0.0),
    ],
)  # fmt: skip
def test_a_partial_fill(
    desk: Desk, filling: int, fraction: float, retcode: int, filled: float
) -> None:
    result = _disturbed(desk, Execution(fill_fraction=fraction), type_filling=filling)
    assert (result[0], result[3]) == (retcode, filled)
    assert sum(position["volume"] for position in desk.positions(1001)) == filled
    if retcode == mt5.TRADE_RETCODE_DONE_PARTIAL:
        done = desk.done_orders(1001)[-1]
        assert (done["state"], done["volume_current"]) == (PARTIAL, 0.5)


@pytest.mark.parametrize(
    ("filling", "lots", "retcode", "filled"),
    [
        (IOC, 29.99, DONE, 29.99), (IOC, 30.0, DONE, 30.0), (FOK, 30.0, DONE, 30.0),
        (IOC, 30.01, mt5.TRADE_RETCODE_DONE_PARTIAL, 30.0),
        (FOK, 30.01, mt5.TRADE_RETCODE_REJECT, 0.0),
    ],
)  # fmt: skip
def test_a_broker_takes_so_much_gold_at_once(
    desk: Desk, filling: int, lots: float, retcode: int, filled: float
) -> None:
    desk.server.set_prices("XAUUSD", 4_085.2, 4_085.42)
    desk.server.deposit(1001, 1_000_000.0)
    result = desk.market(1001, BUY, lots, "XAUUSD", type_filling=filling)
    assert (result[0], result[3]) == (retcode, filled)
    assert [position["volume"] for position in desk.positions(1001)] == [filled] * (filled > 0)


def test_a_partial_close_by_lack_of_volume(desk: Desk) -> None:
    ticket = desk.buy(1001, 1.0)
    half = Execution(fill_fraction=0.3)
    result = _disturbed(desk, half, type=SELL, position=ticket, type_filling=IOC)
    assert result[0] == mt5.TRADE_RETCODE_DONE_PARTIAL
    assert desk.positions(1001)[0]["volume"] == 0.7


@pytest.mark.parametrize(("side", "price"), [(BUY, 1.1005), (SELL, 1.0997)])
def test_slippage_goes_against_the_trader(desk: Desk, side: int, price: float) -> None:
    assert _disturbed(desk, Execution(slippage_points=30), type=side)[4] == price
    assert desk.positions(1001)[0]["price_open"] == price


def test_slippage_never_takes_a_price_to_zero(desk: Desk) -> None:
    desk.server.set_prices("EURUSD", 0.00002, 0.00003)
    assert _disturbed(desk, Execution(slippage_points=30), type=SELL)[4] == 0.00001


def test_slippage_beyond_the_deviation_is_a_requote(desk: Desk) -> None:
    order: dict[str, Any] = {"symbol": "EURJPY", "price": 160.02, "deviation": 5}
    assert _disturbed(desk, Execution(slippage_points=5), **order)[4] == 160.025
    assert _disturbed(desk, Execution(slippage_points=6), **order)[0] == 10004


def test_a_refusal_and_a_comment(desk: Desk) -> None:
    no = Execution(retcode=mt5.TRADE_RETCODE_CANCEL, retcode_comment="Canceled by dealer")
    refused = _disturbed(desk, no)
    assert (refused[0], refused[7]) == (mt5.TRADE_RETCODE_CANCEL, "Canceled by dealer")
    assert _disturbed(desk, no, volume=0.0)[0] == mt5.TRADE_RETCODE_INVALID_VOLUME
    result = _disturbed(desk, Execution(comment="to"), comment="from")
    assert result[10][14] == "from"
    assert desk.positions(1001)[0]["comment"] == desk.deals(1001)[-1]["comment"] == "to"


def test_a_late_order_is_carried_out_when_nobody_asks_any_more(tmp_path: Path) -> None:
    desk = _desk(home=tmp_path)
    late = Execution(delay_seconds=3.0, slippage_points=10, comment="tag")
    result = _disturbed(desk, late, magic=9)
    assert (result[0], result[1]) == (PLACED, 0)
    desk.pass_time(2.9)
    assert (desk.positions(1001), len(desk.orders(1001))) == ([], 1)

    again = Desk(home=tmp_path, always_open=True)
    again.clock.now = desk.clock.now
    again.server.set_prices("EURUSD", 1.2, 1.2002)
    again.pass_time(0.2)

    assert again.orders(1001) == []
    (position,) = again.positions(1001)
    assert (position["ticket"], position["price_open"]) == (result[2], 1.2003)
    assert (position["magic"], position["comment"]) == (9, "tag")


def test_one_close_at_a_time(desk: Desk) -> None:
    ticket = desk.buy(1001, 1.0)
    late = Execution(delay_seconds=3.0)
    closing = {"type": SELL, "position": ticket}
    assert _disturbed(desk, late, **closing)[0] == PLACED
    before = desk.server.fingerprint()
    again = desk.market(1001, SELL, 1.0, position=ticket)
    assert again[0] == mt5.TRADE_RETCODE_CLOSE_ORDER_EXIST
    assert desk.server.fingerprint() == before
    desk.pass_time(3)
    assert desk.positions(1001) == desk.orders(1001) == []


def test_a_late_close_of_nothing_says_so(desk: Desk) -> None:
    ticket = desk.buy(1001, 1.0, sl=1.09)
    _disturbed(desk, Execution(delay_seconds=3.0), type=SELL, position=ticket)
    desk.server.set_prices("EURUSD", 1.08, 1.0802)
    desk.pass_time(3)
    assert desk.positions(1001) == desk.orders(1001) == []
    done = desk.done_orders(1001)[-1]
    assert (done["state"], done["comment"]) == (REJECTED, "[Position doesn't exist]")


def test_a_late_order_is_requoted_when_the_price_has_moved(desk: Desk) -> None:
    order: dict[str, Any] = {"symbol": "EURJPY", "price": 160.02, "deviation": 5}
    _disturbed(desk, Execution(delay_seconds=1.0), **order)
    desk.server.set_prices("EURJPY", 160.006, 160.026)
    desk.pass_time(1)
    assert desk.positions(1001) == []
    done = desk.done_orders(1001)[-1]
    assert (done["state"], done["comment"]) == (REJECTED, "[Requote]")


@pytest.mark.parametrize(
    ("filling", "price", "held", "state"),
    [
        (IOC, 500.03, 900.0, PARTIAL), (FOK, 500.03, 0.0, CANCELED), (FOK, 500.04, 1_000.0, FILLED),
        (IOC, 500.01, 0.0, CANCELED),
    ],
)  # fmt: skip
def test_a_limit_order_on_an_exchange_may_be_for_now_or_never(
    desk: Desk, filling: int, price: float, held: float, state: int
) -> None:
    limit = mt5.ORDER_TYPE_BUY_LIMIT
    desk.wait_for(1001, limit, 1_000.0, price, "MSFT", type_filling=filling)
    desk.pass_time(1)
    assert desk.orders(1001) == []
    assert sum(position["volume"] for position in desk.positions(1001)) == held
    assert desk.done_orders(1001)[-1]["state"] == state
    margin = sum(deal["price"] * deal["volume"] for deal in desk.deals(1001)[1:])
    assert desk.account(1001)["margin"] == pytest.approx(margin, abs=0.01)


def test_a_limit_order_moved_through_the_market_is_filled_at_the_next_step(desk: Desk) -> None:
    ticket = desk.wait_for(1001, mt5.ORDER_TYPE_BUY_LIMIT, 10.0, 490.0, "MSFT")
    desk.pass_time(1)
    assert desk.modify(1001, ticket, 500.02)[0] == DONE
    desk.pass_time(1)
    assert desk.orders(1001) == []
    assert desk.positions(1001)[0]["price_open"] == 500.02


def test_a_limit_order_through_the_market_is_filled_at_the_next_step(desk: Desk) -> None:
    desk.wait_for(1001, mt5.ORDER_TYPE_SELL_LIMIT, 500.0, 500.0, "MSFT")
    desk.pass_time(1)
    (order,) = desk.orders(1001)
    assert (order["state"], order["volume_current"]) == (PARTIAL, 200.0)
    desk.server.set_market_open("MSFT", False)
    desk.pass_time(1)
    assert len(desk.orders(1001)) == 1


@pytest.mark.parametrize(("lots", "filled"), [(59.0, 59.0), (60.0, 60.0), (61.0, 60.0)])
def test_a_dealer_with_a_book_takes_its_sum_at_the_quote(lots: float, filled: float) -> None:
    contract = CONTRACTS[CONTRACT_INDEX["GBPJPY"]]
    match = matched(contract, SELL, (190.0, 190.03), lots)
    assert (match.deals, match.left_lots) == (((190.0, filled),), lots - filled)


def test_the_rest_of_a_market_order_ends_with_the_session() -> None:
    desk = Desk(always_open=True)
    desk.open_account(1001, deposit=10_000_000.0)
    _quote(desk)
    desk.market(1001, BUY, 6_000.0, "MSFT", type_filling=RETURN)
    desk.pass_time(1)
    desk.server.set_market_open("MSFT", False)
    desk.pass_time(1)
    assert desk.orders(1001) == []
    done = desk.done_orders(1001)[-1]
    assert (done["state"], done["volume_current"]) == (CANCELED, 1_500.0)
    assert done["comment"] == "[Market closed]"
