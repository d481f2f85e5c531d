"""What holds of the broker's books at any time, whatever was done to them."""

from collections import defaultdict
from decimal import Decimal

import numpy as np

from accounts.terminals.simulated import constants as mt5
from accounts.terminals.simulated.books.books import Books
from accounts.terminals.simulated.server import TradeServer

_MARKET = (mt5.DEAL_TYPE_BUY, mt5.DEAL_TYPE_SELL)


def books_of(server: TradeServer) -> Books:
    return server._engine.books


def audit(books: Books) -> None:
    """Assert what the books owe to themselves."""
    _audit_money(books)
    _audit_positions(books)
    _audit_orders(books)
    _audit_rows(books)


def _audit_money(books: Books) -> None:
    accounts, deals = books.accounts, books.deals
    is_credit = deals["type"] == mt5.DEAL_TYPE_CREDIT
    result = deals["profit"] + deals["swap"] + deals["commission"] + deals["fee"]
    for purse, kind in (("credit", is_credit), ("balance", ~is_credit)):
        booked = np.bincount(deals["account"][kind], weights=result[kind], minlength=len(accounts))
        assert np.allclose(accounts[purse], booked, rtol=1e-12, atol=1e-6), purse
        scaled = accounts[purse] * 10.0 ** accounts["currency_digits"]
        assert np.allclose(scaled, np.rint(scaled), rtol=0, atol=1e-4), "fractions of a cent"
    positions = books.positions
    live = positions["live"]
    floating = np.bincount(
        positions["account"][live],
        weights=(positions["profit"] + positions["swap"])[live],
        minlength=len(accounts),
    )
    assert np.allclose(accounts["floating"], floating, rtol=1e-12, atol=1e-6)
    assert (accounts["margin"] >= 0).all()
    busy = set(positions["account"][live].tolist())
    busy |= set(books.orders["account"][books.orders["margin"] > 0].tolist())
    flat = [row for row in range(len(accounts)) if row not in busy]
    assert (accounts["margin"][flat] == 0).all()


def _audit_positions(books: Books) -> None:
    positions, deals = books.positions, books.deals
    traded: dict[int, Decimal] = defaultdict(Decimal)
    opened = set()
    for kind, entry, position, lots in zip(
        *(deals[name].tolist() for name in ("type", "entry", "position", "volume")), strict=True
    ):
        if kind in _MARKET:
            traded[position] += Decimal(str(lots)) * (1 if kind == mt5.DEAL_TYPE_BUY else -1)
        if kind in _MARKET and entry in (mt5.DEAL_ENTRY_IN, mt5.DEAL_ENTRY_INOUT):
            opened.add(position)
    held: dict[int, Decimal] = {}
    for row in np.flatnonzero(positions["live"]).tolist():
        position = positions.row(row)
        sign = 1 if position["type"] == mt5.POSITION_TYPE_BUY else -1
        assert position["volume"] > 0
        assert position["identifier"] in opened, "a position without its deal"
        assert position["identifier"] not in held
        held[position["identifier"]] = Decimal(str(position["volume"])) * sign
    assert {identifier: lots for identifier, lots in traded.items() if lots} == held
    netting = books.accounts["margin_mode"] != mt5.ACCOUNT_MARGIN_MODE_RETAIL_HEDGING
    live = positions["live"] & netting[positions["account"]]
    pairs = list(zip(positions["account"][live], positions["symbol"][live], strict=True))
    assert len(pairs) == len(set(pairs)), "two positions of a symbol on a netting account"


def _audit_orders(books: Books) -> None:
    orders = [*books.orders["ticket"].tolist(), *books.order_history["ticket"].tolist()]
    assert len(orders) == len(set(orders)), "an order twice"
    known = set(orders)
    deals = books.deals
    market = np.isin(deals["type"], _MARKET)
    assert set(deals["order"][market].tolist()) - {0} <= known, "a deal without its order"
    tickets = deals["ticket"]
    assert (tickets[1:] > tickets[:-1]).all()
    assert max(orders, default=0) < books.next_order
    assert max(tickets.tolist(), default=0) < books.next_deal


def _audit_rows(books: Books) -> None:
    """The books find by account and by ticket what a look at every row finds."""
    for account in range(len(books.accounts)):
        for table, found in (
            (books.orders, books.orders_of(account)),
            (books.order_history, books.done_orders_of(account)),
            (books.deals, books.deals_of(account)),
        ):
            assert found.tolist() == np.flatnonzero(table["account"] == account).tolist()
        live = books.positions["live"] & (books.positions["account"] == account)
        assert books.rows_of(account).tolist() == np.flatnonzero(live).tolist()
    for row, ticket in enumerate(books.orders["ticket"].tolist()):
        assert books.order_row(ticket) == row
    for row in np.flatnonzero(books.positions["live"]).tolist():
        assert books.position_row(int(books.positions["ticket"][row])) == row
