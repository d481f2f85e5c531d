"""Exchange rates between account and contract currencies, at the worse side of the book."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .catalogue import CONTRACTS
from .contracts import CURRENCIES, CURRENCY_INDEX

Floats = npt.NDArray[np.float64]
_SIZE = len(CURRENCIES)
PAIRS = _SIZE * _SIZE
_USD = CURRENCY_INDEX["USD"]


def pair_index(source: int, target: int) -> int:
    """Return where `Conversion.gain` and `Conversion.loss` keep the rate source → target."""
    return source * _SIZE + target


class Conversion:
    """Rates from every currency to every other, for amounts gained and for amounts lost.

    A gain is sold into the account's currency at the price that gives less of it, a loss is bought
    at the price that costs more. Currencies without a pair of their own go through the dollar.
    """

    def __init__(self) -> None:
        # Gains and losses side by side, so that one look-up serves columns of both.
        self._rates: Floats = np.ones(2 * PAIRS)
        self.gain, self.loss = self._rates[:PAIRS], self._rates[PAIRS:]
        self.mid: Floats = np.ones(PAIRS)
        symbols: list[int] = []
        foreign: list[int] = []
        inverted: list[bool] = []
        self._crosses: list[tuple[int, int, int]] = []
        for index, contract in enumerate(CONTRACTS):
            if contract.base not in CURRENCY_INDEX or contract.base == contract.quote:
                continue
            base, quote = CURRENCY_INDEX[contract.base], CURRENCY_INDEX[contract.quote]
            if _USD in (base, quote):
                symbols.append(index)
                inverted.append(base == _USD)
                foreign.append(quote if base == _USD else base)
            else:
                self._crosses.append((index, base, quote))
        self._symbols = np.array(symbols)
        self._foreign = np.array(foreign)
        self._inverted = np.array(inverted)

    def update(self, bid: Floats, ask: Floats) -> None:
        """Take the quotes of all symbols, in the order of CONTRACTS."""
        bids, asks = bid[self._symbols], ask[self._symbols]
        low = np.where(self._inverted, 1.0 / asks, bids)
        high = np.where(self._inverted, 1.0 / bids, asks)
        to_usd_gain, to_usd_loss = np.ones(_SIZE), np.ones(_SIZE)
        to_usd_gain[self._foreign] = low
        to_usd_loss[self._foreign] = high
        gain = np.outer(to_usd_gain, 1.0 / to_usd_loss)
        loss = np.outer(to_usd_loss, 1.0 / to_usd_gain)
        np.fill_diagonal(gain, 1.0)
        np.fill_diagonal(loss, 1.0)
        for symbol, base, quote in self._crosses:
            gain[base, quote], loss[base, quote] = bid[symbol], ask[symbol]
            gain[quote, base], loss[quote, base] = 1.0 / ask[symbol], 1.0 / bid[symbol]
        self.gain[:] = gain.ravel()
        self.loss[:] = loss.ravel()
        self.mid[:] = (self.gain + self.loss) / 2.0

    def all_converted(self, amounts: Floats, pairs: npt.NDArray[np.integer[Any]]) -> Floats:
        """Convert a column of amounts, each by its own `pair_index`; below zero are losses."""
        return amounts * self._rates.take(pairs + (amounts < 0) * PAIRS)

    def converted(self, amount: float, source: int, target: int) -> float:
        """Convert one amount; below zero it is a loss."""
        rates = self.gain if amount >= 0 else self.loss
        return float(amount * rates[pair_index(source, target)])
