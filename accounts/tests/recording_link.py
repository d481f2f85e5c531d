"""A link of prepared answers that records what the module asks of the terminal."""

from typing import Any

from accounts.terminals.link import LinkError
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.surface.module import SimulatedMetaTrader5
from accounts.terminals.simulated.surface.tuples import (
    AccountInfo,
    SymbolInfo,
    TerminalInfo,
    TradePosition,
    TradeRequest,
)

PASSWORDS = {1001: "first", 1002: "second"}
SERVER = "Sim-Demo"
TICK = (1_762_000_000, 1.08770, 1.08774, 0.0, 0, 1_762_000_000_500, 6, 0.0)
DEAL = {
    "action": mt5.TRADE_ACTION_DEAL,
    "symbol": "EURUSD",
    "volume": 0.1,
    "type": mt5.ORDER_TYPE_BUY,
    "price": 1.08774,
}

SUCCESS = (1, "Success")
CALL_FAILED = (-1, "Terminal: Call failed")
AUTHORIZATION_FAILED = (-6, "Terminal: Authorization failed")
NO_CONNECTION = (-10004, "No IPC connection")


def blank(kind: type[Any], **fields: Any) -> tuple[Any, ...]:
    """Build a plain row of a result tuple, as it crosses the link."""
    return tuple(fields.get(name, 0) for name in kind.__match_args__)


def position(ticket: int, kind: int = mt5.POSITION_TYPE_BUY) -> tuple[Any, ...]:
    return blank(TradePosition, ticket=ticket, type=kind, volume=0.1, symbol="EURUSD")


class RecordingLink:
    """Answer each method with what is prepared for it, a value or an exception to raise."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.answers: dict[str, Any] = {
            "terminal_info": blank(TerminalInfo, connected=True, name="Simulated"),
            "symbol_info": blank(SymbolInfo, name="EURUSD"),
            "symbol_tick": TICK,
            "symbol_select": True,
            "version": (500, 5000, "01 Nov 2026"),
        }
        self.retcodes = [mt5.TRADE_RETCODE_DONE]

    def call(self, method: str, *arguments: Any) -> Any:
        self.calls.append((method, *arguments))
        answer = self.answers.get(method)
        if isinstance(answer, Exception):
            raise answer
        if method == "authorise":
            login, password, server = arguments
            if PASSWORDS.get(login) != password or server != SERVER:
                raise LinkError(-6, "Terminal: Authorization failed")
            return None
        if method == "account_info" and answer is None:
            return blank(AccountInfo, login=arguments[0], balance=1000.0, server=SERVER)
        if method == "order_send" and answer is None:
            retcode = self.retcodes.pop(0) if len(self.retcodes) > 1 else self.retcodes[0]
            request = tuple(arguments[1][name] for name in TradeRequest.__match_args__)
            return (retcode, 1, 2, 0.1, 1.1, 1.0, 1.1, "", 3, 0, request)
        return answer

    def last(self) -> tuple[Any, ...]:
        return self.calls[-1]


def connected(link: RecordingLink) -> SimulatedMetaTrader5:
    """Give a module that is logged in to account 1001, its calls so far forgotten."""
    module = SimulatedMetaTrader5(link)
    assert module.initialize("C:/one/terminal64.exe", login=1001, password="first", server=SERVER)
    link.calls.clear()
    return module
