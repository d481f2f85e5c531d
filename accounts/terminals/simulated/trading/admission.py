"""What any order has to pass: the market, the symbol's terms, the account's limits and money."""

from .. import constants as mt5
from ..books.books import Books, RowNumbers
from ..symbols.catalogue import CONTRACTS
from ..symbols.opening import Opening
from .ledger import Ledger
from .netting import is_netting, netted_row, opened_lots
from .requests import Refusal, TradeOrder, add_lots, subtract_lots
from .valuation import Valuation

_LARGEST_TICKET = 2**63 - 1


class Admission:
    """Raises Refusal for what the broker does not let an account do."""

    def __init__(
        self, books: Books, valuation: Valuation, ledger: Ledger, opening: Opening
    ) -> None:
        self._books = books
        self._valuation = valuation
        self._ledger = ledger
        self._opening = opening

    def check_account(self, account: int, request: TradeOrder) -> None:
        if max(request.order, request.position, request.position_by) > _LARGEST_TICKET:
            raise invalid()
        if not mt5.ORDER_TIME_GTC <= request.type_time <= mt5.ORDER_TIME_SPECIFIED_DAY:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_EXPIRATION, "Invalid expiration")
        if not self._books.accounts["trade_allowed"][account]:
            raise Refusal(mt5.TRADE_RETCODE_TRADE_DISABLED, "Trade disabled")

    def named_symbol(self, account: int, request: TradeOrder) -> int:
        symbol = self._books.naming_of(account).symbol(request.symbol)
        if symbol is None:
            raise invalid()
        return symbol

    def check_agrees(self, account: int, request: TradeOrder, symbol: int) -> None:
        """Refuse a request that names another symbol than its ticket's."""
        if request.symbol and self.named_symbol(account, request) != symbol:
            raise invalid()

    def position_row(self, account: int, ticket: int) -> int:
        row = self._books.position_row(ticket)
        if row is None or self._books.positions["account"][row] != account:
            raise Refusal(mt5.TRADE_RETCODE_POSITION_CLOSED, "Position doesn't exist")
        return row

    def check_market(self, symbol: int) -> None:
        """Refuse a symbol that is disabled, closed or without quotes."""
        if self._opening.trade_mode(symbol) == mt5.SYMBOL_TRADE_MODE_DISABLED:
            raise Refusal(mt5.TRADE_RETCODE_TRADE_DISABLED, "Trade disabled")
        if not self._opening.is_open(symbol):
            raise Refusal(mt5.TRADE_RETCODE_MARKET_CLOSED, "Market closed")
        if symbol in self._opening.without_quotes or self._valuation.bid[symbol] <= 0:
            raise Refusal(mt5.TRADE_RETCODE_PRICE_OFF, "No prices")

    def check_trade_mode(self, symbol: int, side: int) -> None:
        """Refuse to open in a direction that the symbol is not open for."""
        mode = self._opening.trade_mode(symbol)
        if mode == mt5.SYMBOL_TRADE_MODE_CLOSEONLY:
            raise Refusal(mt5.TRADE_RETCODE_CLOSE_ONLY, "Only position closing is allowed")
        if mode == mt5.SYMBOL_TRADE_MODE_LONGONLY and side == mt5.ORDER_TYPE_SELL:
            raise Refusal(mt5.TRADE_RETCODE_LONG_ONLY, "Only long positions are allowed")
        if mode == mt5.SYMBOL_TRADE_MODE_SHORTONLY and side == mt5.ORDER_TYPE_BUY:
            raise Refusal(mt5.TRADE_RETCODE_SHORT_ONLY, "Only short positions are allowed")

    def check_volume_limit(self, account: int, symbol: int, side: int, lots: float) -> None:
        """Refuse more lots of one direction than the symbol allows, waiting orders included."""
        limit = CONTRACTS[symbol].volume_limit
        if not limit:
            return
        positions, orders = self._books.positions, self._books.orders
        rows = self._books.rows_of(account)
        same = rows[positions["side"][rows] == symbol * 2 + side]
        waiting = self._books.orders_of(account)
        waiting = waiting[orders["symbol"][waiting] == symbol]
        waiting = waiting[orders["type"][waiting] % 2 == side]
        waiting = waiting[orders["position"][waiting] == 0]
        opened = opened_lots(self._books, account, symbol, side, lots)
        total = float(positions["volume"][same].sum())
        total += float(orders["volume_current"][waiting].sum()) + opened
        if total > limit + CONTRACTS[symbol].volume_step / 2:
            raise Refusal(mt5.TRADE_RETCODE_LIMIT_VOLUME, "Volume limit reached")

    def check_position_limit(
        self, account: int, symbol: int, *, counting_orders: bool = True
    ) -> None:
        """Refuse one position more than the account may have.

        On hedging accounts every waiting order counts, for it will open a position; on netting
        accounts a symbol that has its position can be traded on.
        """
        limit = int(self._books.accounts["position_limit"][account])
        if not limit:
            return
        held = len(self._books.rows_of(account))
        if is_netting(self._books, account):
            if netted_row(self._books, account, symbol) is not None:
                return
        elif counting_orders:
            waiting = self._books.orders_of(account)
            held += int((self._books.orders["position"][waiting] == 0).sum())
        if held >= limit:
            raise Refusal(mt5.TRADE_RETCODE_LIMIT_POSITIONS, "Position limit reached")

    def check_order_limit(self, account: int) -> None:
        limit = int(self._books.accounts["order_limit"][account])
        if limit and len(self._books.orders_of(account)) >= limit:
            raise Refusal(mt5.TRADE_RETCODE_LIMIT_ORDERS, "Order limit reached")

    def check_money(
        self, account: int, symbol: int, side: int, lots: float, price: float, freed: float = 0.0
    ) -> None:
        """Refuse an order whose margin the equity does not cover; less margin is always allowed.

        ``freed`` is what the order has reserved itself while it waited.
        """
        accounts, orders = self._books.accounts, self._books.orders
        reserved = float(orders["margin"][self._books.orders_of(account)].sum()) - freed
        margin = reserved + self._margin_with(account, symbol, side, lots, price)
        has = self._books.equity(account) + self._ledger.commission(account, lots)
        if margin > float(accounts["margin"][account]) - freed and has < margin:
            raise Refusal(mt5.TRADE_RETCODE_NO_MONEY, "No money")

    def pending_margin(
        self, account: int, symbol: int, side: int, lots: float, price: float, freed: float = 0.0
    ) -> float:
        """Return what a waiting order reserves; refuse it when there is not enough.

        ``freed`` is what an order that is changed has reserved so far; less is always allowed.
        """
        margin = self._valuation.pending_margin(account, symbol, side, price, lots)
        used = float(self._books.accounts["margin"][account]) - freed
        if margin > freed and self._books.equity(account) < used + margin:
            raise Refusal(mt5.TRADE_RETCODE_NO_MONEY, "No money")
        return margin

    def _margin_with(
        self, account: int, symbol: int, side: int, lots: float, price: float
    ) -> float:
        """Return the margin of the positions as they would be after a deal."""
        rows: RowNumbers = self._books.rows_of(account)
        per_lot = self._valuation.margin_per_lot(account, symbol, side, price)
        row = netted_row(self._books, account, symbol) if is_netting(self._books, account) else None
        if row is None:
            return self._valuation.margin(rows, (symbol, side, lots, per_lot))
        positions = self._books.positions
        held, held_per_lot = (
            float(positions["volume"][row]),
            float(positions["margin_per_lot"][row]),
        )
        others = rows[rows != row]
        if positions["type"][row] == side:
            average = (held * held_per_lot + lots * per_lot) / (held + lots)
            return self._valuation.margin(others, (symbol, side, add_lots(held, lots), average))
        if lots > held:
            left = subtract_lots(lots, held)
            return self._valuation.margin(others, (symbol, side, left, per_lot))
        left = subtract_lots(held, lots)
        return self._valuation.margin(others, (symbol, 1 - side, left, held_per_lot))


def invalid() -> Refusal:
    return Refusal(mt5.TRADE_RETCODE_INVALID, "Invalid request")
