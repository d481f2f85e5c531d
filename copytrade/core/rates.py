"""Currencies: what one unit of each is worth in a common one."""

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import NamedTuple

from copytrade.core.facts import exact

_ONE = Decimal(1)


class Quote(NamedTuple):
    """What one unit of `base` costs in `profit`, in the middle of the book."""

    base: str
    profit: str
    price: float


class Ratio(NamedTuple):
    """A fraction that is divided last, so that nothing is rounded on the way."""

    top: Decimal
    bottom: Decimal


def conversion(rates: Mapping[str, Decimal], source: str, target: str) -> Ratio | None:
    """Return what one unit of `source` is in `target`; None where a rate is missing."""
    if source == target:
        return Ratio(_ONE, _ONE)
    top, bottom = rates.get(source), rates.get(target)
    if top is None or bottom is None or top <= 0 or bottom <= 0:
        return None
    return Ratio(top, bottom)


def rates_of(quotes: Iterable[Quote], common: str = "USD") -> dict[str, Decimal]:
    """Work out the rates that quotes imply, over as few of them as possible.

    A currency that no chain of quotes joins with the common one is left out.
    """
    neighbours: dict[str, list[tuple[str, Decimal]]] = {}
    for quote in quotes:
        if quote.price > 0:
            price = exact(quote.price)
            neighbours.setdefault(quote.profit, []).append((quote.base, price))
            neighbours.setdefault(quote.base, []).append((quote.profit, _ONE / price))
    rates = {common: _ONE}
    ahead = deque([common])
    while ahead:
        reached = ahead.popleft()
        for currency, worth in neighbours.get(reached, ()):
            if currency not in rates:
                rates[currency] = worth * rates[reached]
                ahead.append(currency)
    return rates
