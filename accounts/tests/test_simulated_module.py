"""Connecting, logging in and last_error of the simulated module."""

from typing import Any

import pytest

from accounts.terminals.link import LinkError, LinkTimeout
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.tests.recording_link import (
    AUTHORIZATION_FAILED,
    CALL_FAILED,
    DEAL,
    NO_CONNECTION,
    SERVER,
    SUCCESS,
    RecordingLink,
    connected,
)


@pytest.fixture
def link() -> RecordingLink:
    return RecordingLink()


@pytest.fixture
def terminal(link: RecordingLink) -> SimulatedMetaTrader5:
    return connected(link)


class TestSession:
    def test_it_has_no_error_before_the_first_call(self, link: RecordingLink) -> None:
        assert SimulatedMetaTrader5(link).last_error() == SUCCESS

    @pytest.mark.parametrize(
        "name",
        [
            "version",
            "terminal_info",
            "account_info",
            "symbols_total",
            "symbols_get",
            "positions_total",
            "positions_get",
            "orders_total",
            "orders_get",
        ],
    )
    def test_it_answers_none_without_a_session(self, link: RecordingLink, name: str) -> None:
        module = SimulatedMetaTrader5(link)

        assert getattr(module, name)() is None
        assert module.last_error() == NO_CONNECTION
        assert link.calls == []

    def test_it_answers_none_without_a_session_to_calls_with_arguments(
        self, link: RecordingLink
    ) -> None:
        module = SimulatedMetaTrader5(link)
        for call in (
            lambda: module.order_send(DEAL),
            lambda: module.history_deals_get(0, 1),
            lambda: module.copy_rates_from_pos("EURUSD", 12345, -1, 0),
            lambda: module.market_book_get("EURUSD"),
            lambda: module.Close("EURUSD"),
            lambda: module.Buy("EURUSD", 0.1),
        ):
            assert call() is None
            assert module.last_error() == NO_CONNECTION
        assert module.login(1001, "first", SERVER) is False
        assert module.symbol_select("EURUSD") is False
        assert link.calls == []

    def test_it_logs_in_and_out(self, link: RecordingLink) -> None:
        module = SimulatedMetaTrader5(link)

        assert module.initialize(path="x", login=1001, password="first", server=SERVER) is True
        assert link.last() == ("authorise", 1001, "first", SERVER)
        account = module.account_info()
        assert account is not None
        assert (account.login, account.balance) == (1001, 1000.0)
        assert module.shutdown() is True
        assert module.last_error() == SUCCESS
        assert module.account_info() is None
        assert module.last_error() == NO_CONNECTION

    def test_it_closes_the_earlier_session_before_it_opens_another(
        self, terminal: SimulatedMetaTrader5
    ) -> None:
        assert terminal.initialize("y", login=1002, password="wrong", server=SERVER) is False
        assert terminal.last_error() == AUTHORIZATION_FAILED
        assert terminal.account_info() is None
        assert terminal.last_error() == NO_CONNECTION

    def test_it_keeps_the_session_when_initialize_is_called_wrongly(
        self, terminal: SimulatedMetaTrader5
    ) -> None:
        assert terminal.initialize("y", login="1002", password="second", server=SERVER) is False
        account = terminal.account_info()
        assert account is not None
        assert account.login == 1001

    def test_it_switches_accounts_and_remembers_passwords(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        assert terminal.login(1002, "second") is True
        assert link.last() == ("authorise", 1002, "second", SERVER)
        assert terminal.login(1001) is True
        assert link.last() == ("authorise", 1001, "first", SERVER)
        terminal.shutdown()
        assert terminal.initialize() is True
        assert link.last() == ("authorise", 1001, "first", SERVER)

    def test_it_never_takes_one_terminals_account_for_anothers(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        assert terminal.initialize("C:/two/terminal64.exe") is False
        assert terminal.last_error() == AUTHORIZATION_FAILED
        assert link.calls == []
        assert terminal.initialize("C:/two/terminal64.exe", login=1001, server=SERVER) is False
        assert link.last() == ("authorise", 1001, "", SERVER)
        assert terminal.initialize("c:/ONE/terminal64.exe") is True
        assert link.last() == ("authorise", 1001, "first", SERVER)

    def test_it_shows_no_account_after_a_refused_login(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        assert terminal.login(1002, password="wrong", server=SERVER) is False
        link.calls.clear()

        assert terminal.account_info() is None
        assert terminal.last_error() == AUTHORIZATION_FAILED
        assert terminal.order_send(DEAL) is None
        assert link.calls == []

    def test_it_refuses_a_terminal_that_never_had_an_account(self, link: RecordingLink) -> None:
        module = SimulatedMetaTrader5(link)
        assert module.initialize("x") is False
        assert module.last_error() == AUTHORIZATION_FAILED

    @pytest.mark.parametrize(
        ("args", "kwargs", "text"),
        [
            (("x", 1001), {}, "Invalid number of arguments"),
            ((5,), {}, "Invalid 1st unnamed argument"),
            (("x" * 259,), {}, "Invalid 1st unnamed argument"),
            ((), {"path": 5}, 'Invalid "path" argument'),
            ((), {"login": "1001"}, 'Invalid "login" argument'),
            ((), {"login": 1001.0}, 'Invalid "login" argument'),
            ((), {"login": -1}, 'Invalid "login" argument'),
            ((), {"login": 1 << 64}, 'Invalid "login" argument'),
            ((), {"password": None}, 'Invalid "password" argument'),
            ((), {"password": "x" * 254}, 'Invalid "password" argument'),
            ((), {"server": "x" * 254}, 'Invalid "server" argument'),
            ((), {"timeout": 0.5}, 'Invalid "timeout" argument'),
            ((), {"portable": "no"}, 'Invalid "portable" argument'),
        ],
    )
    def test_it_refuses_wrong_arguments_of_initialize(
        self, link: RecordingLink, args: Any, kwargs: Any, text: str
    ) -> None:
        module = SimulatedMetaTrader5(link)
        assert module.initialize(*args, **kwargs) is False
        assert module.last_error() == (-2, text)
        assert link.calls == []

    @pytest.mark.parametrize(
        ("args", "kwargs", "text"),
        [
            ((), {}, "Invalid arguments"),
            ((1001, "first", SERVER, 60_000), {}, "Invalid number of arguments"),
            (("1001",), {}, "Invalid 1st unnamed argument"),
            ((1001, 5), {}, "Invalid 2nd unnamed argument"),
            ((1001, "first", 5), {}, "Invalid 3rd unnamed argument"),
            ((1001,), {"server": 5}, 'Invalid "server" argument'),
        ],
    )
    def test_it_refuses_wrong_arguments_of_login(
        self, terminal: SimulatedMetaTrader5, args: Any, kwargs: Any, text: str
    ) -> None:
        assert terminal.login(*args, **kwargs) is False
        assert terminal.last_error() == (-2, text)

    def test_it_takes_the_longest_credentials(self, link: RecordingLink) -> None:
        module = SimulatedMetaTrader5(link)
        module.initialize("x" * 258, login=1, password="x" * 253, server="y" * 253)
        assert module.last_error() == AUTHORIZATION_FAILED


class TestLastError:
    def test_each_call_starts_from_success(self, terminal: SimulatedMetaTrader5) -> None:
        assert terminal.positions_get(5) is None
        assert terminal.last_error()[0] == -2
        assert terminal.last_error()[0] == -2
        assert terminal.account_info() is not None
        assert terminal.last_error() == SUCCESS

    def test_none_is_a_failure_and_empty_is_not(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        link.answers["positions"] = None
        assert terminal.positions_get() is None
        assert terminal.last_error() == CALL_FAILED
        link.answers["positions"] = []
        assert terminal.positions_get() == ()
        assert terminal.last_error() == SUCCESS

    @pytest.mark.parametrize("error", [LinkTimeout(), LinkError(-10002, "IPC recv failed")])
    def test_a_broken_line_shows_as_the_code_of_the_terminal(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink, error: LinkError
    ) -> None:
        for method in ("account_info", "order_send", "symbol_select"):
            link.answers[method] = error
        assert terminal.account_info() is None
        assert terminal.last_error() == (error.code, error.text)
        assert terminal.order_send(DEAL) is None
        assert terminal.last_error() == (error.code, error.text)
        assert terminal.symbol_select("EURUSD", True) is False
        assert terminal.last_error() == (error.code, error.text)

    def test_a_hang_while_connecting_leaves_no_session(self, link: RecordingLink) -> None:
        link.answers["authorise"] = LinkTimeout()
        module = SimulatedMetaTrader5(link)
        assert module.initialize("x", login=1001, password="first", server=SERVER) is False
        assert module.last_error() == (-10005, "IPC timeout")
        assert module.terminal_info() is None
        assert module.last_error() == NO_CONNECTION

    def test_an_unknown_symbol_is_not_found(
        self, terminal: SimulatedMetaTrader5, link: RecordingLink
    ) -> None:
        link.answers |= {"symbol_info": None, "symbol_tick": None}
        for call in (terminal.symbol_info, terminal.symbol_info_tick, terminal.market_book_get):
            assert call("NONE") is None
            assert terminal.last_error() == (-4, "Terminal: Not found")
        assert terminal.market_book_add("NONE") is False
        assert terminal.last_error() == (-4, "Terminal: Not found")
