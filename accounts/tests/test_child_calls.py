"""Single calls and orders through a child, against the broker's own answers."""

from typing import Any

import numpy as np
import pytest

from accounts.market_history import deals_between, minute_bars, symbol_row
from accounts.terminals.base import TerminalError
from accounts.terminals.child.calls import Calls, RequestRefused, failure_of_call
from accounts.terminals.child.frames import Failure, Request, pack, unpack
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind, FaultSpec
from accounts.terminals.simulated.package import connect
from accounts.tests.child_process import PATH
from accounts.tests.child_reader import CountedPackage
from accounts.tests.simulated_desk import PASSWORD, SERVER, Desk

BUY = {
    "action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 0.1, "magic": 77,
    "type": mt5.ORDER_TYPE_BUY, "type_filling": mt5.ORDER_FILLING_FOK,
}  # fmt: skip


class Terminal:
    """A child's calls as a `Source` makes them; what is answered goes over the wire and back."""

    def __init__(self, desk: Desk, login: int = 1001) -> None:
        self.package = CountedPackage(connect(desk.server))
        self.calls = Calls(self.package)
        self.shown = self.calls.log_in(PATH, True, login, PASSWORD, SERVER, 5_000)

    def call(self, method: str, *arguments: Any, send_by: float = 0.0) -> Any:
        return unpack(pack(self.calls.answer(Request(method, arguments, send_by))))

    def failure(self, method: str, *arguments: Any, send_by: float = 0.0) -> Failure:
        with pytest.raises((TerminalError, RequestRefused)) as raised:
            self.call(method, *arguments, send_by=send_by)
        return failure_of_call(method, raised.value)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.open_account(1001)
    desk.open_account(1002)
    ticket = desk.buy(1001, 0.3)
    desk.sell(1001, 0.1, position=ticket)
    desk.sell(1001, 0.2, "USDJPY", magic=2**64 - 1)
    desk.wait_for(1001, mt5.ORDER_TYPE_BUY_LIMIT, 0.2, 1.0)
    desk.remove(1001, desk.wait_for(1001, mt5.ORDER_TYPE_BUY_LIMIT, 0.2, 1.01))
    desk.buy(1002, 0.5)
    return desk


@pytest.fixture
def terminal(desk: Desk) -> Terminal:
    return Terminal(desk)


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype, value.tolist()
    return tuple(plain(each) for each in value) if isinstance(value, list | tuple) else value


EVER = (0, 4_000_000_000)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("account_info", ()),
        ("positions", (None, None, None)),
        ("positions", ("USDJPY", None, None)),
        ("positions", (None, "EUR*", None)),
        ("positions", (None, None, 50_000_001)),
        ("orders", (None, None, None)),
        ("orders", ("GBPUSD", None, None)),
        ("history_deals", (*EVER, None, None, None)),
        ("history_deals", (*EVER, "*JPY", None, None)),
        ("history_deals", (*EVER, None, 50_000_002, None)),
        ("history_deals", (*EVER, None, None, 50_000_001)),
        ("history_deals", (1_795_000_000.9, 1_795_000_000.9, None, None, None)),
        ("history_orders", (*EVER, None, None, None)),
        ("history_orders", (*EVER, None, 50_000_002, None)),
        ("symbol_info", ("EURGBP",)),
        ("symbol_tick", ("EURGBP",)),
        ("symbols", (None,)),
        ("symbols", ("*USD",)),
        ("symbol_select", ("EURGBP", True)),
        ("rates", ("EURUSD", 1, 1_794_990_000, 1_795_007_000.5, None, None)),
        ("rates", ("EURUSD", 5, None, None, 3, 10)),
        ("rates", ("EURUSD", 16385, 1_794_990_000, None, None, 4)),
        ("ticks", ("EURUSD", 1_795_000_000, None, 5, -1)),
        ("ticks", ("EURUSD", 1_795_000_000, 1_795_100_000, None, -1)),
        ("order_check", (BUY,)),
        ("order_calc_margin", (0, "EURUSD", 0.1, 1.1)),
        ("order_calc_profit", (0, "EURUSD", 0.1, 1.1, 1.2)),
    ],
)
def test_it_answers_as_the_broker_does(
    desk: Desk, terminal: Terminal, method: str, arguments: tuple[Any, ...]
) -> None:
    assert plain(terminal.call(method, 1001, *arguments)) == plain(
        desk.server.call(method, 1001, *arguments)
    )


def test_it_names_the_terminal(desk: Desk, terminal: Terminal) -> None:
    assert terminal.call("version") == desk.server.call("version")
    assert terminal.call("terminal_info", 1001)[19] == "C:\\Terminals\\Northwind-Demo-1001"
    assert terminal.shown == (1001, SERVER)


def test_it_serves_whoever_asks_for_past_deals_and_bars(desk: Desk, terminal: Terminal) -> None:
    deals, bars = (1001, 0.0, 4e9, {"EURUSD": 4}), (1001, "EURUSD", desk.server.server_time(), 1)

    assert plain(deals_between(terminal, *deals)) == plain(deals_between(desk.server, *deals))
    assert plain(minute_bars(terminal, *bars)) == plain(minute_bars(desk.server, *bars))
    assert symbol_row(terminal, 1001, "EURUSD") == symbol_row(desk.server, 1001, "EURUSD")


def test_it_sends_an_order(desk: Desk, terminal: Terminal) -> None:
    result = terminal.call("order_send", 1001, BUY)

    assert result[0] == mt5.TRADE_RETCODE_DONE
    assert desk.positions(1001)[-1]["ticket"] == result[2]
    assert result[10][1] == 77  # the request's magic
    assert len(result[10]) == 17


