"""What the simulated module asks of the terminal, and how it hands out the answers."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.prices.timeframes import RATES_DTYPE, TICKS_DTYPE
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.terminals.simulated.surface.tuples import (
    BookInfo,
    SymbolInfo,
    TradeOrder,
    TradePosition,
)
from accounts.tests.recording_link import (
    CALL_FAILED,
    SERVER,
    SUCCESS,
    RecordingLink,
    blank,
    connected,
    position,
)


@pytest.fixture
def link() -> RecordingLink:
    return RecordingLink()


@pytest.fixture
def terminal(link: RecordingLink) -> SimulatedMetaTrader5:
    return connected(link)


class TestQueries:
    def test_it_wraps_rows(self, terminal: SimulatedMetaTrader5, link: RecordingLink) -> None:
        link.answers["positions"] = [position(1), position(2)]
        positions = terminal.positions_get()
        assert positions is not None
        assert [type(row) for row in positions] == [TradePosition, TradePosition]
        assert [row.ticket for row in positions] == [1, 2]
        assert terminal.positions_total() == 2

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({}, (None, None, None)),
            ({"symbol": "EURUSD"}, ("EURUSD", None, None)),
            ({"group": "*USD*"}, (None, "*USD*", None)),
            ({"ticket": 7, "symbol": "EURUSD", "group": "*"}, (None, None, 7)),
            ({"symbol": "EURUSD", "group": "*"}, ("EURUSD", None, None)),
            ({"ticket": 0, "symbol": "EURUSD"}, (None, None, 0)),
            ({"symbol": "", "group": "*"}, ("", None, None)),
        ],
    )
    def test_it_looks_up_ticket_then_symbol_then_group(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink, filters: Any, expected: Any
    ) -> None:
        link.answers |= {"positions": [], "orders": []}
        terminal.positions_get(**filters)
        assert link.last() == ("positions", 1001, *expected)
        terminal.orders_get(**filters)
        assert link.last() == ("orders", 1001, *expected)

    @pytest.mark.parametrize(
        ("args", "kwargs", "text"),
        [
            (("EURUSD",), {}, "Unnamed arguments not allowed"),
            ((), {"symbol": 5}, 'Invalid "symbol" argument'),
            ((), {"symbol": None}, 'Invalid "symbol" argument'),
            ((), {"symbol": "\ud800"}, 'Invalid "symbol" argument'),
            ((), {"ticket": "7"}, 'Invalid "ticket" argument'),
            ((), {"ticket": np.int64(7)}, 'Invalid "ticket" argument'),
            ((), {"group": 1}, 'Invalid "group" argument'),
        ],
    )
    def test_it_refuses_wrong_filters(
        self,
        terminal: SimulatedMetaTrader5,
        link: RecordingLink,
        args: Any,
        kwargs: Any,
        text: str,
    ) -> None:
        for call in (terminal.positions_get, terminal.orders_get):
            assert call(*args, **kwargs) is None
            assert terminal.last_error() == (-2, text)
        assert link.calls == []

    def test_it_reads_history_by_dates_ticket_or_position(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        link.answers |= {"history_deals": [], "history_orders": []}
        for method in ("history_deals", "history_orders"):
            get = getattr(terminal, f"{method}_get")
            assert get(100, 200.9, group="*USD*") == ()
            assert link.last() == (method, 1001, 100, 200, "*USD*", None, None)
            assert get(ticket=7) == ()
            assert link.last() == (method, 1001, 0, 2**31 - 1, None, 7, None)
            assert get(position=8) == ()
            assert link.last() == (method, 1001, 0, 2**31 - 1, None, None, 8)
            assert getattr(terminal, f"{method}_total")(100, 200) == 0
            assert link.last() == (method, 1001, 100, 200, None, None, None)

    @pytest.mark.parametrize(
        ("args", "kwargs", "text"),
        [
            ((), {}, "Invalid arguments"),
            ((), {"date_from": 0, "date_to": 1}, "Invalid arguments"),
            ((), {"group": "*"}, "Invalid arguments"),
            ((0,), {}, "Invalid number of arguments"),
            ((0, 1, 2), {}, "Invalid number of arguments"),
            (("2026", 1), {}, "Invalid 1st unnamed argument"),
            ((0, date(2026, 1, 1)), {}, "Invalid 2nd unnamed argument"),
            ((0, 1), {"group": 5}, 'Invalid "group" argument'),
            ((), {"position": 1.0}, 'Invalid "position" argument'),
        ],
    )
    def test_it_refuses_wrong_history_arguments(
        self, terminal: SimulatedMetaTrader5, args: Any, kwargs: Any, text: str
    ) -> None:
        for call in (terminal.history_deals_get, terminal.history_orders_get):
            assert call(*args, **kwargs) is None
            assert terminal.last_error() == (-2, text)

    def test_it_lists_symbols(self, terminal: SimulatedMetaTrader5, link: RecordingLink) -> None:
        link.answers["symbols"] = [blank(SymbolInfo, name="EURUSD")]
        assert terminal.symbols_total() == 1
        for listed in (terminal.symbols_get("*USD"), terminal.symbols_get(group="*USD")):
            assert listed is not None
            assert listed[0].name == "EURUSD"
            assert link.last() == ("symbols", 1001, "*USD")
        assert terminal.symbols_get("*", "*") is None
        assert terminal.last_error() == (-2, "Invalid number of arguments")
        assert terminal.symbols_get(5) is None
        assert terminal.last_error() == (-2, "Invalid 1st unnamed argument")

    def test_it_selects_symbols(self, terminal: SimulatedMetaTrader5, link: RecordingLink) -> None:
        assert terminal.symbol_select("EURUSD") is True
        assert link.last() == ("symbol_select", 1001, "EURUSD", True)
        assert terminal.symbol_select("EURUSD", False) is True
        assert link.last() == ("symbol_select", 1001, "EURUSD", False)
        link.answers["symbol_select"] = False
        assert terminal.symbol_select("NONE", True) is False
        assert terminal.last_error() == CALL_FAILED

    def test_it_says_what_the_terminal_is(self, terminal: SimulatedMetaTrader5) -> None:
        info = terminal.terminal_info()
        assert info is not None
        assert info.connected is True
        assert info.path == "C:/one"
        assert info.commondata_path
        assert terminal.initialize(path="terminal64.exe", login=1001, password="first",
                                   server=SERVER)  # fmt: skip
        found = terminal.terminal_info()
        assert found is not None
        assert found.path == found.data_path == "C:\\Program Files\\MetaTrader 5"
        assert terminal.version() == (500, 5000, "01 Nov 2026")

    @pytest.mark.parametrize(
        "call",
        [
            lambda m: m.symbol_info(),
            lambda m: m.symbol_info("EURUSD", 1),
            lambda m: m.symbol_info_tick(5),
            lambda m: m.symbol_select("EURUSD", "yes"),
            lambda m: m.copy_rates_from("EURUSD", "M1", 0, 1),
            lambda m: m.copy_rates_from("EURUSD", 1, date(2026, 1, 1), 1),
            lambda m: m.copy_rates_from_pos("EURUSD", 1, 0.0, 1),
            lambda m: m.copy_rates_range("EURUSD", 1, 0, float("nan")),
            lambda m: m.copy_ticks_from("EURUSD", 0, 1),
            lambda m: m.copy_ticks_range("EURUSD", 0, 1, None),
            lambda m: m.order_calc_margin(0, "EURUSD", "0.1", 1.1),
            lambda m: m.order_calc_profit(0, "EURUSD", 0.1, 1.1),
            lambda m: m.order_calc_margin(0, "EURUSD", 10**400, 1.1),
            lambda m: m.copy_rates_range("EURUSD", 1, 0, float("inf")),
            lambda m: m.copy_rates_from_pos("EURUSD", 1, 0, 2**31),
            lambda m: m.history_deals_total(0),
            lambda m: m.history_orders_total(0, "now"),
            lambda m: m.market_book_add(1),
        ],
    )
    def test_it_refuses_wrong_positional_arguments(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink, call: Any
    ) -> None:
        assert call(terminal) in (None, False)
        assert terminal.last_error() == (-2, "Invalid arguments")
        assert link.calls == []


class TestPrices:
    def test_it_asks_for_bars_in_three_ways(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        link.answers["rates"] = np.zeros(2, RATES_DTYPE)
        at = datetime(2026, 11, 2, 12, tzinfo=UTC)
        seconds = int(at.timestamp())

        terminal.copy_rates_from("EURUSD", mt5.TIMEFRAME_H1, at, 2)
        assert link.last() == ("rates", 1001, "EURUSD", 16385, seconds, None, None, 2)
        terminal.copy_rates_from_pos("EURUSD", mt5.TIMEFRAME_M1, 0, 2)
        assert link.last() == ("rates", 1001, "EURUSD", 1, None, None, 0, 2)
        terminal.copy_rates_range("EURUSD", mt5.TIMEFRAME_M1, at, seconds + 60.5)
        assert link.last() == ("rates", 1001, "EURUSD", 1, seconds, seconds + 60, None, None)

    def test_it_asks_for_ticks_in_two_ways(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        link.answers["ticks"] = np.zeros(2, TICKS_DTYPE)
        terminal.copy_ticks_from("EURUSD", 100, 2, mt5.COPY_TICKS_ALL)
        assert link.last() == ("ticks", 1001, "EURUSD", 100, None, 2, -1)
        ticks = terminal.copy_ticks_range("EURUSD", 100, 200, mt5.COPY_TICKS_INFO)
        assert link.last() == ("ticks", 1001, "EURUSD", 100, 200, None, 1)
        assert ticks is not None
        assert ticks.dtype == TICKS_DTYPE

    def test_it_hands_out_bars_that_the_caller_may_write(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        stored = np.zeros(1, RATES_DTYPE)
        stored.flags.writeable = False
        link.answers["rates"] = stored
        bars = terminal.copy_rates_from_pos("EURUSD", mt5.TIMEFRAME_M1, 0, 1)
        assert bars is not None
        bars["close"] = 1.1
        assert stored["close"][0] == 0.0

    @pytest.mark.parametrize(
        "call",
        [
            lambda m: m.copy_rates_from_pos("EURUSD", 7, 0, 1),
            lambda m: m.copy_rates_from_pos("EURUSD", 1, -1, 1),
            lambda m: m.copy_rates_from_pos("EURUSD", 1, 0, 0),
            lambda m: m.copy_rates_from("EURUSD", 1, 0, -1),
            lambda m: m.copy_ticks_from("EURUSD", 0, 0, -1),
        ],
    )
    def test_it_refuses_periods_and_counts_that_do_not_exist(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink, call: Any
    ) -> None:
        assert call(terminal) is None
        assert terminal.last_error() == (-2, "Terminal: Invalid params")
        assert link.calls == []

    def test_it_shows_a_book_while_subscribed(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        link.answers["market_book"] = [
            (mt5.BOOK_TYPE_SELL, 1.08774, 2, 2.0),
            (mt5.BOOK_TYPE_BUY, 1.08770, 0, 0.5),
        ]
        assert terminal.market_book_get("EURUSD") is None
        assert terminal.last_error() == CALL_FAILED
        assert terminal.market_book_add("EURUSD") is True
        levels = terminal.market_book_get("EURUSD")
        assert levels is not None
        assert levels == ((1, 1.08774, 2, 2.0), (2, 1.08770, 0, 0.5))
        assert list(map(type, levels)) == [BookInfo, BookInfo]
        link.answers["market_book"] = []
        assert terminal.market_book_get("EURUSD") == ()
        assert terminal.last_error() == SUCCESS
        assert terminal.market_book_release("EURUSD") is True
        assert terminal.market_book_get("EURUSD") is None
        assert terminal.market_book_release("EURUSD") is False

    def test_it_forgets_book_subscriptions_with_the_session(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        link.answers["market_book"] = []
        terminal.market_book_add("EURUSD")
        terminal.shutdown()
        assert terminal.initialize() is True
        assert terminal.market_book_get("EURUSD") is None


def test_history_orders_are_orders(terminal: SimulatedMetaTrader5, link: RecordingLink) -> None:
    link.answers["history_orders"] = [blank(TradeOrder, ticket=9)]
    orders = terminal.history_orders_get(0, 1)
    assert orders is not None
    assert type(orders[0]) is TradeOrder
    assert orders[0].ticket == 9
