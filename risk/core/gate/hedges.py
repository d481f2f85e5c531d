"""Whether another account of a rule holds the symbol of an order the other way round."""

import math

import numpy as np

from risk.core.arrays import Integers
from risk.core.gate.book import Book
from risk.core.gate.cases import Cases
from risk.core.instruments import instrument_of

_SELL = 1


def opposed_elsewhere(cases: Cases, case: int, pair: int) -> float:
    """Return 1 when another account stands against the order, 0 when none does, NaN if unknown.

    Accounts of one rule are compared by the instrument behind their symbols.
    """
    book, row = cases.book, int(cases.row[case])
    intent = cases.intents.form_of(case)
    wanted = _instrument(book, row, intent.symbol)
    around = book.surroundings
    rule = int(book.table.rule_index[pair])
    families = around.rule_families
    family = rule if families is None else int(families[rule])
    if family in around.sides_elsewhere:
        elsewhere = around.sides_elsewhere[family]
        if elsewhere is None:
            return math.nan
        bought, sold = elsewhere.get(wanted, (0.0, 0.0))
        if (sold if intent.is_buy else bought) > 0:
            return 1.0
    against = _SELL if intent.is_buy else 0
    for other in _members(book, family).tolist():
        if other == row:
            continue
        held = book.positions[book.position_starts[other] : book.position_starts[other + 1]]
        held = held[held["type"] == against]
        names = {book.symbols[number] for number in np.unique(held["symbol"]).tolist()}
        if any(_instrument(book, other, name) == wanted for name in names):
            return 1.0
        if not book.accounts.known[other]:
            return math.nan
    return 0.0


def _members(book: Book, family: int) -> Integers:
    """Return the rows of the accounts that the rules of a family reach."""
    families = book.surroundings.rule_families
    rules = book.table.rule_index
    mine = rules == family if families is None else families[rules] == family
    return np.unique(book.table.account_index[mine])


def _instrument(book: Book, row: int, symbol: str) -> str:
    known = book.surroundings.currencies.get(book.accounts.servers[row], {})
    return instrument_of(symbol, known.get(symbol))
