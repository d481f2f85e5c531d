"""What is lost at the stops of open positions, and how long a position has had none."""

from collections.abc import Sequence
from datetime import tzinfo
from functools import lru_cache

import numpy as np

from accounts.core.zones import from_broker_epoch
from accounts.terminals.readings import Rows
from risk.core.arrays import Floats, Integers
from risk.core.exposures import POSITION_TYPE_SELL

# No clock changes within a quarter of an hour that begins at one of its round times.
_QUARTER_SECONDS = 900


def losses_at_stops(held: Rows) -> Floats:
    """Return what each position loses from its opening price to its stop, in account currency.

    0 where the stop lies on the winning side, or where there is none. The value of a position is
    taken as linear in the price, as it is for currency pairs, metals, indices and shares; for a
    pair that is quoted in another currency the present rate counts. NaN without a price.
    """
    stop, price = held["sl"], held["price_current"]
    sign = np.where(held["type"] == POSITION_TYPE_SELL, -1.0, 1.0)
    distance = np.maximum((held["price_open"] - stop) * sign, 0.0)
    per_price = held["notional"] / np.where(price > 0, price, np.nan)
    losses: Floats = np.where(stop > 0, distance * per_price, 0.0)
    return losses


def minutes_open(
    held: Rows, zones: Sequence[tzinfo], zone_index: Integers, moment: float
) -> Floats:
    """Return for how many minutes each position has been open at `moment` (UTC epoch).

    A terminal tells the broker's wall clock, `zones[zone_index[row]]`.
    """
    clock = held["time_msc"] / 1000.0
    quarters = np.floor(clock / _QUARTER_SECONDS).astype(np.int64)
    distinct, inverse = np.unique(quarters * len(zones) + zone_index, return_inverse=True)
    offsets = np.array(
        [_offset(zones[key % len(zones)], key // len(zones)) for key in distinct.tolist()],
        dtype=np.float64,
    )
    opened_at = clock - offsets[inverse.reshape(-1)]
    minutes: Floats = np.maximum(moment - opened_at, 0.0) / 60
    return minutes


@lru_cache(maxsize=65_536)
def _offset(zone: tzinfo, quarter: int) -> float:
    """Return how far the broker's clock was ahead of UTC in a quarter of an hour of its own."""
    start = float(quarter * _QUARTER_SECONDS)
    return start - from_broker_epoch(start, zone)
