"""What the symbols of a batch are: their currencies, and one instrument behind several names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from risk.core.arrays import Integers
from risk.core.exposures import Exposures
from risk.core.surroundings import Sides, Surroundings, SymbolCurrencies


@dataclass(frozen=True, slots=True)
class CurrencyCodes:
    """The base and profit currency of each row as places in `names`; -1 is not known."""

    names: tuple[str, ...]
    base: Integers
    profit: Integers


def currency_codes(
    exposures: Exposures, surroundings: Surroundings, account: Integers, symbol: Integers
) -> CurrencyCodes:
    """Look up the currencies of symbols, each at the server of its account."""
    distinct, inverse = _distinct_symbols(exposures, account, symbol)
    places: dict[str, int] = {}
    codes = np.full((len(distinct), 2), -1, dtype=np.int64)
    for row, (server, name) in enumerate(distinct):
        found = surroundings.currencies.get(server, {}).get(name)
        if found is not None:
            codes[row] = [places.setdefault(currency, len(places)) for currency in found]
    return CurrencyCodes(tuple(places), codes[inverse, 0], codes[inverse, 1])


def instrument_codes(
    exposures: Exposures, surroundings: Surroundings, account: Integers, symbol: Integers
) -> tuple[tuple[str, ...], Integers]:
    """Number the instruments behind symbols, so that EURUSD and another broker's EURUSD.a meet."""
    distinct, inverse = _distinct_symbols(exposures, account, symbol)
    places: dict[str, int] = {}
    codes = np.array(
        [
            places.setdefault(
                instrument_of(name, surroundings.currencies.get(server, {}).get(name)), len(places)
            )
            for server, name in distinct
        ],
        dtype=np.int64,
    )
    return tuple(places), codes[inverse]


def instrument_of(symbol: str, currencies: Sequence[str] | None) -> str:
    """Name what a symbol trades: the two currencies of a pair, else the symbol as it is written."""
    if currencies is None or currencies[0] == currencies[1]:
        return symbol
    return f"{currencies[0]}/{currencies[1]}"


def by_instrument(sides: Sides, currencies: Mapping[str, SymbolCurrencies]) -> Sides:
    """Add up by instrument what is named by symbols of servers that are not told.

    A name means the currencies that any server gives to a symbol of that name.
    """
    known = {name: pair for symbols in currencies.values() for name, pair in symbols.items()}
    totals: dict[str, tuple[float, float]] = {}
    for name, (bought, sold) in sides.items():
        instrument = instrument_of(name, known.get(name))
        before = totals.get(instrument, (0.0, 0.0))
        totals[instrument] = (before[0] + bought, before[1] + sold)
    return totals


def _distinct_symbols(
    exposures: Exposures, account: Integers, symbol: Integers
) -> tuple[list[tuple[str, str]], Integers]:
    """Return the distinct (server, symbol) by name, and which of them each row is."""
    servers, count = exposures.servers, max(len(exposures.symbols), 1)
    # A server that is not known (-1) has the name "" behind all others.
    names = (*servers, "")
    server = np.where(exposures.account_server < 0, len(servers), exposures.account_server)
    keys, inverse = np.unique(server[account] * count + symbol, return_inverse=True)
    pairs = [(names[key // count], exposures.symbols[key % count]) for key in keys.tolist()]
    return pairs, inverse.reshape(-1)
