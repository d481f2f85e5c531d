"""The line between a MetaTrader5-shaped module and the trade server behind it.

`TradeServer` (same process) and `RemoteBroker` (a client of the broker process) satisfy it.
Only plain values cross: None, bool, int, float, str, bytes, tuple, list, dict, numpy arrays.
Rows are tuples in MetaTrader 5's field order; times are the broker's wall clock as UTC epoch.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

CODE_CALL_FAILED = -1
CODE_INVALID_PARAMS = -2
CODE_NOT_FOUND = -4
CODE_INVALID_VERSION = -5
CODE_AUTHORIZATION_FAILED = -6
CODE_ALGO_TRADING_OFF = -8
CODE_SEND_FAILED = -10001
CODE_RECEIVE_FAILED = -10002
CODE_NO_CONNECTION = -10004
CODE_TIMEOUT = -10005
_TEXTS = {
    CODE_CALL_FAILED: "Terminal: Call failed",
    CODE_INVALID_PARAMS: "Terminal: Invalid params",
    CODE_NOT_FOUND: "Terminal: Not found",
    CODE_INVALID_VERSION: (
        "Terminal: Incompatible versions, please install the latest version of Terminal and "
        "Python module"
    ),
    CODE_AUTHORIZATION_FAILED: "Terminal: Authorization failed",
    CODE_ALGO_TRADING_OFF: "Auto-Trading using Python API disabled in Terminal",
    CODE_SEND_FAILED: "IPC send failed",
    CODE_RECEIVE_FAILED: "IPC recv failed",
    CODE_NO_CONNECTION: "No IPC connection",
    CODE_TIMEOUT: "IPC timeout",
}


class LinkError(Exception):
    """A call that the terminal could not answer: MT5's last_error code and its description.

    A code of this module has a description of its own, which the terminal gives.
    """

    def __init__(self, code: int, text: str = "") -> None:
        self.code = code
        self.text = text or _TEXTS.get(code, "")
        super().__init__(code, self.text)


class LinkTimeout(LinkError):  # noqa: N818 (named for what happened, as in the contract)
    """No answer within the limit; what was asked may still be carried out."""

    def __init__(self, code: int = CODE_TIMEOUT, text: str = "") -> None:
        super().__init__(code, text)


class BrokerCrash(LinkError):  # noqa: N818 (named for what happened)
    """The broker died in the middle of a call: to its client the line breaks."""

    def __init__(self) -> None:
        super().__init__(CODE_RECEIVE_FAILED)


class BrokerLink(Protocol):
    def call(self, method: str, *arguments: Any) -> Any:
        """Ask the trade server; raise LinkError or LinkTimeout when there is no answer."""
        ...


@runtime_checkable
class TerminalHost(Protocol):
    """A link that many terminals share and that can tell them apart."""

    def terminal(self) -> BrokerLink:
        """Return the line of one more terminal, with sessions of its own."""
        ...


class TerminalLink:
    """The line of one terminal, known to the trade server by a name of its own."""

    def __init__(self, call_as: Callable[..., Any], name: str) -> None:
        self._call_as = call_as
        self._name = name

    def call(self, method: str, *arguments: Any) -> Any:
        return self._call_as(self._name, method, *arguments)


def own_terminal(link: BrokerLink) -> BrokerLink:
    """Return the line of a new terminal where a link can tell terminals apart, else the link."""
    return link.terminal() if isinstance(link, TerminalHost) else link
