"""The calls that a host makes through a child: single questions, and orders.

They have the names and arguments of the simulated broker's link, the login first, and answer the
same rows, so that whoever asks need not know which of the two it is.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from accounts.terminals.base import TerminalError
from accounts.terminals.child.deals import EVER
from accounts.terminals.child.frames import Failure, Request
from accounts.terminals.child.package import Package, ask, last_error
from accounts.terminals.child.reading import Identity
from accounts.terminals.codes import (
    AUTHORIZATION_FAILED,
    CALL_FAILED,
    INVALID_PARAMS,
    IPC_NO_CONNECTION,
    IPC_TIMEOUT,
    UNSUPPORTED,
)

ORDER_SEND: Final = "order_send"


class RequestRefused(Exception):  # noqa: N818 (named for what happened)
    """A request that never reached the terminal."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.failure = Failure(code, text, may_have_executed=False)


class Calls:
    """Makes the calls of one process for the account that its terminal is logged in to."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._selected: set[str] = set()
        self.identity: Identity | None = None
        self._methods: dict[str, Callable[..., Any]] = {
            "version": self._version,
            "terminal_info": self._terminal_info,
            "account_info": self._account_info,
            "positions": self._positions,
            "orders": self._orders,
            "history_deals": self._history_deals,
            "history_orders": self._history_orders,
            "symbol_info": self._symbol_info,
            "symbol_tick": self._symbol_tick,
            "symbols": self._symbols,
            "symbol_select": self._symbol_select,
            "rates": self._rates,
            "ticks": self._ticks,
            "order_check": self._order_check,
            ORDER_SEND: self._order_send,
            "order_calc_margin": self._order_calc_margin,
            "order_calc_profit": self._order_calc_profit,
        }

    def log_in(
        self,
        path: str,
        portable: bool,
        login: int,
        password: str,
        server: str,
        timeout_ms: int,
    ) -> tuple[int, str]:
        """Connect to the terminal at ``path`` and log in; return what account it shows then.

        (0, "") when it shows none yet. Raises TerminalError; the password goes to the package only.
        """
        self.identity = None
        self._selected.clear()
        is_in = self._package.initialize(
            path,
            login=login,
            password=password,
            server=server,
            timeout=timeout_ms,
            portable=portable,
        )
        if not is_in:
            error = last_error(self._package)
            self._package.shutdown()
            text = error.description
            raise TerminalError(error.code, text.replace(password, "…") if password else text)
        self.identity = Identity(login, server)
        account = self._package.account_info()
        return (0, "") if account is None else (account.login, account.server)

    def answer(self, request: Request) -> Any:
        """Make a call; return plain rows or an array. Raises TerminalError or RequestRefused.

        An answer is for the login's own account: it is compared right before an order, and after
        everything else.
        """
        method = self._methods.get(request.method)
        if method is None:
            raise RequestRefused(UNSUPPORTED, f"There is no call {request.method[:40]!r}.")
        if request.method == "version":
            return method()
        if not request.arguments:
            raise RequestRefused(INVALID_PARAMS, "A call needs a login.")
        login, *arguments = request.arguments
        identity = self._expected(login)
        if request.method != ORDER_SEND:
            answer = method(*arguments)
            self._compare(identity)
            return answer
        if request.send_by and time.time() > request.send_by:
            raise RequestRefused(IPC_TIMEOUT, "The order came too late to be sent.")
        return self._send_order(identity, *arguments)

    def _expected(self, login: Any) -> Identity:
        identity = self.identity
        if identity is None:
            raise RequestRefused(IPC_NO_CONNECTION, "The terminal is not logged in.")
        if login != identity.login:
            raise RequestRefused(AUTHORIZATION_FAILED, "Another login's terminal was asked.")
        return identity

    def _compare(self, identity: Identity) -> None:
        if not identity.is_of(ask(self._package, "account_info")):
            raise RequestRefused(AUTHORIZATION_FAILED, "The terminal shows another account.")

    def _send_order(self, identity: Identity, *arguments: Any) -> Any:
        if len(arguments) != 1 or not isinstance(arguments[0], Mapping):
            raise RequestRefused(INVALID_PARAMS, "An order needs one request.")
        request = arguments[0]
        self._select(request.get("symbol", ""))
        try:
            self._compare(identity)
        except TerminalError as error:
            raise RequestRefused(error.code, error.description) from error
        return self._order_send(request)

    def _select(self, symbol: str) -> None:
        """Put a symbol into the Market Watch, once: outside of it there are neither quotes nor
        trades. Whether that worked shows in the call that follows.
        """
        if symbol and symbol not in self._selected:
            self._package.symbol_select(symbol, True)
            self._selected.add(symbol)

    def _version(self) -> Any:
        return tuple(ask(self._package, "version"))

    def _terminal_info(self) -> Any:
        return tuple(ask(self._package, "terminal_info"))

    def _account_info(self) -> Any:
        return tuple(ask(self._package, "account_info"))

    def _positions(self, symbol: str | None, group: str | None, ticket: int | None) -> Any:
        return self._rows("positions_get", **_first(ticket=ticket, symbol=symbol, group=group))

    def _orders(self, symbol: str | None, group: str | None, ticket: int | None) -> Any:
        return self._rows("orders_get", **_first(ticket=ticket, symbol=symbol, group=group))

    def _history_deals(self, *filters: Any) -> Any:
        return self._history("history_deals_get", *filters)

    def _history_orders(self, *filters: Any) -> Any:
        return self._history("history_orders_get", *filters)

    def _history(
        self,
        function: str,
        start: float,
        end: float,
        group: str | None,
        ticket: int | None,
        position: int | None,
    ) -> Any:
        chosen = _first(ticket=ticket, position=position)
        if chosen:
            return self._rows(function, **chosen)
        return self._rows(function, _date(start), _date(end), **_first(group=group))

    def _symbol_info(self, symbol: str) -> Any:
        self._select(symbol)
        return tuple(ask(self._package, "symbol_info", symbol))

    def _symbol_tick(self, symbol: str) -> Any:
        self._select(symbol)
        return tuple(ask(self._package, "symbol_info_tick", symbol))

    def _symbols(self, group: str | None) -> Any:
        return self._rows("symbols_get", *(() if group is None else (group,)))

    def _symbol_select(self, symbol: str, enable: bool) -> bool:
        self._selected.discard(symbol)
        return bool(self._package.symbol_select(symbol, enable))

    def _rates(
        self,
        symbol: str,
        timeframe: int,
        start: float | None,
        end: float | None,
        position: int | None,
        count: int | None,
    ) -> Any:
        self._select(symbol)
        if position is not None:
            return ask(self._package, "copy_rates_from_pos", symbol, timeframe, position, count)
        if start is None:
            raise RequestRefused(INVALID_PARAMS, "Bars need a place or a date to begin at.")
        if end is None:
            return ask(self._package, "copy_rates_from", symbol, timeframe, _date(start), count)
        return ask(self._package, "copy_rates_range", symbol, timeframe, _date(start), _date(end))

    def _ticks(
        self, symbol: str, start: float, end: float | None, count: int | None, flags: int
    ) -> Any:
        self._select(symbol)
        if end is None:
            return ask(self._package, "copy_ticks_from", symbol, _date(start), count, flags)
        return ask(self._package, "copy_ticks_range", symbol, _date(start), _date(end), flags)

    def _order_check(self, request: Mapping[str, Any]) -> Any:
        self._select(request.get("symbol", ""))
        return _with_request(ask(self._package, "order_check", **request))

    def _order_send(self, request: Mapping[str, Any]) -> Any:
        return _with_request(ask(self._package, "order_send", **request))

    def _order_calc_margin(self, action: int, symbol: str, volume: float, price: float) -> Any:
        self._select(symbol)
        return ask(self._package, "order_calc_margin", action, symbol, volume, price)

    def _order_calc_profit(self, action: int, symbol: str, *amounts: float) -> Any:
        self._select(symbol)
        return ask(self._package, "order_calc_profit", action, symbol, *amounts)

    def _rows(self, function: str, *arguments: Any, **filters: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in ask(self._package, function, *arguments, **filters)]


def failure_of_call(method: str, error: Exception) -> Failure:
    """Return what the host is told of a call that failed."""
    if isinstance(error, RequestRefused):
        return error.failure
    is_order = method == ORDER_SEND
    if isinstance(error, TerminalError):
        return Failure(error.code, error.description, is_order and error.may_have_executed)
    # The text of an unknown error may hold what was sent.
    return Failure(CALL_FAILED, f"The call failed with {type(error).__name__}.", is_order)


def _first(**filters: Any) -> dict[str, Any]:
    """Return the first filter that is given: the package looks at no other then."""
    for name, value in filters.items():
        if value is not None:
            return {name: value}
    return {}


def _date(moment: float) -> int:
    return int(min(max(moment, 0), EVER))


def _with_request(result: Any) -> tuple[Any, ...]:
    *answer, request = result
    return (*answer, tuple(request))
