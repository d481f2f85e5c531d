"""Margin of an account's positions, with the hedged part of DOMAIN's rule for hedging accounts.

Each position keeps the rate (margin currency to account currency) of its opening, as a MetaTrader
server does, so the margin moves with trades and not with ticks.
"""

from dataclasses import dataclass

from .contracts import Contract


@dataclass(slots=True)
class Leg:
    """The volume of one direction and the volume-weighted rate of its margin currency."""

    lots: float = 0.0
    lots_times_rate: float = 0.0

    def add(self, lots: float, rate: float) -> None:
        self.lots += lots
        self.lots_times_rate += lots * rate

    @property
    def rate(self) -> float:
        return self.lots_times_rate / self.lots if self.lots else 0.0


def lot_margin(contract: Contract, leverage: int) -> float:
    """Return the margin of one lot in the contract's margin currency."""
    if contract.margin_initial:
        return contract.margin_initial
    return contract.contract_size / leverage


def symbol_margin(contract: Contract, leverage: int, long: Leg, short: Leg) -> float:
    """Return the margin of one symbol's positions in the account's currency."""
    per_lot = lot_margin(contract, leverage)
    if contract.margin_hedged_use_leg:
        return per_lot * max(long.lots_times_rate, short.lots_times_rate)
    larger = long if long.lots >= short.lots else short
    covered = min(long.lots, short.lots)
    uncovered = abs(long.lots - short.lots)
    total = long.lots + short.lots
    if not total:
        return 0.0
    average_rate = (long.lots_times_rate + short.lots_times_rate) / total
    hedged_per_lot = per_lot * contract.margin_hedged / contract.contract_size
    return uncovered * per_lot * larger.rate + covered * hedged_per_lot * average_rate
