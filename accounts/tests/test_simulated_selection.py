"""Groups of symbols, tickets that nothing has, and the book, at a server with names of its own."""

from collections.abc import Iterator

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.terminals.simulated.terminals.selection import in_group
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

EVER = (0, 2**31 - 1)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    desk.server.create_server(SERVER, suffix=".r")
    desk.open_account(1001)
    yield desk
    desk.server.close()


@pytest.fixture
def terminal(desk: Desk) -> SimulatedMetaTrader5:
    terminal = SimulatedMetaTrader5(desk.server)
    assert terminal.initialize(login=1001, password=PASSWORD, server=SERVER)
    return terminal


@pytest.mark.parametrize(
    ("symbol", "group", "expected"),
    [
        ("EURUSD", None, True),
        ("EURUSD", "*", True),
        ("EURUSD", "*USD*", True),
        ("EURUSD", "USD*", False),
        ("EURUSD", "*USD*,!EUR*", False),
        ("GBPUSD", "*USD*,!EUR*", True),
        ("EURUSD", "!EUR*,*USD*", True),
        ("EURUSD", "!EUR*", False),
        ("EURUSD", " *JPY* , *USD* ", True),
        ("EURUSD", "EURUSD", True),
        ("EURUSD", "eurusd", False),
        ("EURUSD", "EUR", False),
        ("EURUSD", "E?RUSD", False),
        ("EURUSD", "[A-Z]*", False),
        ("EURUSD.r", "*.r", True),
        ("EURUSDxr", "*.r", False),
        ("#AAPL", "#*", True),
        ("Öl", "Ö*", True),
        ("", "*", True),
        ("EURUSD", "", False),
    ],
)
def test_masks_apply_in_order(symbol: str, group: str | None, expected: bool) -> None:
    assert in_group(symbol, group) is expected


def test_groups_choose_symbols_by_their_names_there(terminal: SimulatedMetaTrader5) -> None:
    found = terminal.symbols_get("*EUR*,!*GBP*,!*JPY*")
    assert found is not None
    assert [symbol.name for symbol in found] == ["EURUSD.r", "EURCHF.r"]
    assert terminal.symbols_get(group="*USD") == ()
    assert terminal.last_error() == (1, "Success")
    everything = terminal.symbols_get()
    assert everything == terminal.symbols_get("*")
    assert everything is not None
    assert terminal.symbols_total() == len(everything)


def test_groups_choose_trades_by_their_names_there(
    desk: Desk, terminal: SimulatedMetaTrader5
) -> None:
    euro, yen = desk.buy(1001, 0.1, "EURUSD.r"), desk.sell(1001, 0.1, "USDJPY.r")
    for get in (terminal.positions_get, terminal.history_orders_get):
        dates = EVER if get == terminal.history_orders_get else ()
        found = get(*dates, group="*USD*.r,!*JPY*")
        assert found is not None
        assert [row.ticket for row in found] == [euro]
        assert get(*dates, group="*JPY") == ()
    deals = terminal.history_deals_get(*EVER, group="*JPY.r")
    assert deals is not None
    assert [deal.order for deal in deals] == [yen]
    # Balance operations have no symbol: only a mask that fits nothing too shows them.
    with_balance = terminal.history_deals_get(*EVER, group="*,!*JPY*")
    assert with_balance is not None
    assert [deal.symbol for deal in with_balance] == ["", "EURUSD.r"]


def test_zero_is_a_ticket_that_nothing_has(desk: Desk, terminal: SimulatedMetaTrader5) -> None:
    desk.buy(1001, 0.1, "EURUSD.r")
    for zero in (0, 2**64 - 1):
        assert terminal.positions_get(ticket=zero) == ()
        assert terminal.orders_get(ticket=zero) == ()
        for get in (terminal.history_deals_get, terminal.history_orders_get):
            assert get(ticket=zero) == get(position=zero) == ()
    assert terminal.positions_get(symbol="") == ()
    assert terminal.last_error() == (1, "Success")


