"""The baselines of the pairs: where a day began, how high a peak was, what is latched."""

from dataclasses import dataclass

import numpy as np

from risk.core.arrays import Flags, Floats


@dataclass(frozen=True, slots=True)
class PairState:
    """What must survive a restart, one element per pair in the order of the PairTable.

    Money leaves credit out. `withdrawals` are sums of negative amounts. Instants are UTC epoch
    seconds, NaN when there is none.
    """

    started_at: Floats  # since when `deposits`, `withdrawals` and `peak` count
    deposits: Floats
    withdrawals: Floats
    peak: Floats  # highest balance or equity without any transfer since `started_at`
    day_started_at: Floats  # the reset that the values of the day belong to
    day_balance: Floats
    day_equity: Floats
    day_deposits: Floats
    day_withdrawals: Floats
    day_reconstructed: Flags
    latched: Flags
    latched_at: Floats
    acknowledged: Flags
    inside_since: Floats  # since when a latched pair has been inside its limit again

    def __len__(self) -> int:
        return len(self.started_at)


def new_state(count: int, started_at: float) -> PairState:
    """Return the state of `count` pairs of which nothing has been seen yet."""

    def unknown() -> Floats:
        return np.full(count, np.nan)

    def zero() -> Floats:
        return np.zeros(count)

    def no() -> Flags:
        return np.zeros(count, dtype=np.bool_)

    return PairState(
        started_at=np.full(count, float(started_at)),
        deposits=zero(),
        withdrawals=zero(),
        peak=unknown(),
        day_started_at=unknown(),
        day_balance=unknown(),
        day_equity=unknown(),
        day_deposits=zero(),
        day_withdrawals=zero(),
        day_reconstructed=no(),
        latched=no(),
        latched_at=unknown(),
        acknowledged=no(),
        inside_since=unknown(),
    )
