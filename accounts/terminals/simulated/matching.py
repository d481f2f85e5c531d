"""The order desk: checks a trade request as a MetaTrader server does, and carries it out."""

from collections.abc import Mapping
from typing import Any

from . import constants as mt5
from .books import Books
from .catalogue import CONTRACTS
from .contracts import Contract
from .execution import UNDISTURBED, Execution
from .ledger import Ledger
from .opening import Opening
from .requests import Refusal, TradeOrder, check_filling, check_stops, check_volume, is_multiple
from .valuation import Valuation

_PENDING_ACTIONS = (
    mt5.TRADE_ACTION_PENDING,
    mt5.TRADE_ACTION_MODIFY,
    mt5.TRADE_ACTION_REMOVE,
    mt5.TRADE_ACTION_CLOSE_BY,
)
_LARGEST_MAGIC = 2**63 - 1  # MetaTrader takes one bit more, the books are signed
Row = tuple[Any, ...]


class OrderDesk:
    """Market orders, closes and stop changes of all accounts."""

    def __init__(
        self, books: Books, valuation: Valuation, ledger: Ledger, opening: Opening
    ) -> None:
        self._books = books
        self._valuation = valuation
        self._ledger = ledger
        self._opening = opening
        self._requests = 0

    def send(
        self,
        account: int,
        values: Mapping[str, Any],
        reason: int,
        execution: Execution = UNDISTURBED,
    ) -> Row:
        """Carry out a request; return an OrderSendResult row, refusals included."""
        request = TradeOrder.of(values)
        self._requests += 1
        try:
            if execution.retcode:
                raise Refusal(execution.retcode, execution.retcode_comment)
            deal, order, price, comment = self._carried_out(account, request, reason)
        except Refusal as refusal:
            return self._result(account, refusal.retcode, request, 0, 0, 0.0, refusal.comment)
        return self._result(account, mt5.TRADE_RETCODE_DONE, request, deal, order, price, comment)

    def refuse(self, account: int, values: Mapping[str, Any], retcode: int, comment: str) -> Row:
        return self._result(account, retcode, TradeOrder.of(values), 0, 0, 0.0, comment)

    def check(self, account: int, values: Mapping[str, Any], barred: int = 0) -> Row:
        """Return an OrderCheckResult row: 0 when the request would be carried out.

        ``barred`` is a retcode that the terminal itself would answer with.
        """
        request = TradeOrder.of(values)
        retcode, comment, added_margin = barred, "Barred by the terminal", 0.0
        if not barred:
            try:
                added_margin = self._checked(account, request)
                comment = "Done"
            except Refusal as refusal:
                retcode, comment = refusal.retcode, refusal.comment
        return self._check_row(account, request, retcode, comment, added_margin)

    def _carried_out(
        self, account: int, request: TradeOrder, reason: int
    ) -> tuple[int, int, float, str]:
        self._checked(account, request)
        comment = "Request executed"
        if request.action == mt5.TRADE_ACTION_SLTP:
            row = self._row(account, request.position)
            digits = CONTRACTS[int(self._books.positions["symbol"][row])].digits
            self._ledger.move_stops(
                request.position, round(request.sl, digits), round(request.tp, digits)
            )
            return 0, 0, 0.0, comment
        if request.position:
            row = self._row(account, request.position)
            return (*self._ledger.close_position(row, request.volume, reason, request), comment)
        symbol = self._symbol(account, request)
        price = self._opening_price(symbol, request.type)
        return (
            *self._ledger.open_position(account, symbol, request, price, reason),
            price,
            comment,
        )

    def _checked(self, account: int, request: TradeOrder) -> float:
        """Raise Refusal for a request that cannot be carried out; return the margin it adds."""
        if request.action in _PENDING_ACTIONS:
            raise Refusal(mt5.TRADE_RETCODE_INVALID, "Only market orders are offered")
        if request.action not in (mt5.TRADE_ACTION_DEAL, mt5.TRADE_ACTION_SLTP):
            raise Refusal(mt5.TRADE_RETCODE_INVALID, "Invalid request")
        symbol = self._symbol(account, request)
        if not 0 <= request.magic <= _LARGEST_MAGIC:
            raise Refusal(mt5.TRADE_RETCODE_INVALID, "Invalid request")
        if not self._books.accounts["trade_allowed"][account]:
            raise Refusal(mt5.TRADE_RETCODE_TRADE_DISABLED, "Trade disabled")
        if not self._opening.is_open(symbol):
            raise Refusal(mt5.TRADE_RETCODE_MARKET_CLOSED, "Market closed")
        if request.action == mt5.TRADE_ACTION_SLTP:
            self._check_new_stops(account, symbol, request)
            return 0.0
        if request.type not in (mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL):
            raise Refusal(mt5.TRADE_RETCODE_INVALID, "Invalid request")
        if request.position:
            self._check_close(account, symbol, request)
            return 0.0
        return self._check_opening(account, symbol, request)

    def _check_opening(self, account: int, symbol: int, request: TradeOrder) -> float:
        contract = CONTRACTS[symbol]
        self._check_trade_mode(symbol, request.type)
        check_volume(contract, request.volume)
        if request.price < 0:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_PRICE, "Invalid price")
        check_filling(contract, request.type_filling)
        closing_price = float(self._valuation.closing[symbol * 2 + request.type])
        check_stops(contract, request.type, closing_price, request.sl, request.tp)
        self._check_limits(account, contract, symbol, request)
        return self._check_money(account, symbol, request)

    def _check_trade_mode(self, symbol: int, order_type: int) -> None:
        mode = self._opening.trade_mode(symbol)
        if mode == mt5.SYMBOL_TRADE_MODE_DISABLED:
            raise Refusal(mt5.TRADE_RETCODE_TRADE_DISABLED, "Trade disabled")
        if mode == mt5.SYMBOL_TRADE_MODE_CLOSEONLY:
            raise Refusal(mt5.TRADE_RETCODE_CLOSE_ONLY, "Only position closing is allowed")
        if mode == mt5.SYMBOL_TRADE_MODE_LONGONLY and order_type == mt5.ORDER_TYPE_SELL:
            raise Refusal(mt5.TRADE_RETCODE_LONG_ONLY, "Only long positions are allowed")
        if mode == mt5.SYMBOL_TRADE_MODE_SHORTONLY and order_type == mt5.ORDER_TYPE_BUY:
            raise Refusal(mt5.TRADE_RETCODE_SHORT_ONLY, "Only short positions are allowed")

    def _check_limits(
        self, account: int, contract: Contract, symbol: int, request: TradeOrder
    ) -> None:
        positions = self._books.positions
        rows = self._books.rows_of(account)
        limit = int(self._books.accounts["position_limit"][account])
        if limit and len(rows) >= limit:
            raise Refusal(mt5.TRADE_RETCODE_LIMIT_POSITIONS, "Position limit reached")
        if contract.volume_limit:
            same = rows[positions["side"][rows] == symbol * 2 + request.type]
            total = float(positions["volume"][same].sum()) + request.volume
            if total > contract.volume_limit + contract.volume_step / 2:
                raise Refusal(mt5.TRADE_RETCODE_LIMIT_VOLUME, "Volume limit reached")

    def _check_money(self, account: int, symbol: int, request: TradeOrder) -> float:
        price = self._opening_price(symbol, request.type)
        per_lot = self._valuation.margin_per_lot(account, symbol, request.type, price)
        margin = self._valuation.margin(
            self._books.rows_of(account), (symbol, request.type, request.volume, per_lot)
        )
        added = margin - float(self._books.accounts["margin"][account])
        commission = self._ledger.commission(account, request.volume)
        if added > 0 and self._books.equity(account) + commission < margin:
            raise Refusal(mt5.TRADE_RETCODE_NO_MONEY, "No money")
        return added

    def _check_close(self, account: int, symbol: int, request: TradeOrder) -> None:
        row = self._row(account, request.position)
        positions = self._books.positions
        opposite = 1 - int(positions["type"][row])
        if positions["symbol"][row] != symbol or request.type != opposite:
            raise Refusal(mt5.TRADE_RETCODE_INVALID, "Invalid request")
        contract = CONTRACTS[symbol]
        step = contract.volume_step
        if request.volume < contract.volume_min or not is_multiple(request.volume, step):
            raise Refusal(mt5.TRADE_RETCODE_INVALID_VOLUME, "Invalid volume")
        if request.volume > float(positions["volume"][row]):
            raise Refusal(mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME, "Invalid close volume")
        check_filling(contract, request.type_filling)

    def _check_new_stops(self, account: int, symbol: int, request: TradeOrder) -> None:
        row = self._row(account, request.position)
        positions = self._books.positions
        contract = CONTRACTS[symbol]
        if positions["symbol"][row] != symbol:
            raise Refusal(mt5.TRADE_RETCODE_INVALID, "Invalid request")
        closing_price = float(self._valuation.closing[positions["side"][row]])
        check_stops(contract, int(positions["type"][row]), closing_price, request.sl, request.tp)
        wanted = (round(request.sl, contract.digits), round(request.tp, contract.digits))
        if wanted == (float(positions["sl"][row]), float(positions["tp"][row])):
            raise Refusal(mt5.TRADE_RETCODE_NO_CHANGES, "No changes")

    def _symbol(self, account: int, request: TradeOrder) -> int:
        symbol = self._books.naming_of(account).symbol(request.symbol)
        if symbol is None:
            raise Refusal(mt5.TRADE_RETCODE_INVALID, "Invalid request")
        return symbol

    def _row(self, account: int, ticket: int) -> int:
        row = self._books.position_row(ticket)
        if row is None or self._books.positions["account"][row] != account:
            raise Refusal(mt5.TRADE_RETCODE_POSITION_CLOSED, "Position doesn't exist")
        return row

    def _opening_price(self, symbol: int, order_type: int) -> float:
        quotes = self._valuation.ask if order_type == mt5.ORDER_TYPE_BUY else self._valuation.bid
        return float(quotes[symbol])

    def _result(
        self,
        account: int,
        retcode: int,
        request: TradeOrder,
        deal: int,
        order: int,
        price: float,
        comment: str,
    ) -> Row:
        symbol = self._books.naming_of(account).symbol(request.symbol)
        bid = float(self._valuation.bid[symbol]) if symbol is not None else 0.0
        ask = float(self._valuation.ask[symbol]) if symbol is not None else 0.0
        volume = request.volume if retcode == mt5.TRADE_RETCODE_DONE else 0.0
        return (
            retcode,
            deal,
            order,
            volume,
            price,
            bid,
            ask,
            comment,
            self._requests,
            0,
            request.row(),
        )

    def _check_row(
        self, account: int, request: TradeOrder, retcode: int, comment: str, added_margin: float
    ) -> Row:
        accounts = self._books.accounts
        digits = int(accounts["currency_digits"][account])
        equity = self._books.equity(account)
        margin = round(float(accounts["margin"][account]) + added_margin, digits)
        return (
            retcode,
            float(accounts["balance"][account]),
            equity,
            round(float(accounts["floating"][account]), digits),
            margin,
            round(equity - margin, digits),
            equity / margin * 100 if margin else 0.0,
            comment,
            request.row(),
        )
