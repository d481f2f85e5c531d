"""What feeds hand over: rounds of quotes, and the moments at which they are made."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import Contract

# After a pause, however long, the market catches up in so many rounds at most.
MOST_ROUNDS_AT_ONCE = 240


class Quote(NamedTuple):
    """New prices of a symbol. ``last`` and what follows are of a trade; zeros without one."""

    symbol: int
    bid: float
    ask: float
    last: float = 0.0
    volume: int = 0  # lots
    side: int = 0  # TICK_FLAG_BUY or TICK_FLAG_SELL: who took the price


class Round(NamedTuple):
    """Quotes that come at once, at most one per symbol.

    ``at`` is how much of the time that passed since the rounds before was over then (0 to 1).
    """

    at: float
    quotes: list[Quote]


class Moment(NamedTuple):
    """The broker's wall clock (epoch seconds), and which symbols are quoted then."""

    wall_seconds: int
    quoted: Sequence[bool]


MomentAt = Callable[[float], Moment]  # of a share (0 to 1) of the time that is passing
Quotes = Sequence[Sequence[float]]  # bid and ask per symbol


def to_tick(contract: Contract, price: float) -> float:
    """Round a price to the contract's tick size."""
    return round(round(price / contract.tick_size) * contract.tick_size, contract.digits)


def quote(symbol: int, bid: float, spread: float) -> Quote:
    """Return a quote at prices that the symbol can have; ``spread`` is in price."""
    contract = CONTRACTS[symbol]
    rounded = to_tick(contract, bid)
    return Quote(symbol, rounded, to_tick(contract, rounded + spread))
