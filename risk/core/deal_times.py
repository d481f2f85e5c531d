"""When deals were done, and on which trading day, by the clocks of their brokers."""

from datetime import UTC, datetime, tzinfo
from functools import lru_cache

import numpy as np

from accounts.core.zones import (
    broker_zone,
    from_broker_epoch,
    next_reset,
    to_broker_epoch,
)
from risk.core.arrays import Floats, Integers
from risk.core.pairs import Clock, PairTable

# Resets are looked up by the month or so: histories of many accounts share them.
_BLOCK_DATES = 32


def days_of_deals(table: PairTable, pairs: Integers, place: Integers, time_msc: Integers) -> Floats:
    """Return when the trading day of each deal began; `place` is its pair in `pairs`."""
    clock = table.clock_index[pairs][place]
    zone = table.broker_zone_index[pairs][place]
    day = np.full(len(place), np.nan)
    key = clock * len(table.broker_zones) + zone
    for number in np.unique(key).tolist():
        some = np.flatnonzero(key == number)
        times = time_msc[some]
        bounds, bounds_msc = _day_bounds(
            table.clocks[number // len(table.broker_zones)],
            table.broker_zones[number % len(table.broker_zones)],
            int(times.min()) // 86_400_000,
            int(times.max()) // 86_400_000,
        )
        day[some] = bounds[np.searchsorted(bounds_msc, times, side="right") - 1]
    return day


def _day_bounds(
    clock: Clock, zone: tzinfo, first_date: int, last_date: int
) -> tuple[Floats, Integers]:
    """Return the resets from before the first until after the last date of a broker's clock.

    Dates are days since 1970. Instants are UTC epoch seconds, and the same by the broker's clock
    in milliseconds.
    """
    blocks = [
        _block_bounds(clock, zone, block)
        for block in range(first_date // _BLOCK_DATES - 1, last_date // _BLOCK_DATES + 1)
    ]
    return np.concatenate([one for one, _ in blocks]), np.concatenate([two for _, two in blocks])


@lru_cache(maxsize=4096)
def _block_bounds(clock: Clock, zone: tzinfo, block: int) -> tuple[Floats, Integers]:
    trading_zone = broker_zone(clock.zone)
    first = from_broker_epoch(block * _BLOCK_DATES * 86_400.0, zone)
    end = from_broker_epoch((block + 1) * _BLOCK_DATES * 86_400.0, zone)
    moment = next_reset(datetime.fromtimestamp(first - 1, UTC), clock.reset_time, trading_zone)
    resets = []
    while moment.timestamp() < end:
        resets.append(moment.timestamp())
        moment = next_reset(moment, clock.reset_time, trading_zone)
    written = [round(to_broker_epoch(reset, zone) * 1000) for reset in resets]
    return np.array(resets, dtype=np.float64), np.array(written, dtype=np.int64)


def instants_of_deals(
    table: PairTable, pairs: Integers, place: Integers, time_msc: Integers
) -> Floats:
    """Read broker clocks as UTC epoch seconds."""
    zones = table.broker_zone_index[pairs][place]
    instants = np.empty(len(place))
    for number in np.unique(zones).tolist():
        some = np.flatnonzero(zones == number)
        distinct, places = np.unique(time_msc[some], return_inverse=True)
        zone = table.broker_zones[number]
        read = [from_broker_epoch(msc / 1000.0, zone) for msc in distinct.tolist()]
        instants[some] = np.array(read)[places]
    return instants
