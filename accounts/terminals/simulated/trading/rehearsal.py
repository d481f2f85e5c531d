"""A copy of one account's books, to see what a request would leave behind."""

from typing import Any

from ..books.books import NEW_ACCOUNT, NEW_ORDER, NEW_POSITION, NEW_SERVER, Books


def excerpt(books: Books, account: int) -> Books:
    """Return books of their own with one account (number 0), its positions and its orders.

    They give the same tickets as the books they were taken from, and are written to no journal.
    """
    copy = Books()
    values = books.accounts.row(account)
    server = values.pop("server")
    naming = books.naming[server]
    copy.apply((NEW_SERVER, books.servers[server], naming.prefix, naming.suffix))
    copy.apply((NEW_ACCOUNT, books.servers[server], values))
    copy.next_order, copy.next_deal = books.next_order, books.next_deal
    for row in books.rows_of(account).tolist():
        copy.apply((NEW_POSITION, _of_first(books.positions.row(row))))
    for row in books.orders_of(account).tolist():
        copy.apply((NEW_ORDER, _of_first(books.orders.row(row))))
    return copy


def _of_first(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "account": 0}
