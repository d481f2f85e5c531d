"""Requests about open positions as they are: their stops, and a close by an opposite one."""

from dataclasses import dataclass

from .. import constants as mt5
from ..books.books import Books
from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import ORDER_CLOSE_BY_FLAG
from .admission import Admission, invalid
from .closing import Closing
from .execution import Execution
from .ledger import Ledger
from .netting import is_netting, netted_row
from .requests import Answer, Refusal, TradeOrder, check_stops
from .valuation import Valuation


@dataclass(frozen=True, slots=True)
class StopsPlan:
    ticket: int
    sl: float
    tp: float


class PositionStops:
    """Moves the stop loss and take profit of a position: TRADE_ACTION_SLTP."""

    def __init__(
        self, books: Books, valuation: Valuation, ledger: Ledger, admission: Admission,
        closing: Closing,
    ) -> None:  # fmt: skip
        self._books = books
        self._valuation = valuation
        self._ledger = ledger
        self._admission = admission
        self._closing = closing

    def plan(self, account: int, request: TradeOrder, execution: Execution) -> StopsPlan:
        """Check new stops; what the request leaves out is removed."""
        row = self._row(account, request)
        positions = self._books.positions
        symbol = int(positions["symbol"][row])
        contract = CONTRACTS[symbol]
        self._admission.check_agrees(account, request, symbol)
        self._admission.check_market(symbol)
        closing_price = float(self._valuation.closing[positions["side"][row]])
        check_stops(contract, int(positions["type"][row]), closing_price, request.sl, request.tp)
        wanted = (round(request.sl, contract.digits), round(request.tp, contract.digits))
        if wanted == (float(positions["sl"][row]), float(positions["tp"][row])):
            raise Refusal(mt5.TRADE_RETCODE_NO_CHANGES, "No changes")
        self._closing.check_not_frozen(row)
        execution.obey()
        return StopsPlan(int(positions["ticket"][row]), *wanted)

    def carry_out(self, plan: StopsPlan, _reason: int) -> Answer:
        self._ledger.move_stops(plan.ticket, plan.sl, plan.tp)
        return Answer()

    def _row(self, account: int, request: TradeOrder) -> int:
        """Find the position by its ticket, or on a netting account by its symbol."""
        if request.position:
            return self._admission.position_row(account, request.position)
        symbol = self._admission.named_symbol(account, request)
        if not is_netting(self._books, account):
            raise invalid()
        row = netted_row(self._books, account, symbol)
        if row is None:
            raise Refusal(mt5.TRADE_RETCODE_POSITION_CLOSED, "Position doesn't exist")
        return row


@dataclass(frozen=True, slots=True)
class CloseByPlan:
    row: int
    by_row: int
    request: TradeOrder


class CloseBys:
    """Closes a position by an opposite one of the same symbol, on hedging accounts only."""

    def __init__(
        self, books: Books, ledger: Ledger, admission: Admission, closing: Closing
    ) -> None:
        self._books = books
        self._ledger = ledger
        self._admission = admission
        self._closing = closing

    def plan(self, account: int, request: TradeOrder, execution: Execution) -> CloseByPlan:
        if is_netting(self._books, account):
            raise invalid()
        row = self._admission.position_row(account, request.position)
        by_row = self._closing.opposite_row(account, row, request.position_by)
        symbol = int(self._books.positions["symbol"][row])
        self._admission.check_agrees(account, request, symbol)
        self._admission.check_market(symbol)
        if not CONTRACTS[symbol].order_flags & ORDER_CLOSE_BY_FLAG:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_ORDER, "Close by is prohibited")
        self._closing.check_free(account, row)
        self._closing.check_free(account, by_row)
        execution.obey()
        return CloseByPlan(row, by_row, request)

    def carry_out(self, plan: CloseByPlan, reason: int) -> Answer:
        positions = self._books.positions
        price = float(positions["price_open"][plan.by_row])
        lots = min(float(positions["volume"][row]) for row in (plan.row, plan.by_row))
        deal, order = self._ledger.close_by(plan.row, plan.by_row, plan.request, reason)
        return Answer(deal=deal, order=order, volume=lots, price=price)
