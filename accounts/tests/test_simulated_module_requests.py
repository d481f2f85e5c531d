"""Requests, calculations and the Buy, Sell, Close helpers of the simulated module."""

from string import ascii_letters
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.terminals.link import LinkError
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.surface.arguments import ArgumentError, trade_request
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.terminals.simulated.surface.tuples import TradeRequest
from accounts.tests.recording_link import (
    CALL_FAILED,
    DEAL,
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


class TestRequests:
    def test_it_sends_a_dict_or_keywords_as_the_same_request(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        first = terminal.order_send(DEAL)
        by_dict = link.last()
        second = terminal.order_send(**DEAL)
        assert link.last() == by_dict
        assert first == second
        assert first is not None
        assert isinstance(first.request, TradeRequest)
        assert (first.retcode, first.request.symbol, first.request.sl) == (10009, "EURUSD", 0.0)

    def test_what_is_missing_from_a_request_is_zero(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        terminal.order_send(action=mt5.TRADE_ACTION_SLTP, position=7, sl=1.05)
        method, login, request = link.last()
        assert (method, login) == ("order_send", 1001)
        assert tuple(request) == TradeRequest.__match_args__
        given = {name: value for name, value in request.items() if value}
        assert given == {"action": 6, "position": 7, "sl": 1.05}
        assert request["comment"] == ""
        assert isinstance(request["tp"], float)

    def test_it_checks_a_request(self, terminal: SimulatedMetaTrader5, link: RecordingLink) -> None:
        request = blank(TradeRequest, symbol="EURUSD")
        link.answers["order_check"] = (0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, "Done", request)
        result = terminal.order_check(DEAL)
        assert result is not None
        assert (result.retcode, result.comment) == (0, "Done")
        assert result.request.symbol == "EURUSD"
        assert link.last()[0] == "order_check"

    @pytest.mark.parametrize("name", ["volume", "price", "stoplimit", "sl", "tp"])
    @pytest.mark.parametrize("value", [1, "1.0", None, np.float32(1), True])
    def test_it_wants_floats_for_prices_and_volumes(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink, name: str, value: Any
    ) -> None:
        assert terminal.order_send(DEAL | {name: value}) is None
        assert terminal.last_error() == (-2, f'Invalid "{name}" argument')
        assert link.calls == []

    @pytest.mark.parametrize(
        "name",
        [
            "action",
            "magic",
            "order",
            "deviation",
            "type",
            "type_filling",
            "type_time",
            "expiration",
            "position",
            "position_by",
        ],
    )
    @pytest.mark.parametrize("value", [1.0, "1", None, np.int64(1), 1 << 64])
    def test_it_wants_ints_for_the_others(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink, name: str, value: Any
    ) -> None:
        assert terminal.order_send(**DEAL | {name: value}) is None
        assert terminal.last_error() == (-2, f'Invalid "{name}" argument')
        assert link.calls == []

    def test_it_takes_a_numpy_double_as_the_float_that_it_is(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        assert terminal.order_send(DEAL | {"volume": np.float64(0.3)}) is not None
        assert type(link.last()[2]["volume"]) is float

    @pytest.mark.parametrize("name", ["symbol", "comment"])
    def test_it_takes_29_characters_and_no_more(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink, name: str
    ) -> None:
        assert terminal.order_send(DEAL | {name: "x" * 28}) is not None
        assert terminal.order_send(DEAL | {name: "x" * 29}) is not None
        link.calls.clear()
        assert terminal.order_send(DEAL | {name: "x" * 30}) is None
        assert terminal.last_error() == (-2, f'Invalid "{name}" argument')
        assert link.calls == []

    @pytest.mark.parametrize(
        ("args", "kwargs", "text"),
        [
            ((), {}, "Invalid arguments"),
            ((DEAL, DEAL), {}, "Invalid number of arguments"),
            (([("action", 1)],), {}, "Invalid 1st unnamed argument"),
            ((DEAL,), {"comment": "x"}, "Unnamed arguments not allowed"),
        ],
    )
    def test_it_refuses_other_ways_to_pass_a_request(
        self,
        terminal: SimulatedMetaTrader5,
        link: RecordingLink,
        args: Any,
        kwargs: Any,
        text: str,
    ) -> None:
        for call in (terminal.order_send, terminal.order_check):
            assert call(*args, **kwargs) is None
            assert terminal.last_error() == (-2, text)
        assert link.calls == []

    def test_algorithmic_trading_off_answers_none(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        text = "Auto-Trading using Python API disabled in Terminal"
        link.answers["order_send"] = LinkError(-8, text)
        assert terminal.order_send(DEAL) is None
        assert terminal.last_error() == (-8, text)

    def test_it_calculates_margin_and_profit(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        link.answers |= {"order_calc_margin": 108.77, "order_calc_profit": -3}
        assert terminal.order_calc_margin(0, "EURUSD", 0.1, 1.08774) == 108.77
        assert link.last() == ("order_calc_margin", 1001, 0, "EURUSD", 0.1, 1.08774)
        assert terminal.order_calc_profit(0, "EURUSD", 1, 1.1, 1.0) == -3.0
        assert link.last() == ("order_calc_profit", 1001, 0, "EURUSD", 1.0, 1.1, 1.0)
        link.answers["order_calc_margin"] = None
        assert terminal.order_calc_margin(0, "NONE", 0.1, 1.1) is None
        assert terminal.last_error() == CALL_FAILED

    @given(
        st.dictionaries(
            st.sampled_from(sorted(DEAL)),
            st.none() | st.text(ascii_letters) | st.integers() | st.floats(allow_nan=False),
        )
    )
    def test_a_request_is_refused_by_name_or_taken_whole(self, changes: dict[str, Any]) -> None:
        request = DEAL | changes
        refusal = None
        try:
            taken = trade_request((request,), {})
        except ArgumentError as error:
            refusal = error.text
        else:
            assert tuple(taken) == TradeRequest.__match_args__
            assert {name: taken[name] for name in request} == request
        assert refusal in {None, *(f'Invalid "{name}" argument' for name in changes)}


class TestHelpers:
    def test_it_buys_at_the_ask_and_sells_at_the_bid(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        assert terminal.Buy("EURUSD", 0.1, comment="tag") is not None
        sent = link.last()[2]
        assert (sent["type"], sent["price"], sent["deviation"]) == (0, 1.08774, 10)
        assert (sent["comment"], sent["position"]) == ("tag", 0)
        assert terminal.Sell("EURUSD", 0.1, ticket=7) is not None
        sent = link.last()[2]
        assert (sent["type"], sent["price"], sent["position"]) == (1, 1.08770, 7)

    def test_it_tries_a_given_price_once(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        link.retcodes = [mt5.TRADE_RETCODE_REQUOTE]
        result = terminal.Buy("EURUSD", 0.1, 1.5)
        assert result is not None
        assert result.retcode == mt5.TRADE_RETCODE_REQUOTE
        assert [call[0] for call in link.calls] == ["order_send"]
        assert link.last()[2]["price"] == 1.5

    @pytest.mark.parametrize(
        ("requotes", "retcode", "sent"), [(0, 10009, 1), (9, 10009, 10), (10, 10004, 10)]
    )
    def test_it_follows_the_price_for_ten_tries(
        self,
        terminal: SimulatedMetaTrader5,
        link: RecordingLink,
        requotes: int,
        retcode: int,
        sent: int,
    ) -> None:
        link.retcodes = [mt5.TRADE_RETCODE_REQUOTE] * requotes + [mt5.TRADE_RETCODE_DONE]
        result = terminal.Sell("EURUSD", 0.1)
        assert result is not None
        assert result.retcode == retcode
        assert [call[0] for call in link.calls].count("order_send") == sent

    @pytest.mark.parametrize(
        ("retcodes", "answer"),
        [([10009, 10009], True), ([10009, 10006], "Partially"), ([10006, 10006], False)],
    )
    def test_it_closes_the_positions_of_a_symbol(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink, retcodes: Any, answer: Any
    ) -> None:
        link.answers["positions"] = [position(1), position(2, mt5.POSITION_TYPE_SELL)]
        link.retcodes = retcodes
        assert terminal.Close("EURUSD") == answer
        sent = [call[2] for call in link.calls if call[0] == "order_send"]
        assert [(request["position"], request["type"]) for request in sent] == [(1, 1), (2, 0)]

    def test_it_closes_one_ticket_or_nothing(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        link.answers["positions"] = []
        assert terminal.Close("EURUSD", ticket=5) is False
        assert link.calls == [("positions", 1001, None, None, 5)]
        link.answers["positions"] = None
        assert terminal.Close("EURUSD") is None
