"""One account's terminal, asked from its lane: what it holds, and sending an order to it.

Nothing here takes silence for "nothing": None, a terminal that is cut off from its broker, another
account's answer and an empty list beside a used margin are all errors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from accounts.symbol_terms import SymbolTerms
from accounts.terminals.codes import AUTHORIZATION_FAILED, CALL_FAILED, IPC_NO_CONNECTION
from accounts.terminals.link import LinkError

BUY, SELL = 0, 1  # POSITION_TYPE_*, and ORDER_TYPE_* of a market order
HEDGING: Final = 2  # ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
ENTRY_IN, ENTRY_OUT, ENTRY_INOUT, ENTRY_OUT_BY = range(4)  # DEAL_ENTRY_*


class Calls(Protocol):
    def call(self, method: str, *arguments: Any) -> Any: ...


class NotSentError(LinkError):
    """The order never left: what was to be known before sending could not be learned."""

    @property
    def may_have_executed(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Position:
    ticket: int
    symbol: str
    type: int
    volume: Decimal
    price_open: float
    price_current: float
    stop_loss: float
    take_profit: float
    profit: float
    swap: float
    magic: int
    identifier: int
    time_msc: int
    comment: str

    @property
    def is_buy(self) -> bool:
        return self.type == BUY


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """An order that waits, or one of the history; `state` is an ORDER_STATE_*."""

    ticket: int
    symbol: str
    type: int
    state: int
    volume: Decimal
    volume_left: Decimal
    price_open: float
    stop_limit_price: float
    stop_loss: float
    take_profit: float
    magic: int
    position_id: int
    comment: str
    lifetime: int = 0  # ORDER_TIME_*
    expires_at: int = 0  # the broker's clock as a UTC epoch, 0 without


@dataclass(frozen=True, slots=True)
class Deal:
    ticket: int
    order: int
    position: int
    type: int
    entry: int
    magic: int
    symbol: str
    volume: Decimal
    price: float


@dataclass(frozen=True, slots=True)
class AccountReading:
    login: int
    server: str
    margin_mode: int
    margin: float
    margin_free: float
    equity: float
    trade_allowed: bool

    @property
    def is_hedging(self) -> bool:
        return self.margin_mode == HEDGING


@dataclass(frozen=True, slots=True)
class SendResult:
    retcode: int
    deal: int
    order: int
    volume: Decimal
    price: float
    bid: float
    ask: float
    comment: str


def lots(volume: float) -> Decimal:
    """Return a terminal's double as the decimal that it stands for."""
    return Decimal(str(round(volume, 8)))


