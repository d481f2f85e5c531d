"""The line between a MetaTrader5-shaped module and the trade server behind it.

`TradeServer` (same process) and `RemoteBroker` (a client of the broker process) satisfy it.
Only plain values cross: None, bool, int, float, str, bytes, tuple, list, dict, numpy arrays.
Rows are tuples in MetaTrader 5's field order; times are the broker's wall clock as UTC epoch.
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from accounts.terminals.link import LinkError

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
