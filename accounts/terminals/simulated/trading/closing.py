"""The rules for closing positions and moving their stops: who may be closed, how far, and when."""

from .. import constants as mt5
from ..books.books import Books
from ..symbols.catalogue import CONTRACTS
from .admission import Admission, invalid
from .requests import Refusal, TradeOrder, check_volume, points_between
from .valuation import Valuation


class Closing:
    """Raises Refusal for a close that the broker does not carry out."""

    def __init__(self, books: Books, valuation: Valuation, admission: Admission) -> None:
        self._books = books
        self._valuation = valuation
        self._admission = admission

    def check_close(self, account: int, row: int, request: TradeOrder) -> None:
        """Check a closing order against its position: direction, volume, freeze, order of age."""
        positions = self._books.positions
        symbol, held = int(positions["symbol"][row]), float(positions["volume"][row])
        contract = CONTRACTS[symbol]
        if request.type != 1 - int(positions["type"][row]):
            raise invalid()
        lots = request.volume
        if lots != held:
            check_volume(contract, lots)
        if lots > held:
            raise Refusal(mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME, "Invalid close volume")
        self.check_free(account, row)

    def check_free(self, account: int, row: int) -> None:
        """Refuse a position that is being closed, is frozen, or is not the next by FIFO."""
        positions, orders = self._books.positions, self._books.orders
        waiting = self._books.orders_of(account)
        if (orders["position"][waiting] == positions["ticket"][row]).any():
            raise Refusal(mt5.TRADE_RETCODE_CLOSE_ORDER_EXIST, "Close order already exists")
        self.check_not_frozen(row)
        if self._books.accounts["fifo_close"][account] and row != self._oldest(account, row):
            raise Refusal(mt5.TRADE_RETCODE_FIFO_CLOSE, "Positions are closed by FIFO only")

    def check_not_frozen(self, row: int) -> None:
        """Refuse a position whose stop is about to be triggered (10029)."""
        positions = self._books.positions
        contract = CONTRACTS[int(positions["symbol"][row])]
        if not contract.freeze_level:
            return
        price = float(self._valuation.closing[positions["side"][row]])
        for level in (float(positions["sl"][row]), float(positions["tp"][row])):
            if level and abs(points_between(contract, price, level)) < contract.freeze_level:
                raise frozen()

    def opposite_row(self, account: int, row: int, ticket: int) -> int:
        """Return the row of the position that is to close another one; refuse one that cannot."""
        positions = self._books.positions
        other = self._admission.position_row(account, ticket)
        same_symbol = positions["symbol"][row] == positions["symbol"][other]
        if not same_symbol or positions["type"][row] == positions["type"][other]:
            raise invalid()
        return other

    def _oldest(self, account: int, row: int) -> int:
        positions = self._books.positions
        rows = self._books.rows_of(account)
        same = rows[positions["side"][rows] == positions["side"][row]]
        return int(min(same, key=lambda each: int(positions["ticket"][each])))


def frozen() -> Refusal:
    return Refusal(mt5.TRADE_RETCODE_FROZEN, "Too close to the market")