class AccountTerminal:
    """The terminal of one login; what it says of the account is checked to be that login's.

    Raises LinkError; its `may_have_executed` tells whether an order may have gone out.
    """

    def __init__(self, source: Calls, login: int, server: str) -> None:
        self._source = source
        self.login = login
        self.server = server

    def account(self) -> AccountReading:
        row = self._ask("account_info")
        reading = AccountReading(
            login=int(row[0]), server=str(row[25]), margin_mode=int(row[7]), margin=float(row[14]),
            margin_free=float(row[15]), equity=float(row[13]), trade_allowed=bool(row[5]),
        )  # fmt: skip
        if (reading.login, reading.server) != (self.login, self.server):
            raise LinkError(AUTHORIZATION_FAILED, "The terminal shows another account.")
        return reading

    def require_connected(self) -> None:
        """Raise LinkError when the terminal is cut off from its broker: its lists are old then."""
        if not self._ask("terminal_info")[2]:
            raise LinkError(IPC_NO_CONNECTION, "The terminal has no connection to its broker.")

    def positions(self) -> list[Position]:
        """Return the open positions; an empty list is one that the account's margin confirms."""
        self.require_connected()
        rows = self._ask("positions", None, None, None)
        self._require_sense(rows)
        return [_position(row) for row in rows]

    def pending_orders(self) -> list[PendingOrder]:
        self.require_connected()
        rows = self._ask("orders", None, None, None)
        self._require_sense(rows)
        return [_order(row) for row in rows]

    def symbol(self, name: str) -> SymbolTerms:
        """Return a symbol's terms with its newest quote.

        Of all answers the only one that is not compared with the account: a price is no secret of
        one, and `send` looks once more.
        """
        return SymbolTerms.from_row(self._ask("symbol_info", name))

    def history_orders(self, start: float, end: float) -> list[PendingOrder]:
        """Return the orders that ended between two moments of the broker's clock."""
        return [_order(row) for row in self._history("history_orders", start, end)]

    def history_deals(self, start: float, end: float) -> list[Deal]:
        return [_deal(row) for row in self._history("history_deals", start, end)]

    def deals_of_position(self, identifier: int) -> list[Deal]:
        self.require_connected()
        rows = self._ask("history_deals", 0.0, 0.0, None, None, identifier)
        self.account()
        return [_deal(row) for row in rows]

    def send(self, request: Mapping[str, Any]) -> SendResult:
        """Send one request, after a last look whether the terminal is still this account's."""
        try:
            self.account()
        except LinkError as error:
            raise NotSentError(error.code, error.text) from error
        row = self._ask("order_send", dict(request))
        return SendResult(
            retcode=int(row[0]), deal=int(row[1]), order=int(row[2]), volume=lots(row[3]),
            price=float(row[4]), bid=float(row[5]), ask=float(row[6]), comment=str(row[7]),
        )  # fmt: skip

    def _history(self, method: str, start: float, end: float) -> Sequence[Sequence[Any]]:
        self.require_connected()
        rows: Sequence[Sequence[Any]] = self._ask(method, start, end, None, None, None)
        self.account()
        return rows

    def _require_sense(self, rows: Sequence[Sequence[Any]]) -> None:
        margin = self.account().margin
        if rows or margin <= 0:
            return
        # Orders that wait may reserve margin without any position, and the other way round.
        others = [self._ask(each, None, None, None) for each in ("positions", "orders")]
        if not any(others):
            raise LinkError(CALL_FAILED, "The terminal shows no positions, but a used margin.")

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            answer = self._source.call(method, self.login, *arguments)
        except OSError as error:
            raise LinkError(CALL_FAILED, str(error)) from error
        if answer is None:
            raise LinkError(CALL_FAILED, f"The terminal gave no answer to {method}.")
        return answer


def _position(row: Sequence[Any]) -> Position:
    return Position(
        ticket=int(row[0]), symbol=str(row[16]), type=int(row[5]), volume=lots(row[9]),
        price_open=float(row[10]), price_current=float(row[13]), stop_loss=float(row[11]),
        take_profit=float(row[12]), profit=float(row[15]), swap=float(row[14]), magic=int(row[6]),
        identifier=int(row[7]), time_msc=int(row[2]), comment=str(row[17]),
    )  # fmt: skip


def _order(row: Sequence[Any]) -> PendingOrder:
    return PendingOrder(
        ticket=int(row[0]), symbol=str(row[21]), type=int(row[6]), state=int(row[9]),
        volume=lots(row[14]), volume_left=lots(row[15]), price_open=float(row[16]),
        stop_limit_price=float(row[20]), stop_loss=float(row[17]), take_profit=float(row[18]),
        magic=int(row[10]), position_id=int(row[11]), comment=str(row[22]), lifetime=int(row[7]),
        expires_at=int(row[5]),
    )  # fmt: skip


def _deal(row: Sequence[Any]) -> Deal:
    return Deal(
        ticket=int(row[0]), order=int(row[1]), position=int(row[7]), type=int(row[4]),
        entry=int(row[5]), magic=int(row[6]), symbol=str(row[15]), volume=lots(row[9]),
        price=float(row[10]),
    )  # fmt: skip
