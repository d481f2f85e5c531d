"""The order desk: checks a trade request as a MetaTrader server does, and carries it out."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from .. import constants as mt5
from ..books.books import GONE_REQUEST, NEW_REQUEST, Books
from ..symbols.opening import Opening
from .admission import Admission, invalid
from .closing import Closing
from .execution import UNDISTURBED, Execution
from .fulfilment import Fulfilment
from .ledger import Ledger
from .market_orders import MarketOrders
from .pending_orders import PendingOrders
from .position_orders import CloseBys, PositionStops
from .rehearsal import excerpt
from .requests import Answer, Refusal, TradeOrder
from .valuation import Valuation

Row = tuple[Any, ...]
# How a request of one kind is checked, and how what came of the check is carried out.
_Plan = Callable[[int, TradeOrder, Execution], Any]
_CarryOut = Callable[[Any, int], Answer]


class OrderDesk:
    """Takes the trade requests of all accounts.

    ``admission`` and ``fulfilment`` are for the orders that the desk has accepted earlier.
    """

    def __init__(
        self, books: Books, valuation: Valuation, ledger: Ledger, opening: Opening
    ) -> None:
        self._books = books
        self._valuation = valuation
        self._ledger = ledger
        self._opening = opening
        self._requests = 0
        self.admission = Admission(books, valuation, ledger, opening)
        self.fulfilment = Fulfilment(books, valuation, ledger, self.admission)
        closing = Closing(books, valuation, self.admission)
        market = MarketOrders(books, valuation, ledger, self.admission, closing)
        pendings = PendingOrders(books, valuation, ledger, self.admission)
        stops = PositionStops(books, valuation, ledger, self.admission, closing)
        close_bys = CloseBys(books, ledger, self.admission, closing)
        self._actions: dict[int, tuple[_Plan, _CarryOut]] = {
            mt5.TRADE_ACTION_DEAL: (market.plan, market.carry_out),
            mt5.TRADE_ACTION_PENDING: (pendings.plan_placing, pendings.carry_out),
            mt5.TRADE_ACTION_MODIFY: (pendings.plan_change, pendings.carry_out),
            mt5.TRADE_ACTION_REMOVE: (pendings.plan_removal, pendings.carry_out),
            mt5.TRADE_ACTION_SLTP: (stops.plan, stops.carry_out),
            mt5.TRADE_ACTION_CLOSE_BY: (close_bys.plan, close_bys.carry_out),
        }

    def send(
        self,
        account: int,
        values: Mapping[str, Any],
        reason: int,
        execution: Execution = UNDISTURBED,
    ) -> Row:
        """Carry out a request; return an OrderSendResult row, refusals included.

        ``reason`` is an ORDER_REASON_*. A retcode of ``execution`` answers what would have been
        carried out otherwise; a request that is wrong anyway is refused for that. One with a delay
        that is no market order stays on its way and is looked at again when it arrives.
        """
        request = TradeOrder.of(values)
        self._requests += 1
        marked = request
        if execution.comment is not None:
            marked = replace(request, comment=execution.comment)
        try:
            plan, carry_out = self._planned(account, marked, execution)
        except Refusal as refusal:
            answer = Answer(retcode=refusal.retcode, comment=refusal.comment)
        else:
            if execution.delay_seconds > 0 and marked.action != mt5.TRADE_ACTION_DEAL:
                answer = self._delayed(account, marked, reason, execution.delay_seconds)
            else:
                answer = carry_out(plan, reason)
        return self._result(account, request, answer)

    def run_delayed(self, now_msc: int) -> None:
        """Carry out the requests that arrive late, the first due first."""
        due = [(due_msc, number) for number, (due_msc, *_) in self._books.requests.items()
               if due_msc <= now_msc]  # fmt: skip
        for _, number in sorted(due):
            _, account, reason, values = self._books.requests[number]
            self._books.write(GONE_REQUEST, number)
            self.send(account, values, reason)

    def refuse(self, values: Mapping[str, Any], retcode: int, comment: str) -> Row:
        """Return the refusal of a terminal, which knows no price and no number of a request."""
        request = TradeOrder.of(values)
        return (retcode, 0, 0, 0.0, 0.0, 0.0, 0.0, comment, 0, 0, request.row())

    def check(
        self, account: int, values: Mapping[str, Any], barred: int = 0, comment: str = ""
    ) -> Row:
        """Return an OrderCheckResult row: 0 when the request would be carried out.

        Its figures are the account's after the request, seen by carrying it out on a copy of the
        account's books. ``barred`` is a retcode with which the terminal itself would answer.
        """
        request = TradeOrder.of(values)
        if barred:
            return self._check_row(account, request, barred, comment)
        try:
            self._planned(account, request, UNDISTURBED)
        except Refusal as refusal:
            return self._check_row(account, request, refusal.retcode, refusal.comment)
        rehearsed = self._rehearsed(account, request)
        return rehearsed._check_row(0, request, 0, "Done")

    def _delayed(
        self, account: int, request: TradeOrder, reason: int, delay_seconds: float
    ) -> Answer:
        due_msc = self._ledger.now_msc() + round(delay_seconds * 1000)
        number = max(self._books.requests, default=0) + 1
        self._books.write(NEW_REQUEST, number, due_msc, account, reason, asdict(request))
        return Answer(
            retcode=mt5.TRADE_RETCODE_PLACED, order=request.order, comment="Request placed"
        )

    def _rehearsed(self, account: int, request: TradeOrder) -> "OrderDesk":
        copy = excerpt(self._books, account)
        valuation = self._valuation.over(copy)
        valuation.settle_all()
        ledger = Ledger(copy, valuation, self._ledger.now_msc)
        desk = OrderDesk(copy, valuation, ledger, self._opening)
        plan, carry_out = desk._planned(0, request, UNDISTURBED)
        answer = carry_out(plan, mt5.ORDER_REASON_EXPERT)
        if request.action == mt5.TRADE_ACTION_DEAL and answer.retcode == mt5.TRADE_RETCODE_PLACED:
            desk.fulfilment.carry_out(answer.order)
        return desk

    def _planned(
        self, account: int, request: TradeOrder, execution: Execution
    ) -> tuple[Any, _CarryOut]:
        if request.action not in self._actions:
            raise invalid()
        plan, carry_out = self._actions[request.action]
        self.admission.check_account(account, request)
        return plan(account, request, execution), carry_out

    def _result(self, account: int, request: TradeOrder, answer: Answer) -> Row:
        bid, ask = self._quote(account, request)
        return (
            answer.retcode, answer.deal, answer.order, answer.volume, answer.price, bid, ask,
            answer.comment, self._requests, 0, request.row(),
        )  # fmt: skip

    def _quote(self, account: int, request: TradeOrder) -> tuple[float, float]:
        """Return bid and ask of the symbol that a request names or whose ticket it names."""
        symbol = self._books.naming_of(account).symbol(request.symbol)
        if symbol is None:
            position = self._books.position_row(request.position)
            if position is None:
                return 0.0, 0.0
            symbol = int(self._books.positions["symbol"][position])
        return self._valuation.quoted(symbol)

    def _check_row(self, account: int, request: TradeOrder, retcode: int, comment: str) -> Row:
        accounts = self._books.accounts
        digits = int(accounts["currency_digits"][account])
        equity, margin = self._books.equity(account), float(accounts["margin"][account])
        return (
            retcode, float(accounts["balance"][account]), equity,
            round(float(accounts["floating"][account]), digits), margin,
            round(equity - margin, digits), equity * 100.0 / margin if margin else 0.0, comment,
            request.row(),
        )  # fmt: skip