def test_the_book_shows_sells_over_buys_while_subscribed(terminal: SimulatedMetaTrader5) -> None:
    tick = terminal.symbol_info_tick("GBPJPY.r")
    assert tick is not None
    assert terminal.market_book_add("GBPJPY.r") is True
    levels = terminal.market_book_get("GBPJPY.r")
    assert levels is not None
    prices = [level.price for level in levels]
    assert prices == sorted(prices, reverse=True)
    kinds = [level.type for level in levels]
    assert kinds == [mt5.BOOK_TYPE_SELL] * 5 + [mt5.BOOK_TYPE_BUY] * 5
    assert (prices[4], prices[5]) == (tick.ask, tick.bid)
    assert (levels[4].volume, levels[4].volume_dbl) == (4, 4.0)
    assert type(levels[4].volume) is int
    assert terminal.market_book_release("GBPJPY.r") is True
    assert terminal.market_book_get("GBPJPY.r") is None


def test_the_book_of_a_symbol_without_depth_is_empty(terminal: SimulatedMetaTrader5) -> None:
    assert terminal.market_book_add("EURUSD.r") is True
    assert terminal.market_book_get("EURUSD.r") == ()
    assert terminal.last_error() == (1, "Success")


def test_there_is_no_book_of_an_unknown_symbol(terminal: SimulatedMetaTrader5) -> None:
    for call in (terminal.market_book_add, terminal.market_book_release):
        assert call("EURUSD") is False
        assert terminal.last_error() == (-4, "Terminal: Not found")
    assert terminal.market_book_get("EURUSD") is None
    assert terminal.last_error() == (-4, "Terminal: Not found")


def test_the_helpers_trade_and_close(desk: Desk, terminal: SimulatedMetaTrader5) -> None:
    sold = terminal.Sell("EURUSD.r", 0.2, comment="by hand")
    assert sold is not None
    assert (sold.retcode, sold.request.deviation) == (mt5.TRADE_RETCODE_DONE, 10)
    bought = terminal.Buy("EURUSD.r", 0.1, ticket=sold.order)
    assert bought is not None
    assert bought.retcode == mt5.TRADE_RETCODE_DONE
    assert terminal.Close("EURUSD.r") is True
    assert terminal.Close("EURUSD.r") is False
    assert terminal.positions_total() == 0


def test_the_helpers_give_up_after_ten_requotes(desk: Desk, terminal: SimulatedMetaTrader5) -> None:
    desk.server.set_fault(1001, FaultKind.REQUOTE)
    refused = terminal.Buy("EURUSD.r", 0.1)
    assert refused is not None
    assert refused.retcode == mt5.TRADE_RETCODE_REQUOTE
    assert refused.request_id == 10
    desk.server.clear_faults()
    assert terminal.Buy("EURUSD.r", 0.1) is not None
    desk.server.set_fault(1001, FaultKind.REQUOTE)
    assert terminal.Close("EURUSD.r") is False


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 1e308])
def test_a_price_that_is_none_moves_nothing(terminal: SimulatedMetaTrader5, number: float) -> None:
    request = {
        "action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD.r", "volume": 0.1, "type": 0,
        "type_filling": mt5.ORDER_FILLING_FOK,
    }  # fmt: skip
    for field in ("sl", "tp", "volume"):
        for send in (terminal.order_check, terminal.order_send):
            answer = send({**request, field: number})
            assert answer is not None
            assert answer.retcode not in (0, mt5.TRADE_RETCODE_DONE), field
    assert terminal.positions_get() == ()


@pytest.mark.parametrize("number", [2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_the_largest_numbers_of_a_request_are_answered(
    terminal: SimulatedMetaTrader5, number: int
) -> None:
    request = {
        "action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD.r", "volume": 0.1, "type": 0,
        "type_filling": mt5.ORDER_FILLING_FOK,
    }  # fmt: skip
    sent = terminal.order_send({**request, "deviation": number})
    assert sent is not None
    assert sent.retcode == mt5.TRADE_RETCODE_DONE
    marked = terminal.order_send({**request, "magic": number})
    assert marked is not None
    assert marked.retcode == mt5.TRADE_RETCODE_DONE
    found = terminal.positions_get(ticket=marked.order)
    assert found is not None
    assert [position.magic for position in found] == [number]
    for field in ("position", "position_by", "order"):
        answer = terminal.order_send({**request, field: number})
        assert answer is not None
        assert answer.request._asdict()[field] == number
