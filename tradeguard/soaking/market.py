"""The broker as people at their terminals see it; nothing here goes through TradeGuard."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from accounts.models import ConnectedAccount
from accounts.symbol_terms import SymbolTerms
from accounts.terminals.link import LinkError
from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.service.client import RemoteBroker

_EVER: Final = 4e9
_DONE: Final = (mt5.TRADE_RETCODE_DONE, mt5.TRADE_RETCODE_DONE_PARTIAL, mt5.TRADE_RETCODE_PLACED)


def lots(volume: float) -> Decimal:
    return Decimal(str(round(volume, 8)))


@dataclass(frozen=True, slots=True)
class Held:
    ticket: int
    identifier: int
    symbol: str
    is_buy: bool
    volume: Decimal
    stop_loss: float
    take_profit: float
    magic: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order that waits, or of the history."""

    ticket: int
    symbol: str
    type: int
    state: int
    magic: int
    price: float
    volume: Decimal
    comment: str
    reason: int


@dataclass(frozen=True, slots=True)
class Dealt:
    ticket: int
    order: int
    position: int
    is_buy: bool
    entry: int
    reason: int
    magic: int
    symbol: str
    volume: Decimal
    price: float
    at_msc: int
    comment: str


class Market:
    """Reads accounts and trades them by hand; None where a fault keeps it from being known."""

    def __init__(self, broker: RemoteBroker) -> None:
        self._broker = broker

    def positions(self, account: ConnectedAccount) -> list[Held] | None:
        rows = self._ask("positions", account, None, None, None)
        return None if rows is None else [_held(row) for row in rows]

    def orders(self, account: ConnectedAccount) -> list[Waiting] | None:
        rows = self._ask("orders", account, None, None, None)
        return None if rows is None else [_waiting(row) for row in rows]

    def past_orders(self, account: ConnectedAccount) -> list[Waiting]:
        rows = self._ask("history_orders", account, 0.0, _EVER, None, None, None)
        return [_waiting(row) for row in rows or ()]

    def deals(self, account: ConnectedAccount) -> list[Dealt]:
        """Return the account's deals in a symbol, oldest first."""
        rows = self._ask("history_deals", account, 0.0, _EVER, None, None, None)
        found = [_dealt(row) for row in rows or () if row[4] in (0, 1) and row[15]]
        return sorted(found, key=lambda deal: deal.ticket)

    def terms(self, account: ConnectedAccount, symbol: str) -> SymbolTerms | None:
        row = self._ask("symbol_info", account, symbol)
        return None if row is None else SymbolTerms.from_row(row)

    def equity(self, account: ConnectedAccount) -> float | None:
        row = self._ask("account_info", account)
        return None if row is None else float(row[13])

    def trade(self, account: ConnectedAccount, request: Mapping[str, Any]) -> bool:
        """Trade by hand, as nobody's order; tell whether the broker did it."""
        try:
            answer = self._broker.trade_by_hand(account.login, request)
        except (LinkError, ValueError):
            return False
        return int(answer[0]) in _DONE

    def _ask(self, method: str, account: ConnectedAccount, *arguments: Any) -> Any:
        try:
            return self._broker.call(method, account.login, *arguments)
        except LinkError:
            return None


def _held(row: Any) -> Held:
    return Held(
        ticket=int(row[0]), identifier=int(row[7]), symbol=str(row[16]), is_buy=int(row[5]) == 0,
        volume=lots(row[9]), stop_loss=float(row[11]), take_profit=float(row[12]),
        magic=int(row[6]),
    )  # fmt: skip


def _waiting(row: Any) -> Waiting:
    return Waiting(
        ticket=int(row[0]), symbol=str(row[21]), type=int(row[6]), state=int(row[9]),
        magic=int(row[10]), price=float(row[16]), volume=lots(row[14]), comment=str(row[22]),
        reason=int(row[13]),
    )  # fmt: skip


def _dealt(row: Any) -> Dealt:
    return Dealt(
        ticket=int(row[0]), order=int(row[1]), position=int(row[7]), is_buy=int(row[4]) == 0,
        entry=int(row[5]), reason=int(row[8]), magic=int(row[6]), symbol=str(row[15]),
        volume=lots(row[9]), price=float(row[10]), at_msc=int(row[3]), comment=str(row[16]),
    )  # fmt: skip
