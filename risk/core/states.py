"""The baselines of the pairs: where a day began, how high a peak was, what is latched."""

from dataclasses import dataclass

import numpy as np

from risk.core.arrays import Flags, Floats


@dataclass(frozen=True, slots=True)
class PairState:
    """What must survive a restart, one element per pair in the order of the PairTable.

    Money leaves credit out. `withdrawals` are sums of negative amounts. Instants are UTC epoch
    seconds, NaN when there is none. What counted pairs count begins with `day_started_at`: as long
    as that is NaN, nothing of it is known. Days are finished ones, but for the `day_*` columns.
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
    realised: Floats  # closed result since `started_at`
    floating: Floats  # of the pair's strategy at present; not stored
    day_trades: Floats  # positions opened
    day_profit: Floats  # closed result
    trading_days: Floats  # days on which a position was opened
    best_day: Floats  # highest closed result of a day, at least 0
    positive_days: Floats  # sum of the closed results of the days in profit
    total_profit: Floats  # closed result of all deals, the present day included
    last_trade_at: Floats
    latched: Flags
    latched_at: Floats
    acknowledged: Flags
    is_early: Flags  # latched within the safety margin: the limit itself was not reached
    violated_at: Floats  # when the limit itself was reached
    inside_since: Floats  # since when a latched pair has been inside its limit again; not stored
    triggered_since: Floats  # since when the action's condition holds without a gap; not stored

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
        realised=zero(),
        floating=zero(),
        day_trades=zero(),
        day_profit=zero(),
        trading_days=zero(),
        best_day=zero(),
        positive_days=zero(),
        total_profit=zero(),
        last_trade_at=unknown(),
        latched=no(),
        latched_at=unknown(),
        acknowledged=no(),
        is_early=no(),
        violated_at=unknown(),
        inside_since=unknown(),
        triggered_since=unknown(),
    )
