"""Margin of an account's positions, in which covered lots (buy against sell) cost less.

Each position keeps the margin per lot of its opening in the account's currency, as a MetaTrader
server does, so the margin moves with trades and not with ticks.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import constants as mt5
from ..symbols.catalogue import CONTRACTS
from ..symbols.contracts import Contract

# A position's symbol, type, lots and margin per lot in account currency.
Holding = tuple[int, int, float, float]

_SIDES = 2 * len(CONTRACTS)
_LEVERAGED = (mt5.SYMBOL_CALC_MODE_FOREX, mt5.SYMBOL_CALC_MODE_CFDLEVERAGE)
_WITHOUT_PRICE = (mt5.SYMBOL_CALC_MODE_FOREX, mt5.SYMBOL_CALC_MODE_FOREX_NO_LEVERAGE)


@dataclass(slots=True)
class Leg:
    """The volume of one direction, and the margin that it would take alone."""

    lots: float = 0.0
    margin: float = 0.0

    def add(self, lots: float, margin_per_lot: float) -> None:
        self.lots += lots
        self.margin += lots * margin_per_lot

    @property
    def margin_per_lot(self) -> float:
        return self.margin / self.lots if self.lots else 0.0


def lot_margin(contract: Contract, leverage: int, price: float, rate: float) -> float:
    """Return the margin of one lot at a price, in the contract's margin currency.

    ``rate`` multiplies it: the contract's rate for positions, or that for waiting orders. Forex
    without leverage is charged in its base currency; its notional at the price, in the profit
    currency, is the same amount of money.
    """
    if contract.margin_initial:
        return contract.margin_initial * rate
    margin = contract.contract_size * rate
    if contract.calc_mode not in _WITHOUT_PRICE:
        margin *= price
    if contract.calc_mode == mt5.SYMBOL_CALC_MODE_CFDINDEX:
        margin *= contract.tick_value / contract.tick_size
    return margin / leverage if contract.calc_mode in _LEVERAGED else margin


def total_margin(
    sides: npt.NDArray[np.integer[Any]],
    lots: npt.NDArray[np.float64],
    margin_per_lot: npt.NDArray[np.float64],
) -> float:
    """Return the margin of all positions of an account, in its currency.

    Columns of the positions in their order; ``sides`` are ``symbol × 2 + type``.
    """
    if not len(sides):
        return 0.0
    all_lots = np.bincount(sides, lots, _SIDES)
    margins = np.bincount(sides, lots * margin_per_lot, _SIDES)
    total = 0.0
    for symbol in dict.fromkeys((sides >> 1).tolist()):
        long, short = (
            Leg(all_lots.item(side), margins.item(side)) for side in (symbol * 2, symbol * 2 + 1)
        )
        total += symbol_margin(CONTRACTS[symbol], long, short)
    return total


def symbol_margin(contract: Contract, long: Leg, short: Leg) -> float:
    """Return the margin of one symbol's positions in the account's currency."""
    if contract.margin_hedged_use_leg:
        return max(long.margin, short.margin)
    larger = long if long.lots >= short.lots else short
    covered = min(long.lots, short.lots)
    uncovered = abs(long.lots - short.lots)
    total = long.lots + short.lots
    if not total:
        return 0.0
    average = (long.margin + short.margin) / total
    return uncovered * larger.margin_per_lot + covered * contract.hedged_fraction * average
