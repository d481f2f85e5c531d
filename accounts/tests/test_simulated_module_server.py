"""The simulated module in front of the trade server itself."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.faults.specs import FaultKind
from accounts.terminals.simulated.link import BrokerLink
from accounts.terminals.simulated.prices.timeframes import RATES_DTYPE, TICKS_DTYPE
from accounts.terminals.simulated.server import TradeServer
from accounts.terminals.simulated.service.client import RemoteBroker
from accounts.terminals.simulated.service.process import ADDRESS_FILE, BrokerService
from accounts.terminals.simulated.surface import tuples
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.terminals.simulated.surface.structure import StructSequence

NOON = 1_793_620_800.0  # 2026-11-02 12:00 UTC, a Monday
SERVER = "Sim-Demo"


@pytest.fixture
def server() -> Iterator[TradeServer]:
    broker = TradeServer(clock=lambda: NOON, feed=False)
    for login in (1001, 1002):
        assert broker.create_account(login, "secret", SERVER, f"Account {login}", deposit=10_000.0)
    broker.set_prices("EURUSD", 1.08770, 1.08774)
    yield broker
    broker.close()


@pytest.fixture(params=["in this process", "over a socket"])
def terminal(
    request: pytest.FixtureRequest, server: TradeServer, tmp_path: Path
) -> Iterator[SimulatedMetaTrader5]:
    with ExitStack() as stack:
        link: BrokerLink = server
        if request.param == "over a socket":
            service = BrokerService(server, tmp_path)
            service.start()
            stack.callback(service.stop)
            link = remote = RemoteBroker(tmp_path / ADDRESS_FILE)
            stack.callback(remote.close)
        module = SimulatedMetaTrader5(link)
        assert module.initialize(
            "C:/a/terminal64.exe", login=1001, password="secret", server=SERVER
        )
        yield module


def assert_types(row: StructSequence | None) -> None:
    """Hold every value to the type that the package gives: an int is no float, a bool no int."""
    assert row is not None
    hints = get_type_hints(type(row), vars(tuples))
    found = {name: type(value) for name, value in row._asdict().items()}
    assert found == {name: hints[name] for name in found}


def test_its_rows_have_the_types_of_the_package(terminal: SimulatedMetaTrader5) -> None:
    bought = terminal.Buy("EURUSD", 0.1, comment="tag")
    checked = terminal.order_check(
        action=mt5.TRADE_ACTION_DEAL, symbol="EURUSD", volume=0.1, type=0, price=1.08774
    )
    deals, orders = (
        terminal.history_deals_get(0, 2**31 - 1),
        terminal.history_orders_get(0, 2**31 - 1),
    )
    positions, symbols = terminal.positions_get(), terminal.symbols_get()
    assert positions
    assert deals
    assert orders
    assert symbols
    rows: list[StructSequence | None] = [terminal.terminal_info(), terminal.account_info()]
    rows += [bought, checked, terminal.symbol_info_tick("EURUSD")]
    rows += [*positions, *deals, *orders, *symbols]
    for row in rows:
        assert_types(row)
    version = terminal.version()
    assert version is not None
    assert [type(part) for part in version] == [int, int, str]


def test_it_trades_and_keeps_books(terminal: SimulatedMetaTrader5) -> None:
    bought = terminal.Buy("EURUSD", 0.1, comment="tag")
    assert bought is not None
    assert bought.retcode == mt5.TRADE_RETCODE_DONE
    assert (bought.request.symbol, bought.request.comment) == ("EURUSD", "tag")
    positions = terminal.positions_get(symbol="EURUSD")
    assert positions is not None
    assert [(row.volume, row.price_open) for row in positions] == [(0.1, 1.08774)]
    assert terminal.positions_get(symbol="GBPUSD") == ()
    assert terminal.positions_total() == 1
    account = terminal.account_info()
    assert account is not None
    assert account.margin == pytest.approx(108.77, abs=0.005)
    assert terminal.Close("EURUSD") is True
    assert terminal.positions_get() == ()
    assert terminal.last_error() == (1, "Success")
    by_position = terminal.history_deals_get(position=positions[0].ticket)
    assert by_position is not None
    assert [deal.entry for deal in by_position] == [mt5.DEAL_ENTRY_IN, mt5.DEAL_ENTRY_OUT]
    by_order = terminal.history_deals_get(ticket=by_position[0].order)
    assert by_order == by_position[:1]


def test_it_calculates_the_margin_of_the_broker(terminal: SimulatedMetaTrader5) -> None:
    margin = terminal.order_calc_margin(mt5.ORDER_TYPE_BUY, "EURUSD", 0.1, 1.08774)
    assert margin == pytest.approx(108.77, abs=0.005)
    profit = terminal.order_calc_profit(mt5.ORDER_TYPE_BUY, "EURUSD", 1.0, 1.1, 1.1001)
    assert profit == pytest.approx(10.0)
    assert terminal.order_calc_margin(mt5.ORDER_TYPE_BUY, "NONE", 0.1, 1.0) is None


def test_it_copies_bars_and_ticks(terminal: SimulatedMetaTrader5, server: TradeServer) -> None:
    server.set_prices("EURUSD", 1.08780, 1.08784)
    bars = terminal.copy_rates_from_pos("EURUSD", mt5.TIMEFRAME_M1, 0, 1)
    assert bars is not None
    assert bars.dtype == RATES_DTYPE
    assert bars["close"].tolist() == [1.08780]
    opened_at = int(bars["time"][0])
    for same in (
        terminal.copy_rates_from("EURUSD", mt5.TIMEFRAME_M1, opened_at, 1),
        terminal.copy_rates_range("EURUSD", mt5.TIMEFRAME_M1, opened_at, opened_at),
    ):
        assert same is not None
        assert same.tolist() == bars.tolist()
    ticks = terminal.copy_ticks_from("EURUSD", opened_at, 10, mt5.COPY_TICKS_ALL)
    assert ticks is not None
    assert ticks.dtype == TICKS_DTYPE
    assert ticks["bid"].tolist() == [1.08770, 1.08780]


def test_it_refuses_what_the_broker_does_not_know(terminal: SimulatedMetaTrader5) -> None:
    assert terminal.symbol_info("NONE") is None
    assert terminal.last_error() == (-4, "Terminal: Not found")
    assert terminal.symbol_info_tick("NONE") is None
    assert terminal.symbol_select("NONE", True) is False
    assert terminal.copy_rates_from_pos("NONE", mt5.TIMEFRAME_M1, 0, 1) is None
    for login, password, server in (
        (1001, "wrong", SERVER),
        (1001, "secret", "Elsewhere"),
        (9999, "secret", SERVER),
    ):
        assert terminal.initialize("x", login=login, password=password, server=server) is False
        assert terminal.last_error() == (-6, "Terminal: Authorization failed")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.DISCONNECT_TERMINAL, (-10004, "No IPC connection")),
        (FaultKind.NONE, (-1, "Terminal: Call failed")),
        (FaultKind.HANG, (-10005, "IPC timeout")),
    ],
)
def test_a_silent_terminal_is_never_flat(
    terminal: SimulatedMetaTrader5, server: TradeServer, kind: FaultKind, error: Any
) -> None:
    server.set_fault(1001, kind, hang_seconds=0.0)
    for call in (terminal.positions_get, terminal.orders_get, terminal.account_info):
        assert call() is None
        assert terminal.last_error() == error
    assert terminal.history_deals_get(0, 1) is None
    assert terminal.Close("EURUSD") is None
    server.clear_fault(1001)
    assert terminal.positions_get() == ()


def test_another_accounts_answer_shows_its_login(
    terminal: SimulatedMetaTrader5, server: TradeServer
) -> None:
    server.set_fault(1001, FaultKind.WRONG_ACCOUNT, peer=1002)
    account = terminal.account_info()
    assert account is not None
    assert account.login == 1002


def test_a_terminal_cut_off_says_so_and_goes_on_answering(
    terminal: SimulatedMetaTrader5, server: TradeServer
) -> None:
    server.set_fault(1001, FaultKind.CUT_FROM_BROKER)
    info = terminal.terminal_info()
    assert info is not None
    assert info.connected is False
    assert terminal.positions_get() == ()
    sent = terminal.Buy("EURUSD", 0.1)
    assert sent is not None
    assert sent.retcode == mt5.TRADE_RETCODE_CONNECTION


def test_algorithmic_trading_off_sends_nothing(
    terminal: SimulatedMetaTrader5, server: TradeServer
) -> None:
    server.set_algo_trading(1001, False)
    refused = terminal.Buy("EURUSD", 0.1)
    assert refused is not None
    assert refused.retcode == mt5.TRADE_RETCODE_CLIENT_DISABLES_AT
    server.set_algo_trading(1001, True)
    server.set_python_api(1001, False)
    assert terminal.Buy("EURUSD", 0.1) is None
    assert terminal.last_error() == (-8, "Auto-Trading using Python API disabled in Terminal")
    info = terminal.terminal_info()
    assert info is not None
    assert (info.trade_allowed, info.tradeapi_disabled) == (True, True)
    server.set_python_api(1001, True)
    server.set_expert_trading(1001, False)
    refused = terminal.Buy("EURUSD", 0.1)
    assert refused is not None
    assert refused.retcode == mt5.TRADE_RETCODE_SERVER_DISABLES_AT
    assert terminal.positions_get() == ()


def test_a_ticket_that_nothing_has_finds_nothing(terminal: SimulatedMetaTrader5) -> None:
    terminal.Buy("EURUSD", 0.1)
    assert terminal.positions_get(ticket=1) == ()
    assert terminal.orders_get(ticket=1) == ()
    assert terminal.history_deals_get(ticket=1) == ()
    assert terminal.history_orders_get(ticket=1) == ()
    assert terminal.Close("EURUSD", ticket=1) is False
    assert terminal.positions_total() == 1
