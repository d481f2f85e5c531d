from typing import Any

import pytest

from accounts.market_history import (
    HistoryUnavailableError,
    deals_between,
    minute_bars,
    symbol_row,
)
from accounts.terminals.link import LinkError
from accounts.terminals.simulated.server import TradeServer


class Answers:
    """A source that gives one answer, or raises it, and remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[Any, ...]] = []

    def call(self, method: str, *arguments: Any) -> Any:
        self.asked.append((method, *arguments))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def server() -> Any:
    clock = [1_700_000_000.0]
    server = TradeServer(seed=7, clock=lambda: clock[0], feed=False)
    server.set_prices("EURUSD", 1.1, 1.10002)
    server.create_account(1001, "secret", "Demo", "Alpha", deposit=100_000.0)
    yield server
    server.close()


def test_it_reads_deals_with_their_symbols_by_number(server: TradeServer) -> None:
    order = {"action": 1, "symbol": "EURUSD", "volume": 0.5, "type": 0, "type_filling": 1}
    result = server.call("order_send", 1001, {**order, "price": 1.10002})
    deposit, bought = deals_between(server, 1001, 0, 4e9, {"EURUSD": 3})
    assert (deposit["type"], deposit["profit"], deposit["symbol"]) == (2, 100_000.0, -1)
    assert (bought["ticket"], bought["order"]) == (result[1], result[2])
    assert (bought["volume"], bought["price"], bought["symbol"]) == (0.5, 1.10002, 3)
    assert (bought["entry"], bought["position"]) == (0, result[2])


def test_it_gives_a_symbol_that_nobody_knows_no_number(server: TradeServer) -> None:
    order = {"action": 1, "symbol": "EURUSD", "volume": 0.5, "type": 0, "type_filling": 1}
    server.call("order_send", 1001, {**order, "price": 1.10002})
    assert deals_between(server, 1001, 0, 4e9, {})["symbol"].tolist() == [-1, -1]


@pytest.mark.parametrize(("magic", "kept"), [(2**63 - 1, 2**63 - 1), (2**64 - 1, -1)])
def test_it_keeps_the_largest_magic_numbers(server: TradeServer, magic: int, kept: int) -> None:
    order = {"action": 1, "symbol": "EURUSD", "volume": 0.5, "type": 0, "type_filling": 1}
    server.call("order_send", 1001, {**order, "price": 1.10002, "magic": magic})
    assert deals_between(server, 1001, 0, 4e9, {})["magic"].tolist() == [0, kept]
    assert server.read_batch([1001], [0]).positions["magic"].tolist() == [kept]


def test_it_tells_no_deals_from_no_answer(server: TradeServer) -> None:
    assert len(deals_between(server, 1001, 0, 1, {})) == 0
    with pytest.raises(HistoryUnavailableError, match="no answer"):
        deals_between(Answers(None), 1001, 0, 1, {})


@pytest.mark.parametrize("error", [LinkError(-10004, "No IPC connection"), OSError("gone")])
def test_it_says_that_a_terminal_out_of_reach_can_be_asked_again(error: Exception) -> None:
    with pytest.raises(HistoryUnavailableError, match="symbol_info failed"):
        symbol_row(Answers(error), 1001, "EURUSD")


def test_it_asks_for_the_bars_up_to_the_minute() -> None:
    source = Answers([])
    assert len(minute_bars(source, 1001, "EURUSD", 1_700_000_059.0, 4)) == 0
    first = 1_700_000_040.0 - 4 * 86_400
    assert source.asked == [("rates", 1001, "EURUSD", 1, first, 1_700_000_040.0, None, None)]
