"""Market orders and closes: TRADE_ACTION_DEAL in the execution mode of the symbol."""

from dataclasses import dataclass, replace

from .. import constants as mt5
from ..books.books import Books
from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import ORDER_MARKET_FLAG
from .admission import Admission
from .closing import Closing
from .execution import Execution
from .ledger import Ledger
from .matching import Match, check_filling, check_price, is_exchange, matched
from .netting import opened_lots
from .order_terms import OrderTerms
from .requests import Answer, Refusal, TradeOrder, check_stops, check_volume
from .valuation import Valuation


@dataclass(frozen=True, slots=True)
class MarketPlan:
    """A market order that has passed every check, and what it would meet in the book.

    Without a match it is accepted now and carried out when its delay is over, at the next step.
    """

    account: int
    symbol: int
    request: TradeOrder
    match: Match | None
    execution: Execution


class MarketOrders:
    """Checks market orders, and carries them out or takes them in.

    MARKET execution fills at the quote whatever price was asked for. INSTANT and REQUEST need a
    price: further than ``deviation`` points from the quote it is answered by a requote (10004),
    within it the order fills at the quote. EXCHANGE takes the order in (10008) and carries it out
    at the next step.
    """

    def __init__(
        self,
        books: Books,
        valuation: Valuation,
        ledger: Ledger,
        admission: Admission,
        closing: Closing,
    ) -> None:
        self._books = books
        self._valuation = valuation
        self._ledger = ledger
        self._admission = admission
        self._closing = closing

    def plan(self, account: int, request: TradeOrder, execution: Execution) -> MarketPlan:
        """Check a request; raise Refusal for one that is not to be carried out."""
        symbol, row = self._named(account, request)
        if request.type not in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL):
            raise Refusal(mt5.TRADE_RETCODE_INVALID_ORDER, "Not a market order")
        contract = CONTRACTS[symbol]
        self._admission.check_market(symbol)
        if not contract.order_flags & ORDER_MARKET_FLAG:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_ORDER, "Market orders are prohibited")
        if row is None:
            self._check_opening(account, symbol, request)
        else:
            self._closing.check_close(account, row, request)
        check_filling(contract, request.type, request.type_filling)
        quote = self._valuation.quoted(symbol)
        check_price(
            contract, request.type, quote, request.price, request.deviation,
            execution.slippage_points,
        )  # fmt: skip
        execution.obey()
        if execution.delay_seconds > 0 or is_exchange(contract):
            return MarketPlan(account, symbol, request, None, execution)
        match = matched(contract, request.type, quote, request.volume, execution=execution)
        if not match.deals or (match.left_lots and request.type_filling == mt5.ORDER_FILLING_FOK):
            raise Refusal(mt5.TRADE_RETCODE_REJECT, "Not enough volume at the price")
        return MarketPlan(account, symbol, request, match, execution)

    def carry_out(self, plan: MarketPlan, reason: int) -> Answer:
        """Book a plan; an order that is taken in for later is answered with 10008."""
        if plan.match is None:
            return self._taken_in(plan, reason)
        request, match = plan.request, plan.match
        terms = OrderTerms(
            account=plan.account, symbol=plan.symbol, side=request.type,
            ticket=self._books.next_order, reason=reason, magic=request.magic,
            comment=request.comment, sl=self._rounded(plan.symbol, request.sl),
            tp=self._rounded(plan.symbol, request.tp), position=request.position,
        )  # fmt: skip
        state = mt5.ORDER_STATE_PARTIAL if match.left_lots else mt5.ORDER_STATE_FILLED
        self._ledger.orders.add_done(
            plan.account, plan.symbol, request, state=state, reason=reason,
            position=self._ledger.position_id(terms), price_open=match.price,
            price_current=match.price, volume_current=match.left_lots,
        )  # fmt: skip
        deal = 0
        for price, lots in match.deals:
            deal = self._ledger.fill(terms, lots, price)
        answer = Answer(deal=deal, order=terms.ticket, volume=match.filled_lots, price=match.price)
        if match.left_lots:
            partly, comment = mt5.TRADE_RETCODE_DONE_PARTIAL, "Request executed partially"
            return replace(answer, retcode=partly, comment=comment)
        return answer

    def _taken_in(self, plan: MarketPlan, reason: int) -> Answer:
        request, execution = plan.request, plan.execution
        order = self._ledger.orders.add(
            plan.account, plan.symbol, request, reason=reason,
            due_msc=self._ledger.now_msc() + round(execution.delay_seconds * 1000),
            price_current=self._valuation.opening_price(plan.symbol, request.type),
            slippage_points=execution.slippage_points, fill_fraction=execution.fill_fraction,
        )  # fmt: skip
        return Answer(retcode=mt5.TRADE_RETCODE_PLACED, order=order, volume=request.volume,
                      comment="Request placed")  # fmt: skip

    def _named(self, account: int, request: TradeOrder) -> tuple[int, int | None]:
        """Return the symbol of a request, and the row of the position that it is to close."""
        if not request.position:
            return self._admission.named_symbol(account, request), None
        row = self._admission.position_row(account, request.position)
        symbol = int(self._books.positions["symbol"][row])
        self._admission.check_agrees(account, request, symbol)
        return symbol, row

    def _check_opening(self, account: int, symbol: int, request: TradeOrder) -> None:
        admission, side = self._admission, request.type
        contract = CONTRACTS[symbol]
        opened = opened_lots(self._books, account, symbol, side, request.volume)
        if opened:
            admission.check_trade_mode(symbol, side)
        check_volume(contract, request.volume)
        closing_price = float(self._valuation.closing[symbol * 2 + side])
        if opened:
            check_stops(contract, side, closing_price, request.sl, request.tp)
            admission.check_position_limit(account, symbol)
            admission.check_volume_limit(account, symbol, side, request.volume)
        price = self._valuation.opening_price(symbol, side)
        admission.check_money(account, symbol, side, request.volume, price)

    def _rounded(self, symbol: int, price: float) -> float:
        return round(price, CONTRACTS[symbol].digits)