@pytest.mark.parametrize("calls", [("account_info",), ("account_info", "order_send")])
def test_it_sends_no_order_through_another_accounts_terminal(
    desk: Desk, terminal: Terminal, calls: tuple[str, ...]
) -> None:
    wrong = FaultSpec(kind=FaultKind.WRONG_ACCOUNT, peer=1002, calls=calls)
    desk.server.script_faults(1001, [wrong])
    before = desk.server.fingerprint()

    failure = terminal.failure("order_send", 1001, BUY)

    assert (failure.code, failure.may_have_executed) == (-6, False)
    assert terminal.package.calls["order_send"] == 0
    assert desk.server.fingerprint() == before


def test_it_sends_no_order_when_the_terminal_does_not_say_who_it_is(
    desk: Desk, terminal: Terminal
) -> None:
    desk.server.script_faults(1001, [FaultSpec(kind=FaultKind.NONE, calls=("account_info",))])

    failure = terminal.failure("order_send", 1001, BUY)

    assert (failure.code, failure.may_have_executed) == (-1, False)
    assert terminal.package.calls["order_send"] == 0


@pytest.mark.time_machine("2026-11-18 12:00:00+00:00", tick=False)
@pytest.mark.parametrize(("late_seconds", "is_sent"), [(-0.001, True), (0.0, True), (0.001, False)])
def test_it_sends_no_order_after_its_time(
    terminal: Terminal, late_seconds: float, is_sent: bool
) -> None:
    send_by = 1_795_003_200.0 - late_seconds
    if is_sent:
        assert terminal.call("order_send", 1001, BUY, send_by=send_by)[0] == 10009
    else:
        failure = terminal.failure("order_send", 1001, BUY, send_by=send_by)
        assert (failure.code, failure.may_have_executed) == (-10005, False)
        assert terminal.package.calls["order_send"] == 0


@pytest.mark.parametrize(
    ("kind", "code", "is_executed"),
    [(FaultKind.TIMEOUT_BEFORE, -10005, False), (FaultKind.TIMEOUT_AFTER, -10005, True)],
)
def test_it_does_not_know_what_became_of_an_order_that_timed_out(
    desk: Desk, terminal: Terminal, kind: FaultKind, code: int, is_executed: bool
) -> None:
    desk.server.script_faults(1001, [FaultSpec(kind=kind, calls=("order_send",))])

    failure = terminal.failure("order_send", 1001, BUY)

    assert (failure.code, failure.may_have_executed) == (code, True)
    assert len(desk.positions(1001)) == 2 + is_executed


def test_it_knows_that_a_terminal_without_trading_sends_nothing(
    desk: Desk, terminal: Terminal
) -> None:
    desk.server.set_python_api(1001, False)

    failure = terminal.failure("order_send", 1001, BUY)

    assert (failure.code, failure.may_have_executed) == (-8, False)


def test_it_takes_no_answer_of_another_account(desk: Desk, terminal: Terminal) -> None:
    desk.server.set_fault(1001, FaultKind.WRONG_ACCOUNT, peer=1002)

    for method, arguments in (("history_deals", (*EVER, None, None, None)), ("account_info", ())):
        assert terminal.failure(method, 1001, *arguments).code == -6


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        ("positions", (1002, None, None, None), -6),
        ("order_send", (1002, BUY), -6),
        ("order_send", (), -2),
        ("order_send", (1001,), -2),
        ("order_send", (1001, "buy"), -2),
        ("rates", (1001, "EURUSD", 1, None, None, None, None), -2),
        ("shutdown", (1001,), -7),
        ("symbol_info", (1001, "NOSUCH"), -4),
        ("order_send", (1001, {**BUY, "volume": 1}), -2),
    ],
)
def test_it_says_why_a_call_came_to_nothing(
    terminal: Terminal, method: str, arguments: tuple[Any, ...], code: int
) -> None:
    failure = terminal.failure(method, *arguments)

    assert (failure.code, failure.may_have_executed) == (code, False)
    assert failure.text


def test_it_answers_nothing_before_a_login(desk: Desk) -> None:
    terminal = Terminal(desk)
    with pytest.raises(TerminalError) as refused:
        terminal.calls.log_in(PATH, True, 1001, "wrong", SERVER, 5_000)
    assert refused.value.is_refused_login

    failure = terminal.failure("order_send", 1001, BUY)

    assert (failure.code, failure.may_have_executed) == (-10004, False)
    assert desk.positions(1001)[-1]["magic"] == 2**64 - 1


def test_it_keeps_a_password_to_itself(desk: Desk) -> None:
    terminal = Terminal(desk)
    terminal.package.replace(
        initialize=lambda *arguments, **keywords: False,
        last_error=lambda: (-2, f'Invalid "password" argument {PASSWORD}'),
    )

    with pytest.raises(TerminalError) as refused:
        terminal.calls.log_in(PATH, True, 1001, PASSWORD, SERVER, 5_000)

    assert PASSWORD not in repr(refused.value)
    assert PASSWORD not in repr(vars(terminal.calls))


def test_it_puts_a_symbol_into_the_market_watch_once(desk: Desk, terminal: Terminal) -> None:
    for _ in range(3):
        terminal.call("symbol_tick", 1001, "EURGBP")

    assert terminal.package.calls["symbol_select"] == 1


def test_it_tells_that_an_order_may_have_left_when_the_package_raises() -> None:
    error = RuntimeError(f"secret {PASSWORD}")

    failure = failure_of_call("order_send", error)

    assert failure == Failure(-1, "The call failed with RuntimeError.", may_have_executed=True)
    assert not failure_of_call("rates", error).may_have_executed
