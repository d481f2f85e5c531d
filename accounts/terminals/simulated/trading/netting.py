"""How an account may hold positions: one for each symbol, or as many as it opens."""

from .. import constants as mt5
from ..books.books import Books


def is_netting(books: Books, account: int) -> bool:
    """Tell whether an account keeps one position for each symbol (netting and exchange)."""
    return bool(books.accounts["margin_mode"][account] != mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING)


def netted_row(books: Books, account: int, symbol: int) -> int | None:
    """Return the row of a netting account's position in a symbol."""
    rows = books.rows_of(account)
    mine = rows[books.positions["symbol"][rows] == symbol]
    return int(mine[0]) if len(mine) else None


def opened_lots(books: Books, account: int, symbol: int, side: int, lots: float) -> float:
    """Return how much of an order without a position of its own would open and not close."""
    row = netted_row(books, account, symbol) if is_netting(books, account) else None
    if row is None or books.positions["type"][row] == side:
        return lots
    return max(0.0, lots - float(books.positions["volume"][row]))
